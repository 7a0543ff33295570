//! The command `dataset-pack`: folders of images into shards, and back.

mod cli;

use std::process::ExitCode;

/// Makes memory for the pixels of large images go back to the system when it is freed. Left to
/// itself the allocator of glibc takes to keeping such blocks, for each thread.
fn give_large_blocks_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: sets two numbers, before there is a second thread.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 4 << 20);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 16 << 20);
    }
}

fn main() -> ExitCode {
    give_large_blocks_back();
    match console::parse().map(cli::run) {
        Ok(Ok(code)) | Err(code) => code,
        Ok(Err(error)) => console::fail(&format!("dataset-pack: {error:#}")),
    }
}
