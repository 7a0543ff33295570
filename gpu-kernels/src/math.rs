//! Functions of `libm`, fenced in for PTX.
//!
//! `libm` raises floating-point exceptions by writing to memory in corners that
//! kernels never need, and reduces angles of any size through tables. Each
//! function here answers those corners itself, so that the compiler drops them
//! and no local memory is left in the kernel. Pure Rust on every device, so the
//! same bits.

use core::hint::assert_unchecked;

/// Bits of the magnitude of `x`.
#[inline(always)]
fn magnitude(x: f32) -> u32 {
    x.to_bits() & 0x7fff_ffff
}

/// e to the power `x` for an `x` that is not above 0, as softmax has it; 0 where
/// that is below the smallest normal number.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    const TWO_TO_MINUS_14: u32 = 0x3900_0000;
    // 87.34: the logarithm of the smallest normal number, its sign left out.
    const LEAST: u32 = 0x42ae_ac50;
    const INFINITY: u32 = 0x7f80_0000;
    if magnitude(x) > INFINITY {
        return x;
    }
    if magnitude(x) >= LEAST {
        return 0.0;
    }
    if magnitude(x) <= TWO_TO_MINUS_14 {
        return 1.0 + x;
    }
    libm::expf(x)
}

/// The natural logarithm.
#[inline(always)]
pub fn log(x: f32) -> f32 {
    libm::logf(x)
}

/// The hyperbolic tangent: `t / (t + 2)` with `t = exp(2|x|) − 1`.
#[inline(always)]
pub fn tanh(x: f32) -> f32 {
    const TWO_TO_MINUS_25: u32 = 0x3300_0000;
    let twice = 2.0 * x.abs();
    if magnitude(twice) < TWO_TO_MINUS_25 {
        return x;
    }
    let t = libm::expm1f(twice);
    let y = if twice > 1.0 {
        1.0 - 2.0 / (t + 2.0)
    } else {
        t / (t + 2.0)
    };
    y.copysign(x)
}

/// Cosine and sine.
///
/// # Safety
/// `0 ≤ x ≤ 2π`.
#[inline(always)]
pub unsafe fn cos_sin(x: f32) -> (f32, f32) {
    const TWO_TO_MINUS_12: u32 = 0x3980_0000;
    if magnitude(x) < TWO_TO_MINUS_12 {
        return (1.0, x);
    }
    // SAFETY: the caller's.
    unsafe { assert_unchecked(magnitude(x) <= core::f32::consts::TAU.to_bits()) };
    (libm::cosf(x), libm::sinf(x))
}
