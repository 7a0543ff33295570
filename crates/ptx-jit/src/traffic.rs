//! What a kernel asks of memory: counts that a profiler has on a GPU, by a model here.
//!
//! A warp's lanes make one request with each load, store or atomic. Here the n-th access of every lane at one instruction
//! counts as the same request, which is so where lanes do not part.
//!
//! | space | unit | a request's units | at least |
//! |---|---|---|---|
//! | shared | wavefront | lanes go in phases of 128 bytes: all 32 with 4 bytes each, 16 with 8, 8 with 16. In a phase each of 32 banks gives one word of 4 bytes a wavefront, to whoever asks for it: as many as the bank has different words to give that has most | one a phase |
//! | other | sector | different aligned 32 bytes | as many as the different bytes fill |
//!
//! A word that several lanes ask for counts once, on both sides.
//!
//! ```
//! use ptx_jit::traffic::{Place, Traffic};
//! use ptx_jit::{Launch, Options, Pool, Program};
//!
//! // Each lane writes the first word of a row of its own, and 32 rows of 32 words have theirs in one bank.
//! let text = ".version 7.8 .target sm_80 .address_size 64
//!     .shared .align 4 .b8 tile[4224];
//!     .visible .entry column() {
//!         .reg .b32 %row; .reg .b32 %at;
//!         mov.u32 %row, %tid.x;
//!         mul.lo.u32 %at, %row, 128;
//!         st.shared.u32 [%at], %row;
//!         mul.lo.u32 %at, %row, 132;
//!         st.shared.u32 [%at], %row;
//!         ret;
//!     }";
//! let traffic = Some(Traffic::of_one_block_in(1));
//! let module = Program::load(text, &Options { traffic, ..Options::default() })?.instance();
//! let kernel = module.kernel("column").expect("it is there");
//! // SAFETY: 32 threads stay in the kernel's shared memory.
//! unsafe { kernel.run(&Pool::new(1)?, Launch::cover(32, 32), &[])? };
//! let wavefronts: Vec<_> = kernel.requests().iter().map(|(at, asked)| (at.line, at.place, asked.units)).collect();
//! assert_eq!(wavefronts, [(7, Place::Shared, 32), (9, Place::Shared, 1)]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const LANES: usize = 32;
const BANKS: usize = 32;
const WORD: u64 = 4;
const SECTOR: u64 = 32;
/// Bytes that shared memory takes a request for at a time.
const PHASE: usize = 128;

/// Whose memory an instruction accesses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// Shared memory.
    Shared,
    /// What is behind the caches.
    Global,
}

/// An instruction of a text and the memory it accessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instruction {
    /// The line of the text, counted from 1.
    pub line: usize,
    /// Generic addresses may be of both.
    pub place: Place,
}

/// The requests of an instruction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    /// How many.
    pub count: u64,
    /// Wavefronts or sectors that they took,
    pub units: u64,
    /// and had taken with the best addresses.
    pub least: u64,
}

impl Requests {
    fn add(&mut self, other: Requests) {
        self.count += other.count;
        self.units += other.units;
        self.least += other.least;
    }
}

/// Counts the requests of one block in `every`. Cheap to clone; clones count together.
#[derive(Clone, Debug)]
pub struct Traffic {
    every: u32,
    kernels: Arc<Mutex<Kernels>>,
}

type Kernels = BTreeMap<String, BTreeMap<Instruction, Requests>>;

impl Traffic {
    /// Follows every block whose number in its grid is a multiple of `every`; of each grid the first at least.
    pub fn of_one_block_in(every: u32) -> Self {
        Traffic {
            every: every.max(1),
            kernels: Arc::default(),
        }
    }

    /// What was counted of a kernel since it was last asked, by instruction.
    pub(crate) fn take(&self, kernel: &str) -> Vec<(Instruction, Requests)> {
        let counted = self.kernels().remove(kernel).unwrap_or_default();
        counted.into_iter().collect()
    }

    fn kernels(&self) -> MutexGuard<'_, Kernels> {
        self.kernels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn follows(&self, block: u64) -> bool {
        block.is_multiple_of(u64::from(self.every))
    }

    /// Adds what a block asked for.
    pub(crate) fn add(&self, kernel: &str, block: BlockTraffic) {
        let mut kernels = self.kernels();
        let of_kernel = kernels.entry(kernel.to_owned()).or_default();
        for (instruction, requests) in block.whole() {
            of_kernel.entry(instruction).or_default().add(requests);
        }
    }
}

/// The requests of a block that runs.
#[derive(Default)]
pub(crate) struct BlockTraffic {
    counted: HashMap<Instruction, Requests>,
    open: HashMap<(Instruction, u32), Open>,
}

/// Requests of a warp at an instruction that lanes have yet to join.
#[derive(Default)]
struct Open {
    /// How many were whole before.
    closed: u64,
    accesses: [u64; LANES],
    requests: VecDeque<Request>,
}

/// The addresses of those lanes that have joined.
#[derive(Clone, Copy)]
struct Request {
    lanes: u32,
    bytes: usize,
    addresses: [u64; LANES],
}

impl BlockTraffic {
    /// Notes an access of a lane in a warp of so many.
    pub fn access(
        &mut self,
        instruction: Instruction,
        [warp, lane, lanes]: [u32; 3],
        address: u64,
        bytes: usize,
    ) {
        let open = self.open.entry((instruction, warp)).or_default();
        let lane = lane as usize;
        let at = (open.accesses[lane] - open.closed) as usize;
        open.accesses[lane] += 1;
        if at == open.requests.len() {
            open.requests.push_back(Request {
                lanes: 0,
                bytes,
                addresses: [0; LANES],
            });
        }
        let request = &mut open.requests[at];
        request.lanes |= 1 << lane;
        request.addresses[lane] = address;
        while let Some(request) = open.requests.front()
            && request.lanes.count_ones() == lanes
        {
            let counted = self.counted.entry(instruction).or_default();
            counted.add(request.count(instruction.place));
            open.requests.pop_front();
            open.closed += 1;
        }
    }

    /// All of it: no lane will join any more.
    fn whole(self) -> HashMap<Instruction, Requests> {
        let mut counted = self.counted;
        for ((instruction, _), open) in self.open {
            for request in open.requests {
                let counted = counted.entry(instruction).or_default();
                counted.add(request.count(instruction.place));
            }
        }
        counted
    }
}

impl Request {
    fn count(&self, place: Place) -> Requests {
        let (units, least) = match place {
            Place::Shared => self.wavefronts(),
            Place::Global => self.sectors(),
        };
        Requests {
            count: 1,
            units,
            least,
        }
    }

    fn joined(&self, lanes: std::ops::Range<usize>) -> impl Iterator<Item = u64> {
        let joined = lanes.filter(|lane| self.lanes >> lane & 1 == 1);
        joined.map(|lane| self.addresses[lane])
    }

    fn wavefronts(&self) -> (u64, u64) {
        let together = (PHASE / self.bytes.max(WORD as usize)).max(1);
        let (mut units, mut least) = (0, 0);
        for first in (0..LANES).step_by(together) {
            let mut words: Vec<u64> = self
                .joined(first..(first + together).min(LANES))
                .flat_map(|at| at / WORD..(at + self.bytes as u64).div_ceil(WORD))
                .collect();
            words.sort_unstable();
            words.dedup();
            let mut banks = [0; BANKS];
            for word in &words {
                banks[*word as usize % BANKS] += 1;
            }
            units += banks.into_iter().max().unwrap_or(0);
            least += words.len().div_ceil(BANKS) as u64;
        }
        (units, least)
    }

    fn sectors(&self) -> (u64, u64) {
        let mut pieces: Vec<u64> = self.joined(0..LANES).collect();
        pieces.sort_unstable();
        pieces.dedup();
        let mut sectors: Vec<u64> = pieces
            .iter()
            .flat_map(|at| at / SECTOR..(at + self.bytes as u64).div_ceil(SECTOR))
            .collect();
        sectors.dedup();
        let bytes = pieces.len() as u64 * self.bytes as u64;
        (sectors.len() as u64, bytes.div_ceil(SECTOR))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Units, and the least, of a warp whose lane `i` accesses `address(i)`.
    fn warp(place: Place, bytes: usize, address: impl Fn(u64) -> u64) -> (u64, u64) {
        let mut block = BlockTraffic::default();
        let instruction = Instruction { line: 1, place };
        for lane in 0..32 {
            block.access(instruction, [0, lane, 32], address(u64::from(lane)), bytes);
        }
        let requests = block.whole()[&instruction];
        assert_eq!(requests.count, 1);
        (requests.units, requests.least)
    }

    #[test]
    fn words_of_a_bank_come_one_after_the_other() {
        let shared = |bytes, address: fn(u64) -> u64| warp(Place::Shared, bytes, address);
        assert_eq!(shared(4, |lane| 4 * lane), (1, 1));
        assert_eq!(shared(4, |lane| 8 * lane), (2, 1));
        assert_eq!(shared(4, |lane| 128 * lane), (32, 1));
        assert_eq!(shared(4, |lane| 132 * lane), (1, 1)); // a row of 33 words
        assert_eq!(shared(4, |_| 64), (1, 1));
        assert_eq!(shared(1, |lane| lane), (1, 1));
        assert_eq!(shared(8, |lane| 8 * lane), (2, 2));
        assert_eq!(shared(16, |lane| 16 * lane), (4, 4));
        assert_eq!(shared(16, |lane| 128 * lane), (32, 4));
    }

    #[test]
    fn sectors_count_once() {
        let global = |bytes, address: fn(u64) -> u64| warp(Place::Global, bytes, address);
        assert_eq!(global(4, |lane| 4 * lane), (4, 4));
        assert_eq!(global(4, |lane| 16 + 4 * lane), (5, 4));
        assert_eq!(global(4, |lane| 32 * lane), (32, 4));
        assert_eq!(global(4, |_| 0), (1, 1));
        assert_eq!(global(16, |lane| 16 * lane), (16, 16));
    }

    #[test]
    fn lanes_join_at_any_time_and_some_never() {
        let mut block = BlockTraffic::default();
        let instruction = Instruction {
            line: 7,
            place: Place::Global,
        };
        for lane in 0..32 {
            for round in 0..if lane < 16 { 3 } else { 2 } {
                let address = 4096 * round + 4 * u64::from(lane);
                block.access(instruction, [0, lane, 32], address, 4);
            }
        }
        let expected = Requests {
            count: 3,
            units: 4 + 4 + 2,
            least: 4 + 4 + 2,
        };
        assert_eq!(block.whole()[&instruction], expected);
    }
}
