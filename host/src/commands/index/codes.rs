//! The codes beside an index, and what they find.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use console::Progress;
use serde::Serialize;

use super::super::interrupt::Interrupt;
use crate::autoencoder::{Coder, Course, Rows, train};
use crate::device::Device;
use crate::index::{Codes, Index, beside};
use crate::paths::ShownPath;

/// Steps of training, but of a small set no more than one a row.
const STEPS: usize = 2000;
/// Images of the set that are asked about, evenly spread.
const QUERIES: usize = 200;
/// Neighbours of each that are looked for.
const NEIGHBOURS: usize = 10;
/// Among how many that are nearest by their codes.
const AMONG: [usize; 3] = [NEIGHBOURS, 100, 1000];

/// What was written beside the index, and how good it is.
#[derive(Clone, Debug, Serialize)]
pub struct Coded {
    out: ShownPath,
    bits: usize,
    /// How many images were asked about.
    queries: usize,
    recall: Vec<Recall>,
}

/// The part of the ten exactly nearest that is among those nearest by their codes.
#[derive(Clone, Debug, Serialize)]
struct Recall {
    among: usize,
    recall: f64,
}

/// Trains an auto-encoder, writes the codes of all rows, and compares what they find with the exact neighbours.
pub fn make(
    path: &Path,
    bits: usize,
    seed: u64,
    device: &Arc<dyn Device>,
    interrupt: &Interrupt,
) -> Result<Coded> {
    let index = Index::open(path)?;
    let (count, width) = (index.description.rows, index.description.width);
    let row = |row| index.features(row);
    let steps = count.min(STEPS) as u32;
    let bar = Progress::new("trained", "steps", steps.into());
    let course = Course { bits, seed, steps };
    let rows = Rows {
        count,
        width,
        row: &row,
    };
    let encoder = train(&rows, course, device, || {
        bar.advance(1);
        interrupt.check()
    })?;
    drop(bar);
    let bar = Progress::new("coded", "images", count as u64);
    let mut coder = Coder::new(&encoder, device)?;
    let (most, mut words) = (coder.most(), Vec::with_capacity(count * bits / 64));
    for first in (0..count).step_by(most) {
        let rows = first..(first + most).min(count);
        let features = rows.clone().map(row).collect::<Result<Vec<_>>>()?;
        words.extend(coder.codes(&features.concat())?);
        bar.advance(rows.len() as u64);
        interrupt.check()?;
    }
    drop(bar);
    let codes = Codes::new(&index.description, encoder, seed, words);
    codes.write(path)?;
    measure(&index, &codes, beside(path).as_path().into(), interrupt)
}

fn measure(index: &Index, codes: &Codes, out: ShownPath, interrupt: &Interrupt) -> Result<Coded> {
    let rows = index.description.rows;
    let queries = rows.min(QUERIES);
    let (mut hits, mut all) = ([0usize; AMONG.len()], 0);
    let bar = Progress::new("asked about", "images", queries as u64);
    for number in 0..queries {
        let row = number * rows / queries;
        let exact = index.nearest(&index.features(row)?, NEIGHBOURS, Some(row))?;
        let near = codes.nearest(codes.of(row), AMONG[AMONG.len() - 1], Some(row));
        for (hits, among) in hits.iter_mut().zip(AMONG) {
            let near = &near[..among.min(near.len())];
            let is_found = |row: usize| near.iter().any(|near| near.row == row);
            *hits += exact.iter().filter(|exact| is_found(exact.row)).count();
        }
        all += exact.len();
        bar.advance(1);
        interrupt.check()?;
    }
    let recall = |(hits, among): (usize, usize)| Recall {
        among,
        recall: hits as f64 / all.max(1) as f64,
    };
    Ok(Coded {
        out,
        bits: codes.encoder.bits,
        queries,
        recall: hits.into_iter().zip(AMONG).map(recall).collect(),
    })
}

impl fmt::Display for Coded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Coded {
            out,
            bits,
            queries,
            recall,
        } = self;
        write!(
            f,
            "{out}: {bits} bits each; of the {NEIGHBOURS} nearest of {queries} images are"
        )?;
        for Recall { among, recall } in recall {
            write!(
                f,
                "\n  {:5.1} % among the {among} nearest by their codes",
                100.0 * recall
            )?;
        }
        Ok(())
    }
}
