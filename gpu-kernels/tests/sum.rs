//! Sums in a set order, to the bit; and division without dividing.
mod common;

use common::{Buffer, bits, here, random, run, wide};
use gpu_kernels::divisor::Divisor;
use gpu_kernels::sum::{
    sum_maps, sum_maps_launch, sum_parts, sum_parts_launch, sum_parts_with_bias,
};
use gpu_kernels::target::Target;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn parts_in_order(outputs in 1..20u32, images in 1..4u32, count in 1..12u32, seed: u32) {
        let (images, len) = (32 * images, outputs * 32 * images);
        let parts = random(seed, (len * count) as usize);
        let bias = random(!seed, outputs as usize);
        let sums: Vec<f32> = (0..len as usize)
            .map(|i| parts[i..].iter().step_by(len as usize).copied().reduce(|a, b| a + b).unwrap())
            .collect();
        let with_bias: Vec<f32> =
            sums.iter().enumerate().map(|(i, sum)| sum + bias[i / images as usize]).collect();
        let (parts, bias) = (Buffer::new(&parts), Buffer::new(&bias));
        for target in [here(), Target::Gpu] {
            let launch = sum_parts_launch(len, target);
            let mut y = Buffer::unwritten(len as usize);
            // SAFETY: there are `count` parts as long as the sum.
            unsafe { run(&sum_parts, launch, (len, count, parts.ptr(), y.mut_ptr())) };
            prop_assert_eq!(bits(&y), bits(&sums));
            let divisor = Divisor::new(images);
            let arguments = (len, divisor, count, parts.ptr(), bias.ptr(), y.mut_ptr());
            // SAFETY: there are `count` parts as long as the sum, and a bias for every `images` of it.
            unsafe { run(&sum_parts_with_bias, launch, arguments) };
            prop_assert_eq!(bits(&y), bits(&with_bias));
        }
    }

    #[test]
    fn maps_by_lines_and_halves(channels in 1..7u32, columns in 1..200u32, seed: u32) {
        let columns = 16 * columns;
        let x = random(seed, (channels * columns) as usize);
        let map_sum = |channel: &[f32]| {
            let mut lines = [0.0f32; 256];
            channel.iter().enumerate().for_each(|(j, x)| lines[j % 256] += x);
            let mut half = 128;
            while half > 0 {
                (0..half).for_each(|l| lines[l] += lines[l + half]);
                half /= 2;
            }
            lines[0]
        };
        let want: Vec<f32> = x.chunks(columns as usize).map(map_sum).collect();
        let truths: Vec<Vec<f64>> = x.chunks(columns as usize).map(wide).collect();
        let x = Buffer::new(&x);
        let mut y = Buffer::unwritten(channels as usize);
        let launch = sum_maps_launch(channels, here());
        // SAFETY: there are so many channels of `columns` elements.
        unsafe { run(&sum_maps, launch, (columns, x.ptr(), y.mut_ptr())) };
        prop_assert_eq!(bits(&y), bits(&want));
        // Terms of both signs may cancel, so the error is held against their sizes.
        for (y, terms) in y.iter().zip(&truths) {
            let (sum, size) = terms.iter().fold((0.0, 0.0), |(a, b), x| (a + x, b + x.abs()));
            prop_assert!((f64::from(*y) - sum).abs() <= 1e-6 * size, "{y}, not {sum}");
        }
    }

    #[test]
    fn divisor_divides(d in 1..=1u32 << 31, n in 0..1u32 << 31) {
        prop_assert_eq!(Divisor::new(d).div_rem(n), (n / d, n % d));
    }
}

#[test]
fn divisor_at_the_edges() {
    let small = 1..=300u32;
    let powers = (1..=31).flat_map(|p| [(1u32 << p) - 1, 1 << p, (1 << p) + 1]);
    for d in small.chain(powers).filter(|&d| d <= 1 << 31) {
        let divisor = Divisor::new(d);
        let multiples = (0..200)
            .chain((1u32 << 31) / d - 1..=(1 << 31) / d)
            .map(|q| q as u64 * d as u64);
        for n in multiples
            .flat_map(|n| [n.saturating_sub(1), n, n + 1])
            .chain([(1 << 31) - 1])
        {
            if n < 1 << 31 {
                let n = n as u32;
                assert_eq!(divisor.div_rem(n), (n / d, n % d), "{n} / {d}");
            }
        }
    }
}

#[test]
#[should_panic]
fn no_divisor() {
    Divisor::new(0);
}
