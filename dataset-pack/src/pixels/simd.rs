//! RGB pixels in registers of AVX2: four in the first twelve bytes of each half.

use std::arch::x86_64::*;

/// What is read for four pixels, four bytes more than they have, to either half.
///
/// # Safety
/// 16 bytes can be read from either pointer on.
#[inline]
#[target_feature(enable = "avx2")]
pub(crate) unsafe fn load(a: *const u8, b: *const u8) -> __m256i {
    // SAFETY: as the caller promises.
    unsafe { _mm256_set_m128i(_mm_loadu_si128(b.cast()), _mm_loadu_si128(a.cast())) }
}

/// Of pixels 0 and 1, and of 2 and 3: their R, their G and their B side by side, in 16 bits each,
/// as the instruction takes them that multiplies and adds pairs. The last two are zero.
#[inline]
#[target_feature(enable = "avx2")]
pub(crate) fn pairs(pixels: __m256i) -> [__m256i; 2] {
    let first = _mm_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1);
    let second = _mm_setr_epi8(6, -1, 9, -1, 7, -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1);
    [
        _mm256_shuffle_epi8(pixels, _mm256_broadcastsi128_si256(first)),
        _mm256_shuffle_epi8(pixels, _mm256_broadcastsi128_si256(second)),
    ]
}
