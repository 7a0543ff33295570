//! The network: as it is written down, as it is built, and as it runs.
//!
//! | module | what |
//! |---|---|
//! | [`choice`] | which one, as a command line names it |
//! | [`spec`] | the TOML file |
//! | [`shapes`] | every layer of every tower with its sizes |
//! | [`layer`] | what each kind of layer allocates and launches |
//! | [`context`] | what a layer is given to launch with |
//! | [`parameters`] | a layer's weights and biases |
//! | [`rates`] | what each of them learns by in a step |
//! | [`norms`] | how large weights and gradients are |
//! | `tower` | the layers of a tower and the memory between them |
//! | [`shares`] | how a batch is cut into equal shares, and which of them pass here |
//! | [`pieces`] | which part of a tensor is a rank's own |
//! | [`collective`] | the step down the sum of gradients over ranks |
//! | `exchange` | all-gather and reduce-scatter between the towers |
//! | `input` | a batch on its way to the first layer |
//! | `gradients` | from a gradient to what it gives to the gradient to the images |
//! | `cases` | every kernel on the shapes of every layer |
//! | `memory_plan` | which batch fits into a GPU's memory |

mod cases;
pub mod choice;
pub mod collective;
pub mod context;
mod exchange;
mod gradients;
#[cfg(test)]
mod in_ptx;
mod input;
pub mod layer;
mod memory_plan;
pub mod norms;
pub mod parameters;
pub mod pieces;
pub mod rates;
pub mod shapes;
pub mod shares;
pub mod spec;
mod tower;

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, ensure};
use gpu_kernels::augment::View;
use gpu_kernels::launch::{self, Target};

use crate::device::{Buffer, Device, Event, OutOfMemory, Stream};
pub use cases::cases;
use context::{Context, Mode, Share};
use input::Input;
pub use layer::softmax::ImageScores;
pub use parameters::{Parameters, Sgd};
use rates::{Rates, by_layer};
use shapes::Net;
use shares::Shares;
use spec::Course;
use tower::Size;
pub use tower::Tower;

/// Images of a batch come in multiples of this, as the kernels want them.
pub const IMAGES: usize = 32;

/// A network on its devices, ready for batches of a fixed number of images.
pub struct Network {
    net: Net,
    batch: usize,
    seed: [u32; 2],
    shares: Shares,
    valid: usize,
    /// Whether the pass back goes on to the images.
    image_gradient: bool,
    towers: Vec<Tower>,
    inputs: Vec<Input>,
}

/// What of batches passes, and how far back.
struct Passes {
    shares: Shares,
    image_gradient: bool,
}

impl Default for Passes {
    fn default() -> Self {
        Passes {
            shares: Shares::WHOLE,
            image_gradient: false,
        }
    }
}

/// When the gradients of a layer have been added over the shares that have passed.
pub struct Added {
    layer: usize,
    in_tower: Vec<Event>,
}

/// A batch of images on the host.
pub struct Batch {
    /// `[image][row][column][colour]`.
    pub pixels: Arc<[u8]>,
    /// Rows and columns of each: of an image as it is stored, or of what the view takes of it.
    pub side: usize,
    /// What the network is to see of each.
    pub views: Vec<View>,
    /// Their classes.
    pub labels: Vec<u32>,
    /// How many of them count; the rest fills the batch up.
    pub valid: usize,
}

impl Network {
    /// Places the towers of `net` on `devices`, one each, for batches of `batch` images.
    pub fn new(net: &Net, devices: &[Arc<dyn Device>], batch: usize, seed: u64) -> Result<Self> {
        Self::build(net, devices, batch, seed, Passes::default())
    }

    /// Likewise, a network whose pass back gives [`Network::image_gradients`] as well.
    pub fn with_image_gradients(
        net: &Net,
        devices: &[Arc<dyn Device>],
        batch: usize,
        seed: u64,
    ) -> Result<Self> {
        let passes = Passes {
            image_gradient: true,
            ..Passes::default()
        };
        Self::build(net, devices, batch, seed, passes)
    }

    /// Likewise, for batches that pass in `shares` of `batch` images each.
    pub fn in_shares(
        net: &Net,
        devices: &[Arc<dyn Device>],
        batch: usize,
        seed: u64,
        shares: Shares,
    ) -> Result<Self> {
        let passes = Passes {
            shares,
            ..Passes::default()
        };
        Self::build(net, devices, batch, seed, passes)
    }

    fn build(
        net: &Net,
        devices: &[Arc<dyn Device>],
        batch: usize,
        seed: u64,
        passes: Passes,
    ) -> Result<Self> {
        ensure!(
            batch > 0 && batch.is_multiple_of(IMAGES),
            "batch {batch}: the kernels need a multiple of {IMAGES} images"
        );
        let place = |devices: &[_], batch| Self::place(net, devices, batch, seed, &passes);
        match place(devices, batch) {
            Err(error) if error.is::<OutOfMemory>() => Err(memory_plan::explain(
                error,
                devices,
                batch,
                passes.shares.of,
                place,
            )),
            result => result,
        }
    }

    fn place(
        net: &Net,
        devices: &[Arc<dyn Device>],
        batch: usize,
        seed: u64,
        passes: &Passes,
    ) -> Result<Self> {
        let size = Size {
            batch,
            shares: &passes.shares,
            image_gradient: passes.image_gradient,
        };
        let towers = devices.iter().enumerate();
        let towers = towers.map(|(i, device)| Tower::new(net, i, device, size));
        let is_first = |(i, device): &(usize, &Arc<dyn Device>)| first(devices, device) == *i;
        let inputs = devices.iter().enumerate().filter(is_first);
        let inputs = inputs.map(|(_, device)| Input::new(net, device, batch));
        Ok(Network {
            net: net.clone(),
            batch,
            seed: [seed as u32, (seed >> 32) as u32],
            shares: passes.shares.clone(),
            valid: batch,
            image_gradient: passes.image_gradient,
            towers: towers.collect::<Result<_>>()?,
            inputs: inputs.collect::<Result<_>>()?,
        })
    }

    /// Its shapes.
    pub fn net(&self) -> &Net {
        &self.net
    }

    /// Images that pass at a time: of a batch, or of a share of one.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// The kind of its devices.
    pub fn target(&self) -> Target {
        self.towers[0].device.target()
    }

    /// Gives every weight its initial value.
    pub fn initialise(&self) {
        for tower in &self.towers {
            let context = self.context(tower, Mode::Test);
            tower
                .parameters()
                .for_each(|weights| weights.initialise(&context));
        }
    }

    /// Sets the mean image, `[row][column][colour]`, that is taken off every image.
    pub fn set_mean(&self, mean: &[f32]) {
        self.inputs.iter().for_each(|input| input.set_mean(mean));
    }

    /// Queues input as it is, `[colour][row][column][image]`, in place of [`Network::load`].
    pub fn load_floats(&mut self, image: &[f32], labels: &[u32]) {
        self.valid = self.batch;
        for tower in &self.towers {
            stream(tower).upload(image, &tower.image);
            stream(tower).upload(labels, &tower.labels);
        }
    }

    /// Queues the pass from the image to the loss.
    pub fn forward(&self, mode: Mode) {
        for i in 0..self.steps() {
            self.forward_layer(i, mode);
        }
    }

    /// Queues the pass from the image to a layer's output.
    pub fn forward_to(&self, layer: usize, mode: Mode) {
        for i in 0..=layer {
            self.forward_layer(i, mode);
        }
    }

    /// Numbers that a layer gives of an image, all towers together: a row of [`Network::values`].
    pub fn width(&self, layer: usize) -> usize {
        let towers = self.net.towers.iter();
        towers.map(|tower| tower[layer].output.len()).sum()
    }

    fn forward_layer(&self, i: usize, mode: Mode) {
        self.all_gather(i);
        for tower in &self.towers {
            tower.forward(i, &self.context(tower, mode));
        }
    }

    /// Queues the pass back, from the loss to the gradient of all that ever learns.
    pub fn backward(&self, mode: Mode) {
        self.backward_between(self.steps(), &self.ever_wanted(), mode, |_| ());
    }

    /// Queues the pass back, from the gradient to what the last layer before layer `end` gave to the wanted gradients of
    /// each layer's weights and biases, and no further. Tells `then` of each layer when those are queued.
    fn backward_between(
        &self,
        end: usize,
        wanted: &[[bool; 2]],
        mode: Mode,
        mut then: impl FnMut(usize),
    ) {
        let first = wanted.iter().position(|layer| layer.contains(&true));
        let first = first.unwrap_or(self.steps());
        let lowest = match self.image_gradient {
            true => 0,
            false => first + 1,
        };
        for i in (lowest..end).rev() {
            self.input_gradients(i, mode);
            // What the towers fetch from each other arrives meanwhile.
            let fetched = self.begin_reduce_scatter(i);
            self.weight_gradients(i, mode, wanted[i]);
            then(i);
            self.finish_reduce_scatter(i, &fetched);
        }
        // Nobody below wants a gradient.
        if first < lowest.min(end) {
            self.weight_gradients(first, mode, wanted[first]);
            then(first);
        }
    }

    /// The gradients that are wanted in some epoch.
    fn ever_wanted(&self) -> Vec<[bool; 2]> {
        let learns = |course: &Course| course.learns().then_some(());
        let all = by_layer(&self.net, learns).into_iter();
        all.map(|layer| layer.map(|learns| learns.is_some()))
            .collect()
    }

    fn input_gradients(&self, i: usize, mode: Mode) {
        for tower in &self.towers {
            tower.input_gradient(i, &self.context(tower, mode));
        }
    }

    fn weight_gradients(&self, i: usize, mode: Mode, wanted: [bool; 2]) {
        for tower in &self.towers {
            tower.weight_gradient(i, &self.context(tower, mode), wanted);
        }
    }

    fn context<'a>(&self, tower: &'a Tower, mode: Mode) -> Context<'a> {
        tower.context(mode, self.seed, self.valid)
    }

    /// Seconds that each layer takes for its output, the gradient to its input
    /// and those to its weights, with what the towers exchange; the mean of
    /// `repeat` times behind one another.
    pub fn time_layers(&self, mode: Mode, repeat: u32) -> Result<Vec<(String, [f64; 3])>> {
        let time = |work: &dyn Fn()| -> Result<f64> {
            self.synchronize()?;
            let begun = Instant::now();
            (0..repeat).for_each(|_| work());
            self.synchronize()?;
            Ok(begun.elapsed().as_secs_f64() / f64::from(repeat))
        };
        let steps = &self.towers[0].steps;
        let forward = |i| time(&|| self.forward_layer(i, mode));
        let forward = (0..steps.len()).map(forward).collect::<Result<Vec<_>>>()?;
        let wanted = self.ever_wanted();
        let mut times = Vec::new();
        for (i, step) in steps.iter().enumerate().rev() {
            let input = time(&|| {
                self.input_gradients(i, mode);
                let fetched = self.begin_reduce_scatter(i);
                self.finish_reduce_scatter(i, &fetched);
            })?;
            let weights = time(&|| self.weight_gradients(i, mode, wanted[i]))?;
            times.push((step.name.clone(), [forward[i], input, weights]));
        }
        times.reverse();
        Ok(times)
    }

    /// Queues one step of training on the batch that was loaded, as in the first epoch at a rate that does not fall.
    pub fn train(&self, step: u32, sgd: Sgd) {
        self.train_by(step, &Rates::new(&self.net, sgd, 0, |_| sgd.rate));
    }

    /// Queues one step of training on the batch that was loaded.
    pub fn train_by(&self, step: u32, rates: &Rates) {
        self.pass(step, 0, rates);
        self.update(rates);
    }

    /// Queues the passes of a share that was loaded, forward and back, and adds its gradients to those of the shares of
    /// this step that have passed here; `place` is how many have. Says, where other ranks wait for it, when each layer's
    /// are added.
    pub fn pass(&self, step: u32, place: u32, rates: &Rates) -> Vec<Added> {
        let shares = &self.shares;
        let share = Share {
            number: shares.own.start + place,
            of: shares.of,
        };
        let mode = Mode::Train { step, share };
        let wanted = Vec::from_iter((0..self.steps()).map(|i| rates.wanted(i)));
        let awaited = shares.rank()[1] > 1 && place + 1 == shares.own.len() as u32;
        let place = [place, shares.own.len() as u32];
        let mut added = Vec::new();
        self.forward(mode);
        self.backward_between(self.steps(), &wanted, mode, |layer| {
            for tower in &self.towers {
                tower.add_share(layer, &self.context(tower, mode), place, wanted[layer]);
            }
            if awaited && wanted[layer].contains(&true) {
                let in_tower = self.towers.iter().map(|tower| tower.stream.record());
                added.push(Added {
                    layer,
                    in_tower: in_tower.collect(),
                });
            }
        });
        added
    }

    /// Queues a step down the gradients that the last passes back gave, on one rank; on many
    /// [`Network::step`](collective) takes it.
    pub fn update(&self, rates: &Rates) {
        for tower in &self.towers {
            tower.update(&self.context(tower, Mode::Test), rates);
        }
    }

    /// Waits for the batch and says what became of the images that count.
    pub fn scores(&self) -> Result<ImageScores> {
        let tower = &self.towers[0];
        let context = self.context(tower, Mode::Test);
        let mut scores = tower.loss()?.scores(&context)?;
        for other in &self.towers[1..] {
            other.stream.synchronize()?;
        }
        scores.loss.truncate(self.valid);
        scores.rank.truncate(self.valid);
        Ok(scores)
    }

    /// Waits for the probabilities, `[image][class]`, of the images that count.
    pub fn probabilities(&self) -> Result<Vec<f32>> {
        let tower = &self.towers[0];
        self.by_image(tower, tower.loss()?.probabilities(), self.net.classes)
    }

    /// Waits for what a layer gave, `[image][feature]`, all towers joined, of the
    /// images that count. Later layers must not have worked in place on it unless
    /// theirs is wanted.
    pub fn values(&self, layer: usize) -> Result<(Vec<f32>, usize)> {
        let widths: Vec<usize> = self
            .net
            .towers
            .iter()
            .map(|t| t[layer].output.len())
            .collect();
        let total = widths.iter().sum();
        let mut joined = vec![0.0; self.valid * total];
        let mut begin = 0;
        for (tower, width) in self.towers.iter().zip(widths) {
            let value = tower.steps[layer].y.value.slice(0..width * self.batch);
            let part = self.by_image(tower, &value, width)?;
            for (to, from) in joined.chunks_exact_mut(total).zip(part.chunks_exact(width)) {
                to[begin..begin + width].copy_from_slice(from);
            }
            begin += width;
        }
        Ok((joined, total))
    }

    /// `[row][image]` on the device to `[image][row]` on the host.
    fn by_image(&self, tower: &Tower, from: &Buffer<f32>, rows: usize) -> Result<Vec<f32>> {
        let stream = stream(tower);
        let transposed = Buffer::new(&tower.device, rows * self.batch)?;
        stream.launch(|on| {
            let (from, to) = (on.read(from), on.write(&transposed));
            launch::transpose([rows as u32, self.batch as u32], from, to, on.target())
        });
        stream.download(&transposed.slice(0..self.valid * rows))
    }

    /// The weights of every layer, each with its tower's number and a stream for its device.
    pub fn parameters(&self) -> impl Iterator<Item = (usize, &Parameters, &dyn Stream)> {
        self.towers.iter().flat_map(|tower| {
            tower
                .parameters()
                .map(move |weights| (tower.index, weights, &*tower.stream))
        })
    }

    /// Waits for all that is queued.
    pub fn synchronize(&self) -> Result<()> {
        self.towers
            .iter()
            .try_for_each(|tower| tower.stream.synchronize())
    }

    fn steps(&self) -> usize {
        self.towers[0].steps.len()
    }
}

/// Where a device stands first among the towers' devices.
fn first(devices: &[Arc<dyn Device>], device: &Arc<dyn Device>) -> usize {
    let at = devices.iter().position(|other| Arc::ptr_eq(other, device));
    at.unwrap_or(devices.len())
}

fn stream(tower: &Tower) -> &dyn Stream {
    &*tower.stream
}
