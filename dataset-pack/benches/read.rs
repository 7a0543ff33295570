//! Images read per second on one thread, from memory and from the disk.
//!
//!     cargo bench -p dataset-pack --bench read [-- SET]
//!
//! Without SET, one of 4096 drawn images of 256×256 is made. Images are read into buffers of 128, as a trainer reads them.

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use dataset_pack::{AccessPlan, BuildOptions, Dataset, SynthOptions, build, synth};

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
    let random = AccessPlan {
        run: 1,
        window: set.len(),
    }
    .order(set.len(), 1, 0);
    let in_order: Vec<u32> = (0..set.len() as u32).collect();
    let runs = AccessPlan::default().order(set.len(), 1, 0);
    // Twice, since the first round warms up.
    for round in 0..2 {
        println!("from memory, round {round}");
        rate("  read", bytes, &random, |batch, out| {
            each(batch, out, |i, out| set.read(i, out))
        });
        rate("  read and check", bytes, &random, |batch, out| {
            each(batch, out, |i, out| set.read_checked(i, out));
        });
        let mut crop = vec![0; CROP * CROP * 3];
        rate(
            "  read and cut 224x224 with mirror",
            bytes,
            &random,
            |batch, out| {
                for &image in batch {
                    let out = &mut out[..set.image_bytes()];
                    set.read(image as usize, out).expect("the set is whole");
                    cut(out, set.size(), image as usize, &mut crop);
                }
            },
        );
    }
    for (name, order, ahead) in [
        ("  in order", &in_order, 0),
        ("  in runs (AccessPlan)", &runs, 0),
        ("  in runs, told ahead", &runs, 4),
        ("  at random", &random, 0),
        ("  at random, told ahead", &random, 4),
    ] {
        forget(&folder)?;
        rate_ahead(name, bytes, order, |at, batch, out| {
            let next = order.iter().skip((at + 1) * BATCH).take(ahead * BATCH);
            next.for_each(|&image| set.prefetch(image as usize));
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
    rate_ahead(name, bytes, order, |_, batch, out| work(batch, out));
}

fn rate_ahead(
    name: &str,
    bytes: usize,
    order: &[u32],
    mut work: impl FnMut(usize, &[u32], &mut [u8]),
) {
    let mut out = vec![1; BATCH * bytes];
    let began = Instant::now();
    let batches = order.chunks_exact(BATCH);
    let images = batches.len() * BATCH;
    for (at, batch) in batches.enumerate() {
        work(at, batch, &mut out);
    }
    println!(
        "{name:36} {:8.0} images/s",
        images as f64 / began.elapsed().as_secs_f64()
    );
}

/// Cuts the crop that the image's number gives, mirrored if it is odd.
fn cut(image: &[u8], side: usize, number: usize, crop: &mut [u8]) {
    let (top, left) = (number % 33, number / 33 % 33);
    for (y, row) in crop.chunks_exact_mut(CROP * 3).enumerate() {
        let source = &image[((y + top) * side + left) * 3..][..CROP * 3];
        if number.is_multiple_of(2) {
            row.copy_from_slice(source);
        } else {
            let pixels = row.as_chunks_mut::<3>().0.iter_mut();
            pixels
                .zip(source.as_chunks::<3>().0.iter().rev())
                .for_each(|(to, from)| *to = *from);
        }
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
