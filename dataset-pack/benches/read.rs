//! Images read per second on one thread, from memory and from the disk.
//!
//!     cargo bench -p dataset-pack --bench read [-- SET]
//!
//! Without SET, one of 4096 drawn images of 256×256 is made. Images are read into buffers of 128, as a trainer reads them.

#![allow(clippy::print_stdout)]

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use dataset_pack::{BuildOptions, Crop, Dataset, SynthOptions, build, synth};
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom;

const BATCH: usize = 128;
const CROP: usize = 224;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let scratch = tempfile::tempdir_in(".")?;
    let given = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'));
    let folder = match given {
        Some(folder) => PathBuf::from(folder),
        None => {
            let (drawn, packed) = (scratch.path().join("drawn"), scratch.path().join("packed"));
            synth(&SynthOptions::new(&drawn, 8, 512), &|_| {})?;
            build(&BuildOptions::new(&drawn, &packed), &|_| {})?;
            packed
        }
    };
    let set = Dataset::open(&folder)?;
    let images = set.len() / BATCH * BATCH;
    let bytes = set.image_bytes();
    println!("{images} images of {0}x{0}", set.size());
    let in_order: Vec<u32> = (0..set.len() as u32).collect();
    let mut random = in_order.clone();
    random.shuffle(&mut ChaCha8Rng::seed_from_u64(1));
    // Twice, since the first round warms up.
    for round in 0..2 {
        println!("from memory, round {round}");
        rate("  read", bytes, &random, |batch, out| {
            each(batch, out, |i, out| set.read(i, out));
        });
        let crop_bytes = 3 * CROP * CROP;
        rate(
            "  read squares of 224x224",
            crop_bytes,
            &random,
            |batch, out| {
                each(batch, out, |i, out| set.read_crop(i, crop(i), out));
            },
        );
    }
    drop(set); // what is mapped stays in memory
    for (name, order, ahead) in [
        ("  in order", &in_order, 0),
        ("  in order, told ahead", &in_order, 4),
        ("  at random", &random, 0),
        ("  at random, told ahead", &random, 4),
    ] {
        forget(&folder)?;
        let set = Dataset::open(&folder)?;
        let tell = |batch: &[u32]| batch.iter().for_each(|&i| set.prefetch(i as usize));
        let mut told = order.chunks(BATCH).skip(1);
        told.by_ref().take(ahead).for_each(tell);
        rate(name, bytes, order, |batch, out| {
            told.next().filter(|_| ahead > 0).into_iter().for_each(tell);
            each(batch, out, |i, out| set.read(i, out));
        });
    }
    Ok(())
}

fn each(
    batch: &[u32],
    out: &mut [u8],
    read: impl Fn(usize, &mut [u8]) -> Result<(), dataset_pack::Error>,
) {
    let places = out.chunks_exact_mut(out.len() / BATCH);
    for (&image, place) in batch.iter().zip(places) {
        read(image as usize, place).expect("the set is whole");
    }
}

fn rate(name: &str, bytes: usize, order: &[u32], mut work: impl FnMut(&[u32], &mut [u8])) {
    let mut out = vec![1; BATCH * bytes];
    let began = Instant::now();
    let (batches, _) = order.as_chunks::<BATCH>();
    let images = batches.len() * BATCH;
    batches.iter().for_each(|batch| work(batch, &mut out));
    println!(
        "{name:36} {:8.0} images/s",
        images as f64 / began.elapsed().as_secs_f64()
    );
}

/// A place that the image's number gives.
fn crop(number: usize) -> Crop {
    Crop {
        y: number % 33,
        x: number / 33 % 33,
        side: CROP,
    }
}

/// Drops the set from the page cache.
fn forget(folder: &std::path::Path) -> std::io::Result<()> {
    println!("from the disk");
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let of = format!("if={}", path.display());
        Command::new("dd")
            .args([of.as_str(), "iflag=nocache", "count=0", "status=none"])
            .status()?;
    }
    Ok(())
}
