//! What a run begins with: its sets, the checkpoint it goes on from, its network and first weights.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail, ensure};
use console::escaped;
use dataset_pack::Dataset;

use super::best::Validations;
use super::config::Config;
use super::events::{Observer, Observers};
use super::lock::RunLock;
use super::machine::Machine;
use super::observers::display::Display;
use super::observers::pictures::Pictures;
use super::observers::screen::Screen;
use super::observers::tensorboard::{Detail, TensorBoard};
use super::settings::Settings;
use crate::data::sampler::Cursor;
use crate::device::Device;
use crate::formats::checkpoint::{Checkpoint, Folder};
use crate::formats::first_weights;
use crate::formats::training::{Change, TrainingState, set_identity};
use crate::metrics::log::{self, Line, Log};
use crate::net::Network;
use crate::net::spec::{Spec, Train};
use crate::schedule::{self, Rule, Schedule};

/// What is trained and validated on.
pub struct Sets {
    pub train: Arc<Dataset>,
    pub validation: Option<Dataset>,
    /// What the training set holds ([`set_identity`]).
    train_identity: String,
    /// The same of the validation set.
    validation_identity: Option<String>,
}

impl Sets {
    pub fn open(options: &Settings) -> Result<Sets> {
        let train = open_set(&options.data)?;
        let validation = options.val.as_deref().map(open_set).transpose()?;
        if let (Some(val), Some(path)) = (&validation, &options.val) {
            ensure!(
                class_names(val) == class_names(&train),
                "{}: its classes are not those of {}",
                escaped(path),
                escaped(&options.data)
            );
        }
        Ok(Sets {
            train_identity: set_identity(&train),
            validation_identity: validation.as_ref().map(set_identity),
            train: Arc::new(train),
            validation,
        })
    }

    pub fn all(&self) -> impl Iterator<Item = &Dataset> {
        [Some(&*self.train), self.validation.as_ref()]
            .into_iter()
            .flatten()
    }
}

fn class_names(set: &Dataset) -> Vec<String> {
    let classes = set.classes().iter();
    classes.map(|class| class.name.clone()).collect()
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
fn lock_new(out: &Path) -> Result<RunLock> {
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
    checkpoint.check_classes(&sets.train, &options.data)?;
    if !options.other_data {
        check_sets(options, sets, &checkpoint)?;
    }
    Ok(Some(checkpoint))
}

/// That the sets hold what those held that the run had until now.
fn check_sets(options: &Settings, sets: &Sets, checkpoint: &Checkpoint) -> Result<()> {
    let was = &checkpoint.training;
    let mut pairs = vec![(&options.data, &sets.train_identity, &was.data)];
    if let (Some(path), Some(identity)) = (&options.val, &sets.validation_identity) {
        pairs.push((path, identity, &was.val));
    }
    for (path, now, was) in pairs {
        ensure!(
            was.as_ref().is_none_or(|was| was == now),
            "{}: not what {} was trained with; to go on with other images all the same: --other-data",
            escaped(path),
            escaped(checkpoint.tensors.path())
        );
    }
    Ok(())
}

/// The network, and where the run stands.
pub fn training(
    options: &Settings,
    sets: &Sets,
    resumed: Option<&Checkpoint>,
) -> Result<(Spec, TrainingState)> {
    let data = Some(sets.train_identity.clone());
    let val = sets.validation_identity.clone();
    if let Some(checkpoint) = resumed {
        let was = &checkpoint.training;
        let (spec, changes) = resumed_spec(options, checkpoint)?;
        let training = TrainingState {
            net: spec.to_toml(),
            data,
            val: val.or(was.val.clone()),
            changes: [was.changes.clone(), changes].concat(),
            ..was.clone()
        };
        return Ok((spec, training));
    }
    let spec = options.network.load(&options.changes()?)?;
    let training = TrainingState {
        net: spec.to_toml(),
        kept: options.kept()?,
        classes: class_names(&sets.train),
        step: 0,
        cursor: Cursor::default(),
        schedule: schedule::State::START,
        data,
        val,
        owed: None,
        changes: Vec::new(),
    };
    Ok((spec, training))
}

/// The network a run goes on with: the checkpoint's, with what the options change now; and what that is.
fn resumed_spec(options: &Settings, checkpoint: &Checkpoint) -> Result<(Spec, Vec<Change>)> {
    options.check(&checkpoint.training.kept)?;
    let path = || escaped(checkpoint.tensors.path()).to_string();
    let spec = Spec::parse(&checkpoint.training.net).with_context(path)?;
    if let Some(net) = &options.network.net {
        let same = Spec::load(net, &[])?.name == spec.name;
        ensure!(
            same,
            "--net {}: the run has net {}",
            escaped(net),
            escaped(&spec.name)
        );
    }
    let was = spec.keys();
    let spec = options.network.change(spec, &options.changes()?)?;
    let (now, step) = (spec.keys(), checkpoint.training.step);
    let keys: BTreeSet<&String> = was.keys().chain(now.keys()).collect();
    let changed = keys.into_iter().filter(|&key| was.get(key) != now.get(key));
    let change = |key: &String| Change {
        step,
        key: key.clone(),
        was: was.get(key).cloned(),
        now: now.get(key).cloned(),
    };
    let changes = changed.map(change).collect();
    Ok((spec, changes))
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
        for line in first_weights::set(network, path)? {
            console::note!("{}: {line}", escaped(path));
        }
    }
    network.set_mean(mean);
    Ok(mean.to_vec())
}

/// All that is in force.
pub fn config(
    options: &Settings,
    spec: &Spec,
    training: &TrainingState,
    devices: &[Arc<dyn Device>],
) -> Result<Config> {
    let mut settings = options.filled(&training.kept)?;
    if settings.places.gpus.is_none() {
        let places = devices.iter().map(|device| device.place().parse());
        let places: Result<_, String> = places.collect();
        settings.places.gpus = Some(places.map_err(|error| anyhow!(error))?);
    }
    Ok(Config {
        program: concat!("host ", env!("CARGO_PKG_VERSION")).into(),
        classes: training.classes.len(),
        settings,
        machine: Some(Machine::this(devices)),
        changes: training.changes.clone(),
        net: spec.to_table(),
    })
}

/// How the learning rate falls, over a set of so many images.
pub fn schedule(train: &Train, images: usize) -> Schedule {
    Schedule {
        rule: train.schedule.clone(),
        factor: train.factor,
        max_reductions: train.max_reductions,
        patience: train.patience,
        min_delta: train.min_delta,
        warmup_steps: (train.warmup * images as f64 / train.batch as f64).ceil() as u64,
    }
}

/// What to say where the learning rate cannot fall though it was to.
pub fn constant_rate(train: &Train, sets: &Sets) -> Option<String> {
    (train.schedule == Rule::Plateau && sets.validation.is_none()).then(|| {
        format!(
            "warning: without --val the learning rate stays {}: the schedule `plateau` lowers it when the validation \
             error no longer falls; --schedule step:E1,E2,… lowers it without",
            train.lr
        )
    })
}

/// What is written of a run, and who is told of it; of a rank that writes nothing, nothing and nobody.
#[derive(Default)]
pub struct Written {
    pub folder: Option<Folder>,
    pub validations: Validations,
    pub observers: Observers,
    pub lock: Option<RunLock>,
}

impl Written {
    /// Makes the run directory, unless it is there.
    pub fn begin(
        options: &Settings,
        config: &Config,
        resumed: Option<&Checkpoint>,
        lock: Option<RunLock>,
    ) -> Result<Self> {
        let folder = Folder::create(&options.out)?;
        let lock = lock.map_or_else(|| lock_new(&options.out), Ok)?;
        config.write(&options.out.join("config.toml"))?;
        let (log, validations) = open_log(options, resumed)?;
        Ok(Written {
            folder: Some(folder),
            validations,
            observers: observers(options, log),
            lock: Some(lock),
        })
    }
}

/// The run's metrics, without what came after the checkpoint, and the validations in them.
fn open_log(options: &Settings, resumed: Option<&Checkpoint>) -> Result<(Log, Validations)> {
    let path = options.out.join("metrics.jsonl");
    let Some(checkpoint) = resumed else {
        return Ok((Log::create(&path)?, Validations::default()));
    };
    let TrainingState { step, owed, .. } = checkpoint.training;
    let before =
        |line: &Line| line.step < step || line.step == step && !(line.validation && owed.is_some());
    let log = Log::resume(&path, before)?;
    Ok((log, Validations::of(&log::read(&path)?)))
}

/// The whole terminal where that is wanted and there is one.
fn shown(options: &Settings) -> Box<dyn Observer> {
    let before = || log::read(&options.out.join("metrics.jsonl")).unwrap_or_default();
    let screen = options.tui && !console::is_hushed();
    let screen = screen.then(|| Screen::take(&escaped(&options.out).to_string(), &before()));
    match screen.flatten() {
        Some(screen) => Box::new(screen),
        None => Box::<Display>::default(),
    }
}

/// Who is told of the run's events.
fn observers(options: &Settings, log: Log) -> Observers {
    let out = options.out.clone();
    // What is written down can be shown to have happened; the pictures are of what has been written down.
    let mut all: Vec<Box<dyn Observer>> = vec![Box::new(log), shown(options)];
    // A run that has begun to write for TensorBoard goes on with it.
    let begun = || out.join("tensorboard").is_dir().then_some(Detail::Scalars);
    if let Some(detail) = options.tensorboard.or_else(begun) {
        all.push(Box::new(TensorBoard::new(&out, detail)));
    }
    all.push(Box::new(Pictures { out }));
    Observers::new(all)
}
