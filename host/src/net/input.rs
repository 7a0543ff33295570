//! A batch on its way to a tower's first layer.

use std::sync::Arc;

use anyhow::Result;
use gpu_kernels::augment::{self, augment, augment_launch};

use super::shapes::Net;
use super::{Batch, Memory, Network, Tower, stream};
use crate::device::{Buffer, Device, Event, Stream};
use crate::train::views::View;

/// What a tower's device holds of batches before its first layer.
pub(super) struct Input {
    /// Copies pixels beside what is computed. Goes first: it uses the memory.
    uploads: Box<dyn Stream>,
    slots: [Slot; 2],
    /// The slot that was used last.
    used: usize,
    views: Buffer<View>,
    mean: Buffer<f32>,
}

/// Memory for the pixels of one batch.
struct Slot {
    memory: Buffer<u8>,
    /// The batch whose pixels are there or on their way, until it is used, and when they have arrived.
    holds: Option<(Arc<[u8]>, Event)>,
    /// When its last batch has been read.
    read: Event,
}

impl Input {
    pub fn new(net: &Net, device: &Arc<dyn Device>, batch: usize) -> Result<Self> {
        let pixels = net.input.size * net.input.size * 3;
        let slot = || -> Result<Slot> {
            Ok(Slot {
                memory: Buffer::new(device, batch * pixels)?,
                holds: None,
                read: Event::Past,
            })
        };
        Ok(Input {
            uploads: device.clone().stream()?,
            slots: [slot()?, slot()?],
            used: 1,
            views: Buffer::new(device, batch)?,
            mean: Buffer::new(device, pixels)?,
        })
    }

    pub fn mean(&self) -> Memory<f32> {
        self.mean.view()
    }

    /// Begins to copy a batch's pixels, into the slot that is not reserved or was not used last.
    fn upload(&mut self, pixels: &Arc<[u8]>) -> usize {
        let reserved = self.slots.iter().position(|slot| slot.holds.is_some());
        let at = 1 - reserved.unwrap_or(self.used);
        let slot = &mut self.slots[at];
        let memory = slot.memory.view();
        assert!(pixels.len() <= memory.len(), "a batch of another size");
        self.uploads.wait(&slot.read);
        // SAFETY: the memory has room for the pixels; it is read when they have arrived.
        unsafe { self.uploads.upload_bytes(pixels.clone(), memory.ptr()) };
        slot.holds = Some((pixels.clone(), self.uploads.record()));
        at
    }

    /// The slot that a batch's pixels are in or on their way to.
    fn find(&self, pixels: &Arc<[u8]>) -> Option<usize> {
        let is_it = |slot: &Slot| {
            let held = slot.holds.as_ref();
            held.is_some_and(|(held, _)| Arc::ptr_eq(held, pixels))
        };
        self.slots.iter().position(is_it)
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
        let [size, side, crop, images] = [spec.size, side, spec.crop, self.batch].map(|n| n as u32);
        for (tower, input) in self.towers.iter().zip(&mut self.inputs) {
            let stream = stream(tower);
            let pixels = input.arrive(tower, &batch.pixels);
            stream.upload(&batch.views, input.views.view());
            stream.upload(&batch.labels, tower.softmax.labels());
            let arguments = (
                size,
                side,
                crop,
                images,
                pixels.read(),
                input.views.view().read().cast::<augment::View>(),
                input.mean.view().read(),
                tower.image.ptr(),
            );
            let launch = augment_launch(crop, images, stream.device().target());
            // SAFETY: buffers of these sizes; a `View` is laid out as an `augment::View`.
            unsafe { stream.launch(&augment, launch, arguments) };
            input.slots[input.used].read = stream.record();
        }
    }
}

impl Input {
    /// Lets the tower wait for a batch's pixels, and says where they are.
    fn arrive(&mut self, tower: &Tower, pixels: &Arc<[u8]>) -> Memory<u8> {
        self.used = match self.find(pixels) {
            Some(at) => at,
            None => self.upload(pixels),
        };
        let slot = &mut self.slots[self.used];
        if let Some((_, arrived)) = slot.holds.take() {
            stream(tower).wait(&arrived);
        }
        slot.memory.view()
    }
}
