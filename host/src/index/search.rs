//! The nearest rows, exactly, though most are looked at through their codes alone.
//!
//! For a query q and a row x with codes that stand for q̂ and x̂, the triangle inequality has
//! ‖q̂ − x̂‖ − ε ≤ ‖q − x‖ ≤ ‖q̂ − x̂‖ + ε with ε = ‖q − q̂‖ + ‖x − x̂‖, both known. ‖q̂ − x̂‖² is made of sums of
//! integers, which are exact. So the first pass reads a byte of each feature. The second computes the distance from the
//! features themselves, by rising lower bound, until that passes the largest of the distances that count: no row behind
//! it can be nearer.

use std::num::NonZero;
use std::ops::Range;
use std::thread;

use anyhow::Result;

use super::write::quantise;
use super::{Index, Note};

/// Codes whose products with a query's fit into an i32 together: 127 · 2047 · 4096 < 2³¹.
const BLOCK: usize = 4096;
/// The largest code of a query.
const MOST: i32 = 2047;

/// A row and how far it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Found {
    /// The image.
    pub row: usize,
    /// Its Euclidean distance.
    pub distance: f64,
}

/// A query's codes.
struct Query {
    codes: Vec<i16>,
    note: Note,
}

impl Index {
    /// The `count` rows nearest to a row of features, the nearest first, of equals the first; `without` is left out.
    ///
    /// # Panics
    /// The query is not as wide as the index.
    pub fn nearest(
        &self,
        query: &[f32],
        count: usize,
        without: Option<usize>,
    ) -> Result<Vec<Found>> {
        assert_eq!(query.len(), self.description.width);
        let mut bounds = self.lower_bounds(query)?;
        bounds.retain(|&(_, row)| Some(row) != without);
        bounds.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let mut best: Vec<Found> = Vec::with_capacity(count + 1);
        for (bound, row) in bounds {
            if best.len() == count && best.last().is_none_or(|last| bound > last.distance) {
                break;
            }
            let distance = distance(query, &self.features(row)?);
            let found = Found { row, distance };
            let at = best.partition_point(|other| (other.distance, other.row) < (distance, row));
            best.insert(at, found);
            best.truncate(count);
        }
        Ok(best)
    }

    /// The `count` nearest of some rows, which are computed from their features.
    pub fn nearest_of(&self, query: &[f32], rows: &[usize], count: usize) -> Result<Vec<Found>> {
        let found = |&row: &usize| {
            let distance = distance(query, &self.features(row)?);
            Ok(Found { row, distance })
        };
        let mut all = rows.iter().map(found).collect::<Result<Vec<_>>>()?;
        all.sort_unstable_by(|a, b| a.distance.total_cmp(&b.distance).then(a.row.cmp(&b.row)));
        all.truncate(count);
        Ok(all)
    }

    /// For every row, what its distance is at least.
    fn lower_bounds(&self, query: &[f32]) -> Result<Vec<(f64, usize)>> {
        let mut codes = Vec::with_capacity(query.len());
        let note = quantise(query, MOST, &mut codes, |code| code as i16);
        let query = &Query { codes, note };
        let rows = self.description.rows;
        let parts = in_parts(rows, |rows| {
            let bound = |row| Ok((self.lower_bound(query, row)?, row));
            rows.map(bound).collect::<Result<Vec<_>>>()
        });
        Ok(parts.into_iter().collect::<Result<Vec<_>>>()?.concat())
    }

    fn lower_bound(&self, query: &Query, row: usize) -> Result<f64> {
        let ((codes, note), of_query) = (self.codes(row)?, &query.note);
        let (x, q) = (f64::from(note.scale), f64::from(of_query.scale));
        let products = dot(codes, &query.codes) as f64;
        let squares = q * q * of_query.squares as f64 + x * x * note.squares as f64;
        // What rounding may have added is taken off.
        let squared = squares - 2.0 * q * x * products - 1e-14 * squares;
        let error = f64::from(note.error) + f64::from(of_query.error);
        Ok((squared.max(0.0).sqrt() - error) * (1.0 - 1e-9))
    }
}

/// Deals with rows on all cores, a part on each, and gives what became of the parts, in order.
pub(super) fn in_parts<T: Send>(rows: usize, work: impl Fn(Range<usize>) -> T + Sync) -> Vec<T> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let part = rows.div_ceil(threads).max(1);
    let work = &work;
    thread::scope(|scope| {
        let begin = |first: usize| scope.spawn(move || work(first..(first + part).min(rows)));
        let begun: Vec<_> = (0..rows).step_by(part).map(begin).collect();
        let joined = begun.into_iter().map(|part| {
            part.join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        joined.collect()
    })
}

/// From the first feature to the last, so that the result is the same everywhere.
fn distance(a: &[f32], b: &[f32]) -> f64 {
    let squares = a
        .iter()
        .zip(b)
        .map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2));
    squares.sum::<f64>().sqrt()
}

/// Σ a·b.
fn dot(a: &[i8], b: &[i16]) -> i64 {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2, as was just asked.
        return unsafe { dot_avx2(a, b) };
    }
    dot_anywhere(a, b)
}

/// # Safety
/// The processor has AVX2.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn dot_avx2(a: &[i8], b: &[i16]) -> i64 {
    dot_anywhere(a, b)
}

#[inline(always)]
fn dot_anywhere(a: &[i8], b: &[i16]) -> i64 {
    let blocks = a.chunks(BLOCK).zip(b.chunks(BLOCK));
    // They cannot overflow; said here, so that the loop has vectors where overflow is checked, too.
    let sums = blocks.map(|(a, b)| {
        let products = a
            .iter()
            .zip(b)
            .map(|(&a, &b)| i32::from(a).wrapping_mul(i32::from(b)));
        i64::from(products.fold(0, i32::wrapping_add))
    });
    sums.sum()
}
