//! What a run begins with: its sets, the checkpoint it goes on from, its network and first weights.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail, ensure};
use console::escaped;
use dataset_pack::Dataset;

use super::checkpoint::{Checkpoint, Folder, Progress, set_identity};
use super::config::Config;
use super::lock::RunLock;
use super::settings::Settings;
use crate::data::sampler::Place;
use crate::device::Device;
use crate::net::Network;
use crate::net::spec::{Spec, Train};
use crate::schedule::{Rule, Schedule, State};
use crate::state;
use crate::tensors::File;

/// What is trained and validated on.
pub struct Sets {
    pub data: Arc<Dataset>,
    pub validation: Option<Dataset>,
}

impl Sets {
    pub fn open(options: &Settings) -> Result<Sets> {
        let data = Arc::new(open_set(&options.data)?);
        let validation = options.val.as_deref().map(open_set).transpose()?;
        if let (Some(val), Some(path)) = (&validation, &options.val) {
            let names = |set: &Dataset| -> Vec<String> {
                set.classes()
                    .iter()
                    .map(|class| class.name.clone())
                    .collect()
            };
            ensure!(
                names(val) == names(&data),
                "{}: its classes are not those of {}",
                escaped(path),
                escaped(&options.data)
            );
        }
        Ok(Sets { data, validation })
    }
}

fn open_set(path: &Path) -> Result<Dataset> {
    let data = Dataset::open(path)?;
    ensure!(!data.is_empty(), "{}: it has no images", escaped(path));
    Ok(data)
}

/// The lock of the run directory, if that is there; one that is not is made only when all else is right.
pub fn lock(out: &Path) -> Result<Option<RunLock>> {
    out.is_dir().then(|| RunLock::take(out)).transpose()
}

/// The lock of a run directory that has just been made.
pub fn lock_new(out: &Path) -> Result<RunLock> {
    let lock = RunLock::take(out)?;
    let others = Folder::of(out).latest()?;
    ensure!(
        others.is_none(),
        "{}: another host has trained into this folder meanwhile",
        escaped(out)
    );
    Ok(lock)
}

/// The checkpoint that the run goes on from, if it does not begin.
pub fn resumed(options: &Settings, sets: &Sets) -> Result<Option<Checkpoint>> {
    let latest = Folder::of(&options.out).latest()?;
    let checkpoint = match (options.resume, latest) {
        (true, Some(path)) => Checkpoint::open(&path)?,
        (true, None) => {
            let out = escaped(&options.out);
            console::note!("{out}: no checkpoint to resume from: the run begins");
            return Ok(None);
        }
        (false, None) => return Ok(None),
        (false, Some(_)) => bail!(
            "{}: holds a run already; go on with it with --resume, or name another --out",
            escaped(&options.out)
        ),
    };
    checkpoint.check_classes(&sets.data, &options.data)?;
    if !options.other_data {
        check_sets(options, sets, &checkpoint)?;
    }
    Ok(Some(checkpoint))
}

/// That the sets hold what those held that the run had until now.
fn check_sets(options: &Settings, sets: &Sets, checkpoint: &Checkpoint) -> Result<()> {
    let check = |path: &Path, now: &Dataset, was: &Option<String>| {
        let same = was.as_ref().is_none_or(|was| *was == set_identity(now));
        ensure!(
            same,
            "{}: not what {} was trained with; to go on with other images all the same: --other-data",
            escaped(path),
            escaped(checkpoint.tensors.path())
        );
        Ok(())
    };
    check(&options.data, &sets.data, &checkpoint.progress.data)?;
    match (&options.val, &sets.validation) {
        (Some(path), Some(val)) => check(path, val, &checkpoint.progress.val),
        _ => Ok(()),
    }
}

/// The network, and where the run stands.
pub fn progress(
    options: &Settings,
    sets: &Sets,
    resumed: Option<&Checkpoint>,
) -> Result<(Spec, Progress)> {
    let data = Some(set_identity(&sets.data));
    let val = sets.validation.as_ref().map(set_identity);
    if let Some(checkpoint) = resumed {
        let (spec, was) = (resumed_spec(options, checkpoint)?, &checkpoint.progress);
        let progress = Progress {
            net: spec.to_toml(),
            data,
            val: val.or(was.val.clone()),
            ..was.clone()
        };
        return Ok((spec, progress));
    }
    let spec = options.network.load(&options.changes()?)?;
    let classes = sets.data.classes().iter();
    let progress = Progress {
        net: spec.to_toml(),
        kept: options.kept()?,
        classes: classes.map(|class| class.name.clone()).collect(),
        step: 0,
        place: Place::default(),
        schedule: State::START,
        data,
        val,
        owed: None,
    };
    Ok((spec, progress))
}

/// The network a run goes on with: the checkpoint's, with what the options change now.
fn resumed_spec(options: &Settings, checkpoint: &Checkpoint) -> Result<Spec> {
    options.check(&checkpoint.progress.kept)?;
    let path = || escaped(checkpoint.tensors.path()).to_string();
    let spec = Spec::parse(&checkpoint.progress.net).with_context(path)?;
    if let Some(net) = &options.network.net {
        let same = Spec::load(net, &[])?.name == spec.name;
        ensure!(
            same,
            "--net {}: the run has net {}",
            escaped(net),
            escaped(&spec.name)
        );
    }
    spec.with_sets(&[options.changes()?, options.network.set.clone()].concat())
}

/// The first weights of a fresh run, and the mean image.
pub fn begin(options: &Settings, network: &Network, data: &Dataset) -> Result<Vec<f32>> {
    let mean = data.mean().with_context(|| {
        format!(
            "{}: it has no mean image; build it with --split train",
            escaped(&options.data)
        )
    })?;
    network.initialise();
    if let Some(path) = &options.init_from {
        let file = File::open(path)?;
        match file.text("format") {
            Ok(_) => drop(state::restore(
                network,
                &Checkpoint::open(path)?.tensors,
                false,
            )?),
            Err(_) => state::import(network, &file)?,
        }
    }
    network.set_mean(mean);
    Ok(mean.to_vec())
}

/// All that is in force.
pub fn config(
    options: &Settings,
    spec: &Spec,
    progress: &Progress,
    devices: &[Arc<dyn Device>],
) -> Result<Config> {
    let mut settings = options.filled(&progress.kept)?;
    if settings.places.gpus.is_none() {
        let places = devices.iter().map(|device| device.place().parse());
        let places: Result<_, String> = places.collect();
        settings.places.gpus = Some(places.map_err(|error| anyhow!(error))?);
    }
    Ok(Config {
        program: concat!("host ", env!("CARGO_PKG_VERSION")).into(),
        classes: progress.classes.len(),
        settings,
        net: spec.to_table(),
    })
}

/// How the learning rate falls.
pub fn schedule(train: &Train) -> Schedule {
    Schedule {
        rule: train.schedule.clone(),
        divide: train.divide,
        times: train.times,
        patience: train.patience,
        min_delta: train.min_delta,
    }
}

/// Says so where the learning rate cannot fall though it was to.
pub fn warn_of_constant_rate(train: &Train, validation: Option<&Dataset>) {
    if train.schedule == Rule::Plateau && validation.is_none() {
        console::note!(
            "warning: without --val the learning rate stays {}: the schedule `plateau` lowers it when the validation \
             error no longer falls; --schedule step:E1,E2,… lowers it without",
            train.lr
        );
    }
}
