//! What the threads of a block share beside their memory: barriers, the exchanges of warps, and what the checks know.

use super::checks::Shadow;
use super::warp::Exchange;
use crate::Options;
use crate::traffic::BlockTraffic;

/// A barrier of a block.
#[derive(Clone, Copy, Default)]
pub struct Barrier {
    pub arrived: u32,
    /// Those of them that wait.
    pub waiters: u32,
    /// Whether it is for all threads of the block.
    pub for_all: bool,
    /// How often it was completed.
    pub generation: u32,
    /// What the threads' predicates come to, and those of the last completed one.
    pub count: u32,
    pub last_count: u32,
    /// The line of the first of those that wait.
    pub line: u32,
}

/// A `cp.async` that has not happened.
#[derive(Clone, Copy)]
pub struct Copy {
    pub to: *mut u8,
    pub from: *const u8,
    pub bytes: u32,
    pub zeros: u32,
    /// The group it was committed to, of its thread; none as yet.
    pub group: Option<u32>,
    pub thread: u32,
}

#[derive(Default)]
pub struct Block {
    pub threads: u32,
    pub ended: u32,
    /// Threads that wait for others.
    pub waiting: u32,
    pub barriers: [Barrier; 16],
    /// How many were completed: one for some of the warps counts for all, so that nothing is called a race that is none.
    pub completed: u32,
    pub exchanges: Vec<Exchange>,
    pub copies: Vec<Copy>,
    /// Groups committed by each thread.
    pub groups: Vec<u32>,
    /// Of each byte of shared memory, if it is watched.
    pub shadow: Vec<Shadow>,
    /// How often each warp has met.
    pub meetings: Vec<u32>,
    /// What it asks of memory, if that is counted.
    pub traffic: Option<BlockTraffic>,
}

impl Barrier {
    /// Lets those that wait go on; how many there are.
    fn complete(&mut self) -> u32 {
        (self.arrived, self.last_count) = (0, self.count);
        self.generation += 1;
        std::mem::take(&mut self.waiters)
    }
}

impl Block {
    /// Completes a barrier.
    pub fn complete(&mut self, index: usize) {
        self.waiting -= self.barriers[index].complete();
        self.completed += 1;
    }

    /// Begins block `number` of its grid.
    pub fn begin(&mut self, number: u64, threads: u32, shared: u32, options: &Options) {
        (self.threads, self.ended, self.waiting) = (threads, 0, 0);
        self.barriers = [Barrier::default(); 16];
        self.completed = 0;
        self.exchanges.clear();
        self.copies.clear();
        self.groups.clear();
        self.groups.resize(threads as usize, 0);
        self.meetings.clear();
        self.meetings.resize(threads.div_ceil(32) as usize, 0);
        self.shadow.clear();
        if options.shared {
            self.shadow.resize(shared as usize, Shadow::default());
        }
        let traffic = options.traffic.as_ref();
        let followed = traffic.filter(|traffic| traffic.follows(number));
        self.traffic = followed.map(|_| BlockTraffic::default());
    }
}
