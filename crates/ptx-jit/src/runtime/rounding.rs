//! Rounding towards zero and the infinities: the processor's own, switched for one operation.

/// What is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Operation {
    Add,
    Sub,
    Mul,
    Div,
    Sqrt,
    Fma,
}

/// A rounding mode, as the bits of MXCSR that ask for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Mode {
    Down = 0x2000,
    Up = 0x4000,
    Zero = 0x6000,
}

/// Whether this processor can.
pub fn is_supported() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        is_x86_feature_detected!("fma")
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        false
    }
}

#[cfg(target_arch = "x86_64")]
mod imp {
    use std::arch::asm;

    /// All exceptions masked, round to nearest.
    const USUAL: u32 = 0x1f80;

    macro_rules! rounded {
        ($mode:expr, $instruction:literal, $x:ident, $($name:ident = $value:expr),*) => {
            // SAFETY: the rounding mode is set back before anything else runs.
            unsafe {
                asm!(
                    "ldmxcsr [{mode}]", $instruction, "ldmxcsr [{usual}]",
                    mode = in(reg) &(USUAL | $mode), usual = in(reg) &USUAL,
                    x = inout(xmm_reg) $x, $($name = in(xmm_reg) $value,)*
                    options(nostack)
                )
            }
        };
    }

    pub extern "C" fn f32(operation: u32, mode: u32, mut x: f32, y: f32, z: f32) -> f32 {
        match operation {
            0 => rounded!(mode, "addss {x}, {y}", x, y = y),
            1 => rounded!(mode, "subss {x}, {y}", x, y = y),
            2 => rounded!(mode, "mulss {x}, {y}", x, y = y),
            3 => rounded!(mode, "divss {x}, {y}", x, y = y),
            4 => rounded!(mode, "sqrtss {x}, {x}", x,),
            _ => rounded!(mode, "vfmadd213ss {x}, {y}, {z}", x, y = y, z = z),
        }
        x
    }

    pub extern "C" fn f64(operation: u32, mode: u32, mut x: f64, y: f64, z: f64) -> f64 {
        match operation {
            0 => rounded!(mode, "addsd {x}, {y}", x, y = y),
            1 => rounded!(mode, "subsd {x}, {y}", x, y = y),
            2 => rounded!(mode, "mulsd {x}, {y}", x, y = y),
            3 => rounded!(mode, "divsd {x}, {y}", x, y = y),
            4 => rounded!(mode, "sqrtsd {x}, {x}", x,),
            _ => rounded!(mode, "vfmadd213sd {x}, {y}, {z}", x, y = y, z = z),
        }
        x
    }

    pub extern "C" fn narrow(mode: u32, y: f64) -> f32 {
        let mut x = 0f32;
        rounded!(mode, "cvtsd2ss {x}, {y}", x, y = y);
        x
    }

    /// An integer: twice its half with the lost bit kept rounds as the whole, where it does not fit a signed one.
    macro_rules! from_integer {
        ($name:ident, $float:ty, $instruction:literal) => {
            pub extern "C" fn $name(mode: u32, signed: u32, integer: u64) -> $float {
                let large = signed == 0 && integer >> 63 == 1;
                let integer = if large { integer >> 1 | integer & 1 } else { integer };
                let mut x: $float = 0.0;
                // SAFETY: the rounding mode is set back before anything else runs.
                unsafe {
                    asm!(
                        "ldmxcsr [{mode}]", $instruction, "ldmxcsr [{usual}]",
                        mode = in(reg) &(USUAL | mode), usual = in(reg) &USUAL,
                        x = inout(xmm_reg) x, n = in(reg) integer,
                        options(nostack)
                    )
                }
                if large { x * 2.0 } else { x }
            }
        };
    }
    from_integer!(integer_to_f32, f32, "cvtsi2ss {x}, {n:r}");
    from_integer!(integer_to_f64, f64, "cvtsi2sd {x}, {n:r}");
}

/// Elsewhere a text that asks for these is refused when it is loaded.
#[cfg(not(target_arch = "x86_64"))]
mod imp {
    pub extern "C" fn f32(_: u32, _: u32, x: f32, _: f32, _: f32) -> f32 {
        x
    }

    pub extern "C" fn f64(_: u32, _: u32, x: f64, _: f64, _: f64) -> f64 {
        x
    }

    pub extern "C" fn narrow(_: u32, y: f64) -> f32 {
        y as f32
    }

    pub extern "C" fn integer_to_f32(_: u32, _: u32, integer: u64) -> f32 {
        integer as f32
    }

    pub extern "C" fn integer_to_f64(_: u32, _: u32, integer: u64) -> f64 {
        integer as f64
    }
}

pub use imp::{f32, f64, integer_to_f32, integer_to_f64, narrow};
