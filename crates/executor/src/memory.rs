//! The checked mode: what memory a kernel may touch.
//!
//! A device [registers](register) its buffers. With the feature `checked`,
//! every access of a kernel goes through [`check`] first and a bad one ends the
//! launch with a [`Fault`](crate::Fault); without it, [`check`] is nothing.

#[cfg(feature = "checked")]
use std::collections::BTreeMap;
#[cfg(feature = "checked")]
use std::sync::RwLock;

#[cfg(feature = "checked")]
static BUFFERS: RwLock<BTreeMap<usize, usize>> = RwLock::new(BTreeMap::new());

/// Makes `len` bytes at `base` known as a buffer that kernels may use.
pub fn register(base: *const u8, len: usize) {
    #[cfg(feature = "checked")]
    BUFFERS
        .write()
        .unwrap_or_else(|e| e.into_inner())
        .insert(base.addr(), len);
    let _ = (base, len);
}

/// Takes a buffer back.
pub fn unregister(base: *const u8) {
    #[cfg(feature = "checked")]
    BUFFERS
        .write()
        .unwrap_or_else(|e| e.into_inner())
        .remove(&base.addr());
    let _ = base;
}

/// Ends the launch with a fault unless `count` elements of `T` at `pointer` lie
/// within one registered buffer, or the block's shared memory, at a multiple of `align` bytes.
#[inline(always)]
pub fn check<T>(pointer: *const T, count: usize, align: usize) {
    #[cfg(feature = "checked")]
    check_address(pointer.addr(), count * size_of::<T>(), align);
    let _ = (pointer, count, align);
}

/// The same for `bytes` at `offset` in the block's shared memory.
#[inline(always)]
pub fn check_shared(offset: usize, bytes: usize, align: usize) {
    #[cfg(feature = "checked")]
    {
        let len = crate::shared_len();
        if offset + bytes > len {
            crate::block::fail(format!(
                "shared memory out of bounds: {bytes} bytes at offset {offset} of {len}"
            ));
        }
        if !offset.is_multiple_of(align) {
            crate::block::fail(format!(
                "shared memory misaligned: {bytes} bytes at offset {offset}, which is no multiple of {align}"
            ));
        }
    }
    let _ = (offset, bytes, align);
}

#[cfg(feature = "checked")]
fn check_address(address: usize, bytes: usize, align: usize) {
    if !address.is_multiple_of(align) {
        crate::block::fail(format!(
            "misaligned access: {bytes} bytes at {address:#x}, which is no multiple of {align}"
        ));
    }
    let buffers = BUFFERS.read().unwrap_or_else(|e| e.into_inner());
    let before = buffers.range(..=address).next_back();
    let inside = before.is_some_and(|(base, len)| address + bytes <= base + len);
    if !inside && !in_shared_memory(address, bytes) {
        let near = before.map_or("no buffer lies below it".to_owned(), |(base, len)| {
            format!(
                "the nearest buffer below has {len} bytes and this begins at byte {}",
                address - base
            )
        });
        drop(buffers);
        crate::block::fail(format!(
            "out of bounds: {bytes} bytes at {address:#x}; {near}"
        ));
    }
}

/// A pointer may point to the block's shared memory, too.
#[cfg(feature = "checked")]
fn in_shared_memory(address: usize, bytes: usize) -> bool {
    let base = crate::shared_memory().addr();
    address >= base && address + bytes <= base + crate::shared_len()
}
