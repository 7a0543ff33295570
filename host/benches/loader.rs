//! Images that the loader's thread makes ready in a second: all that training does to an image before it is uploaded.
//!
//!     cargo bench -p host --bench loader -- SET
//!
//! SET is a packed training set. In memory and on an otherwise idle machine, the rate is that of one core.

#![allow(clippy::print_stdout)]

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use dataset_pack::Dataset;
use host::data::loader::Loader;
use host::data::sampler::{Cursor, Order, Sampler};
use host::data::views::{Augment, Colours, Views};
use host::net::shares::Shares;
use host::net::spec::Input;

const BATCH: usize = 128;

fn main() -> Result<()> {
    let folder = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'));
    let data = Arc::new(Dataset::open(folder.context("which set?")?)?);
    let batches = (data.len() / BATCH).max(1);
    println!(
        "{} images of {1}x{1}, batches of {BATCH}",
        data.len(),
        data.size()
    );
    let input = Input {
        size: data.size(),
        crop: data.size() * 7 / 8,
        channels: 3,
    };
    for order in [Order::Shuffled, Order::Sequential] {
        let sampler = Sampler::new(order, 0, data.len() as u32);
        let views = Views::new(&input, 0, Augment::Paper, Colours::default());
        let loader = Loader::start(
            data.clone(),
            sampler,
            views,
            Cursor::default(),
            BATCH,
            &Shares::WHOLE,
        )?;
        // The first epoch brings the set into memory.
        for epoch in 0..4 {
            let began = Instant::now();
            for _ in 0..batches {
                loader.next()?;
            }
            let rate = (batches * BATCH) as f64 / began.elapsed().as_secs_f64();
            println!("{order:?}, epoch {epoch}: {rate:8.0} images/s");
        }
    }
    Ok(())
}
