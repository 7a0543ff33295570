//! The Mandelbrot set on a GPU: one kernel in Rust, one that another compiler made of CUDA C++.

use std::sync::Arc;

use cudarc::driver::{
    CudaContext, CudaFunction, CudaSlice, CudaStream, LaunchConfig, PushKernelArg,
};
use cudarc::nvrtc::Ptx;

pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The first GPU with the kernels.
pub struct Gpu {
    stream: Arc<CudaStream>,
    escape_steps: CudaFunction,
    histogram: CudaFunction,
}

/// A picture's steps, row by row, and how many pixels have each number of them.
#[derive(Debug, PartialEq, Eq)]
pub struct Picture {
    pub steps: Vec<u32>,
    pub histogram: Vec<u32>,
}

impl Gpu {
    pub fn first() -> Result<Gpu> {
        // SAFETY: the driver's library may be loaded.
        if !unsafe { cudarc::driver::sys::is_culib_present() } {
            return Err("no CUDA driver, libcuda.so.1, is here".into());
        }
        let context = CudaContext::new(0)?;
        let load = |ptx: &str, kernel: &str| {
            let module = context.load_module(Ptx::from_src(ptx))?;
            module.load_function(kernel)
        };
        Ok(Gpu {
            stream: context.new_stream()?,
            escape_steps: load(include_str!(env!("FRACTAL_PTX")), "escape_steps")?,
            histogram: load(include_str!("../cuda/histogram.ptx"), "histogram")?,
        })
    }

    /// The picture, with at most `limit` steps a pixel.
    pub fn picture(&self, [width, height]: [u32; 2], limit: u32) -> Result<Picture> {
        let pixels = width * height;
        let mut steps = self.stream.alloc_zeros::<u32>(pixels as usize)?;
        let mut launch = self.stream.launch_builder(&self.escape_steps);
        launch.arg(&width).arg(&height).arg(&limit).arg(&mut steps);
        // SAFETY: the arguments are the kernel's, and the buffer is as long as it writes.
        unsafe { launch.launch(LaunchConfig::for_num_elems(pixels)) }?;
        Ok(Picture {
            histogram: self.counts(&steps, pixels)?,
            steps: self.stream.clone_dtoh(&steps)?,
        })
    }

    fn counts(&self, steps: &CudaSlice<u32>, pixels: u32) -> Result<Vec<u32>> {
        let mut counts = self.stream.alloc_zeros::<u32>(256)?;
        let shape = LaunchConfig {
            grid_dim: (8, 1, 1),
            block_dim: (96, 1, 1),
            shared_mem_bytes: 0,
        };
        let mut launch = self.stream.launch_builder(&self.histogram);
        launch.arg(steps).arg(&pixels).arg(&mut counts);
        // SAFETY: the arguments are the kernel's, and the buffers as long as it reads and writes.
        unsafe { launch.launch(shape) }?;
        Ok(self.stream.clone_dtoh(&counts)?)
    }
}
