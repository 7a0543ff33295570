//! Convolution, ReLU, normalisation and pooling on buffers of this program: on the executor and, with the feature
//! `cuda`, on a GPU where there is one; both against plain loops in f64, and against each other bit by bit.

mod expected;
#[cfg(feature = "cuda")]
mod on_gpu;

use gpu_kernels::convolution::{Shape, Sizes};
use gpu_kernels::launch::{self, BadSize, Call, Floats, In, Out, Target};
use gpu_kernels::{lrn, pool};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// 32 images of 3 × 11 × 11, 16 filters of 5 × 5, two pixels apart.
const SIZES: Sizes = Sizes {
    images: 32,
    channels: 3,
    input: [11, 11],
    filters: 16,
    kernel: 5,
    stride: 2,
    pad: 1,
    output: [5, 5],
};

/// The shapes of the four layers.
struct Net {
    convolution: Shape,
    lrn: lrn::Shape,
    pool: pool::Shape,
}

impl Net {
    fn new() -> std::result::Result<Net, BadSize> {
        let convolution = Shape::try_new(SIZES)?;
        let lrn = lrn::Shape {
            channels: SIZES.filters,
            columns: convolution.out_columns(),
            size: 5,
            k: 2.0,
            alpha: 1e-4,
            beta: 0.75,
        };
        let [height, width] = SIZES.output;
        let pool =
            pool::Shape::try_new([SIZES.filters, height, width], [2, 2], 3, 2, SIZES.images)?;
        Ok(Net {
            convolution,
            lrn,
            pool,
        })
    }
}

/// Memory of the device that runs the kernels.
trait Memory {
    fn read(&self) -> In<'_, f32>;
    fn write(&mut self) -> Out<'_, f32>;
}

impl Memory for Floats {
    fn read(&self) -> In<'_, f32> {
        In::from(self)
    }

    fn write(&mut self) -> Out<'_, f32> {
        Out::from(self)
    }
}

/// What the layers read, and what they write.
struct Buffers<M> {
    x: M,
    weights: M,
    bias: M,
    convolved: M,
    rectified: M,
    normalised: M,
    pooled: M,
    winners: M,
}

impl<M> Buffers<M> {
    fn new(net: &Net, input: &Input, from: impl Fn(&[f32]) -> Result<M>) -> Result<Buffers<M>> {
        let zeros = |len| from(&vec![0.0; len]);
        Ok(Buffers {
            x: from(&input.x)?,
            weights: from(&input.weights)?,
            bias: from(&input.bias)?,
            convolved: zeros(net.convolution.output_len())?,
            rectified: zeros(net.convolution.output_len())?,
            normalised: zeros(net.lrn.len())?,
            pooled: zeros(net.pool.output_len())?,
            winners: zeros(net.pool.output_len())?,
        })
    }
}

/// The four layers, on whatever device `run` runs them.
fn forward<M: Memory>(
    net: &Net,
    b: &mut Buffers<M>,
    target: Target,
    run: impl Fn(Call) -> Result<()>,
) -> Result<()> {
    let (x, weights, bias) = (b.x.read(), b.weights.read(), b.bias.read());
    let y = b.convolved.write();
    run(launch::convolution_forward(
        net.convolution,
        x,
        weights,
        bias,
        y,
        target,
    )?)?;
    run(launch::relu_forward(
        b.convolved.read(),
        b.rectified.write(),
        target,
    )?)?;
    run(launch::lrn_forward(
        net.lrn,
        b.rectified.read(),
        b.normalised.write(),
        target,
    )?)?;
    let (x, y, winners) = (b.normalised.read(), b.pooled.write(), b.winners.write());
    run(launch::max_pool_forward(net.pool, x, y, winners, target)?)
}

/// Numbers in (−1, 1), each made of its index.
fn numbers(len: usize, factor: f64) -> Vec<f32> {
    let number = |i: usize| (i as f64 * factor).sin() as f32;
    (0..len).map(number).collect()
}

struct Input {
    x: Vec<f32>,
    weights: Vec<f32>,
    bias: Vec<f32>,
}

fn main() -> Result<()> {
    let net = Net::new()?;
    let input = Input {
        x: numbers(net.convolution.input_len(), 0.37),
        weights: numbers(net.convolution.weights_len(), 1.91),
        bias: numbers(SIZES.filters as usize, 0.7),
    };
    let cpu = on_the_executor(&net, &input)?;
    expected::check(&net, &input, &cpu)?;
    println!("executor: convolution, ReLU, normalisation and pooling are as expected");

    #[cfg(feature = "cuda")]
    match gpu::Gpu::first()? {
        Some(found) => {
            let name = found.name()?;
            for (gpu, cpu) in on_gpu::run(&found, &net, &input)?.iter().zip(&cpu) {
                gpu::compare(&name, gpu, cpu)?;
            }
            println!("{name}: the same bits");
        }
        None => println!("GPU: none here"),
    }
    Ok(())
}

/// Results of the four layers.
fn on_the_executor(net: &Net, input: &Input) -> Result<[Vec<f32>; 4]> {
    let pool = simt_executor::Pool::new(2)?;
    let mut b = Buffers::new(net, input, |floats| Ok(Floats::from(floats)))?;
    forward(net, &mut b, Target::Cpu, |call| Ok(call.run(&pool)?))?;
    Ok([b.convolved, b.rectified, b.normalised, b.pooled].map(|floats| floats.to_vec()))
}
