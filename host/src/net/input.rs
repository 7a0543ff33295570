//! A batch on its way to the first layer.

use std::sync::Arc;

use anyhow::Result;
use gpu_kernels::augment::View;
use gpu_kernels::launch;

use super::shapes::Net;
use super::{Batch, Network, Tower, stream};
use crate::device::{Buffer, Device, Event, Stream};

/// What a device holds of batches before the first layer of its towers.
pub(super) struct Input {
    device: Arc<dyn Device>,
    /// Copies from the host beside what is computed.
    uploads: Box<dyn Stream>,
    slots: [Pixels; 2],
    /// The slot that was used last.
    used: usize,
    /// When each tower has read the last batch.
    read: Vec<Event>,
    views: Buffer<View>,
    mean: Buffer<f32>,
}

/// Memory for the pixels of one batch; one is filled while the other is read.
struct Pixels {
    memory: Buffer<u8>,
    /// The batch whose pixels are there or on their way, until it is used.
    holds: Option<Arc<[u8]>>,
}

impl Input {
    pub fn new(net: &Net, device: &Arc<dyn Device>, batch: usize) -> Result<Self> {
        let pixels = net.input.size * net.input.size * 3;
        let slot = || -> Result<Pixels> {
            Ok(Pixels {
                memory: Buffer::new(device, batch * pixels)?,
                holds: None,
            })
        };
        Ok(Input {
            device: device.clone(),
            // SAFETY: the towers wait for what arrives, and it for what they read, as below.
            uploads: unsafe { device.clone().stream() }?,
            slots: [slot()?, slot()?],
            used: 1,
            read: Vec::new(),
            views: Buffer::new(device, batch)?,
            mean: Buffer::new(device, pixels)?,
        })
    }

    /// Sets the mean image for the batches to come.
    pub fn set_mean(&self, mean: &[f32]) {
        self.wait_for_readers();
        self.uploads.upload(mean, &self.mean);
    }

    /// What is uploaded from here on, here or ahead of the next batch, may overwrite what the last batch was read from.
    fn wait_for_readers(&self) {
        self.read.iter().for_each(|read| self.uploads.wait(read));
    }

    /// Begins to copy a batch's pixels, into the slot that is not reserved or was not used last. Its batch has been
    /// read: `uploads` has waited for it.
    fn upload(&mut self, pixels: &Arc<[u8]>) -> usize {
        let reserved = self.slots.iter().position(|slot| slot.holds.is_some());
        let at = 1 - reserved.unwrap_or(self.used);
        let slot = &mut self.slots[at];
        let memory = slot.memory.slice(0..pixels.len());
        self.uploads.upload_shared(pixels.clone(), &memory);
        slot.holds = Some(pixels.clone());
        at
    }

    /// The slot that a batch's pixels are in or on their way to.
    fn find(&self, pixels: &Arc<[u8]>) -> Option<usize> {
        let is_it = |slot: &Pixels| {
            let held = slot.holds.as_ref();
            held.is_some_and(|held| Arc::ptr_eq(held, pixels))
        };
        self.slots.iter().position(is_it)
    }

    /// Says where a batch's pixels are, and when all that belongs to it has arrived.
    fn arrive(&mut self, batch: &Batch) -> (Buffer<u8>, Event) {
        self.wait_for_readers();
        self.used = match self.find(&batch.pixels) {
            Some(at) => at,
            None => self.upload(&batch.pixels),
        };
        self.uploads.upload(&batch.views, &self.views);
        let slot = &mut self.slots[self.used];
        slot.holds = None;
        (
            slot.memory.slice(0..batch.pixels.len()),
            self.uploads.record(),
        )
    }
}

impl Network {
    /// Begins to copy a batch to the devices while they work; a later
    /// [`Network::load`] of it finds it there. One batch at a time.
    pub fn upload(&mut self, batch: &Batch) {
        for input in &mut self.inputs {
            if input.slots.iter().all(|slot| slot.holds.is_none()) {
                input.upload(&batch.pixels);
            }
        }
    }

    /// Queues the upload of a batch, unless it is there, and what the network sees of it.
    pub fn load(&mut self, batch: &Batch) {
        self.valid = batch.valid;
        let (spec, side) = (self.net.input, batch.side);
        assert_eq!(batch.pixels.len(), self.batch * side * side * 3);
        assert!(
            side == spec.size || side == spec.crop,
            "neither images nor views"
        );
        let [size, side, crop] = [spec.size, side, spec.crop].map(|n| n as u32);
        let inside = |view: &View| view.y.max(view.x) <= size - crop;
        assert!(batch.views.iter().all(inside), "a view leaves its image");
        for input in &mut self.inputs {
            let (pixels, arrived) = input.arrive(batch);
            let of_device = |tower: &&Tower| Arc::ptr_eq(&tower.device, &input.device);
            let see = |tower: &Tower| {
                let stream = stream(tower);
                stream.wait(&arrived);
                stream.upload(&batch.labels, &tower.labels);
                stream.launch(|on| {
                    let (pixels, mean) = (on.read(&pixels), on.read(&input.mean));
                    // SAFETY: the views lie inside their images, as was just checked.
                    let views = unsafe { on.read_any(&input.views) };
                    let image = on.write(&tower.image);
                    launch::augment([size, side, crop], pixels, views, mean, image, on.target())
                });
                stream.record()
            };
            input.read = self.towers.iter().filter(of_device).map(see).collect();
        }
    }
}
