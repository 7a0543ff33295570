//! Which batch fits into a GPU's memory.

use std::sync::Arc;

use anyhow::{Error, Result};

use super::shapes::Net;
use super::{IMAGES, Network};
use crate::device::{Counting, Device, Memory};

/// Part of the free memory that is left to the driver.
const RESERVE: f64 = 0.03;

/// Bytes that a network takes on each tower's device.
fn needs(net: &Net, batch: usize) -> Result<Vec<usize>> {
    let counting: Vec<Arc<Counting>> = net.towers.iter().map(|_| Counting::new()).collect();
    let devices: Vec<_> = counting
        .iter()
        .map(|one| one.clone() as Arc<dyn Device>)
        .collect();
    Network::place(net, &devices, batch, 0)?;
    Ok(counting.iter().map(|one| one.bytes()).collect())
}

/// Bytes that a network takes on a device and what that has free, for each that says.
fn loads(net: &Net, devices: &[Arc<dyn Device>], batch: usize) -> Result<Vec<(usize, Memory)>> {
    let needs = needs(net, batch)?;
    let first = |i: &usize| {
        !devices[..*i]
            .iter()
            .any(|other| Arc::ptr_eq(other, &devices[*i]))
    };
    let load = |i: usize| {
        let towers = (0..devices.len()).filter(|&j| Arc::ptr_eq(&devices[i], &devices[j]));
        let bytes = towers.map(|j| needs[j]).sum();
        Some((bytes, devices[i].memory()?))
    };
    Ok((0..devices.len()).filter(first).filter_map(load).collect())
}

/// Adds to an out-of-memory error what the network needs, and which batch would fit.
pub(super) fn explain(error: Error, net: &Net, devices: &[Arc<dyn Device>], batch: usize) -> Error {
    let fits = |batch: &usize| {
        let fits = |(bytes, memory): &(usize, Memory)| {
            *bytes as f64 <= (1.0 - RESERVE) * memory.free as f64
        };
        loads(net, devices, *batch).is_ok_and(|loads| loads.iter().all(fits))
    };
    let smaller = (IMAGES..batch).step_by(IMAGES).rev().find(fits);
    let needed = loads(net, devices, batch).map_or(0, |loads| {
        loads.iter().map(|(bytes, _)| *bytes).max().unwrap_or(0)
    });
    let advice = match smaller {
        Some(batch) => format!("batch {batch} would fit"),
        None => "no batch would fit".into(),
    };
    let gb = needed as f64 / 1e9;
    error.context(format!(
        "batch {batch} needs {gb:.2} GB on a device, {advice}"
    ))
}
