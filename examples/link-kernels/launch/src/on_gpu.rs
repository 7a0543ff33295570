//! The same on a GPU.

use cust::memory::DeviceBuffer;
use cust::module::Module;
use gpu::Gpu;
use gpu_kernels::launch::{In, Out, Target};

use crate::{Buffers, Input, Memory, Net, Result, forward};

impl Memory for DeviceBuffer<f32> {
    fn read(&self) -> In<'_, f32> {
        gpu::read(self)
    }

    fn write(&mut self) -> Out<'_, f32> {
        gpu::write(self)
    }
}

/// Results of the four layers.
pub fn run(gpu: &Gpu, net: &Net, input: &Input) -> Result<[Vec<f32>; 4]> {
    let [major, minor] = gpu.capability()?;
    let ptx = alexnet::ptx_for(major, minor)
        .ok_or(alexnet::PTX_MISSING.unwrap_or("the GPU is older than the PTX of this build"))?;
    let module = Module::from_ptx(ptx.source, &[])?;
    let mut b = Buffers::new(net, input, |floats| Ok(DeviceBuffer::from_slice(floats)?))?;
    forward(net, &mut b, Target::Gpu, |call| gpu.launch(&module, &call))?;
    Ok([
        gpu.floats(&b.convolved)?,
        gpu.floats(&b.rectified)?,
        gpu.floats(&b.normalised)?,
        gpu.floats(&b.pooled)?,
    ])
}
