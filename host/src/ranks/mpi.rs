//! Ranks over MPI.

use anyhow::{Context, Result};
use mpi::Threading;
use mpi::datatype::PartitionMut;
use mpi::environment::{self, Universe};
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator as _, CommunicatorCollectives as _};

use super::Communicator;

/// All ranks that were started together. MPI ends all of them when one of its operations fails.
pub struct Mpi {
    world: SimpleCommunicator,
    /// Ends MPI when it is dropped.
    _universe: Universe,
}

impl Mpi {
    /// Joins them. Only the thread that does so may use it.
    pub fn start() -> Result<Self> {
        let universe = environment::initialize_with_threading(Threading::Funneled);
        let (universe, _) = universe.context("MPI was started before")?;
        Ok(Mpi {
            world: universe.world(),
            _universe: universe,
        })
    }
}

impl Communicator for Mpi {
    fn describe(&self) -> String {
        let version = environment::library_version().unwrap_or_default();
        let first = version.lines().next().unwrap_or_default();
        first
            .split(',')
            .next()
            .unwrap_or_default()
            .trim()
            .to_owned()
    }

    fn rank(&self) -> u32 {
        self.world.rank().unsigned_abs()
    }

    fn size(&self) -> u32 {
        self.world.size().unsigned_abs()
    }

    fn all_to_all(&self, from: &[f32], to: &mut [f32]) {
        self.world.all_to_all_into(from, to);
    }

    fn all_gather(&self, from: &[f32], to: &mut [f32]) {
        self.world.all_gather_into(from, to);
    }

    fn all_gather_bytes(&self, own: &[u8]) -> Vec<Vec<u8>> {
        let mut lengths = vec![0; self.size() as usize];
        // MPI counts in 32 bits, and nobody has as much to say.
        let length = i32::try_from(own.len()).unwrap_or_else(|_| self.abort());
        self.world.all_gather_into(&length, &mut lengths[..]);
        let begin = |rank: usize| lengths[..rank].iter().sum::<i32>();
        let begins: Vec<i32> = (0..lengths.len()).map(begin).collect();
        let mut all = vec![0u8; lengths.iter().sum::<i32>().unsigned_abs() as usize];
        let mut parts = PartitionMut::new(&mut all[..], &lengths[..], &begins[..]);
        self.world.all_gather_varcount_into(own, &mut parts);
        let mut all = all.as_slice();
        let mut take = |length: &i32| {
            let (part, rest) = all.split_at(length.unsigned_abs() as usize);
            all = rest;
            part.to_vec()
        };
        lengths.iter().map(&mut take).collect()
    }

    fn abort(&self) -> ! {
        self.world.abort(1)
    }
}
