//! Runs the fused kernel on the executor and compares it with plain loops in f64, looks into its PTX and, with the
//! feature `cuda`, runs that on a GPU where there is one.

use fused_kernels::bias_relu_lrn;
use gpu_kernels::launch::{Call, Check, Error, Floats, In, Launch, Out, Target, keep, needs};
use gpu_kernels::lrn::{COLUMNS, Shape};

/// For a GPU.
static PTX: &str = include_str!(env!("FUSED_PTX"));

const SHAPE: Shape = Shape {
    channels: 16,
    columns: 13 * 13 * 32,
    size: 5,
    k: 2.0,
    alpha: 1e-4,
    beta: 0.75,
};

/// The kernel's own checked launch.
fn call<'a>(
    shape: Shape,
    x: In<'a, f32>,
    bias: In<'a, f32>,
    y: Out<'a, f32>,
    target: Target,
) -> Result<Call<'a>, Error> {
    let check = Check::new(&bias_relu_lrn, target);
    check.size(shape.check())?;
    check.size(keep(
        shape.size == 5,
        "channels of a window must be 5",
        shape.size.into(),
    ))?;
    check.buffers(&needs![x: shape.len(), bias: shape.channels as usize, y: shape.len()])?;
    let launch = Launch {
        grid: [shape.columns.div_ceil(COLUMNS), 1, 1],
        block: [if target == Target::Cpu { 1 } else { 256 }, 1, 1],
        shared: 0,
    };
    // SAFETY: the shape was checked, the buffers fit it.
    unsafe { check.call(launch, (shape, x.pointer(), bias.pointer(), y.pointer())) }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let number = |i: usize| (i as f64 * 0.37).sin() as f32;
    let x: Vec<f32> = (0..SHAPE.len()).map(|i| 30.0 * number(i)).collect();
    let bias: Vec<f32> = (0..SHAPE.channels as usize).map(number).collect();
    let (x, bias) = (Floats::from(&x[..]), Floats::from(&bias[..]));
    let mut y = Floats::zeros(SHAPE.len());
    call(
        SHAPE,
        In::from(&x),
        In::from(&bias),
        Out::from(&mut y),
        Target::Cpu,
    )?
    .run(&simt_executor::Pool::new(2)?)?;

    for (have, want) in y.iter().zip(expected(&x, &bias)) {
        if (*have as f64 - want).abs() > 1e-5 {
            return Err(format!("{have} where {want} was expected").into());
        }
    }
    println!("executor: bias, ReLU and normalisation in one kernel are as expected");

    let entries: Vec<&str> = PTX.lines().filter(|line| line.contains(".entry")).collect();
    if entries != [".visible .entry bias_relu_lrn("] {
        return Err(format!("the PTX has {entries:?}").into());
    }
    println!("PTX: bias_relu_lrn alone, {} bytes", PTX.len());

    #[cfg(feature = "cuda")]
    match gpu::Gpu::first()? {
        Some(found) => {
            gpu::compare(&found.name()?, &on_gpu(&found, &x, &bias)?, &y)?;
            println!("{}: the same bits", found.name()?);
        }
        None => println!("GPU: none here"),
    }
    Ok(())
}

#[cfg(feature = "cuda")]
fn on_gpu(gpu: &gpu::Gpu, x: &[f32], bias: &[f32]) -> gpu::Result<Vec<f32>> {
    use cust::memory::DeviceBuffer;
    use gpu::{read, write};

    let module = cust::module::Module::from_ptx(PTX, &[])?;
    let (x, bias) = (
        DeviceBuffer::from_slice(x)?,
        DeviceBuffer::from_slice(bias)?,
    );
    let mut y = DeviceBuffer::zeroed(SHAPE.len())?;
    let call = call(SHAPE, read(&x), read(&bias), write(&mut y), Target::Gpu)?;
    gpu.launch(&module, &call)?;
    gpu.floats(&y)
}

fn expected(x: &[f32], bias: &[f32]) -> Vec<f64> {
    let (channels, columns) = (SHAPE.channels as usize, SHAPE.columns as usize);
    let rectified = |channel: usize, column: usize| {
        (x[channel * columns + column] + bias[channel]).max(0.0) as f64
    };
    let mut y = Vec::new();
    for channel in 0..channels {
        for column in 0..columns {
            let window = channel.saturating_sub(2)..(channel + 3).min(channels);
            let squares: f64 = window.map(|j| rectified(j, column).powi(2)).sum();
            y.push(rectified(channel, column) * (2.0 + 1e-4 * squares).powf(-0.75));
        }
    }
    y
}
