//! Writing past the page cache, which a set that nobody reads soon would only fill.

use std::fs::File;
use std::io::{ErrorKind, Result, Seek, Write};
use std::os::fd::AsRawFd;

use bytemuck::{Pod, Zeroable};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

/// Memory that the disk can take bytes from by itself, if they begin and end with a block.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(4096))]
pub(crate) struct Block(pub(crate) [u8; 4096]);

/// Appends bytes: past the page cache if they lie in whole [`Block`]s, here and in the file, and the
/// file system can. What it cannot take so, it is told to bring to the disk soon.
pub(crate) fn write(file: &mut File, bytes: &[u8]) -> Result<()> {
    let direct = write_blocks(file, bytes)?;
    if direct < bytes.len() {
        file.write_all(&bytes[direct..])?;
        begin_to_sync(file);
    }
    Ok(())
}

/// Writes past the page cache as many of the bytes as can be, and tells how many these are.
fn write_blocks(file: &mut File, bytes: &[u8]) -> Result<usize> {
    let in_blocks = |n: u64| n.is_multiple_of(size_of::<Block>() as u64);
    let fit = [
        bytes.as_ptr() as u64,
        bytes.len() as u64,
        file.stream_position()?,
    ];
    let flags = fcntl_getfl(&*file)?;
    if !fit.into_iter().all(in_blocks) || fcntl_setfl(&*file, flags | OFlags::DIRECT).is_err() {
        return Ok(0);
    }
    let mut done = 0;
    let end = loop {
        match file.write(&bytes[done..]) {
            Ok(0) => break Ok(done),
            Ok(some) => done += some,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            // Not here, or not from where it stopped.
            Err(e) if e.kind() == ErrorKind::InvalidInput => break Ok(done),
            Err(e) => break Err(e),
        }
    };
    fcntl_setfl(&*file, flags)?;
    end
}

/// That the system cannot is no matter.
fn begin_to_sync(file: &File) {
    #[cfg(target_os = "linux")]
    // SAFETY: the file is open.
    unsafe {
        libc::sync_file_range(file.as_raw_fd(), 0, 0, libc::SYNC_FILE_RANGE_WRITE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_is_read() {
        // The second is in memory, where there may be no way past the cache.
        for folder in [std::env::temp_dir(), "/dev/shm".into()] {
            let Ok(folder) = tempfile::tempdir_in(folder) else {
                continue;
            };
            let path = folder.path().join("file");
            let mut file = File::create(&path).expect("starts");
            let blocks: Vec<Block> = (0..5).map(|n| Block([n; 4096])).collect();
            let blocks: &[u8] = bytemuck::cast_slice(&blocks);
            // Blocks; memory that begins within one; less than one; no longer at a block's place in the file.
            let pieces = [blocks, &blocks[1..4097], &blocks[..100], blocks];
            for piece in pieces {
                write(&mut file, piece).expect("writes");
            }
            assert!(std::fs::read(&path).expect("is there") == pieces.concat());
        }
    }
}
