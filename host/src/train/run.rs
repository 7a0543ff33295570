//! A training run, from its options to its last checkpoint.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use console::escaped;
use dataset_pack::Dataset;

use super::best::Validations;
use super::checkpoint::{Checkpoint, Folder, Owed, Progress};
use super::lock::RunLock;
use super::progress;
use super::settings::Settings;
use super::setup::{self, Sets};
use super::stop::Stop;
use crate::data::loader::{Loader, Prepared};
use crate::data::sampler::Sampler;
use crate::data::views::{Colours, Views};
use crate::evaluate::{self, Score, errors};
use crate::metrics::{self, Line, Metrics, Running};
use crate::net::spec::Train;
use crate::net::{ImageScores, Network, Sgd};
use crate::picture::{curves, filters};
use crate::schedule::Schedule;
use crate::state;

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Report {
    /// Steps done, of this run and those it went on from.
    pub step: u64,
    /// The mean loss of the last steps, if there was anything left to do.
    pub loss: Option<f64>,
    /// The last validation.
    pub validation: Option<Score>,
    /// The step whose checkpoint has the lowest top-1 error on the validation set, and that error.
    pub best: Option<(u64, f64)>,
    /// Whether a signal ended it early.
    pub stopped: bool,
}

/// Trains as `host train` was told to.
pub fn train(options: &Settings) -> Result<Report> {
    // First of all: another program may be about to change what is there.
    let lock = setup::lock(&options.out)?;
    let sets = Sets::open(options)?;
    let resumed = setup::resumed(options, &sets)?;
    let mut run = Run::new(options, sets, resumed, lock)?;
    run.go()
}

struct Run<'a> {
    options: &'a Settings,
    train: Train,
    schedule: Schedule,
    data: Arc<Dataset>,
    validation: Option<Dataset>,
    network: Network,
    mean: Vec<f32>,
    folder: Folder,
    progress: Progress,
    metrics: Metrics,
    validations: Validations,
    last_step: u64,
    /// What the last checkpoint stands for.
    last_saved: Option<(u64, Option<Owed>)>,
    ahead: Option<Result<Prepared>>,
    stop: Stop,
    _lock: RunLock,
}

impl<'a> Run<'a> {
    fn new(
        options: &'a Settings,
        sets: Sets,
        resumed: Option<Checkpoint>,
        lock: Option<RunLock>,
    ) -> Result<Self> {
        let (spec, progress) = setup::progress(options, &sets, resumed.as_ref())?;
        let Sets { data, validation } = sets;
        let net = spec.resolve(progress.kept.width, data.classes().len())?;
        let devices = options.places.open(net.towers.len())?;
        let network = Network::new(&net, &devices, spec.train.batch, progress.kept.seed)?;
        for data in [Some(&*data), validation.as_ref()].into_iter().flatten() {
            evaluate::check_data(&network, data)
                .with_context(|| escaped(data.folder()).to_string())?;
        }
        let mean = match &resumed {
            Some(checkpoint) => state::restore(&network, &checkpoint.tensors, true)?,
            None => setup::begin(options, &network, &data)?,
        };
        let steps_of_epochs = (spec.train.epochs * data.len()).div_ceil(spec.train.batch) as u64;
        let folder = Folder::create(&options.out)?;
        let lock = lock.map_or_else(|| setup::lock_new(&options.out), Ok)?;
        let config = setup::config(options, &spec, &progress, &devices)?;
        config.write(&options.out.join("config.toml"))?;
        let (metrics, validations) = open_metrics(options, resumed.as_ref())?;
        for device in &devices {
            console::note!("{}", device.describe());
        }
        Ok(Run {
            options,
            schedule: setup::schedule(&spec.train),
            last_step: options.steps.unwrap_or(steps_of_epochs),
            last_saved: resumed.map(|_| (progress.step, progress.owed)),
            train: spec.train,
            data,
            validation,
            network,
            mean,
            folder,
            progress,
            metrics,
            validations,
            ahead: None,
            stop: Stop::listen()?,
            _lock: lock,
        })
    }

    fn go(&mut self) -> Result<Report> {
        let mut shown = progress::Progress::new(self.progress.step, self.last_step, "steps");
        let mut loss = Running::new(20);
        let mut report = Report {
            step: self.progress.step,
            loss: None,
            validation: None,
            best: None,
            stopped: false,
        };
        self.settle(&shown, &mut report)?;
        let loader = self.loader()?;
        while !self.is_done() && !self.stop.asked() {
            let before = self.progress.place.epoch_of(self.data.len());
            let line = self.step(&loader)?;
            let mean = loss.add(line.loss);
            report.loss = Some(mean);
            let message = format!(
                "loss {mean:.3}, top-1 error {:.0} %, {:.1} images/s",
                100.0 * line.top1_error,
                line.images_per_second
            );
            shown.set(self.progress.step, message);
            let epoch_ends = self.progress.place.epoch_of(self.data.len()) > before;
            self.finish_step(epoch_ends, &shown, &mut report)?;
        }
        drop(shown);
        report.step = self.progress.step;
        report.stopped = !self.is_done() || self.progress.owed.is_some();
        report.best = self.validations.best(&self.folder.steps()?);
        self.pictures()?;
        Ok(report)
    }

    fn is_done(&self) -> bool {
        self.progress.step >= self.last_step
    }

    /// What comes before the first step: the validation that the run was stopped in, a word on what to expect.
    fn settle(&mut self, shown: &progress::Progress, report: &mut Report) -> Result<()> {
        let done = self.is_done();
        if self.validation.is_none() || self.progress.owed == Some(Owed::Last) && !done {
            self.progress.owed = None;
        }
        if self.progress.owed.is_some() {
            self.validate(shown, report)?;
            return self.save();
        }
        if done {
            let (step, last) = (self.progress.step, self.last_step);
            shown.say(&format!(
                "{step} steps are done already, and the run ends at {last}: more with --steps or --epochs"
            ));
        } else {
            setup::warn_of_constant_rate(&self.train, self.validation.as_ref());
        }
        Ok(())
    }

    fn loader(&self) -> Result<Loader> {
        let colours = self
            .data
            .principal_components()
            .map_or(Colours::default(), |p| {
                Colours::new(p.eigenvalues, p.eigenvectors)
            });
        let (input, seed) = (self.network.net().input, self.progress.kept.seed);
        let views = Views::new(&input, seed, self.progress.kept.augment, colours);
        let sampler = Sampler::new(self.progress.kept.order, seed, self.data.len() as u32);
        let place = self.progress.place;
        Loader::start(self.data.clone(), sampler, views, place, self.train.batch)
    }

    /// Validates and saves, as far as that is due after a step.
    fn finish_step(
        &mut self,
        epoch_ends: bool,
        shown: &progress::Progress,
        report: &mut Report,
    ) -> Result<()> {
        let is_multiple_of = |every| self.progress.step.is_multiple_of(every);
        let (last, due) = (
            self.is_done(),
            self.options
                .validate_every
                .map_or(epoch_ends, is_multiple_of),
        );
        let save = last || self.options.checkpoint_every.map_or(due, is_multiple_of);
        self.progress.owed = match &self.validation {
            Some(_) if due => Some(Owed::Due),
            Some(_) if last => Some(Owed::Last),
            _ => None,
        };
        // Before the validation, which may take longer than there is time after a signal.
        if save || self.stop.asked() {
            self.save()?;
        }
        self.validate(shown, report)?;
        if save || self.stop.asked() {
            self.save()?;
        }
        Ok(())
    }

    /// One step: a batch forward, back, and down the gradient.
    fn step(&mut self, loader: &Loader) -> Result<Line> {
        let begun = Instant::now();
        let prepared = match self.ahead.take() {
            Some(prepared) => prepared?,
            None => loader.next()?,
        };
        let rate = self.rate();
        let rates = Sgd {
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
                    .map_or("none".to_owned(), |(step, _)| step.to_string())
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

    fn line(&self, outcome: &ImageScores, lr: f64, begun: Instant) -> Line {
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
            top1_error: errors(&outcome.rank, 1.0) / images,
            top5_error: errors(&outcome.rank, 5.0) / images,
            lr,
            images_per_second: images / begun.elapsed().as_secs_f64(),
            validation: false,
        }
    }

    /// Does the validation that is owed; it stays owed if the run is to stop meanwhile.
    fn validate(&mut self, shown: &progress::Progress, report: &mut Report) -> Result<()> {
        let (Some(owed), Some(data)) = (self.progress.owed, &self.validation) else {
            return Ok(());
        };
        let (begun, lr) = (Instant::now(), self.rate());
        let stop = || self.stop.asked();
        let Some(score) = evaluate::validate(&mut self.network, data, stop)? else {
            return Ok(());
        };
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
        self.progress.owed = None;
        self.validations.add(self.progress.step, score.top1_error);
        report.validation = Some(score);
        let state = &mut self.progress.schedule;
        if owed == Owed::Due && self.schedule.validated(state, score.top1_error) {
            shown.say(&format!(
                "the validation error no longer improves: learning rate {}",
                self.rate()
            ));
        }
        Ok(())
    }

    fn save(&mut self) -> Result<()> {
        let now = Some((self.progress.step, self.progress.owed));
        if self.last_saved == now {
            return Ok(());
        }
        let state = state::State::of(&self.network, &self.mean);
        self.folder.save(&self.progress, &state.infos(), |info| {
            Ok(bytemuck::cast_slice(&state.fetch(info)?).to_vec().into())
        })?;
        self.last_saved = now;
        self.remove_superfluous()
    }

    /// Leaves the checkpoints that `--keep` asks for.
    fn remove_superfluous(&self) -> Result<()> {
        let Some(keep) = self.options.keep else {
            return Ok(());
        };
        let steps = self.folder.steps()?;
        for step in self.validations.superfluous(&steps, keep) {
            // One more than wanted is no reason to end.
            if let Err(error) = self.folder.remove(step) {
                console::note!("warning: {error:#}");
            }
        }
        Ok(())
    }

    /// The curves, and the filters where there are some to show.
    fn pictures(&self) -> Result<()> {
        let out = &self.options.out;
        let lines = metrics::read(&out.join("metrics.jsonl"))?;
        if !lines.is_empty() {
            let title = format!(
                "{}, width {}",
                self.network.net().name,
                self.progress.kept.width
            );
            curves::write(&out.join("curves.png"), &title, &lines)?;
        }
        let checkpoint = Checkpoint::open(out)?;
        let net = checkpoint.network()?;
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

/// The run's metrics, without what came after the checkpoint, and the validations in them.
fn open_metrics(
    options: &Settings,
    resumed: Option<&Checkpoint>,
) -> Result<(Metrics, Validations)> {
    let path = options.out.join("metrics.jsonl");
    let Some(Progress { step, owed, .. }) = resumed.map(|checkpoint| &checkpoint.progress) else {
        return Ok((Metrics::create(&path)?, Validations::default()));
    };
    let before = |line: &Line| {
        line.step < *step || line.step == *step && !(line.validation && owed.is_some())
    };
    let metrics = Metrics::resume(&path, before)?;
    Ok((metrics, Validations::of(&metrics::read(&path)?)))
}
