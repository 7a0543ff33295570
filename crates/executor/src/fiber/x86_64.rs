//! The switch for x86-64 with the System V calling convention.

use std::arch::naked_asm;

use corosensei::stack::{DefaultStack, Stack};

use super::{STACK, Target};

/// A set of stacks, and the place to return to when all is done.
pub(crate) struct Fibers {
    stacks: Vec<DefaultStack>,
    /// Saved stack pointer of each fiber; 0 where it is not under way.
    saved: Vec<usize>,
    caller: usize,
    entry: extern "C" fn() -> !,
}

impl Fibers {
    pub(crate) fn new(entry: extern "C" fn() -> !) -> Self {
        Fibers {
            stacks: Vec::new(),
            saved: Vec::new(),
            caller: 0,
            entry,
        }
    }

    /// Provides `count` stacks.
    pub(crate) fn reserve(&mut self, count: usize) -> std::io::Result<()> {
        while self.stacks.len() < count {
            self.stacks.push(DefaultStack::new(STACK)?);
            self.saved.push(0);
        }
        Ok(())
    }

    /// Abandons every fiber under way.
    pub(crate) fn reset(&mut self) {
        self.saved.fill(0);
    }

    /// Begins fiber 0; returns when a fiber switches to [`Target::Caller`].
    ///
    /// # Safety
    /// `this` is valid throughout and used by this thread alone.
    pub(crate) unsafe fn run(this: *mut Fibers) {
        // SAFETY: the borrow of the fields ends before the switch.
        unsafe {
            let to = (*this).start(0);
            let save = &raw mut (*this).caller;
            switch(save, to);
        }
    }

    /// Leaves fiber `from` for `to`; returns when something switches back.
    ///
    /// # Safety
    /// Called on fiber `from`'s stack; `this` as for [`Fibers::run`].
    pub(crate) unsafe fn switch(this: *mut Fibers, from: usize, to: Target) {
        // SAFETY: as above; `from` and `to` are below the number of stacks.
        unsafe {
            let next = match to {
                Target::Caller => (*this).caller,
                Target::Fiber(i) => match *(*this).saved.as_ptr().add(i) {
                    0 => (*this).start(i),
                    saved => saved,
                },
            };
            let save = (*this).saved.as_mut_ptr().add(from);
            switch(save, next);
        }
    }

    /// A fresh stack that `switch` enters at the entry function.
    fn start(&mut self, i: usize) -> usize {
        // Stacks lie a whole number of pages apart. Begun at the same offset
        // their live parts would compete for the same few lines of the cache.
        const COLOURS: usize = 16;
        let colour = ((i % COLOURS) * 1088) & !15;
        let top = (self.stacks[i].base().get() & !15) - colour;
        // From the top: a null return address for `entry`, `entry` itself, and
        // six registers for `switch` to pop.
        let start = top - 8 * 8;
        // SAFETY: these eight words are within the stack, which nobody uses.
        unsafe {
            let words = start as *mut usize;
            words.write_bytes(0, 8);
            words.add(6).write(self.entry as usize);
        }
        start
    }
}

/// Saves the callee-saved registers on this stack and its pointer in `save`,
/// and goes on where the stack at `to` was left.
///
/// The return is a jump, not `ret`: the return-address predictor would be wrong
/// at every switch.
///
/// # Safety
/// `to` is what an earlier switch has saved, or a new stack as `Fibers` prepares it, and
/// is not resumed twice; nobody moves or frees the stack that is left until it is resumed.
#[unsafe(naked)]
unsafe extern "C" fn switch(save: *mut usize, to: usize) {
    naked_asm!(
        "push rbp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "mov [rdi], rsp",
        "mov rsp, rsi",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "pop rax",
        "jmp rax",
    )
}
