//! Ranks over MPI.

use std::ffi::{c_int, c_void};
use std::mem::{forget, take};
use std::thread::{sleep, yield_now};
use std::time::Duration;

use anyhow::{Context, Result};
use mpi::Threading;
use mpi::datatype::PartitionMut;
use mpi::environment::{self, Universe};
use mpi::ffi::{
    self, MPI_Comm, MPI_Datatype, MPI_Request, RSMPI_REQUEST_NULL, RSMPI_STATUS_IGNORE,
};
use mpi::raw::AsRaw;
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator as _, CommunicatorCollectives as _, Equivalence, Root as _};

use super::{Communicator, Transfer};

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

/// An operation that MPI goes on with while the program does.
type Operation = unsafe extern "C" fn(
    *const c_void,
    c_int,
    MPI_Datatype,
    *mut c_void,
    c_int,
    MPI_Datatype,
    MPI_Comm,
    *mut MPI_Request,
) -> c_int;

impl Mpi {
    /// Begins an operation that sends parts of so many floats and receives as many.
    ///
    /// # Safety
    /// All parts of the operation lie within the buffers.
    unsafe fn begin(
        &self,
        operation: Operation,
        each: usize,
        [from, mut to]: [Vec<f32>; 2],
    ) -> Box<dyn Transfer> {
        // MPI counts in 32 bits, and pieces are much smaller.
        let count = c_int::try_from(each).unwrap_or_else(|_| self.abort());
        let (float, world) = (f32::equivalent_datatype().as_raw(), self.world.as_raw());
        // SAFETY: a constant of MPI's.
        let mut request = unsafe { RSMPI_REQUEST_NULL };
        let (send, receive) = (from.as_ptr().cast(), to.as_mut_ptr().cast());
        // SAFETY: the parts lie within the buffers, as the caller promises, which `Underway` keeps until all is done.
        unsafe {
            operation(
                send,
                count,
                float,
                receive,
                count,
                float,
                world,
                &mut request,
            )
        };
        Box::new(Underway {
            request,
            buffers: [from, to],
        })
    }
}

/// An operation that has begun, and the memory that it uses.
struct Underway {
    request: MPI_Request,
    buffers: [Vec<f32>; 2],
}

impl Underway {
    /// Lets MPI go on; whether all is done.
    fn is_done(&mut self) -> bool {
        let mut done = 0;
        // SAFETY: the request of an operation that has begun, or none.
        unsafe { ffi::MPI_Test(&mut self.request, &mut done, RSMPI_STATUS_IGNORE) };
        done != 0
    }
}

/// How often a rank asks whether an operation is done before it sleeps in between, and for how long.
const EAGER: u32 = 64;
const NAP: Duration = Duration::from_micros(20);

impl Transfer for Underway {
    fn finish(mut self: Box<Self>) -> [Vec<f32>; 2] {
        let mut asked = 0;
        while !self.is_done() {
            // MPI's own wait would keep a core busy, which the passes could use.
            match asked < EAGER {
                true => yield_now(),
                false => sleep(NAP),
            }
            asked += 1;
        }
        take(&mut self.buffers)
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        // MPI may still use the memory of what nobody has waited for.
        take(&mut self.buffers).into_iter().for_each(forget);
    }
}

impl Communicator for Mpi {
    fn describe(&self) -> String {
        let version = environment::library_version().unwrap_or_default();
        let first = version.split(['\n', ',']).next().unwrap_or_default();
        // MPICH has tabs in it.
        Vec::from_iter(first.split_whitespace()).join(" ")
    }

    fn rank(&self) -> u32 {
        self.world.rank().unsigned_abs()
    }

    fn size(&self) -> u32 {
        self.world.size().unsigned_abs()
    }

    fn all_to_all(&self, from: Vec<f32>, to: Vec<f32>) -> Box<dyn Transfer> {
        assert_eq!(from.len(), to.len());
        let each = from.len() / self.size() as usize;
        // SAFETY: each of them has as many parts as there are ranks.
        unsafe { self.begin(ffi::MPI_Ialltoall, each, [from, to]) }
    }

    fn all_gather(&self, from: Vec<f32>, to: Vec<f32>) -> Box<dyn Transfer> {
        assert_eq!(from.len() * self.size() as usize, to.len());
        // SAFETY: what is received has as many such parts as there are ranks.
        unsafe { self.begin(ffi::MPI_Iallgather, from.len(), [from, to]) }
    }

    fn gather_at_first(&self, own: Vec<f32>) -> Vec<f32> {
        let root = self.world.process_at_rank(0);
        if self.rank() > 0 {
            root.gather_into(&own[..]);
            return Vec::new();
        }
        let mut all = vec![0.0; own.len() * self.size() as usize];
        root.gather_into_root(&own[..], &mut all[..]);
        all
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
