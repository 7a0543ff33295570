//! `--gpus`: which tower runs where.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Once};

use anyhow::{Result, anyhow, bail, ensure};
use clap::{ArgAction, Args};
use serde::{Deserialize, Serialize};

use super::cuda::driver::{self, Gpu};
use super::cuda::kernels::no_ptx;
use super::{CpuDevice, CudaDevice, Device};

/// Where the towers run. What was not given is `None`.
#[derive(Args, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Places {
    /// A place for each tower or one for all: numbers of GPUs, or cpu, a virtual GPU [default: 0,1 with two GPUs,
    /// 0 with one, cpu,cpu with none]
    #[arg(long, value_name = "PLACES", value_delimiter = ',', num_args = 1, action = ArgAction::Set)]
    pub gpus: Option<Vec<Place>>,
    /// CPU threads that the virtual GPUs share; the results are the same for any number [default: one a core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    #[serde(skip)]
    pub threads: Option<u32>,
}

impl Places {
    /// A device for each tower: what was given, or what suits this machine.
    pub fn open(&self, towers: usize) -> Result<Vec<Arc<dyn Device>>> {
        let chosen;
        let list = match &self.gpus {
            Some(list) => list,
            None => {
                chosen = say_why(suitable(towers));
                &chosen
            }
        };
        match self.threads {
            Some(threads) => open_with(list, towers, threads as usize),
            None => open(list, towers),
        }
    }
}

impl Places {
    /// The device of the first tower.
    pub fn open_first(&self) -> Result<Arc<dyn Device>> {
        let first = |list: &Vec<Place>| list.first().copied().into_iter().collect();
        let places = Places {
            gpus: self.gpus.as_ref().map(first),
            ..*self
        };
        Ok(places.open(1)?.remove(0))
    }
}

/// The places; why no GPU is among them is said once.
fn say_why((list, why): (Vec<Place>, Option<String>)) -> Vec<Place> {
    static SAID: Once = Once::new();
    if let Some(why) = why {
        SAID.call_once(|| console::note!("no GPU is used: {why}"));
    }
    list
}

/// One place of `--gpus`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Place {
    /// A virtual GPU.
    Cpu,
    /// The GPU of this number.
    Gpu(usize),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Gpu(number) => number.fmt(f),
        }
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text.trim(), text.trim().parse()) {
            ("cpu", _) => Ok(Self::Cpu),
            (_, Ok(number)) => Ok(Self::Gpu(number)),
            _ => Err(format!("`{text}` is neither a GPU's number nor `cpu`")),
        }
    }
}

impl From<Place> for String {
    fn from(place: Place) -> Self {
        place.to_string()
    }
}

impl TryFrom<String> for Place {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl Place {
    fn number(self) -> Option<usize> {
        match self {
            Place::Cpu => None,
            Place::Gpu(number) => Some(number),
        }
    }
}

/// Where the towers run if nobody says: two GPUs, one, or virtual ones.
pub fn default_places(towers: usize) -> Vec<Place> {
    suitable(towers).0
}

/// The same, and if they are virtual ones, why.
fn suitable(towers: usize) -> (Vec<Place>, Option<String>) {
    let on_cpu = |why: String| (vec![Place::Cpu; towers], Some(why));
    let gpus = match driver::gpus() {
        Ok(gpus) => gpus,
        Err(error) => return on_cpu(format!("{error:#}")),
    };
    let runs = |gpu: &&Gpu| alexnet::ptx_for(gpu.capability.0, gpu.capability.1).is_some();
    let usable: Vec<_> = gpus
        .iter()
        .filter(runs)
        .map(|gpu| Place::Gpu(gpu.number))
        .collect();
    match usable.len() {
        0 => on_cpu(format!("GPU {}: {}", gpus[0].number, no_ptx(&gpus[0]))),
        n if n >= towers => (usable[..towers].to_vec(), None),
        _ => (usable[..1].to_vec(), None),
    }
}

/// A device for each of `towers` towers: one place each, or one for all. All cores work for the virtual GPUs.
pub fn open(places: &[Place], towers: usize) -> Result<Vec<Arc<dyn Device>>> {
    open_with(
        places,
        towers,
        std::thread::available_parallelism().map_or(1, |n| n.get()),
    )
}

/// The same with so many CPU threads, which the virtual GPUs share; each has at least one.
pub fn open_with(places: &[Place], towers: usize, threads: usize) -> Result<Vec<Arc<dyn Device>>> {
    ensure!(
        places.len() == 1 || places.len() == towers,
        "--gpus lists {} places for {towers} tower{}: list one for each, or one for all",
        places.len(),
        if towers == 1 { "" } else { "s" }
    );
    let numbers: Vec<usize> = places.iter().filter_map(|place| place.number()).collect();
    let devices = match numbers.first() {
        None => virtual_gpus(places.len(), threads)?,
        Some(_) if numbers.len() == places.len() => gpus(&numbers)?,
        Some(number) => {
            bail!(
                "--gpus: one network runs on GPUs or on virtual ones, not on GPU {number} and cpu"
            )
        }
    };
    Ok((0..towers)
        .map(|tower| devices[tower % devices.len()].clone())
        .collect())
}

fn virtual_gpus(count: usize, threads: usize) -> Result<Vec<Arc<dyn Device>>> {
    let share = |i: usize| (threads + i) / count;
    (0..count)
        .map(|i| Ok(CpuDevice::new(share(i))? as Arc<dyn Device>))
        .collect()
}

/// A number that is listed twice is one device.
fn gpus(numbers: &[usize]) -> Result<Vec<Arc<dyn Device>>> {
    let mut opened: Vec<Arc<CudaDevice>> = Vec::new();
    for &number in numbers {
        if opened.iter().all(|device| device.number() != number) {
            let device = CudaDevice::open(number);
            opened.push(
                device
                    .map_err(|error| anyhow!("--gpus: {error:#}; `--gpus cpu` runs on the CPU"))?,
            );
        }
    }
    CudaDevice::connect(&opened)?;
    let of = |number: &usize| opened.iter().find(|device| device.number() == *number);
    let devices = numbers.iter().filter_map(of);
    Ok(devices
        .map(|device| device.clone() as Arc<dyn Device>)
        .collect())
}
