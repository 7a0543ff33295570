//! `host doctor`

use std::fmt;

use anyhow::Result;
use clap::Args;
use console::escaped;
use libcuda_loader::library;
use serde::{Deserialize, Serialize};
use simt_executor::InstructionSet;

use super::Run;
use crate::device::cuda::driver::{self, Gpu};
use crate::device::cuda::kernels::no_ptx;
use crate::device::{Place, default_places};
use crate::ranks::{HOW_TO_GET_MANY, MANY, Ranks};

/// Says what this build and this machine can do, and why not more.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Example: host doctor")]
pub struct Doctor {}

/// What there is.
#[derive(Clone, Debug, Serialize)]
pub struct Diagnosis {
    cpu_threads: usize,
    instruction_set: &'static str,
    /// The architectures that this build has PTX for.
    ptx: Vec<&'static str>,
    ptx_missing: Option<&'static str>,
    /// Whether a GPU can be used.
    cuda: bool,
    /// The driver's version, or why it tells none; none without the library.
    driver: Option<String>,
    gpus: Vec<GpuFound>,
    gpus_missing: Option<String>,
    /// What carries data between ranks, or how a build gets it.
    ranks_by: String,
    /// Those that a launcher started together.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ranks: Vec<RankFound>,
}

/// A rank.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct RankFound {
    rank: u32,
    host: String,
    /// Where it would put two towers.
    places: Vec<String>,
}

impl RankFound {
    fn all(ranks: &Ranks) -> Result<Vec<Self>> {
        let own = RankFound {
            rank: ranks.rank(),
            host: ranks.host().to_owned(),
            places: default_places(2).iter().map(Place::to_string).collect(),
        };
        let all = ranks.tell_all(&serde_json::to_string(&own)?);
        let read = |text: &String| Ok(serde_json::from_str(text)?);
        all.iter().map(read).collect()
    }
}

/// A GPU.
#[derive(Clone, Debug, Serialize)]
struct GpuFound {
    number: usize,
    name: String,
    compute_capability: String,
    memory_bytes: u64,
    /// The architecture whose PTX it gets.
    ptx: Option<&'static str>,
    /// Why it gets none.
    ptx_missing: Option<String>,
}

impl Run for Doctor {
    type Report = Diagnosis;

    fn run(&self) -> Result<Diagnosis> {
        Ranks::join()?.carry(diagnose)
    }
}

fn diagnose(ranks: &Ranks) -> Result<Diagnosis> {
    let (gpus, gpus_missing) = match driver::gpus() {
        Ok(gpus) => (gpus.iter().map(GpuFound::of).collect(), None),
        Err(error) => (Vec::new(), Some(format!("{error:#}"))),
    };
    // Without the library there is no version to ask for.
    let version = library().ok().map(|_| driver::version());
    Ok(Diagnosis {
        cpu_threads: std::thread::available_parallelism().map_or(1, |n| n.get()),
        instruction_set: InstructionSet::current().name(),
        ptx: alexnet::PTX.iter().map(|ptx| ptx.target).collect(),
        ptx_missing: alexnet::PTX_MISSING,
        cuda: gpus.iter().any(|gpu: &GpuFound| gpu.ptx.is_some()),
        driver: version.map(|result| result.unwrap_or_else(|error| format!("{error:#}"))),
        gpus,
        gpus_missing,
        ranks_by: match MANY {
            true => format!("MPI, {}", ranks.describe()),
            false => format!("not in this build: {HOW_TO_GET_MANY}"),
        },
        ranks: match ranks.is_alone() {
            true => Vec::new(),
            false => RankFound::all(ranks)?,
        },
    })
}

impl GpuFound {
    fn of(gpu: &Gpu) -> Self {
        let (major, minor) = gpu.capability;
        let ptx = alexnet::ptx_for(major, minor).map(|ptx| ptx.target);
        Self {
            number: gpu.number,
            name: gpu.name.clone(),
            compute_capability: format!("{major}.{minor}"),
            memory_bytes: gpu.memory as u64,
            ptx,
            ptx_missing: ptx.is_none().then(|| no_ptx(gpu)),
        }
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (threads, set) = (self.cpu_threads, self.instruction_set);
        writeln!(f, "CPU     {threads} threads, kernels for {set}")?;
        if set == InstructionSet::Baseline.name() {
            writeln!(
                f,
                "        without AVX2 and FMA each fused multiply-add is computed in software, slowly"
            )?;
        }
        match self.ptx_missing {
            None => writeln!(f, "PTX     in this build, for {}", self.ptx.join(", "))?,
            Some(why) => writeln!(f, "PTX     not in this build: {why}")?,
        }
        if let Some(version) = &self.driver {
            writeln!(f, "driver  {version}")?;
        }
        if let Some(why) = &self.gpus_missing {
            writeln!(f, "GPU     none: {why}")?;
        }
        self.gpus.iter().try_for_each(|gpu| writeln!(f, "{gpu}"))?;
        writeln!(f, "ranks   {}", self.ranks_by)?;
        for RankFound { rank, host, places } in &self.ranks {
            let (host, places) = (escaped(host), places.join(","));
            writeln!(
                f,
                "        rank {rank} of {} on {host}: {places}",
                self.ranks.len()
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for GpuFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kernels = match (self.ptx, &self.ptx_missing) {
            (Some(target), _) => format!("runs the kernels for {target}"),
            (None, Some(why)) => format!("not used: {why}"),
            (None, None) => "not used".into(),
        };
        write!(
            f,
            "GPU {}   {}, compute capability {}, {:.1} GB: {kernels}",
            self.number,
            self.name,
            self.compute_capability,
            self.memory_bytes as f64 / 1e9
        )
    }
}
