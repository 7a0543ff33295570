//! Every kernel on two devices with the same inputs: are the results the same, bit for bit?

/// Names a case, its tensors and what is queued for it.
macro_rules! case {
    ($to:expr, $kernel:path, $shape:expr, $flops:expr, [$($tensor:expr),*], |$target:ident, $at:ident| $launch:expr, $arguments:expr) => {
        $to.push($crate::check::Case {
            kernel: $kernel.name(),
            shape: $shape.to_string(),
            tensors: vec![$($tensor),*],
            flops: $flops as f64,
            queue: Box::new(move |stream: &dyn $crate::device::Stream, $at: $crate::check::At| {
                let $target = stream.device().target();
                // SAFETY: the tensors have the sizes that the kernel's contract asks for.
                unsafe { stream.launch(&$kernel, $launch, $arguments) }
            }),
        })
    };
}

mod cases;
mod data;
mod products;

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};

use crate::device::{Buffer, Device, Stream, View};
pub use cases::cases;
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

type Queue = Box<dyn Fn(&dyn Stream, At)>;

/// Where a case's tensors lie on a device.
#[derive(Clone, Copy)]
pub struct At<'a>(&'a [View<u8>]);

impl At<'_> {
    /// A tensor to read.
    pub fn read<T>(self, i: usize) -> *const T {
        self.0[i].read().cast()
    }

    /// A tensor to write.
    pub fn write<T>(self, i: usize) -> *mut T {
        self.0[i].ptr().cast()
    }
}

/// What became of a case.
pub struct Outcome {
    /// Elements (or bytes) of the results that differ.
    pub different: usize,
    /// The first of them: tensor, element, and what each device made of it, as bits.
    pub first: Option<(usize, usize, [u32; 2])>,
    /// Seconds of one launch, if it was measured.
    pub seconds: Option<f64>,
}

impl Case {
    /// Bytes that must be read or written at least.
    pub fn bytes(&self) -> usize {
        let times = |tensor: &Tensor| if tensor.result && tensor.given { 2 } else { 1 };
        self.tensors
            .iter()
            .map(|tensor| times(tensor) * tensor.bytes.len())
            .sum()
    }

    /// Runs it on both devices; `repeat` launches more on the first are measured.
    pub fn run(&self, devices: [&Arc<dyn Device>; 2], repeat: u32) -> Result<Outcome> {
        let (own, seconds) = self.results(devices[0], repeat)?;
        let (reference, _) = self.results(devices[1], 0)?;
        let mut outcome = Outcome {
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
                if a != b {
                    outcome.different += 1;
                    outcome.first.get_or_insert((tensor, i, [a, b]));
                }
            }
        }
        Ok(outcome)
    }

    /// The results on one device, and how long a launch took there.
    fn results(
        &self,
        device: &Arc<dyn Device>,
        repeat: u32,
    ) -> Result<(Vec<Vec<u8>>, Option<f64>)> {
        let buffers = self
            .tensors
            .iter()
            .map(|tensor| Buffer::<u8>::new(device, tensor.bytes.len()))
            .collect::<Result<Vec<_>>>()?;
        let views: Vec<View<u8>> = buffers.iter().map(Buffer::view).collect();
        let stream = device.clone().stream()?;
        let stream = &*stream;
        for (tensor, &view) in self.tensors.iter().zip(&views) {
            stream.upload(&tensor.bytes, view);
        }
        (self.queue)(stream, At(&views));
        let result = |(tensor, &view): (&Tensor, _)| {
            let wanted = tensor.result.then(|| stream.download(view));
            wanted.unwrap_or(Ok(Vec::new()))
        };
        let results = self.tensors.iter().zip(&views).map(result);
        let results = results.collect::<Result<_>>().context(self.kernel)?;
        let seconds = (repeat > 0).then(|| self.time(stream, At(&views), repeat));
        Ok((results, seconds.transpose()?))
    }

    /// Seconds of a launch, of many behind one another.
    fn time(&self, stream: &dyn Stream, at: At, repeat: u32) -> Result<f64> {
        (self.queue)(stream, at);
        stream.synchronize()?;
        let begun = Instant::now();
        for _ in 0..repeat {
            (self.queue)(stream, at);
        }
        stream.synchronize()?;
        Ok(begun.elapsed().as_secs_f64() / f64::from(repeat))
    }
}
