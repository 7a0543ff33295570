//! Read-modify-writes, and copies that happen later. All are sequentially consistent.

use std::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering::SeqCst};

use super::block::Copy;
use super::half::{self, Format};
use super::thread::{ENDED, Thread};

/// What is done to the old value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Operation {
    Add,
    And,
    Or,
    Xor,
    Exchange,
    CompareAndSwap,
    MinUnsigned,
    MaxUnsigned,
    MinSigned,
    MaxSigned,
    Increment,
    Decrement,
    AddF32,
    AddF64,
    AddF16x2,
    AddBf16x2,
    AddF16,
    AddBf16,
}

impl Operation {
    const ALL: [Operation; 18] = [
        Operation::Add,
        Operation::And,
        Operation::Or,
        Operation::Xor,
        Operation::Exchange,
        Operation::CompareAndSwap,
        Operation::MinUnsigned,
        Operation::MaxUnsigned,
        Operation::MinSigned,
        Operation::MaxSigned,
        Operation::Increment,
        Operation::Decrement,
        Operation::AddF32,
        Operation::AddF64,
        Operation::AddF16x2,
        Operation::AddBf16x2,
        Operation::AddF16,
        Operation::AddBf16,
    ];

    /// The new value; `bits` wide.
    fn of(self, bits: u32, old: u64, b: u64, c: u64) -> u64 {
        let signed = |x: u64| (x << (64 - bits)) as i64 >> (64 - bits);
        match self {
            Operation::Add => old.wrapping_add(b),
            Operation::And => old & b,
            Operation::Or => old | b,
            Operation::Xor => old ^ b,
            Operation::Exchange => b,
            Operation::CompareAndSwap if old == b => c,
            Operation::CompareAndSwap => old,
            Operation::MinUnsigned => old.min(b),
            Operation::MaxUnsigned => old.max(b),
            Operation::MinSigned => signed(old).min(signed(b)) as u64,
            Operation::MaxSigned => signed(old).max(signed(b)) as u64,
            Operation::Increment if old >= b => 0,
            Operation::Increment => old + 1,
            Operation::Decrement if old == 0 || old > b => b,
            Operation::Decrement => old - 1,
            Operation::AddF32 => {
                let sum = f32::from_bits(old as u32) + f32::from_bits(b as u32);
                let bits = if sum.is_nan() {
                    0x7fff_ffff
                } else {
                    sum.to_bits()
                };
                u64::from(bits)
            }
            Operation::AddF64 => {
                let sum = f64::from_bits(old) + f64::from_bits(b);
                if sum.is_nan() {
                    0x7fff_ffff_ffff_ffff
                } else {
                    sum.to_bits()
                }
            }
            Operation::AddF16x2 => half::pairwise(Format::F16, old as u32, b as u32),
            Operation::AddBf16x2 => half::pairwise(Format::Bf16, old as u32, b as u32),
            Operation::AddF16 => u64::from(half::add(Format::F16, old as u16, b as u16)),
            Operation::AddBf16 => u64::from(half::add(Format::Bf16, old as u16, b as u16)),
        }
    }
}

/// `atom` and `red`: gives the old value.
///
/// # Safety
/// At the address is an aligned value of so many bits that nobody accesses otherwise at the same time.
pub unsafe extern "C" fn update(
    _: &Thread,
    address: u64,
    operation: u32,
    bits: u32,
    b: u64,
    c: u64,
) -> u64 {
    let operation = Operation::ALL[operation as usize];
    let new = |old: u64| operation.of(bits, old, b, c);
    let address = std::ptr::with_exposed_provenance_mut::<u8>(address as usize);
    // SAFETY: the caller's promise, for each width.
    unsafe {
        match bits {
            16 => u64::from(
                AtomicU16::from_ptr(address.cast())
                    .update(SeqCst, SeqCst, |old| new(old.into()) as u16),
            ),
            32 => u64::from(
                AtomicU32::from_ptr(address.cast())
                    .update(SeqCst, SeqCst, |old| new(old.into()) as u32),
            ),
            _ => AtomicU64::from_ptr(address.cast()).update(SeqCst, SeqCst, new),
        }
    }
}

/// `cp.async`: the copy happens when it is waited for. Until then its place holds a NaN that no arithmetic makes.
///
/// # Safety
/// The place may be written; from where it is copied may be read until then.
pub unsafe extern "C" fn copy(thread: &Thread, to: u64, from: u64, bytes: u32, from_bytes: u32) {
    let to = std::ptr::with_exposed_provenance_mut::<u8>(to as usize);
    // SAFETY: the caller's promise.
    unsafe { to.write_bytes(0xf1, bytes as usize) };
    let copy = Copy {
        to,
        from: std::ptr::with_exposed_provenance(from as usize),
        bytes: from_bytes.min(bytes),
        zeros: bytes - from_bytes.min(bytes),
        group: None,
        thread: thread.number,
    };
    // SAFETY: the reference ends with the statement.
    unsafe { thread.block_state() }.copies.push(copy);
}

/// `cp.async.commit_group`.
pub extern "C" fn commit(thread: &Thread) {
    // SAFETY: the reference ends with the function.
    let block = unsafe { thread.block_state() };
    let group = &mut block.groups[thread.number as usize];
    for copy in &mut block.copies {
        if copy.thread == thread.number {
            copy.group.get_or_insert(*group);
        }
    }
    *group += 1;
}

/// `cp.async.wait_group`: all but the latest groups; `wait_all` leaves none, committed or not.
///
/// # Safety
/// As promised when the copies were asked for.
pub unsafe extern "C" fn wait(thread: &Thread, left: u32, all: u32) -> u32 {
    // SAFETY: the reference ends with the function.
    let block = unsafe { thread.block_state() };
    let upto = block.groups[thread.number as usize].saturating_sub(left);
    block.copies.retain(|copy| {
        let due = all != 0 || copy.group.is_some_and(|group| group < upto);
        if copy.thread != thread.number || !due {
            return true;
        }
        // SAFETY: the caller's promise.
        unsafe {
            copy.to.copy_from(copy.from, copy.bytes as usize);
            copy.to
                .add(copy.bytes as usize)
                .write_bytes(0, copy.zeros as usize);
        }
        false
    });
    ENDED
}
