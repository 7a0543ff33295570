//! How long a search of an index takes, and how much of it is reading memory.
//!
//!     cargo bench -p host --bench nearest -- FOLDER [ROWS WIDTH]
//!
//! Makes an index of made-up features in FOLDER, 6 bytes for each with float16, searches it for rows that are near some
//! of its own and for rows that are near none, and removes it. Beside the medians stands how long all cores take to
//! read as many bytes as the first pass does. Then it searches made-up codes by themselves, and with the nearest ranked
//! by their features.

#![allow(clippy::print_stdout)]

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use host::index::{Codes, Description, Encoder, Index, Writer};

const TIMES: usize = 9;

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let folder = words.first().context("in which folder?")?;
    let number = |at: usize, default| words.get(at).map_or(Ok(default), |word| word.parse());
    let (rows, width): (usize, usize) = (number(1, 200_000)?, number(2, 4096)?);
    let path = Path::new(folder).join("nearest-bench.index");
    let result = measure(&path, rows, width);
    std::fs::remove_file(&path)?;
    result
}

fn measure(path: &Path, rows: usize, width: usize) -> Result<()> {
    let description = Description {
        checkpoint: String::new(),
        checkpoint_hash: String::new(),
        data: String::new(),
        set: String::new(),
        layer: String::new(),
        rows,
        width,
        half: true,
    };
    let mut writer = Writer::open(path, &description)?;
    let mut random = Random(1);
    for first in (0..rows).step_by(256) {
        let count = 256.min(rows - first);
        writer.write(first, &random.features(count * width))?;
    }
    writer.publish()?;
    let index = Index::open(path)?;
    // The first search brings the codes into memory.
    index.nearest(&random.features(width), 6, None)?;
    let memory = vec![1u64; rows * width / 8];
    let (mut near, mut far, mut reading) = (Vec::new(), Vec::new(), Vec::new());
    for time in 0..TIMES {
        let own = index.features(time * rows / TIMES)?;
        let noise = random.features(width);
        let query: Vec<f32> = own.iter().zip(&noise).map(|(x, y)| x + 0.1 * y).collect();
        near.push(seconds(|| drop(index.nearest(&query, 6, None))));
        far.push(seconds(|| drop(index.nearest(&noise, 6, None))));
        reading.push(seconds(|| read(&memory)));
    }
    let [near, far, reading] = [near, far, reading].map(|mut times: Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[TIMES / 2]
    });
    let bytes = rows * width;
    println!(
        "{rows} rows of {width}: {:.2} GB of codes",
        bytes as f64 / 1e9
    );
    println!(
        "reading as much {reading:.3} s, {:.1} GB/s",
        bytes as f64 / reading / 1e9
    );
    for (name, time) in [("near some", near), ("near none", far)] {
        println!(
            "a query {name}: {time:.3} s, {:.2} times the reading",
            time / reading
        );
    }
    for bits in [64, 128, 256] {
        measure_codes(&index, bits)?;
    }
    Ok(())
}

fn measure_codes(index: &Index, bits: usize) -> Result<()> {
    let Description { rows, width, .. } = index.description;
    let encoder = Encoder {
        bits,
        mean: vec![0.0; width],
        scale: 1.0,
        weights: vec![0.0; width * bits],
        biases: vec![0.0; bits],
    };
    let mut random = Random(2);
    let words = (0..rows * bits / 64).map(|_| random.word()).collect();
    let codes = Codes::new(&index.description, encoder, 0, words);
    let mut times = [0, 100, 1000].map(|rerank| (rerank, Vec::new()));
    for time in 0..TIMES {
        let (code, query) = (codes.of(time * rows / TIMES), random.features(width));
        for (rerank, times) in &mut times {
            let begun = Instant::now();
            let near = codes.nearest(code, 10.max(*rerank), None);
            if *rerank > 0 {
                let rows: Vec<usize> = near.iter().map(|near| near.row).collect();
                index.nearest_of(&query, &rows, 10)?;
            }
            times.push(begun.elapsed().as_secs_f64());
        }
    }
    for (rerank, mut times) in times {
        times.sort_by(f64::total_cmp);
        let time = times[TIMES / 2] * 1e3;
        println!("codes of {bits} bits, {rerank} re-ranked: {time:.2} ms");
    }
    Ok(())
}

fn seconds(work: impl FnOnce()) -> f64 {
    let begun = Instant::now();
    work();
    begun.elapsed().as_secs_f64()
}

/// Reads memory on all cores.
fn read(memory: &[u64]) {
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
    std::thread::scope(|scope| {
        for part in memory.chunks(memory.len().div_ceil(threads)) {
            scope.spawn(move || {
                std::hint::black_box(part.iter().fold(0u64, |sum, x| sum.wrapping_add(*x)))
            });
        }
    });
}

struct Random(u64);

impl Random {
    fn word(&mut self) -> u64 {
        let next = |state: &mut u64| {
            *state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            *state >> 32
        };
        next(&mut self.0) << 32 | next(&mut self.0)
    }

    /// Numbers like those behind a ReLU: about half of them zero.
    fn features(&mut self, count: usize) -> Vec<f32> {
        let next = |state: &mut u64| {
            *state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            (*state >> 40) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..count)
            .map(|_| next(&mut self.0).max(0.0) * 9.0)
            .collect()
    }
}
