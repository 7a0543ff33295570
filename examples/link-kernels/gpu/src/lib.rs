//! A GPU by plain `cust`: how it is given a checked call.

use cust::context::Context;
use cust::device::{Device, DeviceAttribute};
use cust::memory::{CopyDestination, DeviceBuffer};
use cust::module::Module;
use cust::stream::{Stream, StreamFlags};
use cust::sys::{CUresult, cuLaunchKernel};
use gpu_kernels::launch::{Call, In, Out};

pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The first GPU, with a stream on which all runs in order.
pub struct Gpu {
    stream: Stream,
    device: Device,
    _context: Context,
}

impl Gpu {
    /// Nothing where there is no driver or no GPU.
    pub fn first() -> Result<Option<Gpu>> {
        if let Err(why) = libcuda_loader::library() {
            println!("no CUDA driver: {why}");
            return Ok(None);
        }
        cust::init(cust::CudaFlags::empty())?;
        if Device::num_devices()? == 0 {
            return Ok(None);
        }
        let device = Device::get_device(0)?;
        let context = Context::new(device)?;
        Ok(Some(Gpu {
            stream: Stream::new(StreamFlags::DEFAULT, None)?,
            device,
            _context: context,
        }))
    }

    pub fn name(&self) -> Result<String> {
        Ok(self.device.name()?)
    }

    /// The compute capability, by which PTX is chosen.
    pub fn capability(&self) -> Result<[u32; 2]> {
        let major = DeviceAttribute::ComputeCapabilityMajor;
        let minor = DeviceAttribute::ComputeCapabilityMinor;
        Ok([
            self.device.get_attribute(major)? as u32,
            self.device.get_attribute(minor)? as u32,
        ])
    }

    /// Queues a call of a kernel of `module`.
    pub fn launch(&self, module: &Module, call: &Call) -> Result<()> {
        let function = module.get_function(call.name())?;
        let launch = call.launch();
        let ([gx, gy, gz], [bx, by, bz]) = (launch.grid, launch.block);
        let mut arguments = call.pointers();
        // SAFETY: the call's arguments fit the kernel; its buffers live until the stream was waited for, which is what
        // `floats` does, and freeing them.
        let result = unsafe {
            cuLaunchKernel(
                function.to_raw(),
                gx,
                gy,
                gz,
                bx,
                by,
                bz,
                launch.shared,
                self.stream.as_inner(),
                arguments.as_mut_ptr(),
                std::ptr::null_mut(),
            )
        };
        match result {
            CUresult::CUDA_SUCCESS => Ok(()),
            code => Err(format!("{}: {code:?}", call.name()).into()),
        }
    }

    /// What is in a buffer when all that was queued is done.
    pub fn floats(&self, buffer: &DeviceBuffer<f32>) -> Result<Vec<f32>> {
        let mut floats = vec![0.0; buffer.len()];
        self.stream.synchronize()?;
        buffer.copy_to(&mut floats[..])?;
        Ok(floats)
    }
}

/// A buffer for a call to read.
pub fn read(buffer: &DeviceBuffer<f32>) -> In<'_, f32> {
    // SAFETY: the calls made of it run in order on one stream, which is waited for.
    unsafe { In::from_raw(buffer.as_device_ptr().as_raw(), buffer.len()) }
}

/// A buffer for a call to write.
pub fn write(buffer: &mut DeviceBuffer<f32>) -> Out<'_, f32> {
    // SAFETY: as above.
    unsafe { Out::from_raw(buffer.as_device_ptr().as_raw(), buffer.len()) }
}

/// An error unless both results are the same, bit by bit.
pub fn compare(name: &str, gpu: &[f32], executor: &[f32]) -> Result<()> {
    let mut pairs = gpu.iter().zip(executor);
    if gpu.len() == executor.len() && pairs.all(|(a, b)| a.to_bits() == b.to_bits()) {
        return Ok(());
    }
    Err(format!("{name} gives other bits than the executor").into())
}
