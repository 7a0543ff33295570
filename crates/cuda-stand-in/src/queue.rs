//! Queued work: that of a stream in order, streams beside each other.
//!
//! Every stream has a thread of its own. With `schedule=SEED` none has one. Then whoever calls the driver carries work
//! out, and whose turn it is follows from the seed: streams and the program have priorities, of those that can go on the
//! highest does, and now and then one is changed. So a stream runs as early as can be, or as late, or overtakes.

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use crate::random::Random;
use crate::settings::SETTINGS;
use crate::state::{Code, LAUNCH_FAILED};

/// A device and its stream.
pub type Id = (usize, u64);
/// What is carried out; an error loses the device.
pub type Task = Box<dyn FnOnce() -> Result<(), Code> + Send>;

/// A point in a stream's work, and when it was reached.
#[derive(Default)]
pub struct Signal(OnceLock<Instant>);

impl Signal {
    pub fn reached(&self) -> bool {
        self.0.get().is_some()
    }

    /// The time from an earlier one, if both were reached.
    pub fn since(&self, earlier: &Signal) -> Option<Duration> {
        Some(self.0.get()?.saturating_duration_since(*earlier.0.get()?))
    }

    fn reach(&self) {
        // Twice is as good as once.
        let _ = self.0.set(Instant::now());
    }
}

enum Work {
    Task(Task),
    Reach(Arc<Signal>),
    Await(Arc<Signal>),
}

#[derive(Default)]
struct Queue {
    work: VecDeque<Work>,
    /// Whether its first task is being carried out.
    busy: bool,
    /// Whether nothing more will come.
    ends: bool,
    priority: u64,
}

impl Queue {
    fn is_ready(&self) -> bool {
        match self.work.front() {
            Some(Work::Await(signal)) => !self.busy && signal.reached(),
            Some(_) => !self.busy,
            None => false,
        }
    }

    fn is_idle(&self) -> bool {
        self.work.is_empty() && !self.busy
    }
}

/// Whose turn it is, where streams have no threads.
struct Schedule {
    random: Random,
    /// The priority of the program itself.
    program: u64,
    /// One in so many turns changes a priority.
    change: u64,
}

impl Schedule {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        Schedule {
            program: random.next(),
            change: 1 << (1 + random.below(9)),
            random,
        }
    }

    /// May change the priority of a queue, or the program's.
    fn change(&mut self, queues: &mut BTreeMap<Id, Queue>) {
        if self.random.below(self.change) == 0 {
            let chosen = self.random.below(queues.len() as u64 + 1) as usize;
            let priority = self.random.next();
            match queues.values_mut().nth(chosen) {
                Some(queue) => queue.priority = priority,
                None => self.program = priority,
            }
        }
    }
}

#[derive(Default)]
struct Queues {
    all: BTreeMap<Id, Queue>,
    lost: BTreeMap<usize, Code>,
    schedule: Option<Schedule>,
}

static QUEUES: LazyLock<Mutex<Queues>> = LazyLock::new(|| {
    let schedule = SETTINGS.schedule.map(Schedule::new);
    Mutex::new(Queues {
        schedule,
        ..Queues::default()
    })
});
/// Something was queued, or done.
static CHANGED: Condvar = Condvar::new();

type Lock = MutexGuard<'static, Queues>;

fn lock() -> Lock {
    QUEUES.lock().unwrap_or_else(|e| e.into_inner())
}

fn changed(queues: Lock) -> Lock {
    CHANGED.wait(queues).unwrap_or_else(|e| e.into_inner())
}

/// Queues a task.
pub fn task(id: Id, task: Task) {
    push(id, Work::Task(task));
}

/// The end of what is queued so far.
pub fn record(id: Id) -> Arc<Signal> {
    let signal = Arc::new(Signal::default());
    push(id, Work::Reach(signal.clone()));
    signal
}

/// What is queued from here on waits for the signal.
pub fn hold(id: Id, signal: &Arc<Signal>) {
    push(id, Work::Await(signal.clone()));
}

fn push(id: Id, work: Work) {
    let mut queues = lock();
    if !queues.all.contains_key(&id) {
        queues.open(id);
    }
    if let Some(queue) = queues.all.get_mut(&id) {
        queue.work.push_back(work);
    }
    CHANGED.notify_all();
}

/// Lets a stream end when its work is done.
pub fn end(id: Id) {
    let mut queues = lock();
    if let Some(queue) = queues.all.get_mut(&id) {
        queue.ends = true;
        queues.sweep(id);
    }
    CHANGED.notify_all();
}

/// The ends of what is queued on a device, or on all.
pub fn ends(device: Option<usize>) -> Vec<Arc<Signal>> {
    let mut queues = lock();
    let own = queues
        .all
        .iter_mut()
        .filter(|(id, queue)| device.is_none_or(|device| device == id.0) && !queue.is_idle());
    let ends = own.map(|(_, queue)| {
        let signal = Arc::new(Signal::default());
        queue.work.push_back(Work::Reach(signal.clone()));
        signal
    });
    ends.collect()
}

/// Whether all is done that was queued.
pub fn is_idle(id: Id) -> bool {
    lock().all.get(&id).is_none_or(Queue::is_idle)
}

/// Why a device is lost, if it is.
pub fn lost(device: usize) -> Option<Code> {
    lock().lost.get(&device).copied()
}

/// Waits until the signal is reached.
pub fn wait(signal: &Signal) {
    let mut queues = lock();
    while !signal.reached() {
        queues = match queues.highest() {
            Some((id, _)) => step(queues, id),
            None => changed(queues),
        };
    }
}

/// Gives streams that have no threads the chance to go on before the program does; `at_least` one, where it asks over
/// and over.
pub fn turn(at_least: bool) {
    let mut queues = lock();
    let mut one = at_least;
    while let Some((id, priority)) = queues.highest() {
        let program = queues.schedule.as_ref().map_or(u64::MAX, |it| it.program);
        if priority <= program && !one {
            break;
        }
        one = false;
        queues = step(queues, id);
    }
    queues.change();
}

impl Queues {
    fn open(&mut self, id: Id) {
        let mut queue = Queue::default();
        match &mut self.schedule {
            Some(schedule) => queue.priority = schedule.random.next(),
            None => {
                let thread =
                    thread::Builder::new().name(format!("stream {} of GPU {}", id.1, id.0));
                let started = thread.spawn(move || work_off(id));
                drop(started.expect("the system has a thread for a stream"));
            }
        }
        self.all.insert(id, queue);
    }

    /// The queue whose turn it is and its priority, where streams have no threads.
    fn highest(&self) -> Option<(Id, u64)> {
        self.schedule.as_ref()?;
        let ready = self.all.iter().filter(|(_, queue)| queue.is_ready());
        let ready = ready.map(|(id, queue)| (*id, queue.priority));
        ready.max_by_key(|&(_, priority)| priority)
    }

    fn change(&mut self) {
        if let Some(schedule) = &mut self.schedule {
            schedule.change(&mut self.all);
        }
    }

    /// Forgets a queue that has ended.
    fn sweep(&mut self, id: Id) {
        if self
            .all
            .get(&id)
            .is_some_and(|queue| queue.ends && queue.is_idle())
        {
            self.all.remove(&id);
        }
    }

    /// Takes the first of a queue's work.
    fn take(&mut self, id: Id) -> Option<Work> {
        let queue = self.all.get_mut(&id)?;
        let work = queue.work.pop_front();
        queue.busy = matches!(work, Some(Work::Task(_)));
        work
    }
}

/// Carries out the first of a queue's work, which is ready.
fn step(mut queues: Lock, id: Id) -> Lock {
    queues.change();
    match queues.take(id) {
        Some(Work::Task(task)) if !queues.lost.contains_key(&id.0) => {
            drop(queues);
            // Nobody would see the panic of a stream's thread, but wait for it for ever.
            let result = catch_unwind(AssertUnwindSafe(task)).unwrap_or(Err(LAUNCH_FAILED));
            queues = lock();
            if let Err(code) = result {
                queues.lost.entry(id.0).or_insert(code);
            }
        }
        Some(Work::Reach(signal)) => signal.reach(),
        // On a lost device nothing happens any more.
        Some(Work::Task(_) | Work::Await(_)) | None => {}
    }
    if let Some(queue) = queues.all.get_mut(&id) {
        queue.busy = false;
    }
    queues.sweep(id);
    CHANGED.notify_all();
    queues
}

/// The thread of a stream.
fn work_off(id: Id) {
    let mut queues = lock();
    while let Some(queue) = queues.all.get(&id) {
        queues = match queue.is_ready() {
            true => step(queues, id),
            false => changed(queues),
        };
    }
}
