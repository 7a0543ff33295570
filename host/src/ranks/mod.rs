//! The ranks of a job: programs on one machine or many that do one piece of work together, and what they tell each other.
//!
//! A [`Communicator`] carries data; one rank alone is always there, and `mpi` is the engine of many. Only operations
//! are used that leave data as it is, never a reduction of the engine's, whose order of addition is its own affair.
//!
//! A job ends as a whole: [`Ranks::carry`] lets the rank that fails say why, with its number and its host, and ends the
//! others.

mod launcher;
#[cfg(feature = "mpi")]
mod mpi;

use std::cell::Cell;
use std::process::exit;
use std::thread::{panicking, sleep};
use std::time::Duration;

use anyhow::{Error, Result, anyhow, ensure};
use bytemuck::Pod;
use console::escaped;

/// Carries data between ranks. Every rank calls the same operations in the same order.
pub trait Communicator {
    /// The engine, in words.
    fn describe(&self) -> String;

    /// This rank's number, from 0.
    fn rank(&self) -> u32;

    /// How many ranks there are.
    fn size(&self) -> u32;

    /// Begins to send each rank its part of `from`, all of equal length, in the order of the ranks; `to` gets what the
    /// ranks send to this one, in the same order.
    fn all_to_all(&self, from: Vec<f32>, to: Vec<f32>) -> Box<dyn Transfer>;

    /// Begins to give every rank what all ranks have, in their order.
    fn all_gather(&self, from: Vec<f32>, to: Vec<f32>) -> Box<dyn Transfer>;

    /// Gives the first rank what all ranks have, in their order; the others get nothing.
    fn gather_at_first(&self, own: Vec<f32>) -> Vec<f32>;

    /// Gives every rank the bytes that all ranks have, as many as each likes.
    fn all_gather_bytes(&self, own: &[u8]) -> Vec<Vec<u8>>;

    /// Ends all ranks, this one too.
    fn abort(&self) -> !;
}

/// Numbers on their way between ranks.
pub trait Transfer {
    /// Waits until all have arrived; gives back what was sent and what has come. It leaves the processor to others
    /// meanwhile.
    fn finish(self: Box<Self>) -> [Vec<f32>; 2];
}

/// The only rank.
struct Alone;

/// What has arrived already.
struct Arrived([Vec<f32>; 2]);

impl Transfer for Arrived {
    fn finish(self: Box<Self>) -> [Vec<f32>; 2] {
        self.0
    }
}

impl Communicator for Alone {
    fn describe(&self) -> String {
        "no launcher".into()
    }

    fn rank(&self) -> u32 {
        0
    }

    fn size(&self) -> u32 {
        1
    }

    fn all_to_all(&self, from: Vec<f32>, to: Vec<f32>) -> Box<dyn Transfer> {
        self.all_gather(from, to)
    }

    fn all_gather(&self, from: Vec<f32>, mut to: Vec<f32>) -> Box<dyn Transfer> {
        to.copy_from_slice(&from);
        Box::new(Arrived([from, to]))
    }

    fn gather_at_first(&self, own: Vec<f32>) -> Vec<f32> {
        own
    }

    fn all_gather_bytes(&self, own: &[u8]) -> Vec<Vec<u8>> {
        vec![own.to_vec()]
    }

    fn abort(&self) -> ! {
        exit(1)
    }
}

/// Whether this build has the engine for many ranks.
pub const MANY: bool = cfg!(feature = "mpi");

/// How a build gets it.
pub const HOW_TO_GET_MANY: &str = "cargo build --release -p host --features mpi builds it in; that wants an MPI library \
    with mpicc, and libclang (Debian: apt-get install libopenmpi-dev openmpi-bin libclang-dev)";

/// How long a rank that must end waits to be ended by the one that failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// The ranks of this job, of which this program is one.
pub struct Ranks {
    communicator: Box<dyn Communicator>,
    host: String,
    /// Bytes of gradients and weights that this rank has sent to others.
    sent: Cell<u64>,
}

impl Ranks {
    /// One rank, whatever started it.
    pub fn alone() -> Self {
        Self::of(Box::new(Alone))
    }

    /// Those that a launcher started together with this program.
    pub fn join() -> Result<Self> {
        match launcher::size() {
            None => Ok(Self::alone()),
            #[cfg(feature = "mpi")]
            Some(_) => Ok(Self::of(Box::new(mpi::Mpi::start()?))),
            #[cfg(not(feature = "mpi"))]
            Some(1) => Ok(Self::alone()),
            #[cfg(not(feature = "mpi"))]
            Some(size) => anyhow::bail!(
                "started as one of {size} ranks, and this build has no MPI: {HOW_TO_GET_MANY}"
            ),
        }
    }

    fn of(communicator: Box<dyn Communicator>) -> Self {
        Ranks {
            communicator,
            host: launcher::host(),
            sent: Cell::new(0),
        }
    }

    /// This one's number.
    pub fn rank(&self) -> u32 {
        self.communicator.rank()
    }

    /// How many they are.
    pub fn size(&self) -> u32 {
        self.communicator.size()
    }

    /// Whether this is the one that writes and speaks for all.
    pub fn is_first(&self) -> bool {
        self.rank() == 0
    }

    /// Whether there is no other.
    pub fn is_alone(&self) -> bool {
        self.size() == 1
    }

    /// The engine, in words.
    pub fn describe(&self) -> String {
        self.communicator.describe()
    }

    /// The machine's name.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Bytes of gradients and weights that this rank has sent to others in steps so far.
    pub fn sent(&self) -> u64 {
        self.sent.get()
    }

    /// See [`Communicator::all_to_all`].
    pub fn all_to_all(&self, from: Vec<f32>, to: Vec<f32>) -> Box<dyn Transfer> {
        self.count(size_of_val(&from[..]) / self.size() as usize);
        self.communicator.all_to_all(from, to)
    }

    /// See [`Communicator::all_gather`].
    pub fn all_gather(&self, from: Vec<f32>, to: Vec<f32>) -> Box<dyn Transfer> {
        self.count(size_of_val(&from[..]));
        self.communicator.all_gather(from, to)
    }

    /// See [`Communicator::gather_at_first`].
    pub fn gather_at_first(&self, own: Vec<f32>) -> Vec<f32> {
        self.communicator.gather_at_first(own)
    }

    /// So many bytes go to each of the others.
    fn count(&self, bytes: usize) {
        let sent = bytes as u64 * u64::from(self.size() - 1);
        self.sent.set(self.sent.get() + sent);
    }

    /// What all ranks have, one behind the other.
    pub fn gather<T: Pod>(&self, own: Vec<T>) -> Vec<T> {
        if self.is_alone() {
            return own;
        }
        let all = self
            .communicator
            .all_gather_bytes(bytemuck::cast_slice(&own));
        let numbers = |bytes: &Vec<u8>| {
            let numbers = bytes.chunks_exact(size_of::<T>());
            Vec::from_iter(numbers.map(bytemuck::pod_read_unaligned))
        };
        all.iter().flat_map(numbers).collect()
    }

    /// Whether it holds for any rank.
    pub fn any(&self, own: bool) -> bool {
        self.gather(vec![u8::from(own)]).contains(&1)
    }

    /// What this rank gives if all have come so far without an error. If not, the first that has one gives it, and the
    /// others wait for their end.
    pub fn agree<T>(&self, own: Result<T>) -> Result<T> {
        let failed = self.gather(vec![u8::from(own.is_err())]);
        match failed.iter().position(|&failed| failed == 1) {
            Some(first) if first != self.rank() as usize => self.wait_for_the_end(),
            _ => own,
        }
    }

    /// That all ranks say the same of each thing, which have names.
    pub fn check_same(&self, things: &[(&str, String)]) -> Result<()> {
        for (name, own) in things {
            let all = self.communicator.all_gather_bytes(own.as_bytes());
            let same = ensure_same(name, &all, self.rank() as usize);
            self.agree(same)?;
        }
        Ok(())
    }

    /// What each rank says.
    pub fn tell_all(&self, own: &str) -> Vec<String> {
        let all = self.communicator.all_gather_bytes(own.as_bytes());
        let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
        all.iter().map(text).collect()
    }

    /// Does this rank's part of the work. If it fails, so do all, and this one says why. Only the first rank speaks to
    /// whoever looks on.
    pub fn carry<T>(&self, work: impl FnOnce(&Ranks) -> Result<T>) -> Result<T> {
        if self.is_alone() {
            return work(self);
        }
        if !self.is_first() {
            console::mute();
        }
        let _unwinding = EndAllOnPanic(self);
        work(self).map_err(|error| self.fail(&error))
    }

    fn fail(&self, error: &Error) -> Error {
        let (rank, size, host) = (self.rank(), self.size(), escaped(&self.host));
        console::fail(&format!(
            "error: rank {rank} of {size} on {host}: {error:#}"
        ));
        self.communicator.abort()
    }

    fn wait_for_the_end(&self) -> ! {
        sleep(PATIENCE);
        exit(1)
    }
}

fn ensure_same(name: &str, all: &[Vec<u8>], rank: usize) -> Result<()> {
    let first = all.first().ok_or_else(|| anyhow!("there are no ranks"))?;
    ensure!(
        all[rank] == *first,
        "its {name} are not those of rank 0; all ranks need the same"
    );
    Ok(())
}

/// A rank that panics would leave the others waiting.
struct EndAllOnPanic<'a>(&'a Ranks);

impl Drop for EndAllOnPanic<'_> {
    fn drop(&mut self) {
        if panicking() {
            self.0.communicator.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alone_everything_is_its_own() {
        let ranks = Ranks::alone();
        assert!(ranks.is_first() && ranks.is_alone());
        let [_, to] = ranks.all_to_all(vec![1.0, 2.0], vec![0.0; 2]).finish();
        assert_eq!((&to[..], ranks.sent()), (&[1.0, 2.0][..], 0));
        assert_eq!(ranks.gather_at_first(vec![1.0, 2.0]), [1.0, 2.0]);
        assert_eq!(ranks.gather(vec![3u32, 4]), [3, 4]);
        assert!(ranks.any(true) && !ranks.any(false));
        assert!(ranks.agree::<()>(Err(anyhow!("bad"))).is_err());
        assert_eq!(ranks.carry(|_| Ok(5)).unwrap(), 5);
        ranks.check_same(&[("settings", "x".into())]).unwrap();
    }

    #[test]
    fn who_differs_from_the_first_is_told() {
        let all = ["a", "b", "a"].map(|text| text.as_bytes().to_vec());
        for (rank, same) in [(0, true), (1, false), (2, true)] {
            let told = ensure_same("settings", &all, rank);
            assert_eq!(told.is_ok(), same, "{told:?}");
        }
    }
}
