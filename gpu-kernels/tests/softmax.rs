//! Softmax, loss, error counts and gradient against their formulas in f64.
mod common;

use common::{Buffer, assert_close, bits, differences, here, random, random_below, run, wide};
use gpu_kernels::softmax::{
    cross_entropy, cross_entropy_launch, softmax, softmax_gradient, softmax_gradient_launch,
    softmax_launch,
};
use gpu_kernels::target::Target;
use proptest::prelude::*;

fn probabilities(logits: &[f32], images: u32) -> Vec<f32> {
    let classes = logits.len() as u32 / images;
    let (z, mut p) = (Buffer::new(logits), Buffer::unwritten(logits.len()));
    let launch = softmax_launch(images, here());
    // SAFETY: the buffers have `classes` · `images` elements.
    unsafe { run(&softmax, launch, (classes, images, z.ptr(), p.mut_ptr())) };
    p.to_vec()
}

fn loss_and_rank(logits: &[f32], labels: &[u32]) -> (Vec<f32>, Vec<f32>) {
    let images = labels.len() as u32;
    let classes = logits.len() as u32 / images;
    let (z, labels) = (Buffer::new(logits), Buffer::new(labels));
    let mut loss = Buffer::unwritten(images as usize);
    let mut rank = Buffer::unwritten(images as usize);
    let launch = cross_entropy_launch(images, here());
    let arguments = (
        classes,
        images,
        z.ptr(),
        labels.ptr(),
        loss.mut_ptr(),
        rank.mut_ptr(),
    );
    // SAFETY: the logits are `classes` · `images`, the others `images` elements.
    unsafe { run(&cross_entropy, launch, arguments) };
    (loss.to_vec(), rank.to_vec())
}

/// The losses of all images.
fn losses(z: &[f64], labels: &[u32]) -> Vec<f64> {
    let images = labels.len();
    let loss = |n: usize| {
        let own = z[labels[n] as usize * images + n];
        let column = z.iter().skip(n).step_by(images);
        let maximum = column.clone().fold(f64::NEG_INFINITY, |a, &b| a.max(b));
        column.map(|z| (z - maximum).exp()).sum::<f64>().ln() + maximum - own
    };
    (0..images).map(loss).collect()
}

fn cases() -> impl Strategy<Value = (Vec<f32>, Vec<u32>)> {
    let classes = prop_oneof![1..10u32, 1..140u32];
    let size = prop_oneof![Just(0.01f32), Just(1.0), Just(60.0)];
    (classes, 1..4u32, size, any::<u32>()).prop_map(|(classes, images, size, seed)| {
        let images = 32 * images as usize;
        let z = random(seed, classes as usize * images);
        let z = z.iter().map(|z| size * z).collect();
        (z, random_below(seed, images, classes))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn as_the_formulas((z, labels) in cases()) {
        let images = labels.len();
        let p = probabilities(&z, images as u32);
        let wide_z = wide(&z);
        let loss_of = |class: usize| losses(&wide_z, &vec![class as u32; images]);
        let want: Vec<f64> =
            (0..z.len() / images).flat_map(loss_of).map(|loss| (-loss).exp()).collect();
        assert_close("p", &p, &want);

        let (loss, rank) = loss_and_rank(&z, &labels);
        assert_close("loss", &loss, &losses(&wide_z, &labels));
        for (n, &label) in labels.iter().enumerate() {
            let own = z[label as usize * images + n];
            let column = z.iter().skip(n).step_by(images).enumerate();
            let before = column.filter(|&(j, &z)| z > own || z == own && (j as u32) < label);
            prop_assert_eq!(rank[n], before.count() as f32);
        }
    }

    #[test]
    fn gradient_by_differences(
        (z, labels) in cases(),
        // Rows wanted, from which, of how many; images that count.
        cut in (0.0f64..1.0, 0.0f64..1.0, 0..20u32, 0.0f64..1.0),
    ) {
        let images = labels.len() as u32;
        let classes = (z.len() as u32 / images).min(12);
        let z = &z[..(classes * images) as usize];
        let labels: Vec<u32> = labels.iter().map(|label| label % classes).collect();
        let first = (cut.0 * classes as f64) as u32;
        let rows = (cut.1 * (classes - first) as f64) as u32 + 1;
        let rows = rows.min(classes - first);
        let (padded, valid) = (rows + cut.2, 1 + (cut.3 * images as f64) as u32);
        let valid = valid.min(images);

        let mean_loss = |z: &[f64]| {
            losses(z, &labels)[..valid as usize].iter().sum::<f64>() / valid as f64
        };
        let all = differences(&wide(z), mean_loss);
        let mut want = vec![0.0; (padded * images) as usize];
        want[..(rows * images) as usize]
            .copy_from_slice(&all[(first * images) as usize..][..(rows * images) as usize]);

        let p = Buffer::new(&probabilities(z, images));
        let labels = Buffer::new(&labels);
        let mut outs = Vec::new();
        for target in [here(), Target::Gpu] {
            let mut out = Buffer::unwritten(want.len());
            let launch = softmax_gradient_launch(padded, images, target);
            let arguments = (
                classes, images, first, rows, padded, valid, p.ptr(), labels.ptr(), out.mut_ptr(),
            );
            // SAFETY: the buffers have these rows, classes and images.
            unsafe { run(&softmax_gradient, launch, arguments) };
            outs.push(out.to_vec());
        }
        // Where a probability is close to 1, the difference p − 1 has the rounding of p, not its own.
        let square = |x: f64| x * x;
        let size = want.iter().map(|&x| square(x)).sum::<f64>().sqrt();
        let error = outs[0].iter().zip(&want).map(|(&x, w)| square(x as f64 - w)).sum::<f64>().sqrt();
        let rounding = 1e-6 * (valid as f64).sqrt() / valid as f64;
        prop_assert!(error <= 1e-5 * size + rounding, "error {} of {}", error, size);
        let zeros = |n: usize| n % images as usize >= valid as usize
            || n >= (rows * images) as usize;
        prop_assert!((0..want.len()).all(|n| !zeros(n) || outs[0][n].to_bits() == 0));
        prop_assert_eq!(bits(&outs[0]), bits(&outs[1]));
    }
}

/// Image 0 of 32 with these logits; the others are at 0.
fn one_image(logits: &[f32], label: u32) -> (f32, f32) {
    let mut z = vec![0.0; logits.len() * 32];
    for (class, &logit) in logits.iter().enumerate() {
        z[class * 32] = logit;
    }
    let mut labels = [0; 32];
    labels[0] = label;
    let (loss, rank) = loss_and_rank(&z, &labels);
    assert!(
        loss[1..].iter().all(|loss| loss.is_finite()),
        "one image's trouble is another's"
    );
    (loss[0], rank[0])
}

#[test]
fn ties_go_to_the_lower_class() {
    assert_eq!(one_image(&[1.0, 2.0, 2.0, 2.0, 0.0], 2).1, 1.0);
    assert_eq!(one_image(&[0.0; 40], 39).1, 39.0);
}

#[test]
fn nan_makes_the_loss_nan_and_never_a_hit() {
    for at in 0..5 {
        let mut z = [1.0, 5.0, 3.0, 2.0, 0.0];
        z[at] = f32::NAN;
        let (loss, rank) = one_image(&z, 1);
        assert!(loss.is_nan() && rank >= 1.0, "{at}: {loss} {rank}");
    }
    assert!(one_image(&[1.0, f32::INFINITY], 1).0.is_nan());
}

#[test]
fn a_label_that_is_no_class_shows() {
    let (loss, rank) = one_image(&[1.0, 2.0, 3.0], 3);
    assert!(loss.is_nan());
    assert_eq!(rank, 3.0);
}

#[test]
fn far_logits_neither_overflow_nor_vanish() {
    let (loss, _) = one_image(&[1000.0, -1000.0], 1);
    assert_eq!(loss, 2000.0);
    let (loss, _) = one_image(&[-1000.0, -1000.0], 0);
    assert!((loss - std::f32::consts::LN_2).abs() < 1e-6);
}
