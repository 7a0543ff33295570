//! Arithmetic on 16-bit floating-point numbers: exact, then rounded once.

use half::{bf16, f16};

/// Which of the two formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Format {
    F16,
    Bf16,
}

impl Format {
    fn read(self, bits: u16) -> f64 {
        match self {
            Format::F16 => f16::from_bits(bits).to_f64(),
            Format::Bf16 => bf16::from_bits(bits).to_f64(),
        }
    }

    /// Rounds to nearest even; a NaN is the one that GPUs make.
    fn round(self, x: f64) -> u16 {
        match self {
            _ if x.is_nan() => 0x7fff,
            Format::F16 => f16::from_f64(x).to_bits(),
            Format::Bf16 => bf16::from_f64(x).to_bits(),
        }
    }
}

/// `a + b` with the last bit set if it is not exact: rounding that again to fewer bits rounds once.
fn add_to_odd(a: f64, b: f64) -> f64 {
    let sum = a + b;
    if !sum.is_finite() {
        return sum;
    }
    let part = sum - a;
    let error = (a - (sum - part)) + (b - part);
    match error == 0.0 || sum.to_bits() & 1 == 1 {
        true => sum,
        // Towards the exact sum, to the neighbour whose last bit is set.
        false if (error > 0.0) == (sum > 0.0) => f64::from_bits(sum.to_bits() + 1),
        false => f64::from_bits(sum.to_bits() - 1),
    }
}

pub fn add(format: Format, a: u16, b: u16) -> u16 {
    format.round(add_to_odd(format.read(a), format.read(b)))
}

/// Both halves of two pairs added.
pub fn pairwise(format: Format, a: u32, b: u32) -> u64 {
    u64::from(pair(|a, b, _| add(format, a, b), a, b, 0))
}

fn pair(f: impl Fn(u16, u16, u16) -> u16, a: u32, b: u32, c: u32) -> u32 {
    let low = f(a as u16, b as u16, c as u16);
    let high = f((a >> 16) as u16, (b >> 16) as u16, (c >> 16) as u16);
    u32::from(low) | u32::from(high) << 16
}

/// What is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Operation {
    Add,
    Sub,
    Mul,
    Fma,
    Min,
    Max,
    Neg,
    Abs,
    MinNan,
    MaxNan,
}

const OPERATIONS: [Operation; 10] = [
    Operation::Add,
    Operation::Sub,
    Operation::Mul,
    Operation::Fma,
    Operation::Min,
    Operation::Max,
    Operation::Neg,
    Operation::Abs,
    Operation::MinNan,
    Operation::MaxNan,
];

fn one(format: Format, operation: Operation, a: u16, b: u16, c: u16) -> u16 {
    let (x, y, z) = (format.read(a), format.read(b), format.read(c));
    match operation {
        Operation::Add => format.round(add_to_odd(x, y)),
        Operation::Sub => format.round(add_to_odd(x, -y)),
        // A product of two numbers of at most 11 bits is exact.
        Operation::Mul => format.round(x * y),
        Operation::Fma => format.round(add_to_odd(x * y, z)),
        Operation::Neg if x.is_nan() => 0x7fff,
        Operation::Neg => a ^ 0x8000,
        Operation::Abs if x.is_nan() => 0x7fff,
        Operation::Abs => a & 0x7fff,
        Operation::MinNan | Operation::MaxNan if x.is_nan() || y.is_nan() => 0x7fff,
        _ if x.is_nan() && y.is_nan() => 0x7fff,
        _ if x.is_nan() => b,
        _ if y.is_nan() => a,
        // +0 is above −0.
        Operation::Min | Operation::MinNan if x < y || (x == y && a & 0x8000 != 0) => a,
        Operation::Max | Operation::MaxNan if x > y || (x == y && a & 0x8000 == 0) => a,
        _ => b,
    }
}

/// One operation on one number, or on two in a register.
pub extern "C" fn compute(format: u32, operation: u32, pairs: u32, a: u32, b: u32, c: u32) -> u32 {
    let format = if format == 0 {
        Format::F16
    } else {
        Format::Bf16
    };
    let operation = OPERATIONS[operation as usize];
    let f = |a, b, c| one(format, operation, a, b, c);
    match pairs {
        0 => u32::from(f(a as u16, b as u16, c as u16)),
        _ => pair(f, a, b, c),
    }
}

/// To a 16-bit format: mode 0 to nearest, 1 towards zero.
pub extern "C" fn narrow(format: u32, mode: u32, x: f64) -> u32 {
    let format = if format == 0 {
        Format::F16
    } else {
        Format::Bf16
    };
    let nearest = format.round(x);
    let too_far = mode == 1 && format.read(nearest).abs() > x.abs();
    u32::from(nearest) - u32::from(too_far)
}

/// From a 16-bit format, which loses nothing.
pub extern "C" fn widen(format: u32, bits: u32) -> f32 {
    match format {
        0 => f16::from_bits(bits as u16).to_f32(),
        _ => bf16::from_bits(bits as u16).to_f32(),
    }
}
