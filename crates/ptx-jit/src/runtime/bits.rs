//! Integer instructions that take more than a line.

/// `bfe`: `len` bits from bit `at` on; the sign is the highest bit taken, or bit 31 or 63 where that lies outside.
pub extern "C" fn extract(bits: u32, signed: u32, a: u64, at: u32, len: u32) -> u64 {
    let (at, len) = (at & 0xff, len & 0xff);
    let a = if bits == 32 { a & 0xffff_ffff } else { a };
    let top = (at + len).saturating_sub(1).min(bits - 1);
    let sign = signed != 0 && len > 0 && a >> top & 1 == 1;
    (0..bits).fold(0, |result, i| {
        let bit = match i < len && at + i < bits {
            true => a >> (at + i) & 1 == 1,
            false => sign,
        };
        result | u64::from(bit) << i
    })
}

/// `bfi`: the low `len` bits of `a` in `b` from bit `at` on.
pub extern "C" fn insert(bits: u32, a: u64, b: u64, at: u32, len: u32) -> u64 {
    let (at, len) = (at & 0xff, len & 0xff);
    (0..len).take_while(|i| at + i < bits).fold(b, |result, i| {
        result & !(1 << (at + i)) | (a >> i & 1) << (at + i)
    })
}

/// `prmt`: bytes of `a` and `b` by the digits of `c`; modes 1 to 6 are `f4e`, `b4e`, `rc8`, `ecl`, `ecr`, `rc16`.
pub extern "C" fn permute(mode: u32, a: u32, b: u32, c: u32) -> u32 {
    let bytes = u64::from(b) << 32 | u64::from(a);
    let byte = |at: u32| (bytes >> (8 * (at & 7))) as u8;
    let c = if mode == 0 { c } else { c & 3 };
    (0..4).fold(0, |result, i| {
        let taken = match mode {
            0 => {
                let digit = c >> (4 * i) & 15;
                let taken = byte(digit);
                match digit & 8 {
                    0 => taken,
                    _ => ((taken as i8) >> 7) as u8,
                }
            }
            1 => byte(c + i),
            2 => byte(c.wrapping_sub(i)),
            3 => byte(c),
            4 => byte(i.max(c)),
            5 => byte(i.min(c)),
            _ => byte((c & 1) * 2 + i % 2),
        };
        result | u32::from(taken) << (8 * i)
    })
}

/// `bfind`: the highest bit that differs from the sign; −1 if there is none.
pub extern "C" fn find(bits: u32, signed: u32, shift_amount: u32, a: u64) -> u32 {
    let a = (a << (64 - bits)) as i64 >> (64 - bits);
    let a = if signed != 0 && a < 0 { !a } else { a } as u64;
    let a = if bits == 32 { a & 0xffff_ffff } else { a };
    match a {
        0 => u32::MAX,
        _ if shift_amount != 0 => bits - 1 - a.ilog2(),
        _ => a.ilog2(),
    }
}

/// Division and remainder: by zero all bits and the dividend, as GPUs have it; a quotient that is too large wraps.
pub extern "C" fn divide(bits: u32, signed: u32, remainder: u32, a: u64, b: u64) -> u64 {
    let wide = |x: u64| match signed {
        0 => i128::from(x << (64 - bits) >> (64 - bits)),
        _ => i128::from((x << (64 - bits)) as i64 >> (64 - bits)),
    };
    let (a, b) = (wide(a), wide(b));
    let result = match (b, remainder) {
        (0, 0) => -1,
        (0, _) => a,
        (_, 0) => a / b,
        _ => a % b,
    };
    result as u64
}

/// `dp4a`: four products of bytes added to `c`.
pub extern "C" fn dot(a_signed: u32, b_signed: u32, a: u32, b: u32, c: u32) -> u32 {
    let byte = |x: u32, i: u32, signed: u32| match signed {
        0 => i32::from((x >> (8 * i)) as u8),
        _ => i32::from((x >> (8 * i)) as i8),
    };
    (0..4).fold(c, |sum, i| {
        sum.wrapping_add((byte(a, i, a_signed) * byte(b, i, b_signed)) as u32)
    })
}

/// An approximate function in single precision: by way of double, not the GPU's own bits. 0 to 7 are `ex2`, `lg2`,
/// `sin`, `cos`, `tanh`, `rsqrt`, `sqrt`, `rcp`.
pub extern "C" fn approximate(function: u32, x: f32) -> f32 {
    let x = f64::from(x);
    let result = match function {
        0 => x.exp2(),
        1 => x.log2(),
        2 => x.sin(),
        3 => x.cos(),
        4 => x.tanh(),
        5 => 1.0 / x.sqrt(),
        6 => x.sqrt(),
        _ => 1.0 / x,
    };
    result as f32
}

/// `%clock64` and `%globaltimer`: nanoseconds.
pub extern "C" fn clock() -> u64 {
    use std::sync::LazyLock;
    use std::time::Instant;
    static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
    BEGIN.elapsed().as_nanos() as u64
}
