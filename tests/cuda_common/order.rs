//! Finds work of different streams that touches the same memory in no set order, from a log.
//!
//! Each queued operation has a clock: for every stream, how much of its work is certainly done before. Of two
//! operations on overlapping memory one must come before the other by these clocks.

use std::collections::{BTreeMap, HashMap};

use super::Call;

/// A device's stream.
type Stream = (u64, u64);
/// How much of each stream is done.
type Clock = HashMap<Stream, usize>;

/// Something queued that reads or writes memory.
struct Work {
    line: usize,
    stream: Stream,
    number: usize,
    clock: Clock,
    /// Ranges, and whether they are only read; kernels may write all.
    touches: Vec<(u64, u64, bool)>,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Report {
    /// Operations looked at.
    pub work: usize,
    /// Pairs on the same memory, of different streams, that are ordered.
    pub ordered: usize,
    /// Lines of pairs that are not.
    pub races: Vec<(usize, usize)>,
    /// Lines that fill pinned memory, or give memory back, while a copy or kernel may still use it.
    pub hasty: Vec<usize>,
}

#[derive(Default)]
struct Replay {
    streams: HashMap<Stream, Clock>,
    events: HashMap<u64, Clock>,
    host: Clock,
    blocks: BTreeMap<u64, u64>,
    works: Vec<Work>,
    report: Report,
}

/// Whether a kernel only reads at its argument of this number, as far as towers share what is there; all others count
/// as writing.
fn only_reads(call: &Call, argument: usize) -> bool {
    let (pixels, mean) = (4, 6);
    call.json()["kernel"] == "augment" && (pixels..=mean).contains(&argument)
}

fn join(a: &mut Clock, b: &Clock) {
    for (&stream, &count) in b {
        let own = a.entry(stream).or_default();
        *own = (*own).max(count);
    }
}

fn done(work: &Work, clock: &Clock) -> bool {
    clock
        .get(&work.stream)
        .is_some_and(|&count| count >= work.number)
}

fn overlap(a: &Work, b: &Work) -> bool {
    a.touches.iter().any(|&(begin, end, reads)| {
        let hits = |&(other, last, other_reads): &(u64, u64, bool)| {
            begin < last && other < end && !(reads && other_reads)
        };
        b.touches.iter().any(hits)
    })
}

impl Replay {
    fn stream(call: &Call) -> Stream {
        (call.number("current"), call.number("stream"))
    }

    fn queue(&mut self, line: usize, call: &Call, touches: Vec<(u64, u64, bool)>) {
        let stream = Self::stream(call);
        let host = self.host.clone();
        let clock = self.streams.entry(stream).or_default();
        join(clock, &host);
        let number = clock.get(&stream).copied().unwrap_or(0) + 1;
        clock.insert(stream, number);
        let work = Work {
            line,
            stream,
            number,
            clock: clock.clone(),
            touches,
        };
        for earlier in self.works.iter().filter(|earlier| overlap(earlier, &work)) {
            if !done(earlier, &work.clock) {
                self.report.races.push((earlier.line, line));
            } else if earlier.stream != stream {
                self.report.ordered += 1;
            }
        }
        self.report.work += 1;
        self.works.push(work);
    }

    /// From an address to the end of its block: what a kernel may touch.
    fn reach(&self, address: u64) -> Option<(u64, u64)> {
        let (begin, bytes) = self.blocks.range(..=address).next_back()?;
        let end = begin + bytes;
        (address < end).then_some((address, end))
    }

    /// That the host has waited for all that uses a range; what it has waited for is forgotten.
    fn settle(&mut self, line: usize, begin: u64, end: u64) {
        let host = std::mem::take(&mut self.host);
        let uses = |work: &Work| work.touches.iter().any(|&(a, b, _)| a < end && begin < b);
        if self
            .works
            .iter()
            .any(|work| uses(work) && !done(work, &host))
        {
            self.report.hasty.push(line);
        }
        self.works.retain(|work| !uses(work));
        self.host = host;
    }

    fn step(&mut self, line: usize, call: &Call) {
        match call.name() {
            "cuMemAlloc_v2" | "cuMemHostAlloc" => {
                self.blocks
                    .insert(call.number("address"), call.number("bytes"));
            }
            "cuMemFree_v2" | "cuMemFreeHost" => {
                let address = call.number("address");
                let bytes = self
                    .blocks
                    .remove(&address)
                    .expect("memory that was allocated");
                self.settle(line, address, address + bytes);
            }
            "cuMemsetD8Async" => {
                let (to, bytes) = (call.number("to"), call.number("bytes"));
                self.queue(line, call, vec![(to, to + bytes, false)]);
            }
            "cuLaunchKernel" => {
                let values = call.json()["values"].as_array().expect("values");
                let touch = |(i, value): (usize, &serde_json::Value)| {
                    let word = value.as_str().filter(|word| word.len() == 16)?;
                    let address = u64::from_str_radix(word, 16).ok()?;
                    let (begin, end) = self.reach(address)?;
                    Some((begin, end, only_reads(call, i)))
                };
                let touches = values.iter().enumerate().filter_map(touch).collect();
                self.queue(line, call, touches);
            }
            name if name.starts_with("cuMemcpy") => self.copy(line, call),
            "cuEventRecord" => {
                let clock = self.streams.entry(Self::stream(call)).or_default();
                self.events.insert(call.number("event"), clock.clone());
            }
            "cuStreamWaitEvent" => {
                if let Some(event) = self.events.get(&call.number("event")) {
                    join(self.streams.entry(Self::stream(call)).or_default(), event);
                }
            }
            "cuEventSynchronize" => {
                if let Some(event) = self.events.get(&call.number("event")) {
                    join(&mut self.host, event);
                }
            }
            "cuStreamSynchronize" => {
                let clock = self.streams.entry(Self::stream(call)).or_default();
                join(&mut self.host, clock);
            }
            _ => {}
        }
    }

    fn copy(&mut self, line: usize, call: &Call) {
        let (from, to, bytes) = (call.number("from"), call.number("to"), call.number("bytes"));
        let pinned = call.json()["pinned"] == true;
        if pinned && call.name() == "cuMemcpyHtoDAsync_v2" {
            // Filled by the host just before, unless a copy from a device has filled it.
            let fills = |work: &&Work| {
                work.touches
                    .iter()
                    .any(|&(a, _, reads)| a == from && !reads)
            };
            if !self.works.iter().any(|work| fills(&work)) {
                self.settle(line, from, from + bytes);
            }
        }
        self.queue(
            line,
            call,
            vec![(from, from + bytes, true), (to, to + bytes, false)],
        );
    }
}

/// Looks through the calls of a run.
pub fn examine<'a>(calls: impl IntoIterator<Item = &'a Call>) -> Report {
    let mut replay = Replay::default();
    for (line, call) in calls.into_iter().enumerate() {
        if call.json()["result"] == 0 {
            replay.step(line, call);
        }
    }
    replay.report
}
