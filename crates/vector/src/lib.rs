//! Vectors of `f32` lanes, for kernels that are written once and run everywhere.
//!
//! A kernel is generic over [`Vector`]. On a GPU a vector is four floats, one
//! 16-byte access; on a CPU it is sixteen floats in whatever registers the
//! processor has. Every operation is IEEE 754 exact and acts on each lane by
//! itself, so the number of lanes never changes a result's bits.
//!
//! | type | lanes | where |
//! |---|---|---|
//! | [`Lanes<4>`](Lanes) | 4 | PTX |
//! | [`Lanes<16>`](Lanes) | 16 | any CPU; a software fused multiply-add where there is no other |
//! | `Avx2` | 16 | x86-64 with AVX2 and FMA |
//! | `Avx512` | 16 | x86-64 with AVX-512F |
#![cfg_attr(target_arch = "nvptx64", no_std)]
#![cfg_attr(target_arch = "nvptx64", feature(core_float_math))]

mod lanes;
mod scalar;
#[cfg(target_arch = "x86_64")]
mod x86;

use core::ops::{Add, Div, Mul, Sub};

pub use lanes::Lanes;
pub use scalar::{fma, prefetch, prefetch_l1, sqrt};
#[cfg(target_arch = "x86_64")]
pub use x86::{Avx2, Avx512};

/// A register's worth of `f32` lanes.
///
/// The operators and methods work lane by lane and round as IEEE 754 says;
/// [`fma`](Vector::fma) rounds once.
///
/// # Safety of use
/// A type whose instructions the processor lacks must never be made. Its
/// constructors ([`splat`](Vector::splat), [`from_fn`](Vector::from_fn),
/// [`read`](Vector::read)) are therefore `unsafe`; a value proves the rest safe.
/// Code gets its vector type from the `#[kernel]` attribute, which picks one
/// that the processor has, and is inlined into a function compiled for it.
pub trait Vector:
    Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self>
{
    /// Number of lanes.
    const LANES: usize;

    /// How many vectors the processor's registers hold, about. Code may be arranged by it; results do not depend on it.
    const REGISTERS: usize;

    /// `LANES` vectors, the rows of a square matrix.
    type Square: Copy + AsRef<[Self]> + AsMut<[Self]>;

    /// Every lane `x`.
    ///
    /// # Safety
    /// The processor has this type's instructions.
    unsafe fn splat(x: f32) -> Self;

    /// Lane `i` is `f(i)`, for `i` below [`LANES`](Self::LANES).
    ///
    /// # Safety
    /// The processor has this type's instructions.
    unsafe fn from_fn(f: impl FnMut(usize) -> f32) -> Self;

    /// Reads `LANES` consecutive floats.
    ///
    /// # Safety
    /// The processor has this type's instructions; `from` is valid for
    /// `LANES` reads and aligned to 16 bytes.
    unsafe fn read(from: *const f32) -> Self;

    /// Writes `LANES` consecutive floats.
    ///
    /// # Safety
    /// `to` is valid for `LANES` writes and aligned to 16 bytes.
    unsafe fn write(self, to: *mut f32);

    /// The same, past the caches where the processor can: for results that are too many to be found there again.
    /// Others see them once the launch has ended.
    ///
    /// # Safety
    /// As of [`write`](Self::write).
    #[inline(always)]
    unsafe fn stream(self, to: *mut f32) {
        // SAFETY: the caller's.
        unsafe { self.write(to) }
    }

    /// Lane `i`.
    ///
    /// ```compile_fail,E0133
    /// use simt_vector::{Lanes, Vector};
    /// fn beyond(x: Lanes<4>) -> f32 {
    ///     x.lane(4)
    /// }
    /// ```
    ///
    /// # Safety
    /// `i` is below [`LANES`](Self::LANES): a check would bring a panic into kernels.
    unsafe fn lane(self, i: usize) -> f32;

    /// `self · b + c`, rounded once.
    fn fma(self, b: Self, c: Self) -> Self;

    /// Square root.
    fn sqrt(self) -> Self;

    /// `yes` where `self > other`, else `no` (also where either is NaN).
    fn select_gt(self, other: Self, yes: Self, no: Self) -> Self;

    /// `yes` where `self == other`, else `no`.
    fn select_eq(self, other: Self, yes: Self, no: Self) -> Self;

    /// The square whose row `i` is `row(i)`.
    fn square(row: impl FnMut(usize) -> Self) -> Self::Square;

    /// Rows become columns.
    fn transpose(square: Self::Square) -> Self::Square;

    /// Each lane through `f`, one after the other: for functions that have no
    /// vector form, such as `exp`.
    #[inline(always)]
    fn map(self, mut f: impl FnMut(f32) -> f32) -> Self {
        // SAFETY: `self` exists, so the processor has the instructions; `from_fn` counts to LANES.
        unsafe { Self::from_fn(|i| f(self.lane(i))) }
    }
}

/// The vector type of code compiled for the device it runs on: four lanes in PTX.
#[cfg(target_arch = "nvptx64")]
pub type Native = Lanes<4>;
/// The vector type that needs no particular processor.
#[cfg(not(target_arch = "nvptx64"))]
pub type Native = Lanes<16>;
