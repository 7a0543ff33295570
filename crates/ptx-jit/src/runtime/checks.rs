//! The checks before an access to memory.

use super::thread::{ENDED, Thread};
use crate::{ILLEGAL_ADDRESS, LAUNCH_FAILED, MISALIGNED_ADDRESS};

/// What an access does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Read = 0,
    Write = 1,
    /// A read-modify-write that cannot be divided.
    Atomic = 2,
}

/// What is known about a byte of shared memory.
#[derive(Clone, Copy, Default)]
pub struct Shadow {
    written: bool,
    writer: Option<Mark>,
    /// Two readers since the last barrier are enough: one of them is not the next writer.
    readers: [Option<Mark>; 2],
}

/// Who accessed a byte, and when.
#[derive(Clone, Copy)]
struct Mark {
    thread: u32,
    /// Barriers of the block, and meetings of the thread's warp, before that.
    barriers: u32,
    meetings: u32,
    line: u32,
    atomic: bool,
}

impl Mark {
    /// Whether nothing orders the two.
    fn races_with(&self, other: &Mark) -> bool {
        let ordered_by_warp =
            self.thread / 32 == other.thread / 32 && self.meetings != other.meetings;
        self.thread != other.thread
            && self.barriers == other.barriers
            && !ordered_by_warp
            && !(self.atomic && other.atomic)
    }
}

/// Before an access at a generic address, or at an offset in shared memory.
pub extern "C" fn access(
    thread: &Thread,
    address: u64,
    bytes: u32,
    kind: u32,
    in_shared: u32,
    line: u32,
) -> u32 {
    let (address, bytes) = (address as usize, bytes as usize);
    if !address.is_multiple_of(bytes) {
        let space = if in_shared != 0 {
            "shared memory"
        } else {
            "memory"
        };
        let cause = format!("misaligned access to {space}: {bytes} bytes at {address:#x}");
        return thread.fail(MISALIGNED_ADDRESS, line, cause);
    }
    let window = thread.shared.addr();
    let in_window = window <= address && address < window + thread.total_shared as usize;
    match in_shared != 0 {
        true => shared(thread, address, bytes, kind, line),
        false if in_window => shared(thread, address - window, bytes, kind, line),
        false => global(thread, address, bytes, line),
    }
}

fn global(thread: &Thread, address: usize, bytes: usize, line: u32) -> u32 {
    let launch = thread.launch();
    let Some(memory) = &launch.options.memory else {
        return ENDED;
    };
    let variables = launch.variables.addr();
    let own = [
        (variables, variables + launch.variable_bytes),
        (thread.local[0], thread.local[1]),
        (
            thread.parameters.addr(),
            thread.parameters.addr() + launch.parameter_bytes,
        ),
    ];
    let within = |&(begin, end): &(usize, usize)| begin <= address && address + bytes <= end;
    if own.iter().any(within) || memory.contains(address, bytes) {
        return ENDED;
    }
    let cause =
        format!("illegal access: {bytes} bytes at {address:#x}, where nothing is allocated");
    thread.fail(ILLEGAL_ADDRESS, line, cause)
}

fn shared(thread: &Thread, offset: usize, bytes: usize, kind: u32, line: u32) -> u32 {
    let total = thread.total_shared as usize;
    if offset.checked_add(bytes).is_none_or(|end| end > total) {
        let cause =
            format!("illegal access to shared memory: {bytes} bytes at {offset} of {total}");
        return thread.fail(ILLEGAL_ADDRESS, line, cause);
    }
    // SAFETY: the reference ends with the function; no other thread runs meanwhile.
    let block = unsafe { thread.block_state() };
    if block.shadow.is_empty() {
        return ENDED;
    }
    let mark = Mark {
        thread: thread.number,
        barriers: block.completed,
        meetings: block.meetings[thread.warp as usize],
        line,
        atomic: kind == Access::Atomic as u32,
    };
    for (i, shadow) in block.shadow[offset..offset + bytes].iter_mut().enumerate() {
        if let Some(cause) = shadow.touch(kind, mark) {
            let cause = format!("byte {} of shared memory: {cause}", offset + i);
            return thread.fail(LAUNCH_FAILED, line, cause);
        }
    }
    ENDED
}

impl Shadow {
    /// Notes an access, and says what is wrong with it.
    fn touch(&mut self, kind: u32, mark: Mark) -> Option<String> {
        let reads = kind != Access::Write as u32;
        let writes = kind != Access::Read as u32;
        if reads && !self.written {
            return Some("read before anything was written there".to_owned());
        }
        let others = self.readers.iter().filter(|_| writes).chain([&self.writer]);
        let racing = others.flatten().find(|other| other.races_with(&mark));
        if let Some(other) = racing {
            return Some(format!(
                "a race: thread {} of line {} and thread {} of this line, with nothing between them",
                other.thread, other.line, mark.thread
            ));
        }
        if writes {
            (self.written, self.writer) = (true, Some(mark));
            self.readers = [None; 2];
        } else if self.readers[0]
            .is_none_or(|one| one.thread == mark.thread || one.barriers != mark.barriers)
        {
            self.readers[0] = Some(mark);
        } else {
            self.readers[1] = Some(mark);
        }
        None
    }
}

/// An array of local memory, from here on the thread's own.
pub extern "C" fn local(thread: &mut Thread, begin: u64, bytes: u32) {
    let (begin, end) = (begin as usize, begin as usize + bytes as usize);
    thread.local = match thread.local {
        [0, 0] => [begin, end],
        [low, high] => [low.min(begin), high.max(end)],
    };
}
