//! How fast points of the plane escape, by nothing but `core`: for a GPU a kernel, for the host a function.
#![no_std]
#![cfg_attr(target_arch = "nvptx64", feature(abi_ptx, stdarch_nvptx))]

/// Steps of `z → z² + c` until `|z| > 2`, at most `limit`.
pub fn escape(re: f32, im: f32, limit: u32) -> u32 {
    let (mut x, mut y) = (0.0, 0.0);
    let mut steps = 0;
    while steps < limit && x * x + y * y <= 4.0 {
        (x, y) = (x * x - y * y + re, 2.0 * x * y + im);
        steps += 1;
    }
    steps
}

/// The point under a pixel: all from −2 − 1.25i to 0.5 + 1.25i.
pub fn point(column: u32, row: u32, [width, height]: [u32; 2]) -> [f32; 2] {
    let re = -2.0 + 2.5 * column as f32 / width as f32;
    let im = -1.25 + 2.5 * row as f32 / height as f32;
    [re, im]
}

#[cfg(target_arch = "nvptx64")]
mod device {
    use core::arch::nvptx;

    /// Writes each pixel's steps, row by row.
    ///
    /// # Safety
    /// `steps` is valid for `width · height` elements; blocks of any size, along x.
    #[unsafe(no_mangle)]
    pub unsafe extern "ptx-kernel" fn escape_steps(
        width: u32,
        height: u32,
        limit: u32,
        steps: *mut u32,
    ) {
        // SAFETY: these only read registers.
        let [block, threads, thread] = unsafe {
            [
                nvptx::_block_idx_x(),
                nvptx::_block_dim_x(),
                nvptx::_thread_idx_x(),
            ]
            .map(|n| n as u32)
        };
        let pixel = block * threads + thread;
        if pixel < width * height {
            let [re, im] = crate::point(pixel % width, pixel / width, [width, height]);
            // SAFETY: the pixel is one of them.
            unsafe { *steps.add(pixel as usize) = crate::escape(re, im, limit) };
        }
    }

    #[panic_handler]
    fn panic(_: &core::panic::PanicInfo) -> ! {
        // SAFETY: it ends the kernel.
        unsafe { nvptx::trap() }
    }
}
