//! The same on a GPU, by plain `cust`.

use std::ffi::c_uint;

use cust::context::Context;
use cust::device::{Device, DeviceAttribute};
use cust::memory::{AsyncCopyDestination, DeviceBuffer};
use cust::module::Module;
use cust::stream::{Stream, StreamFlags};
use cust::sys::{CUresult, cuLaunchKernel};
use gpu_kernels::launch::{Call, In, Out, Target};

use crate::{Buffers, Input, Memory, Net, Result, forward};

impl Memory for DeviceBuffer<f32> {
    fn read(&self) -> In<'_, f32> {
        // SAFETY: the calls made of it run in order on one stream, which is waited for.
        unsafe { In::from_raw(self.as_device_ptr().as_raw(), self.len()) }
    }

    fn write(&mut self) -> Out<'_, f32> {
        // SAFETY: as above.
        unsafe { Out::from_raw(self.as_device_ptr().as_raw(), self.len()) }
    }
}

/// The GPU's name and the results of the four layers; nothing where there is no GPU.
pub fn run(net: &Net, input: &Input) -> Result<Option<(String, [Vec<f32>; 4])>> {
    if let Err(why) = libcuda_loader::library() {
        println!("no CUDA driver: {why}");
        return Ok(None);
    }
    cust::init(cust::CudaFlags::empty())?;
    if Device::num_devices()? == 0 {
        return Ok(None);
    }
    let device = Device::get_device(0)?;
    let _context = Context::new(device)?;
    let major = device.get_attribute(DeviceAttribute::ComputeCapabilityMajor)?;
    let minor = device.get_attribute(DeviceAttribute::ComputeCapabilityMinor)?;
    let ptx = alexnet::ptx_for(major as u32, minor as u32)
        .ok_or(alexnet::PTX_MISSING.unwrap_or("the GPU is older than the PTX of this build"))?;
    let module = Module::from_ptx(ptx.source, &[])?;
    let stream = Stream::new(StreamFlags::DEFAULT, None)?;

    let mut b = Buffers::new(net, input, |floats| Ok(DeviceBuffer::from_slice(floats)?))?;
    forward(net, &mut b, Target::Gpu, |call| {
        launch(&module, &stream, &call)
    })?;
    let buffers = [&b.convolved, &b.rectified, &b.normalised, &b.pooled];
    let mut results = buffers.map(|buffer| vec![0.0; buffer.len()]);
    for (buffer, result) in buffers.into_iter().zip(&mut results) {
        // SAFETY: the stream is waited for before either is used or dropped.
        unsafe { buffer.async_copy_to(result, &stream)? };
    }
    stream.synchronize()?;
    Ok(Some((device.name()?, results)))
}

fn launch(module: &Module, stream: &Stream, call: &Call) -> Result<()> {
    let function = module.get_function(call.name())?;
    let launch = call.launch();
    let ([gx, gy, gz], [bx, by, bz]) = (launch.grid, launch.block);
    let mut arguments = call.pointers();
    let shared: c_uint = launch.shared;
    // SAFETY: the call's arguments fit the kernel, and its buffers live until the stream was waited for.
    let result = unsafe {
        cuLaunchKernel(
            function.to_raw(),
            gx,
            gy,
            gz,
            bx,
            by,
            bz,
            shared,
            stream.as_inner(),
            arguments.as_mut_ptr(),
            std::ptr::null_mut(),
        )
    };
    match result {
        CUresult::CUDA_SUCCESS => Ok(()),
        code => Err(format!("{}: {code:?}", call.name()).into()),
    }
}
