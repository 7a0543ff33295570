//! A training run, from its options to its last checkpoint.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use console::escaped;

use super::alike;
use super::best::Validations;
use super::events::{Event, Observers};
use super::flat_start::FlatStart;
use super::lock::RunLock;
use super::report::{RanksReport, Report};
use super::settings::Settings;
use super::setup::{self, Sets, Written};
use super::stop::Stop;
use crate::data::loader::{Loader, Prepared};
use crate::data::sampler::Sampler;
use crate::data::views::{Colours, Views};
use crate::evaluate;
use crate::formats::checkpoint::{Checkpoint, Folder};
use crate::formats::state::{self, StateDict};
use crate::formats::training::{Owed, TrainingState};
use crate::metrics::Score;
use crate::metrics::log::{Line, Running};
use crate::net::collective::Collective;
use crate::net::norms::norms;
use crate::net::rates::Rates;
use crate::net::shares::Shares;
use crate::net::spec::{Spec, Train};
use crate::net::{ImageScores, Network, Sgd};
use crate::ranks::Ranks;
use crate::schedule::{Position, Rule, Schedule};

/// The steps that the shown loss is the mean of.
const RECENT: usize = 20;

/// Trains as `host train` was told to, together with the other ranks. The first of them writes the run directory.
pub fn train(options: &Settings, ranks: &Ranks) -> Result<Report> {
    let begin = ranks.agree(Begin::new(options, ranks))?;
    alike::check(ranks, options, &begin.training)?;
    let run = ranks.agree(Run::new(options, ranks, begin))?;
    alike::check_weights(ranks, &run.state())?;
    run.go()
}

/// What there is before anything is written.
struct Begin {
    lock: Option<RunLock>,
    sets: Sets,
    resumed: Option<Checkpoint>,
    spec: Spec,
    training: TrainingState,
}

impl Begin {
    fn new(options: &Settings, ranks: &Ranks) -> Result<Self> {
        // First of all: another program may be about to change what is there.
        let lock = match ranks.is_first() {
            true => setup::lock(&options.out)?,
            false => None,
        };
        let sets = Sets::open(options)?;
        let resumed = setup::resumed(options, &sets)?;
        let (spec, training) = setup::training(options, &sets, resumed.as_ref())?;
        Ok(Begin {
            lock,
            sets,
            resumed,
            spec,
            training,
        })
    }
}

struct Run<'a> {
    options: &'a Settings,
    ranks: &'a Ranks,
    train: Train,
    schedule: Schedule,
    sets: Sets,
    shares: Shares,
    network: Network,
    /// What the ranks take steps with together; nothing, where there is one.
    collective: Option<Collective<'a>>,
    mean: Vec<f32>,
    /// Of the rank that writes.
    folder: Option<Folder>,
    training: TrainingState,
    validations: Validations,
    last_step: u64,
    /// What the last checkpoint stands for.
    last_saved: Option<(u64, Option<Owed>)>,
    /// The learning rate of the last step.
    last_rate: Option<f64>,
    ahead: Option<Result<Prepared>>,
    recent: Running,
    flat_start: FlatStart,
    report: Report,
    observers: Observers,
    stop: Stop,
    _lock: Option<RunLock>,
}

impl<'a> Run<'a> {
    fn new(options: &'a Settings, ranks: &'a Ranks, begin: Begin) -> Result<Self> {
        let Begin {
            lock,
            sets,
            resumed,
            spec,
            training,
        } = begin;
        let net = spec.resolve(training.kept.width, training.classes.len())?;
        let devices = options.places.open(net.towers.len())?;
        let (batch, seed) = (spec.train.batch, training.kept.seed);
        let shares = Shares::new(training.kept.shares, batch, [ranks.rank(), ranks.size()])?;
        let images = shares.images(batch);
        let network = Network::in_shares(&net, &devices, images, seed, shares.clone())?;
        for data in sets.all() {
            evaluate::check_data(network.net(), data)
                .with_context(|| escaped(data.folder()).to_string())?;
        }
        let mean = match &resumed {
            Some(checkpoint) => state::restore(&network, &checkpoint.tensors, true)?,
            None => setup::begin(options, &network, &sets.train)?,
        };
        let steps_of_epochs = (spec.train.epochs * sets.train.len()).div_ceil(spec.train.batch);
        let last_step = options.steps.unwrap_or(steps_of_epochs as u64);
        let flat_start = FlatStart::new(&net, &sets.train);
        let written = match ranks.is_first() {
            true => {
                let config = setup::config(options, &spec, &training, &devices)?;
                Written::begin(options, &config, resumed.as_ref(), lock)?
            }
            false => Written::default(),
        };
        let Written {
            folder,
            validations,
            mut observers,
            lock,
        } = written;
        let devices: Vec<String> = devices.iter().map(|device| device.describe()).collect();
        observers.tell(Event::Begin {
            devices: &devices,
            step: training.step,
            last_step,
        })?;
        for change in training.changed_at(training.step) {
            observers.tell(Event::Notice(&change.to_string()))?;
        }
        Ok(Run {
            options,
            ranks,
            schedule: setup::schedule(&spec.train, sets.train.len()),
            last_step,
            last_saved: resumed.map(|_| (training.step, training.owed)),
            last_rate: None,
            train: spec.train,
            sets,
            shares,
            collective: network.collective(ranks)?,
            network,
            mean,
            folder,
            report: Report::of(&options.out, training.step),
            training,
            validations,
            ahead: None,
            recent: Running::new(RECENT),
            flat_start,
            observers,
            stop: Stop::listen()?,
            _lock: lock,
        })
    }

    fn go(mut self) -> Result<Report> {
        let done_before = self.training.step;
        self.settle()?;
        let loader = self.loader()?;
        while !self.is_done() && !self.asked_to_stop() {
            let before = self.epoch();
            self.step(&loader)?;
            self.finish_step(self.epoch() > before)?;
        }
        self.report.step = self.training.step;
        self.report.stopped = !self.is_done() || self.training.owed.is_some();
        if let Some(folder) = &self.folder {
            self.report.best = self.validations.best(&folder.steps()?);
        }
        self.report.ranks = self.ranks_report(done_before);
        self.observers.tell(Event::End(&self.report))?;
        Ok(self.report)
    }

    /// Whether a signal has asked any rank to end; so all end behind the same step.
    fn asked_to_stop(&self) -> bool {
        self.ranks.any(self.stop.asked())
    }

    fn ranks_report(&self, done_before: u64) -> Option<RanksReport> {
        let steps = (self.training.step - done_before).max(1);
        (!self.ranks.is_alone()).then(|| RanksReport {
            ranks: self.ranks.size(),
            bytes_sent_a_step: self.ranks.sent() / steps,
        })
    }

    fn is_done(&self) -> bool {
        self.training.step >= self.last_step
    }

    fn epoch(&self) -> u32 {
        self.training.cursor.epoch_of(self.sets.train.len())
    }

    fn rate(&self) -> f64 {
        self.rate_by(&self.schedule.rule)
    }

    /// The learning rate if it fell by this rule.
    fn rate_by(&self, rule: &Rule) -> f64 {
        let at = Position {
            step: self.training.step,
            last_step: self.last_step,
            epoch: self.epoch(),
        };
        let state = &self.training.schedule;
        self.train.lr * self.schedule.multiplier(rule, state, at)
    }

    /// What comes before the first step: the validation that the run was stopped in, a word on what to expect.
    fn settle(&mut self) -> Result<()> {
        let done = self.is_done();
        if self.sets.validation.is_none() || self.training.owed == Some(Owed::Last) && !done {
            self.training.owed = None;
        }
        if self.training.owed.is_some() {
            self.validate()?;
            return self.save();
        }
        let notice = match done {
            true => Some(format!(
                "{} steps are done already, and the run ends at {}: more with --steps or --epochs",
                self.training.step, self.last_step
            )),
            false => setup::constant_rate(&self.train, &self.sets),
        };
        notice.map_or(Ok(()), |text| self.observers.tell(Event::Notice(&text)))
    }

    fn loader(&self) -> Result<Loader> {
        let (data, kept) = (&self.sets.train, &self.training.kept);
        let colours = Colours::of(data);
        let views = Views::new(&self.network.net().input, kept.seed, kept.augment, colours)
            .with_colour_epochs(self.train.colour_epochs, data.len());
        let sampler = Sampler::new(kept.order, kept.seed, data.len() as u32);
        let cursor = self.training.cursor;
        let (batch, shares) = (self.train.batch, &self.shares);
        Loader::start(data.clone(), sampler, views, cursor, batch, shares)
    }

    /// Validates and saves, as far as that is due after a step.
    fn finish_step(&mut self, epoch_ends: bool) -> Result<()> {
        let is_multiple_of = |every| self.training.step.is_multiple_of(every);
        let last = self.is_done();
        let validate_every = self.options.validate_every;
        let due = validate_every.map_or(epoch_ends, is_multiple_of);
        let checkpoint_every = self.options.checkpoint_every;
        let save = last || checkpoint_every.map_or(due, is_multiple_of);
        self.training.owed = match &self.sets.validation {
            Some(_) if due => Some(Owed::Due),
            Some(_) if last => Some(Owed::Last),
            _ => None,
        };
        // Before the validation, which may take longer than there is time after a signal.
        if self.asked_to_stop() || save {
            self.save()?;
        }
        self.validate()?;
        if self.asked_to_stop() || save {
            self.save()?;
        }
        Ok(())
    }

    /// One step: a batch forward, back, and down the gradient.
    fn step(&mut self, loader: &Loader) -> Result<()> {
        let begun = Instant::now();
        let rate = self.tell_rate(false)?;
        let (net, sgd) = (self.network.net(), Sgd::new(&self.train, rate));
        let rates = Rates::new(net, sgd, self.epoch(), |rule| self.rate_by(rule));
        let scores = self.pass_shares(loader, &rates)?;
        let score = Score::of(&scores.loss, &scores.rank);
        let mut line = self.line(score, rate, begun);
        self.ranks.agree(self.check_loss(line.loss))?;
        let norms_every = self.options.norms_every;
        if norms_every.is_some_and(|every| self.training.step.is_multiple_of(every)) {
            line.layers = norms(&self.network, self.ranks)?;
            let learn = rates.names(self.network.net());
            line.layers
                .retain(|layer, _| learn.contains(&layer.as_str()));
        }
        for change in self.training.changed_at(line.step - 1) {
            let now = serde_json::to_value(&change.now)?;
            line.changes.insert(change.key.clone(), now);
        }
        let mean_loss = self.recent.add(line.loss);
        self.report.loss = Some(mean_loss);
        self.observers.tell(Event::Step {
            line: &line,
            mean_loss,
        })?;
        match self.flat_start.add(line.loss) {
            Some(text) => self.observers.tell(Event::Notice(&text)),
            None => Ok(()),
        }
    }

    /// The passes of all shares, and the step down the sum of their gradients; gives the scores of the batch.
    fn pass_shares(&mut self, loader: &Loader, rates: &Rates) -> Result<ImageScores> {
        let (step, count) = (self.training.step as u32, self.shares.own.len() as u32);
        let mut scores = ImageScores::default();
        for place in 0..count {
            let prepared = match self.ahead.take() {
                Some(prepared) => prepared?,
                None => loader.next()?,
            };
            self.network.load(&prepared.batch);
            let added = self.network.pass(step, place, rates);
            let is_last = place + 1 == count;
            if is_last {
                self.training.step += 1;
                self.training.cursor = prepared.cursor;
            }
            if !(is_last && self.is_done()) {
                self.upload_ahead(loader);
            }
            if is_last {
                match &mut self.collective {
                    Some(collective) => self.network.step(collective, &added, rates)?,
                    None => self.network.update(rates),
                }
            }
            scores.add(self.network.scores()?);
        }
        Ok(scores.of_all(self.ranks))
    }

    /// The next batch goes to the devices while they work on this one.
    fn upload_ahead(&mut self, loader: &Loader) {
        let next = loader.next();
        if let Ok(prepared) = &next {
            self.network.upload(&prepared.batch);
        }
        self.ahead = Some(next);
    }

    /// The learning rate; the observers are told if it is a new one that stays for a while.
    fn tell_rate(&mut self, plateau: bool) -> Result<f64> {
        let rate = self.rate();
        let last = self.last_rate.replace(rate);
        if last.is_some_and(|last| last != rate) && self.schedule.has_steps(self.training.step) {
            self.observers.tell(Event::Rate { rate, plateau })?;
        }
        Ok(rate)
    }

    fn check_loss(&self, loss: f64) -> Result<()> {
        if loss.is_finite() {
            return Ok(());
        }
        let saved = self.last_saved.map(|(step, _)| step.to_string());
        bail!(
            "{}: the loss became {loss} at step {}; the last checkpoint is of step {}; a lower --lr may help",
            escaped(&self.options.out),
            self.training.step,
            saved.unwrap_or("none".into())
        );
    }

    fn line(&self, score: Score, lr: f64, begun: Instant) -> Line {
        Line {
            step: self.training.step,
            epoch: self.training.cursor.epochs(self.sets.train.len()),
            loss: score.loss,
            top1_error: score.top1_error,
            top5_error: score.top5_error,
            lr,
            images_per_second: score.images as f64 / begun.elapsed().as_secs_f64(),
            validation: false,
            layers: BTreeMap::new(),
            changes: BTreeMap::new(),
        }
    }

    /// Does the validation that is owed; it stays owed if the run is to stop meanwhile.
    fn validate(&mut self) -> Result<()> {
        let (Some(owed), Some(data)) = (self.training.owed, &self.sets.validation) else {
            return Ok(());
        };
        let begun = Instant::now();
        let stop = || self.stop.asked();
        let Some(score) = evaluate::validate(&mut self.network, data, stop, self.ranks)? else {
            return Ok(());
        };
        let line = Line {
            validation: true,
            ..self.line(score, self.rate(), begun)
        };
        self.observers.tell(Event::Validation(&line))?;
        self.training.owed = None;
        self.validations.add(self.training.step, score.top1_error);
        self.report.validation = Some(score);
        let state = &mut self.training.schedule;
        if owed == Owed::Due && self.schedule.validated(state, score.top1_error) {
            self.tell_rate(self.schedule.rule == Rule::Plateau)?;
        }
        Ok(())
    }

    fn save(&mut self) -> Result<()> {
        let now = Some((self.training.step, self.training.owed));
        if self.last_saved == now {
            return Ok(());
        }
        self.last_saved = now;
        let state = self.state();
        let Some(folder) = &self.folder else {
            return state.give();
        };
        let fetch = |info: &_| Ok(bytemuck::cast_slice(&state.fetch(info)?).to_vec().into());
        let path = folder.save(&self.training, &state.infos(), fetch)?;
        self.observers.tell(Event::Checkpoint {
            step: self.training.step,
            path: &path,
        })?;
        self.remove_superfluous()
    }

    fn state(&self) -> StateDict<'_> {
        StateDict::of(&self.network, &self.mean, self.ranks)
    }

    /// Leaves the checkpoints that `--keep` asks for.
    fn remove_superfluous(&mut self) -> Result<()> {
        let (Some(keep), Some(folder)) = (self.options.keep, &self.folder) else {
            return Ok(());
        };
        let steps = folder.steps()?;
        for step in self.validations.superfluous(&steps, keep) {
            // One more than wanted is no reason to end.
            if let Err(error) = folder.remove(step) {
                let text = format!("warning: {error:#}");
                self.observers.tell(Event::Notice(&text))?;
            }
        }
        Ok(())
    }
}
