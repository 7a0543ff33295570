//! Division by a number that is known at launch, without dividing.

/// A divisor with its reciprocal: `n / d = (⌊n·m / 2³²⌋ + n) >> s`.
///
/// With `s = ⌈log₂ d⌉` and `m = ⌊2³²·(2ˢ − d)/d⌋ + 1` the quotient is exact for
/// every `n` below 2³¹ (Granlund and Montgomery, 1994).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Divisor {
    value: u32,
    multiplier: u32,
    shift: u32,
}

impl Divisor {
    /// The divisor `value`, which is neither 0 nor above 2³¹.
    pub const fn new(value: u32) -> Self {
        assert!(value > 0 && value <= 1 << 31);
        let shift = 32 - (value - 1).leading_zeros();
        let value64 = value as u64;
        let multiplier = ((1u64 << 32) * ((1u64 << shift) - value64) / value64 + 1) as u32;
        Divisor {
            value,
            multiplier,
            shift,
        }
    }

    /// The number itself.
    #[inline(always)]
    pub const fn get(self) -> u32 {
        self.value
    }

    /// Quotient and remainder of `n`, which is below 2³¹.
    #[inline(always)]
    pub fn div_rem(self, n: u32) -> (u32, u32) {
        let high = ((n as u64 * self.multiplier as u64) >> 32) as u32;
        let quotient = (high + n) >> self.shift;
        (quotient, n - quotient * self.value)
    }
}
