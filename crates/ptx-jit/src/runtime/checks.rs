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
    writer: Mark,
    /// Two readers since the last barrier are enough, of two warps where there are such: one of them is not of the next
    /// writer's warp.
    readers: [Mark; 2],
}

/// Who accessed a byte, and when.
#[derive(Clone, Copy)]
struct Mark {
    thread: u16,
    atomic: bool,
    /// Barriers of the block, and meetings of the thread's warp, before that.
    barriers: u32,
    meetings: u32,
    line: u32,
}

/// Of nobody, at no time.
impl Default for Mark {
    fn default() -> Mark {
        Mark {
            thread: u16::MAX,
            atomic: false,
            barriers: u32::MAX,
            meetings: 0,
            line: 0,
        }
    }
}

impl Mark {
    fn is_somebodys(&self) -> bool {
        self.thread != u16::MAX
    }

    fn warp(&self) -> u16 {
        self.thread / 32
    }

    /// Whether nothing orders the two.
    fn races_with(&self, other: &Mark) -> bool {
        let ordered_by_warp = self.warp() == other.warp() && self.meetings != other.meetings;
        self.barriers == other.barriers
            && self.thread != other.thread
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
        // A block has 1024 threads at most.
        thread: thread.number as u16,
        atomic: kind == Access::Atomic as u32,
        barriers: block.completed,
        meetings: block.meetings[thread.warp as usize],
        line,
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
        if reads && !self.writer.is_somebodys() {
            return Some("read before anything was written there".to_owned());
        }
        let racing = if self.writer.races_with(&mark) {
            Some(self.writer)
        } else if writes {
            self.readers.into_iter().find(|one| one.races_with(&mark))
        } else {
            None
        };
        if let Some(other) = racing {
            return Some(format!(
                "a race: thread {} of line {} and thread {} of this line, with nothing between them",
                other.thread, other.line, mark.thread
            ));
        }
        if writes {
            self.writer = mark;
            self.readers = Default::default();
        } else {
            self.note_reader(mark);
        }
        None
    }

    fn note_reader(&mut self, mark: Mark) {
        let [one, another] = &mut self.readers;
        if one.barriers != mark.barriers || one.thread == mark.thread {
            *one = mark;
        } else if another.barriers != mark.barriers || one.warp() == another.warp() {
            *another = mark;
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// An access by a thread, after one barrier and that many meetings of its warp.
    fn mark(thread: u16, meetings: u32) -> Mark {
        Mark {
            thread,
            atomic: false,
            barriers: 1,
            meetings,
            line: 7,
        }
    }

    #[test]
    fn a_reader_of_another_warp_is_not_forgotten_for_later_ones() {
        let [read, write] = [Access::Read, Access::Write].map(|kind| kind as u32);
        let mut byte = Shadow::default();
        let before = Mark {
            barriers: 0,
            ..mark(0, 0)
        };
        assert_eq!(byte.touch(write, before), None);
        for reader in [0, 32, 1] {
            assert_eq!(byte.touch(read, mark(reader, 0)), None);
        }
        // Its own warp has met since; the other one may still read.
        let race = byte.touch(write, mark(2, 1)).expect("a race");
        assert!(race.contains("thread 32 of line 7"), "{race}");
    }
}
