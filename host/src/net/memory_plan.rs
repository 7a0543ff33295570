//! Which batch fits into a GPU's memory.

use std::sync::Arc;

use anyhow::{Error, Result};

use super::{IMAGES, Network, first};
use crate::device::{Counting, Device, Memory};

/// Part of the free memory that is left to the driver.
const RESERVE: f64 = 0.03;

/// Places a network on devices, for batches of so many images.
type Place<'a> = &'a dyn Fn(&[Arc<dyn Device>], usize) -> Result<Network>;

/// For each device that tells its memory: the bytes that a network takes there, and that memory.
fn loads(place: Place, devices: &[Arc<dyn Device>], batch: usize) -> Result<Vec<(usize, Memory)>> {
    let counting: Vec<Arc<Counting>> = devices.iter().map(|_| Counting::new()).collect();
    let stands_in = |device| counting[first(devices, device)].clone() as Arc<dyn Device>;
    let stand_ins: Vec<_> = devices.iter().map(stands_in).collect();
    place(&stand_ins, batch)?;
    // Nothing is asked of those that stand in for no device.
    let used = counting
        .iter()
        .zip(devices)
        .filter(|(one, _)| one.bytes() > 0);
    Ok(used
        .filter_map(|(one, device)| Some((one.bytes(), device.memory()?)))
        .collect())
}

/// Adds to an out-of-memory error what the network needs, and which batch, or share of one, would fit.
pub(super) fn explain(
    error: Error,
    devices: &[Arc<dyn Device>],
    batch: usize,
    shares: u32,
    place: impl Fn(&[Arc<dyn Device>], usize) -> Result<Network>,
) -> Error {
    let fits = |batch: &usize| {
        let fits = |(bytes, memory): &(usize, Memory)| {
            *bytes as f64 <= (1.0 - RESERVE) * memory.free as f64
        };
        loads(&place, devices, *batch).is_ok_and(|loads| loads.iter().all(fits))
    };
    let smaller = (IMAGES..batch).step_by(IMAGES).rev().find(fits);
    let needed = loads(&place, devices, batch).map_or(0, |loads| {
        loads.iter().map(|(bytes, _)| *bytes).max().unwrap_or(0)
    });
    let (what, none) = match shares {
        1 => ("batch", "no batch"),
        _ => ("a share of", "no share"),
    };
    let advice = match smaller {
        Some(batch) => format!("{what} {batch} would fit"),
        None => format!("{none} would fit"),
    };
    let gb = needed as f64 / 1e9;
    error.context(format!(
        "{what} {batch} needs {gb:.2} GB on a device, {advice}"
    ))
}
