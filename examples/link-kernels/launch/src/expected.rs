//! The same layers in plain loops, from their formulas, in f64.

use crate::{Input, Net, Result, SIZES};

const IMAGES: usize = SIZES.images as usize;

/// Compares each layer's result with its formula applied to the result before.
pub fn check(net: &Net, input: &Input, results: &[Vec<f32>; 4]) -> Result<()> {
    let [convolved, rectified, normalised, pooled] = results;
    let wide = |floats: &[f32]| floats.iter().map(|&x| x as f64).collect::<Vec<_>>();
    compare("convolution", convolved, &convolution(input))?;
    let relu: Vec<f64> = wide(convolved).iter().map(|x| x.max(0.0)).collect();
    compare("ReLU", rectified, &relu)?;
    compare(
        "normalisation",
        normalised,
        &normalisation(net, &wide(rectified)),
    )?;
    compare("pooling", pooled, &pooling(&wide(normalised)))
}

fn compare(layer: &str, have: &[f32], want: &[f64]) -> Result<()> {
    let largest = want.iter().fold(0.0f64, |most, x| most.max(x.abs()));
    let near = |(&have, &want): (&f32, &f64)| (have as f64 - want).abs() <= 1e-5 * largest;
    if largest == 0.0 || have.len() != want.len() || !have.iter().zip(want).all(near) {
        return Err(format!("{layer}: not as expected").into());
    }
    Ok(())
}

fn convolution(input: &Input) -> Vec<f64> {
    let [height, width] = SIZES.input.map(|n| n as usize);
    let [down, across] = SIZES.output.map(|n| n as usize);
    let [filters, channels, kernel] =
        [SIZES.filters, SIZES.channels, SIZES.kernel].map(|n| n as usize);
    let mut y = Vec::new();
    for m in 0..filters {
        for (i, j, n) in places([down, across, IMAGES]) {
            let mut sum = input.bias[m] as f64;
            for (c, r, q) in places([channels, kernel, kernel]) {
                let row = (i * SIZES.stride as usize + r).checked_sub(SIZES.pad as usize);
                let column = (j * SIZES.stride as usize + q).checked_sub(SIZES.pad as usize);
                if let (Some(row @ 0..11), Some(column @ 0..11)) = (row, column) {
                    let x = input.x[((c * height + row) * width + column) * IMAGES + n];
                    let weight = input.weights[((c * kernel + r) * kernel + q) * filters + m];
                    sum += x as f64 * weight as f64;
                }
            }
            y.push(sum);
        }
    }
    y
}

fn normalisation(net: &Net, x: &[f64]) -> Vec<f64> {
    let (channels, columns) = (net.lrn.channels as usize, net.lrn.columns as usize);
    let mut y = Vec::new();
    for channel in 0..channels {
        for column in 0..columns {
            let window = channel.saturating_sub(2)..(channel + 3).min(channels);
            let squares: f64 = window.map(|j| x[j * columns + column].powi(2)).sum();
            y.push(x[channel * columns + column] * (2.0 + 1e-4 * squares).powf(-0.75));
        }
    }
    y
}

fn pooling(x: &[f64]) -> Vec<f64> {
    let [height, width] = SIZES.output.map(|n| n as usize);
    let mut y = Vec::new();
    for channel in 0..SIZES.filters as usize {
        for (i, j, n) in places([2, 2, IMAGES]) {
            let at =
                |(r, q, _)| x[((channel * height + 2 * i + r) * width + 2 * j + q) * IMAGES + n];
            y.push(places([3, 3, 1]).map(at).fold(f64::NEG_INFINITY, f64::max));
        }
    }
    y
}

/// All index triples, the last index fastest.
fn places([a, b, c]: [usize; 3]) -> impl Iterator<Item = (usize, usize, usize)> {
    (0..a * b * c).map(move |i| (i / (b * c), i / c % b, i % c))
}
