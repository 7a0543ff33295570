//! Made-up numbers for kernels to work on.

use std::ops::Range;

use gpu_kernels::augment::View;

/// A buffer of a case.
#[derive(Clone)]
pub struct Tensor {
    /// What it holds at first.
    pub bytes: Vec<u8>,
    /// Whether the kernel writes it.
    pub result: bool,
    /// Whether the kernel reads it.
    pub given: bool,
    /// Whether it holds floats of any value.
    pub floats: bool,
}

/// What arithmetic treats in a way of its own.
const SPECIAL: [f32; 8] = [
    f32::NAN,
    f32::INFINITY,
    f32::NEG_INFINITY,
    -0.0,
    f32::MAX,
    f32::MIN_POSITIVE,
    // Denormal numbers: the smallest, and the largest below zero.
    f32::from_bits(1),
    f32::from_bits(0x807f_ffff),
];

impl Tensor {
    /// The same with one float in so many a special value, if it holds floats that the kernel reads.
    pub fn with_special_values(&self, rarity: u32) -> Tensor {
        let mut bytes = self.bytes.clone();
        if self.floats && self.given {
            for (i, float) in bytes.as_chunks_mut().0.iter_mut().enumerate() {
                let chosen = word(99, i);
                if chosen.is_multiple_of(rarity) {
                    *float = SPECIAL[(chosen / rarity % 8) as usize].to_le_bytes();
                }
            }
        }
        Tensor { bytes, ..*self }
    }
}

/// 32 bits that look random, for number `i` of sequence `seed`.
fn word(seed: u32, i: usize) -> u32 {
    let mut x = (i as u32).wrapping_mul(0x9e37_79b9) ^ seed.wrapping_mul(0x85eb_ca6b);
    for multiplier in [0x7feb_352d, 0x846c_a68b_u32] {
        x = (x ^ (x >> 16)).wrapping_mul(multiplier);
    }
    x ^ (x >> 15)
}

fn input(bytes: Vec<u8>) -> Tensor {
    Tensor {
        bytes,
        result: false,
        given: true,
        floats: false,
    }
}

/// Floats in (−scale, scale).
pub fn random(seed: u32, len: usize, scale: f32) -> Tensor {
    let float = |i| (word(seed, i) >> 8) as f32 * (2.0 / (1 << 24) as f32) - 1.0;
    let bytes = (0..len).flat_map(|i| (scale * float(i)).to_le_bytes());
    Tensor {
        floats: true,
        ..input(bytes.collect())
    }
}

/// The same, and the kernel changes them.
pub fn changed(seed: u32, len: usize, scale: f32) -> Tensor {
    Tensor {
        result: true,
        ..random(seed, len, scale)
    }
}

/// Floats of either sign whose powers of two lie in a range; below −126 they are denormal.
pub fn magnitudes(seed: u32, len: usize, powers: Range<i32>) -> Tensor {
    let count = powers.len() as u32;
    let float = |i| {
        let power = powers.start + (word(seed ^ 0x5a5a, i) % count) as i32;
        let bits = word(seed, i);
        let magnitude = (1.0 + f64::from(bits >> 9) / f64::from(1 << 23)) * 2f64.powi(power);
        magnitude.copysign([1.0, -1.0][bits as usize % 2]) as f32
    };
    let bytes = (0..len).flat_map(|i| float(i).to_le_bytes());
    Tensor {
        floats: true,
        ..input(bytes.collect())
    }
}

/// Whole numbers below `bound`.
pub fn below(seed: u32, len: usize, bound: u32) -> Tensor {
    input(
        (0..len)
            .flat_map(|i| (word(seed, i) % bound).to_le_bytes())
            .collect(),
    )
}

/// Whole numbers below `bound`, as floats.
pub fn whole(seed: u32, len: usize, bound: u32) -> Tensor {
    let float = |i| (word(seed, i) % bound) as f32;
    input((0..len).flat_map(|i| float(i).to_le_bytes()).collect())
}

/// Any bytes.
pub fn bytes(seed: u32, len: usize) -> Tensor {
    input((0..len).map(|i| word(seed, i) as u8).collect())
}

/// Views of images with `margin` pixels to choose from.
pub fn views(seed: u32, images: usize, margin: u32) -> Tensor {
    let view = |n: usize| View {
        y: word(seed, 4 * n) % (margin + 1),
        x: word(seed, 4 * n + 1) % (margin + 1),
        mirror: word(seed, 4 * n + 2) % 2,
        noise: [1.5, -0.3, n as f32],
    };
    let views: Vec<View> = (0..images).map(view).collect();
    input(bytemuck::cast_slice(&views).to_vec())
}

/// Floats that the kernel writes: not numbers until then.
pub fn unwritten(len: usize) -> Tensor {
    Tensor {
        bytes: vec![0xff; 4 * len],
        result: true,
        given: false,
        floats: true,
    }
}

/// Floats that the kernel works in, which are no result.
pub fn scratch(len: usize) -> Tensor {
    Tensor {
        result: false,
        ..unwritten(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_special_value_comes_and_few_floats_are_special() {
        let (plain, special) = (
            random(1, 1 << 16, 1.0),
            random(1, 1 << 16, 1.0).with_special_values(509),
        );
        let changed: Vec<_> = (plain.bytes.chunks(4).zip(special.bytes.chunks(4)))
            .filter(|(before, after)| before != after)
            .map(|(_, after)| after)
            .collect();
        assert!((64..256).contains(&changed.len()), "{}", changed.len());
        for value in SPECIAL {
            assert!(changed.contains(&&value.to_le_bytes()[..]), "{value:e}");
        }
        let labels = below(1, 1 << 16, 9);
        assert!(
            labels.with_special_values(2).bytes == labels.bytes,
            "no floats"
        );
    }
}
