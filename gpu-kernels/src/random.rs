//! Random numbers as a function of a counter: Philox 4x32-10.
//!
//! Salmon, Moraes, Dror, Shaw: "Parallel Random Numbers: As Easy as 1, 2, 3"
//! (SC11). The same counter and key give the same four numbers on every device,
//! in any order, so nothing needs to be stored or handed on.

/// Four random words for this counter and key.
#[inline(always)]
pub fn philox(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    const MULTIPLIERS: [u64; 2] = [0xD251_1F53, 0xCD9E_8D57];
    const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
    let ([mut a, mut b, mut c, mut d], [mut k, mut l]) = (counter, key);
    let mut round = 0;
    while round < 10 {
        let (x, y) = (a as u64 * MULTIPLIERS[0], c as u64 * MULTIPLIERS[1]);
        (a, b, c, d) = (
            (y >> 32) as u32 ^ b ^ k,
            y as u32,
            (x >> 32) as u32 ^ d ^ l,
            x as u32,
        );
        (k, l) = (k.wrapping_add(WEYL[0]), l.wrapping_add(WEYL[1]));
        round += 1;
    }
    [a, b, c, d]
}

/// A number in (0, 1): the middle of one of 2²³ equal intervals.
#[inline(always)]
pub fn uniform(word: u32) -> f32 {
    ((word >> 9) as f32 + 0.5) * (1.0 / 8_388_608.0)
}

/// Two independent standard normal numbers (Box and Muller).
#[inline(always)]
pub fn normal(first: u32, second: u32) -> (f32, f32) {
    const TURN: f32 = core::f32::consts::TAU;
    let radius = crate::device::sqrt(-2.0 * libm::logf(uniform(first)));
    let angle = TURN * uniform(second);
    // SAFETY: the angle lies between 0 and a turn.
    let (cos, sin) = unsafe { crate::math::cos_sin(angle) };
    (radius * cos, radius * sin)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known answers that come with the authors' Random123 library.
    #[test]
    fn known_answers() {
        assert_eq!(
            philox([0; 4], [0; 2]),
            [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]
        );
        assert_eq!(
            philox([u32::MAX; 4], [u32::MAX; 2]),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
    }

    #[test]
    fn uniform_stays_inside() {
        assert!(uniform(0) > 0.0 && uniform(u32::MAX) < 1.0);
    }

    #[test]
    fn normal_has_mean_zero_and_variance_one() {
        let mut moments = [0.0f64; 2];
        for i in 0..50_000 {
            let [a, b, ..] = philox([i, 0, 0, 0], [1, 2]);
            let (x, y) = normal(a, b);
            for v in [x as f64, y as f64] {
                moments[0] += v / 100_000.0;
                moments[1] += v * v / 100_000.0;
            }
        }
        assert!(
            moments[0].abs() < 0.01 && (moments[1] - 1.0).abs() < 0.02,
            "{moments:?}"
        );
    }
}
