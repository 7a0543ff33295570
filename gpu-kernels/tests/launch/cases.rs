//! A checked call of every kernel.

use gpu_kernels::augment::View;
use gpu_kernels::convolution::winograd::{Direction, Winograd};
use gpu_kernels::convolution::{Shape, Sizes};
use gpu_kernels::dropout::Mask;
use gpu_kernels::fully_connected as fc;
use gpu_kernels::launch::{self, Call, Error, Floats, Gaussian, In, LossGradient, Out, Target};
use gpu_kernels::{lrn, pool as pooling};

/// For a GPU: buffers at made-up addresses, each one 2⁴⁰ bytes after the other,
/// where nothing is, as nothing runs. For the executor: zeros that are never freed.
#[derive(Clone, Copy)]
pub struct Memory {
    pub target: Target,
    /// Buffer, and what its length and its address are changed by.
    pub wrong: Option<(usize, isize, i64)>,
}

/// The made-up memory, with or without something wrong.
pub fn gpu(wrong: Option<(usize, isize, i64)>) -> Memory {
    Memory { target: GPU, wrong }
}

impl Memory {
    fn at<T>(&self, number: usize, len: usize) -> (u64, usize) {
        if self.target == Target::Cpu {
            let floats = Box::leak(Box::new(Floats::zeros(len * size_of::<T>() / 4)));
            return (floats.as_mut_ptr().expose_provenance() as u64, len);
        }
        let address = (number as u64 + 1) << 40;
        match self.wrong {
            Some((wrong, longer, further)) if wrong == number => (
                address.wrapping_add_signed(further),
                len.wrapping_add_signed(longer),
            ),
            _ => (address, len),
        }
    }

    pub fn read<T: 'static>(&self, number: usize, len: usize) -> In<'static, T> {
        let (address, len) = self.at::<T>(number, len);
        // SAFETY: either nothing runs, or the memory is there and never freed.
        unsafe { In::from_raw(address, len) }
    }

    pub fn write<T: 'static>(&self, number: usize, len: usize) -> Out<'static, T> {
        let (address, len) = self.at::<T>(number, len);
        // SAFETY: either nothing runs, or the memory is there, never freed and used once.
        unsafe { Out::from_raw(address, len) }
    }
}

pub type Made = Result<Call<'static>, Error>;
pub type Case = (&'static str, &'static [&'static str], fn(Memory) -> Made);

pub const GPU: Target = Target::Gpu;

pub const MASK: Mask = Mask {
    probability: 0.5,
    seed: [1, 2],
    stream: 3,
    step: 4,
    share: 5,
};

pub const CONVOLUTION: Sizes = Sizes {
    images: 32,
    channels: 3,
    input: [11, 12],
    filters: 48,
    kernel: 5,
    stride: 2,
    pad: 1,
    output: [5, 6],
};

pub fn convolution() -> Shape {
    Shape::new(CONVOLUTION)
}

fn pool() -> pooling::Shape {
    pooling::Shape::try_new([3, 9, 8], [4, 4], 3, 2, 32).unwrap()
}

/// x and y of a convolution, its weights, those with filters of its own at every pixel; x and y of a pooling.
pub const X: usize = 3 * 11 * 12 * 32;
pub const Y: usize = 48 * 5 * 6 * 32;
pub const W: usize = 3 * 5 * 5 * 48;
pub const LW: usize = W * 5 * 6;
pub const PX: usize = 3 * 9 * 8 * 32;
pub const PY: usize = 3 * 4 * 4 * 32;

pub const LAYER: fc::Shape = fc::Shape {
    images: 32,
    inputs: 1500,
    outputs: 16,
};

pub const LRN: lrn::Shape = lrn::Shape {
    channels: 7,
    columns: 48,
    size: 5,
    k: 2.0,
    alpha: 1e-4,
    beta: 0.75,
};

pub const WITHIN: lrn::within::Shape = lrn::within::Shape {
    channels: 2,
    height: 4,
    width: 5,
    images: 32,
    size: 3,
    k: 1.0,
    alpha: 1e-4,
    beta: 0.75,
};

/// Numbers of its tensors.
const N: usize = 2 * 4 * 5 * 32;

pub const GAUSSIAN: Gaussian = Gaussian {
    rows: 3,
    stride: 32,
    valid: 20,
    sigma: 0.01,
    seed: [1, 2],
    stream: 3,
};

pub const LOSS: LossGradient = LossGradient {
    classes: 10,
    first: 2,
    rows: 5,
    rows_padded: 16,
    valid: 30,
};

/// A convolution that Winograd's algorithm is for.
pub fn winograd() -> Winograd {
    let sizes = Sizes {
        stride: 1,
        output: [9, 10],
        ..CONVOLUTION
    };
    Winograd::try_new(Shape::new(sizes)).unwrap()
}

/// Its y, transformed weights and a part of the gradient.
const WY: usize = 48 * 9 * 10 * 32;
const U: usize = 36 * (3 * 64 + 16);
const PART: usize = 36 * 3 * 64;

/// Every kernel: its name, its pointers in the order of its parameters, and a call.
pub const CASES: &[Case] = &[
    ("augment", &["pixels", "views", "mean", "out"], |m| {
        let views = m.read::<View>(1, 64);
        let (pixels, mean) = (m.read(0, 3 * 20 * 20 * 64), m.read(2, 3 * 20 * 20));
        launch::augment(
            [20, 20, 16],
            pixels,
            views,
            mean,
            m.write(3, 3 * 16 * 16 * 64),
            m.target,
        )
    }),
    ("average_pool_backward", &["dy", "dx"], |m| {
        launch::average_pool_backward(pool(), m.read(0, PY), m.write(1, PX), m.target)
    }),
    ("average_pool_forward", &["x", "y"], |m| {
        launch::average_pool_forward(pool(), m.read(0, PX), m.write(1, PY), m.target)
    }),
    ("constant_fill", &["out"], |m| {
        launch::constant_fill(5, 1.0, m.write(0, 16), m.target)
    }),
    ("convolution_forward", &["x", "weights", "bias", "y"], |m| {
        let (x, w, b) = (m.read(0, X), m.read(1, W), m.read(2, 48));
        launch::convolution_forward(convolution(), x, w, b, m.write(3, Y), m.target)
    }),
    (
        "convolution_input_gradient",
        &["weights", "dy", "dx"],
        |m| {
            let (w, dy) = (m.read(0, W), m.read(1, Y));
            launch::convolution_input_gradient(convolution(), w, dy, m.write(2, X), m.target)
        },
    ),
    ("convolution_weight_gradient", &["x", "dy", "parts"], |m| {
        let (x, dy) = (m.read(0, X), m.read(1, Y));
        launch::convolution_weight_gradient(convolution(), x, dy, m.write(2, W), m.target)
    }),
    (
        "cross_entropy",
        &["logits", "labels", "loss", "rank"],
        |m| {
            let (logits, labels) = (m.read(0, 320), m.read(1, 32));
            launch::cross_entropy(10, logits, labels, m.write(2, 32), m.write(3, 32), m.target)
        },
    ),
    ("dropout_backward", &["dy", "dx"], |m| {
        launch::dropout_backward(MASK, m.read(0, 48), m.write(1, 48), m.target)
    }),
    ("dropout_forward", &["x", "y"], |m| {
        launch::dropout_forward(MASK, m.read(0, 48), m.write(1, 48), m.target)
    }),
    (
        "fully_connected_forward",
        &["x", "weights", "y_parts"],
        |m| {
            let (x, w) = (m.read(0, 1500 * 32), m.read(1, 1500 * 16));
            launch::fully_connected_forward(LAYER, x, w, m.write(2, 2 * 16 * 32), m.target)
        },
    ),
    (
        "fully_connected_input_gradient",
        &["weights", "dy", "dx_parts"],
        |m| {
            let (w, dy) = (m.read(0, 1500 * 16), m.read(1, 16 * 32));
            launch::fully_connected_input_gradient(LAYER, w, dy, m.write(2, 1500 * 32), m.target)
        },
    ),
    ("fully_connected_weight_gradient", &["x", "dy", "dw"], |m| {
        let (x, dy) = (m.read(0, 1500 * 32), m.read(1, 16 * 32));
        launch::fully_connected_weight_gradient(LAYER, x, dy, m.write(2, 1500 * 16), m.target)
    }),
    ("gaussian_fill", &["out"], |m| {
        launch::gaussian_fill(GAUSSIAN, m.write(0, 96), m.target)
    }),
    ("local_forward", &["x", "weights", "bias", "y"], |m| {
        let (x, w, b) = (m.read(0, X), m.read(1, LW), m.read(2, 48 * 30));
        launch::local_forward(convolution(), x, w, b, m.write(3, Y), m.target)
    }),
    ("local_input_gradient", &["weights", "dy", "dx"], |m| {
        let (w, dy) = (m.read(0, LW), m.read(1, Y));
        launch::local_input_gradient(convolution(), w, dy, m.write(2, X), m.target)
    }),
    ("local_weight_gradient", &["x", "dy", "dw"], |m| {
        let (x, dy) = (m.read(0, X), m.read(1, Y));
        launch::local_weight_gradient(convolution(), x, dy, m.write(2, LW), m.target)
    }),
    ("lrn_backward", &["x", "dy", "dx"], |m| {
        launch::lrn_backward(
            LRN,
            m.read(0, 336),
            m.read(1, 336),
            m.write(2, 336),
            m.target,
        )
    }),
    ("lrn_forward", &["x", "y"], |m| {
        launch::lrn_forward(LRN, m.read(0, 336), m.write(1, 336), m.target)
    }),
    ("lrn_within_backward", &["x", "terms", "dx"], |m| {
        let (x, terms) = (m.read(0, N), m.read(1, N));
        launch::lrn_within_backward(WITHIN, x, terms, m.write(2, N), m.target)
    }),
    ("lrn_within_forward", &["x", "y"], |m| {
        launch::lrn_within_forward(WITHIN, m.read(0, N), m.write(1, N), m.target)
    }),
    ("lrn_within_terms", &["x", "dy", "dx", "terms"], |m| {
        let (x, dy, dx) = (m.read(0, N), m.read(1, N), m.write(2, N));
        launch::lrn_within_terms(WITHIN, x, dy, dx, m.write(3, N), m.target)
    }),
    ("max_pool_backward", &["winner", "dy", "dx"], |m| {
        launch::max_pool_backward(
            pool(),
            m.read(0, PY),
            m.read(1, PY),
            m.write(2, PX),
            m.target,
        )
    }),
    ("max_pool_forward", &["x", "y", "winner"], |m| {
        launch::max_pool_forward(
            pool(),
            m.read(0, PX),
            m.write(1, PY),
            m.write(2, PY),
            m.target,
        )
    }),
    ("relu_backward", &["y", "dy", "dx"], |m| {
        launch::relu_backward(m.read(0, 48), m.read(1, 48), m.write(2, 48), m.target)
    }),
    ("relu_forward", &["x", "y"], |m| {
        launch::relu_forward(m.read(0, 48), m.write(1, 48), m.target)
    }),
    ("scale", &["x", "y"], |m| {
        launch::scale(0.5, m.read(0, 48), m.write(1, 48), m.target)
    }),
    ("sgd_update", &["gradient", "velocity", "weights"], |m| {
        let (gradient, velocity) = (m.read(0, 48), m.write(1, 48));
        launch::sgd_update(
            [0.1, 0.9, 0.0],
            gradient,
            velocity,
            m.write(2, 48),
            m.target,
        )
    }),
    ("softmax", &["logits", "probabilities"], |m| {
        launch::softmax([10, 32], m.read(0, 320), m.write(1, 320), m.target)
    }),
    (
        "softmax_gradient",
        &["probabilities", "labels", "out"],
        |m| {
            let (probabilities, labels) = (m.read(0, 320), m.read(1, 32));
            launch::softmax_gradient(LOSS, probabilities, labels, m.write(2, 16 * 32), m.target)
        },
    ),
    ("sum_maps", &["x", "y"], |m| {
        launch::sum_maps(48, m.read(0, 3 * 48), m.write(1, 3), m.target)
    }),
    ("sum_parts", &["parts", "y"], |m| {
        launch::sum_parts(3, m.read(0, 144), m.write(1, 48), m.target)
    }),
    ("sum_parts_with_bias", &["parts", "bias", "y"], |m| {
        let (parts, bias) = (m.read(0, 3 * 96), m.read(1, 3));
        launch::sum_parts_with_bias(32, 3, parts, bias, m.write(2, 96), m.target)
    }),
    ("tanh_backward", &["y", "dy", "dx"], |m| {
        launch::tanh_backward(m.read(0, 48), m.read(1, 48), m.write(2, 48), m.target)
    }),
    ("tanh_forward", &["x", "y"], |m| {
        launch::tanh_forward(m.read(0, 48), m.write(1, 48), m.target)
    }),
    ("transpose", &["x", "y"], |m| {
        launch::transpose([4, 12], m.read(0, 48), m.write(1, 48), m.target)
    }),
    (
        "winograd_forward",
        &["x", "transformed", "bias", "y", "scratch"],
        |m| {
            let (x, u, b) = (m.read(0, X), m.read(1, U), m.read(2, 48));
            let scratch = m.write(4, winograd().forward_scratch(m.target));
            launch::winograd_forward(winograd(), x, u, b, m.write(3, WY), scratch, m.target)
        },
    ),
    (
        "winograd_input_gradient",
        &["dy", "transformed", "dx", "scratch"],
        |m| {
            let (dy, u) = (m.read(0, WY), m.read(1, U));
            let scratch = m.write(3, winograd().input_gradient_scratch(m.target));
            launch::winograd_input_gradient(winograd(), dy, u, m.write(2, X), scratch, m.target)
        },
    ),
    (
        "winograd_weight_gradient",
        &["x", "dy", "parts", "scratch"],
        |m| {
            let (x, dy, parts) = (m.read(0, X), m.read(1, WY), m.write(2, 2 * PART));
            let scratch = m.write(3, winograd().weight_gradient_scratch(m.target));
            launch::winograd_weight_gradient(winograd(), x, dy, parts, scratch, m.target)
        },
    ),
    ("winograd_weight_transform", &["sum", "dw"], |m| {
        launch::winograd_weight_transform(winograd(), m.read(0, PART), m.write(1, W), m.target)
    }),
    ("winograd_weights", &["weights", "transformed"], |m| {
        let (w, u) = (m.read(0, W), m.write(1, U));
        launch::winograd_weights(winograd(), Direction::Forward, w, u, m.target)
    }),
];
