//! Every kernel on two devices with the same inputs: are the results the same, bit for bit?

pub(crate) mod data;
pub(crate) mod edges;
pub(crate) mod winograd;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use gpu_kernels::augment::View;
use gpu_kernels::launch::{Call, Error, In, Out, Target};

use crate::device::{Buffer, Device, Number, Operands, Stream};
pub use data::Tensor;

/// A kernel with what it works on.
pub struct Case {
    /// The kernel's name.
    pub kernel: &'static str,
    /// On what, for people.
    pub shape: String,
    /// Its inputs and outputs.
    pub tensors: Vec<Tensor>,
    /// Floating-point operations, where they are what matters.
    pub flops: f64,
    queue: Queue,
}

type Queue = Rc<dyn Fn(&dyn Stream, &[Buffer<u8>])>;

/// Cases in the making.
#[derive(Default)]
pub struct Cases(Vec<Case>);

impl Cases {
    /// Adds a case: the kernel, its sizes for people, its tensors in the order of its
    /// parameters, and its checked launch.
    pub fn add(
        &mut self,
        kernel: &'static str,
        shape: impl ToString,
        tensors: impl Into<Vec<Tensor>>,
        launch: impl for<'a, 'b> Fn(At<'a, 'b>) -> Result<Call<'a>, Error> + 'static,
    ) -> &mut Case {
        let queue = move |stream: &dyn Stream, buffers: &[Buffer<u8>]| {
            stream.launch(|on| {
                let call = launch(At { on, buffers })?;
                debug_assert_eq!(call.name(), kernel);
                Ok(call)
            });
        };
        self.0.push(Case {
            kernel,
            shape: shape.to_string(),
            tensors: tensors.into(),
            flops: 0.0,
            queue: Rc::new(queue),
        });
        let last = self.0.len() - 1;
        &mut self.0[last]
    }

    /// All that were added.
    pub fn into_vec(self) -> Vec<Case> {
        self.0
    }
}

/// A case's tensors on a device, as a launch takes them.
pub struct At<'a, 'b> {
    on: &'a Operands<'a>,
    buffers: &'b [Buffer<u8>],
}

impl<'a> At<'a, '_> {
    /// A tensor to read.
    pub fn read<T: Number>(&self, i: usize) -> In<'a, T> {
        self.on.read(&self.buffers[i].cast())
    }

    /// Views to read.
    pub fn views(&self, i: usize) -> In<'a, View> {
        // SAFETY: `data::views` makes such as lie inside their images.
        unsafe { self.on.read_any(&self.buffers[i].cast()) }
    }

    /// A tensor to write.
    pub fn write<T: Number>(&self, i: usize) -> Out<'a, T> {
        self.on.write(&self.buffers[i].cast())
    }

    /// The first `len` floats of a tensor to work in, of `data::scratch`.
    pub fn scratch(&self, i: usize, len: usize) -> Out<'a, f32> {
        self.on.write(&self.buffers[i].cast::<f32>().slice(0..len))
    }

    /// Which launch configuration the device wants.
    pub fn target(&self) -> Target {
        self.on.target()
    }
}

/// How the two devices' results compare.
pub struct Comparison {
    /// Elements (or bytes) of the results that differ.
    pub different: usize,
    /// The first of them: tensor, element, and what each device made of it, as bits.
    pub first: Option<(usize, usize, [u32; 2])>,
    /// Seconds of one launch, if it was measured.
    pub seconds: Option<f64>,
}

/// Whether two devices' words are the same result: of numbers the bits, of what is no number that it is none, as
/// devices have NaNs of their own. What was not written is no result.
fn same(a: u32, b: u32) -> bool {
    let is_nan = |word| f32::from_bits(word).is_nan() && word != u32::MAX;
    a == b || is_nan(a) && is_nan(b)
}

impl Case {
    /// The same on floats of which one in `rarity` is a special value; `None` where it reads no floats.
    pub fn with_special_values(&self, rarity: u32) -> Option<Case> {
        let reads = |tensor: &Tensor| tensor.floats && tensor.given;
        self.tensors.iter().any(reads).then(|| Case {
            kernel: self.kernel,
            shape: format!("{}, special values", self.shape),
            tensors: self
                .tensors
                .iter()
                .map(|tensor| tensor.with_special_values(rarity))
                .collect(),
            flops: self.flops,
            queue: self.queue.clone(),
        })
    }

    /// Bytes that must be read or written at least.
    pub fn bytes(&self) -> usize {
        let times = |tensor: &Tensor| usize::from(tensor.result) + usize::from(tensor.given);
        self.tensors
            .iter()
            .map(|tensor| times(tensor) * tensor.bytes.len())
            .sum()
    }

    /// Runs it on both devices; `repeat` launches more on the first are measured.
    pub fn run(&self, devices: [&Arc<dyn Device>; 2], repeat: u32) -> anyhow::Result<Comparison> {
        let (own, seconds) = self.results(devices[0], repeat)?;
        let (reference, _) = self.results(devices[1], 0)?;
        let mut outcome = Comparison {
            different: 0,
            first: None,
            seconds,
        };
        for (tensor, (a, b)) in own.iter().zip(&reference).enumerate() {
            let words = |bytes: &[u8]| -> Vec<u32> {
                let word = |w: &[u8]| {
                    w.iter()
                        .rev()
                        .fold(0, |word, &byte| word << 8 | u32::from(byte))
                };
                bytes.chunks(4).map(word).collect()
            };
            if a == b {
                continue;
            }
            for (i, (a, b)) in words(a).into_iter().zip(words(b)).enumerate() {
                if !same(a, b) {
                    outcome.different += 1;
                    outcome.first.get_or_insert((tensor, i, [a, b]));
                }
            }
        }
        Ok(outcome)
    }

    /// Whether another case gives the same on a device.
    #[cfg(test)]
    pub(crate) fn same_results(&self, other: &Case, on: &Arc<dyn Device>) -> anyhow::Result<bool> {
        Ok(self.results(on, 0)?.0 == other.results(on, 0)?.0)
    }

    /// The results on one device, and how long a launch took there.
    fn results(
        &self,
        device: &Arc<dyn Device>,
        repeat: u32,
    ) -> anyhow::Result<(Vec<Vec<u8>>, Option<f64>)> {
        let buffers = self
            .tensors
            .iter()
            .map(|tensor| Buffer::<u8>::new(device, tensor.bytes.len()))
            .collect::<anyhow::Result<Vec<_>>>()?;
        // SAFETY: no other stream uses the buffers.
        let stream = unsafe { device.clone().stream() }?;
        let stream = &*stream;
        for (tensor, buffer) in self.tensors.iter().zip(&buffers) {
            stream.upload(&tensor.bytes, buffer);
        }
        (self.queue)(stream, &buffers);
        let result = |(tensor, buffer): (&Tensor, _)| {
            let wanted = tensor.result.then(|| stream.download(buffer));
            wanted.unwrap_or(Ok(Vec::new()))
        };
        let results = self.tensors.iter().zip(&buffers).map(result);
        let results = results
            .collect::<anyhow::Result<_>>()
            .context(self.kernel)?;
        let seconds = (repeat > 0).then(|| self.time(stream, &buffers, repeat));
        Ok((results, seconds.transpose()?))
    }

    /// Seconds of a launch, of many behind one another.
    fn time(
        &self,
        stream: &dyn Stream,
        buffers: &[Buffer<u8>],
        repeat: u32,
    ) -> anyhow::Result<f64> {
        (self.queue)(stream, buffers);
        stream.synchronize()?;
        let begun = Instant::now();
        for _ in 0..repeat {
            (self.queue)(stream, buffers);
        }
        stream.synchronize()?;
        Ok(begun.elapsed().as_secs_f64() / f64::from(repeat))
    }
}
