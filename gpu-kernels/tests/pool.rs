//! Max- and average-pooling against their definitions.
mod common;

use common::{Buffer, assert_close, bits, here, random, random_below, run};
use gpu_kernels::average_pool::{
    average_pool_backward, average_pool_backward_launch, average_pool_forward,
    average_pool_forward_launch,
};
use gpu_kernels::pool::{
    self as pool, max_pool_backward, max_pool_backward_launch, max_pool_forward,
    max_pool_forward_launch,
};
use gpu_kernels::target::Target;
use proptest::prelude::*;

#[derive(Clone, Copy, Debug)]
struct Shape {
    channels: usize,
    height: usize,
    width: usize,
    out: [usize; 2],
    size: usize,
    stride: usize,
    pad: usize,
    images: usize,
}

impl Shape {
    fn pool(&self) -> pool::Shape {
        let u = |x: usize| x as u32;
        pool::Shape::new(
            [u(self.channels), u(self.height), u(self.width)],
            [u(self.out[0]), u(self.out[1])],
            u(self.size),
            u(self.stride),
            u(self.images),
        )
        .padded(u(self.pad))
    }

    fn inputs(&self) -> usize {
        self.channels * self.height * self.width * self.images
    }

    fn outputs(&self) -> usize {
        self.channels * self.out[0] * self.out[1] * self.images
    }

    /// For every output its inputs' indices and places, in scan order.
    fn windows(&self) -> Vec<Vec<(usize, usize)>> {
        let [rows, cols] = self.out;
        let window = |o: usize| {
            let (n, pixel) = (o % self.images, o / self.images);
            let (c, oy, ox) = (pixel / (rows * cols), pixel / cols % rows, pixel % cols);
            let places = (0..self.size * self.size).filter_map(|place| {
                // Above and left of the image they wrap, to beyond it.
                let y = (oy * self.stride + place / self.size).wrapping_sub(self.pad);
                let x = (ox * self.stride + place % self.size).wrapping_sub(self.pad);
                if y >= self.height || x >= self.width {
                    return None;
                }
                let at = ((c * self.height + y) * self.width + x) * self.images + n;
                Some((at, place))
            });
            places.collect()
        };
        (0..self.outputs()).map(window).collect()
    }
}

fn forward(s: &Shape, x: &[f32], target: Target) -> (Vec<f32>, Vec<f32>) {
    let x = Buffer::new(x);
    let (mut y, mut winner) = (
        Buffer::unwritten(s.outputs()),
        Buffer::unwritten(s.outputs()),
    );
    let launch = max_pool_forward_launch(s.pool(), target);
    // SAFETY: the buffers have the lengths that the shape asks for.
    unsafe {
        run(
            &max_pool_forward,
            launch,
            (s.pool(), x.ptr(), y.mut_ptr(), winner.mut_ptr()),
        )
    };
    (y.to_vec(), winner.to_vec())
}

fn backward(s: &Shape, winner: &[f32], dy: &[f32], target: Target) -> Vec<f32> {
    let (winner, dy) = (Buffer::new(winner), Buffer::new(dy));
    let mut dx = Buffer::unwritten(s.inputs());
    let launch = max_pool_backward_launch(s.pool(), target);
    // SAFETY: the buffers have the lengths that the shape asks for.
    unsafe {
        run(
            &max_pool_backward,
            launch,
            (s.pool(), winner.ptr(), dy.ptr(), dx.mut_ptr()),
        )
    };
    dx.to_vec()
}

fn average(s: &Shape, x: &[f32], target: Target) -> Vec<f32> {
    let (x, mut y) = (Buffer::new(x), Buffer::unwritten(s.outputs()));
    let launch = average_pool_forward_launch(s.pool(), target);
    // SAFETY: the buffers have the lengths that the shape asks for.
    unsafe {
        run(
            &average_pool_forward,
            launch,
            (s.pool(), x.ptr(), y.mut_ptr()),
        )
    };
    y.to_vec()
}

fn average_gradient(s: &Shape, dy: &[f32], target: Target) -> Vec<f32> {
    let (dy, mut dx) = (Buffer::new(dy), Buffer::unwritten(s.inputs()));
    let launch = average_pool_backward_launch(s.pool(), target);
    // SAFETY: the buffers have the lengths that the shape asks for.
    unsafe {
        run(
            &average_pool_backward,
            launch,
            (s.pool(), dy.ptr(), dx.mut_ptr()),
        )
    };
    dx.to_vec()
}

/// Overlapping, touching and gaping windows, with padding and without; outputs rounded down and up.
fn shapes() -> impl Strategy<Value = Shape> {
    let sizes = (
        1..4usize,
        1..12usize,
        1..12usize,
        1..5usize,
        1..5usize,
        1..3usize,
        0..4usize,
    );
    let up = (any::<bool>(), any::<bool>());
    (sizes, up).prop_map(
        |((channels, height, width, size, stride, images, pad), (up_y, up_x))| {
            let pad = pad.min(size - 1);
            let out = |extent: usize, up: bool| {
                let room = (extent + 2 * pad).saturating_sub(size);
                let steps = if up {
                    room.div_ceil(stride)
                } else {
                    room / stride
                };
                // No window may begin beyond the image.
                steps.min((extent + pad - 1) / stride) + 1
            };
            let images = 32 * images;
            let out = [out(height, up_y), out(width, up_x)];
            Shape {
                channels,
                height,
                width,
                out,
                size,
                stride,
                pad,
                images,
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn as_the_definition(s in shapes(), seed: u32, coarse: bool) {
        // Few different values make ties.
        let x: Vec<f32> = match coarse {
            true => random_below(seed, s.inputs(), 3).iter().map(|&x| x as f32 - 1.0).collect(),
            false => random(seed, s.inputs()),
        };
        let dy = random(seed ^ 1, s.outputs());
        let (mut want_y, mut want_winner) = (Vec::new(), Vec::new());
        let mut want_dx = vec![0.0f64; s.inputs()];
        for (window, dy) in s.windows().iter().zip(&dy) {
            let first_best =
                window.iter().copied().reduce(|a, b| if x[b.0] > x[a.0] { b } else { a });
            let (at, place) = first_best.unwrap();
            want_y.push(x[at]);
            want_winner.push(place as f32);
            want_dx[at] += *dy as f64;
        }
        for target in [here(), Target::Gpu] {
            let (y, winner) = forward(&s, &x, target);
            prop_assert_eq!(bits(&y), bits(&want_y));
            prop_assert_eq!(&winner, &want_winner);
        }
        let dx = backward(&s, &want_winner, &dy, here());
        assert_close("dx", &dx, &want_dx);
        prop_assert_eq!(bits(&dx), bits(&backward(&s, &want_winner, &dy, Target::Gpu)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn averages_as_the_definition(s in shapes(), seed: u32) {
        let (x, dy) = (random(seed, s.inputs()), random(seed ^ 1, s.outputs()));
        let mut want_y = Vec::new();
        let mut want_dx = vec![0.0f64; s.inputs()];
        for (window, dy) in s.windows().iter().zip(&dy) {
            let pixels = window.len() as f64;
            want_y.push(window.iter().map(|&(at, _)| x[at] as f64).sum::<f64>() / pixels);
            window.iter().for_each(|&(at, _)| want_dx[at] += *dy as f64 / pixels);
        }
        let (y, dx) = (average(&s, &x, here()), average_gradient(&s, &dy, here()));
        assert_close("y", &y, &want_y);
        assert_close("dx", &dx, &want_dx);
        prop_assert_eq!(bits(&y), bits(&average(&s, &x, Target::Gpu)));
        prop_assert_eq!(bits(&dx), bits(&average_gradient(&s, &dy, Target::Gpu)));
    }
}

#[test]
fn nan_wins_its_windows_and_takes_their_gradient() {
    let s = Shape {
        channels: 1,
        height: 7,
        width: 7,
        out: [3, 3],
        size: 3,
        stride: 2,
        pad: 0,
        images: 32,
    };
    let mut x = random(1, s.inputs());
    let at = |y: usize, x: usize, n: usize| (y * 7 + x) * 32 + n;
    x[at(2, 2, 5)] = f32::NAN;
    let (y, winner) = forward(&s, &x, here());
    for (o, y) in y.iter().enumerate() {
        let (pixel, n) = (o / 32, o % 32);
        let reached = n == 5 && pixel / 3 < 2 && pixel % 3 < 2;
        assert_eq!(y.is_nan(), reached, "{o}");
    }
    let dx = backward(&s, &winner, &vec![1.0; s.outputs()], here());
    assert_eq!(dx[at(2, 2, 5)], 4.0);
}
