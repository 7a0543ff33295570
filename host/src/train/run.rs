//! A training run, from its options to its last checkpoint.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use console::escaped;
use dataset_pack::Dataset;
use serde::Serialize;

use super::checkpoint::{Checkpoint, Folder, Progress};
use super::config::Config;
use super::loader::{Loader, Prepared};
use super::metrics::{Line, Metrics, Running};
use super::progress;
use super::sampler::{Place, Sampler};
use super::schedule::{Schedule, State};
use super::stop;
use super::views::{Colours, Views};
use crate::cli;
use crate::evaluate::{self, Score, errors};
use crate::net::spec::{Spec, Train};
use crate::net::{Network, Outcome, Rates, state};
use crate::picture::{curves, filters};
use crate::tensors::File;
use crate::{device, model};

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Report {
    /// Steps done, of this run and those it went on from.
    pub step: u64,
    /// The mean loss of the last steps.
    pub loss: f64,
    /// The last validation.
    pub validation: Option<Score>,
    /// Whether a signal ended it early.
    pub stopped: bool,
}

/// Trains as `host train` was told to.
pub fn train(options: &cli::Train) -> Result<Report> {
    let data = Arc::new(open_data(&options.data)?);
    let validation = options.val.as_deref().map(open_data).transpose()?;
    if let (Some(val), Some(path)) = (&validation, &options.val) {
        let same = val
            .classes()
            .iter()
            .map(|c| &c.name)
            .eq(data.classes().iter().map(|c| &c.name));
        ensure!(
            same,
            "{}: its classes are not those of {}",
            escaped(path),
            escaped(&options.data)
        );
    }
    let latest = Folder::of(&options.out).latest()?;
    let resumed = match (options.resume, latest) {
        (true, Some(path)) => Some(Checkpoint::open(&path)?),
        (true, None) => bail!("{}: no checkpoint to resume from", escaped(&options.out)),
        (false, None) => None,
        (false, Some(_)) => bail!(
            "{}: holds a run already; go on with it with --resume, or name another --out",
            escaped(&options.out)
        ),
    };
    if let Some(checkpoint) = &resumed {
        model::check_classes(checkpoint, &data, &options.data)?;
    }
    let mut run = Run::new(options, data, validation, resumed)?;
    run.go()
}

fn open_data(path: &Path) -> Result<Dataset> {
    let data = Dataset::open(path)?;
    ensure!(!data.is_empty(), "{}: it has no images", escaped(path));
    Ok(data)
}

struct Run<'a> {
    options: &'a cli::Train,
    train: Train,
    schedule: Schedule,
    data: Arc<Dataset>,
    validation: Option<Dataset>,
    network: Network,
    mean: Vec<f32>,
    folder: Folder,
    progress: Progress,
    metrics: Metrics,
    last_step: u64,
    last_saved: Option<u64>,
    ahead: Option<Result<Prepared>>,
    stop: Arc<AtomicBool>,
}

impl<'a> Run<'a> {
    fn new(
        options: &'a cli::Train,
        data: Arc<Dataset>,
        validation: Option<Dataset>,
        resumed: Option<Checkpoint>,
    ) -> Result<Self> {
        let spec = match &resumed {
            Some(checkpoint) => resumed_spec(options, checkpoint)?,
            None => Spec::load(&options.network.net, &options.sets())?,
        };
        let progress = match &resumed {
            Some(checkpoint) => Progress {
                net: spec.to_toml(),
                ..checkpoint.progress.clone()
            },
            None => start(options, &spec, &data),
        };
        let net = spec.resolve(progress.width, data.classes().len())?;
        let devices = model::devices(&options.places, net.towers.len())?;
        let network = Network::new(&net, &devices, spec.train.batch, progress.seed)?;
        for data in [Some(&*data), validation.as_ref()].into_iter().flatten() {
            evaluate::check_data(&network, data)
                .with_context(|| escaped(data.folder()).to_string())?;
        }
        let mean = match &resumed {
            Some(checkpoint) => state::restore(&network, &checkpoint.tensors, true)?,
            None => begin(options, &network, &data)?,
        };
        let steps_of_epochs = (spec.train.epochs * data.len()).div_ceil(spec.train.batch) as u64;
        let folder = Folder::create(&options.out)?;
        let config = config(options, &spec, &progress, &devices, data.classes().len());
        config.write(&options.out.join("config.toml"))?;
        let metrics = options.out.join("metrics.jsonl");
        let metrics = match &resumed {
            Some(_) => Metrics::resume(&metrics, progress.step)?,
            None => Metrics::create(&metrics)?,
        };
        for device in &devices {
            console::note!("{}", device.describe());
        }
        Ok(Run {
            options,
            schedule: schedule(&spec.train),
            last_step: options.steps.unwrap_or(steps_of_epochs),
            last_saved: resumed.map(|_| progress.step),
            train: spec.train,
            data,
            validation,
            network,
            mean,
            folder,
            progress,
            metrics,
            ahead: None,
            stop: stop::signal()?,
        })
    }

    fn go(&mut self) -> Result<Report> {
        let input = self.network.net().input;
        let colours = self
            .data
            .principal_components()
            .map_or(Colours::default(), |p| {
                Colours::new(p.eigenvalues, p.eigenvectors)
            });
        let seed = self.progress.seed;
        let views = Views::new(&input, seed, self.progress.augment, colours);
        let sampler = Sampler::new(self.progress.order, seed, self.data.len() as u32);
        let loader = Loader::start(
            self.data.clone(),
            sampler,
            views,
            self.progress.place,
            self.train.batch,
        )?;
        let mut shown = progress::Progress::new(self.progress.step, self.last_step, "steps");
        let mut loss = Running::new(20);
        let mut report = Report {
            step: 0,
            loss: f64::NAN,
            validation: None,
            stopped: false,
        };
        while self.progress.step < self.last_step && !report.stopped {
            let before = self.progress.place.epoch_of(self.data.len());
            let line = self.step(&loader)?;
            report.loss = loss.add(line.loss);
            let message = format!(
                "loss {:.3}, top-1 error {:.0} %, {:.1} images/s",
                report.loss,
                100.0 * line.top1_error,
                line.images_per_second
            );
            shown.set(self.progress.step, message);
            let last = self.progress.step == self.last_step;
            let epoch_ends = self.progress.place.epoch_of(self.data.len()) > before;
            let due = match self.options.validate_every {
                Some(every) => self.progress.step.is_multiple_of(every),
                None => epoch_ends,
            };
            if due || last {
                report.validation = self.validate(&shown, due)?.or(report.validation);
            }
            // Only now: a validation that is due belongs to the step, or the schedule would miss it.
            report.stopped = self.stop.load(Ordering::Relaxed);
            let save = match self.options.checkpoint_every {
                Some(every) => self.progress.step.is_multiple_of(every),
                None => due,
            };
            if save || last || report.stopped {
                self.save()?;
            }
        }
        drop(shown);
        report.step = self.progress.step;
        self.pictures()?;
        Ok(report)
    }

    /// One step: a batch forward, back, and down the gradient.
    fn step(&mut self, loader: &Loader) -> Result<Line> {
        let begun = Instant::now();
        let prepared = match self.ahead.take() {
            Some(prepared) => prepared?,
            None => loader.next()?,
        };
        let rate = self.rate();
        let rates = Rates {
            rate,
            momentum: self.train.momentum,
            decay: self.train.decay,
        };
        self.network.load(&prepared.batch);
        self.network.train(self.progress.step as u32, rates);
        self.progress.step += 1;
        if self.progress.step < self.last_step {
            self.upload_ahead(loader);
        }
        let outcome = self.network.outcome()?;
        self.progress.place = prepared.place;
        let line = self.line(&outcome, rate, begun);
        if !line.loss.is_finite() {
            bail!(
                "{}: the loss became {} at step {}; the last checkpoint is of step {}; a lower --lr may help",
                escaped(&self.options.out),
                line.loss,
                self.progress.step,
                self.last_saved
                    .map_or("none".to_owned(), |step| step.to_string())
            );
        }
        self.metrics.write(&line)?;
        Ok(line)
    }

    /// The next batch goes to the devices while they work on this one.
    fn upload_ahead(&mut self, loader: &Loader) {
        let next = loader.next();
        if let Ok(prepared) = &next {
            self.network.upload(&prepared.batch);
        }
        self.ahead = Some(next);
    }

    fn rate(&self) -> f64 {
        let epoch = self.progress.place.epoch_of(self.data.len());
        self.train.lr * self.schedule.factor(&self.progress.schedule, epoch)
    }

    fn line(&self, outcome: &Outcome, lr: f64, begun: Instant) -> Line {
        let images = outcome.loss.len() as f64;
        Line {
            step: self.progress.step,
            epoch: self.progress.place.epochs(self.data.len()),
            loss: outcome
                .loss
                .iter()
                .map(|&loss| f64::from(loss))
                .sum::<f64>()
                / images,
            top1_error: errors(&outcome.better, 1.0) / images,
            top5_error: errors(&outcome.better, 5.0) / images,
            lr,
            images_per_second: images / begun.elapsed().as_secs_f64(),
            validation: false,
        }
    }

    /// A validation that is `due` counts for the schedule; one more at a run's end does not, so that going on
    /// afterwards is as if the run had never ended.
    fn validate(&mut self, shown: &progress::Progress, due: bool) -> Result<Option<Score>> {
        let Some(data) = &self.validation else {
            return Ok(None);
        };
        let begun = Instant::now();
        let lr = self.rate();
        let score = evaluate::validate(&mut self.network, data)?;
        self.metrics.write(&Line {
            step: self.progress.step,
            epoch: self.progress.place.epochs(self.data.len()),
            loss: score.loss,
            top1_error: score.top1_error,
            top5_error: score.top5_error,
            lr,
            images_per_second: score.images as f64 / begun.elapsed().as_secs_f64(),
            validation: true,
        })?;
        shown.say(&format!(
            "step {}: validation loss {:.3}, errors top-1 {:.1} %, top-5 {:.1} %",
            self.progress.step,
            score.loss,
            100.0 * score.top1_error,
            100.0 * score.top5_error
        ));
        if due
            && self
                .schedule
                .validated(&mut self.progress.schedule, score.top1_error)
        {
            shown.say(&format!(
                "the validation error no longer improves: learning rate {}",
                self.rate()
            ));
        }
        Ok(Some(score))
    }

    fn save(&mut self) -> Result<()> {
        if self.last_saved == Some(self.progress.step) {
            return Ok(());
        }
        let state = state::State::of(&self.network, &self.mean);
        self.folder.save(&self.progress, &state.infos(), |info| {
            Ok(bytemuck::cast_slice(&state.fetch(info)?).to_vec().into())
        })?;
        self.last_saved = Some(self.progress.step);
        Ok(())
    }

    /// The curves, and the filters where there are some to show.
    fn pictures(&self) -> Result<()> {
        let out = &self.options.out;
        let lines = super::metrics::read(&out.join("metrics.jsonl"))?;
        if !lines.is_empty() {
            let title = format!("{}, width {}", self.network.net().name, self.progress.width);
            curves::write(&out.join("curves.png"), &title, &lines)?;
        }
        let (checkpoint, net) = model::open(out)?;
        if let Some((info, weights)) = state::joint_tensors(&net, &checkpoint.tensors)?.first()
            && info.shape.len() == 4
        {
            filters::write(
                &out.join("filters.png"),
                weights,
                &info.shape,
                net.towers.len(),
            )?;
        }
        Ok(())
    }
}

/// A fresh run's place.
fn start(options: &cli::Train, spec: &Spec, data: &Dataset) -> Progress {
    Progress {
        net: spec.to_toml(),
        width: options.network.width,
        classes: data
            .classes()
            .iter()
            .map(|class| class.name.clone())
            .collect(),
        seed: options.seed.unwrap_or_default(),
        augment: options.augment.unwrap_or_default(),
        order: options.order.unwrap_or_default(),
        step: 0,
        place: Place::default(),
        schedule: State::START,
    }
}

/// The network a run goes on with: the checkpoint's, with what the options change now.
fn resumed_spec(options: &cli::Train, checkpoint: &Checkpoint) -> Result<Spec> {
    let (was, now) = (checkpoint.progress.width, options.network.width);
    ensure!(
        now == 1.0 || now == was,
        "--width {now}: the run has width {was}"
    );
    let was = &checkpoint.progress;
    keep("seed", &was.seed, &options.seed)?;
    keep("augment", &was.augment, &options.augment)?;
    keep("order", &was.order, &options.order)?;
    let path = || escaped(checkpoint.tensors.path()).to_string();
    let spec = Spec::parse(&checkpoint.progress.net).with_context(path)?;
    let now = &options.network.net;
    let same = now == "paper" || Spec::load(now, &[])?.name == spec.name;
    ensure!(same, "--net {now}: the run has net {}", spec.name);
    spec.with_sets(&options.sets())
}

/// A run cannot go on with another value of this option.
fn keep<T: PartialEq + Serialize>(option: &str, was: &T, now: &Option<T>) -> Result<()> {
    let text = |value| serde_json::to_string(value).map(|text| text.replace('"', ""));
    match now {
        Some(now) if now != was => bail!("--{option} {}: the run has {}", text(now)?, text(was)?),
        _ => Ok(()),
    }
}

/// The first weights of a fresh run, and the mean image.
fn begin(options: &cli::Train, network: &Network, data: &Dataset) -> Result<Vec<f32>> {
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

fn config(
    options: &cli::Train,
    spec: &Spec,
    progress: &Progress,
    devices: &[Arc<dyn device::Device>],
    classes: usize,
) -> Config {
    let places = || devices.iter().map(|device| device.place()).collect();
    let gpus = options.places.gpus.as_ref();
    Config {
        program: concat!("host ", env!("CARGO_PKG_VERSION")).into(),
        data: options.data.clone(),
        val: options.val.clone(),
        gpus: gpus.map_or_else(places, |list| list.split(',').map(str::to_owned).collect()),
        width: progress.width,
        classes,
        seed: progress.seed,
        augment: progress.augment,
        order: progress.order,
        steps: options.steps,
        init_from: options.init_from.clone(),
        net: spec.to_table(),
    }
}

fn schedule(train: &Train) -> Schedule {
    Schedule {
        rule: train.schedule.clone(),
        divide: train.divide,
        times: train.times,
        patience: train.patience,
        min_delta: train.min_delta,
    }
}
