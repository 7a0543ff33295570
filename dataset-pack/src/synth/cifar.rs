//! The binary files of CIFAR-10 and CIFAR-100, with drawn images.

use rayon::prelude::*;

use super::{Done, SynthOptions, draw};
use crate::error::Error;
use crate::pixels::{Resize, Scaler};

const SIDE: usize = 32;

/// Writes the files; a sixth of the images are to test with.
pub(super) fn write(options: &SynthOptions, classes: u32, done: Done) -> Result<(), Error> {
    if options.classes != classes {
        let cause = format!("this layout has {classes} classes, not {}", options.classes);
        return Err(Error::input(&options.out, cause));
    }
    let images: Vec<Vec<u8>> = (0..classes * options.per_class)
        .into_par_iter()
        .map(|image| {
            done(1);
            record(options, image % classes, image / classes)
        })
        .collect();
    let (train, test) = images.split_at(images.len() - images.len().div_ceil(6));
    let mut files = vec![];
    let batches = if classes == 10 { 5 } else { 1 };
    for (number, batch) in (1..).zip(train.chunks(train.len().div_ceil(batches).max(1))) {
        let name = if classes == 10 {
            format!("data_batch_{number}.bin")
        } else {
            "train.bin".into()
        };
        files.push((name, batch.concat()));
    }
    let ten = classes == 10;
    files.push((
        if ten { "test_batch.bin" } else { "test.bin" }.into(),
        test.concat(),
    ));
    let names: String = (0..classes)
        .map(|c| format!("{c}-{}\n", draw::words(c).join("-")))
        .collect();
    let list = if ten {
        "batches.meta.txt"
    } else {
        "fine_label_names.txt"
    };
    files.push((list.into(), names.into_bytes()));
    super::write_all(&options.out, files)
}

/// The label, or the coarse and the fine one, and the planes.
fn record(options: &SynthOptions, class: u32, number: u32) -> Vec<u8> {
    let image = draw::draw(class, number, options.seed);
    let mut rgb = vec![0; SIDE * SIDE * 3];
    // The sizes are right by construction; were they not, the image would be black.
    Scaler::default().scale(&image, image.dimensions(), &mut rgb, SIDE, Resize::Bilinear);
    let mut record = if options.classes == 10 {
        vec![]
    } else {
        vec![(class / 5) as u8]
    };
    record.push(class as u8);
    for channel in 0..3 {
        record.extend(rgb.iter().skip(channel).step_by(3));
    }
    record
}
