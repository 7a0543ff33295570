//! The switch by way of corosensei: every switch goes through the caller.

use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult, Yielder};

use super::{STACK, Target};

type Routine = Coroutine<(), Target, Target, DefaultStack>;

/// A set of coroutines, resumed one after the other as they ask.
pub(crate) struct Fibers {
    stacks: Vec<DefaultStack>,
    routines: Vec<Option<Routine>>,
    yielders: Vec<*const Yielder<(), Target>>,
    entry: extern "C" fn() -> !,
}

impl Fibers {
    pub(crate) fn new(entry: extern "C" fn() -> !) -> Self {
        Fibers {
            stacks: Vec::new(),
            routines: Vec::new(),
            yielders: Vec::new(),
            entry,
        }
    }

    /// Provides `count` stacks.
    pub(crate) fn reserve(&mut self, count: usize) -> std::io::Result<()> {
        self.reset();
        while self.stacks.len() < count {
            self.stacks.push(DefaultStack::new(STACK)?);
        }
        self.routines
            .resize_with(self.routines.len().max(count), || None);
        self.yielders.resize(self.routines.len(), std::ptr::null());
        Ok(())
    }

    /// Abandons every fiber under way and takes its stack back.
    pub(crate) fn reset(&mut self) {
        for mut routine in self.routines.iter_mut().filter_map(Option::take) {
            if !routine.done() {
                // SAFETY: a kernel owns nothing that must be dropped.
                unsafe { routine.force_reset() };
            }
            self.stacks.push(routine.into_stack());
        }
    }

    /// Begins fiber 0; returns when a fiber switches to [`Target::Caller`].
    ///
    /// # Safety
    /// `this` is valid throughout and used by this thread alone.
    pub(crate) unsafe fn run(this: *mut Fibers) {
        let mut next = 0;
        loop {
            // SAFETY: no borrow outlives the statement that makes it, but for
            // the routine's own, which nothing else touches while it runs.
            let result = unsafe {
                if (&(*this).routines)[next].is_none() {
                    Self::start(this, next);
                }
                let routine: *mut Routine =
                    (&mut (*this).routines)[next].as_mut().expect("begun above");
                (*routine).resume(())
            };
            match result {
                CoroutineResult::Yield(Target::Fiber(i)) => next = i,
                CoroutineResult::Yield(Target::Caller) | CoroutineResult::Return(_) => return,
            }
        }
    }

    /// # Safety
    /// As for [`Fibers::run`].
    unsafe fn start(this: *mut Fibers, i: usize) {
        struct Shared(*mut Fibers);
        let (fibers, entry) = (Shared(this), unsafe { (*this).entry });
        let stack = unsafe { (*this).stacks.pop().expect("reserved") };
        let routine = Coroutine::with_stack(stack, move |yielder, ()| {
            let Shared(this) = { fibers };
            // SAFETY: the yielder lives as long as this coroutine runs.
            unsafe { (&mut (*this).yielders)[i] = yielder };
            entry()
        });
        unsafe { (&mut (*this).routines)[i] = Some(routine) };
    }

    /// Leaves fiber `from` for `to`; returns when something switches back.
    ///
    /// # Safety
    /// Called on fiber `from`'s stack; `this` as for [`Fibers::run`].
    pub(crate) unsafe fn switch(this: *mut Fibers, from: usize, to: Target) {
        // SAFETY: fiber `from` is running, so its yielder is alive.
        unsafe { (*(&(*this).yielders)[from]).suspend(to) };
    }
}

/// Dropping a coroutine under way would unwind its stack, through a function
/// that must not unwind.
impl Drop for Fibers {
    fn drop(&mut self) {
        self.reset();
    }
}
