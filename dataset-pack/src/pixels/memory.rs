//! Memory that the threads share: however many there are and whatever the images, no more than a
//! set amount is in use. Who wants some waits until others are done with theirs.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Images that take more bytes than this once decoded are not decoded unless the user says so:
/// 8192×7680 pixels.
pub const DEFAULT_MAX_DECODED_BYTES: u64 = 8192 * 7680 * 3;

/// What no decoder exceeds, to an image's decoded bytes. A progressive JPEG without subsampling
/// takes this: two bytes of each coefficient, its samples, the pixels.
pub(crate) const MOST_PER_BYTE: u64 = 4;

/// What images may take, and what is left of it.
///
/// Files and decoding have a budget each, and the file is asked for first: a thread that has what
/// it needs for decoding waits for nothing, so all others have their turn.
pub(crate) struct Memory {
    /// Images that take more than this once decoded are rejected.
    pub(crate) max_decoded_bytes: u64,
    pub(crate) files: Budget,
    pub(crate) decoding: Budget,
}

impl Memory {
    /// Just enough for the largest image that is allowed.
    pub(crate) fn new(max_decoded_bytes: u64) -> Memory {
        Memory {
            max_decoded_bytes,
            // Some formats make a file longer than its pixels.
            files: Budget::new(max_decoded_bytes.max(DEFAULT_MAX_DECODED_BYTES)),
            decoding: Budget::new(max_decoded_bytes.saturating_mul(MOST_PER_BYTE)),
        }
    }

    /// Files longer than this are rejected.
    pub(crate) fn max_file_bytes(&self) -> u64 {
        self.files.bytes
    }
}

/// A number of bytes to share.
pub(crate) struct Budget {
    bytes: u64,
    free: Mutex<u64>,
    freed: Condvar,
}

/// A part of a [`Budget`], as long as it lives.
pub(crate) struct Share<'a> {
    of: &'a Budget,
    bytes: u64,
}

impl Budget {
    fn new(bytes: u64) -> Budget {
        let (free, freed) = (Mutex::new(bytes), Condvar::new());
        Budget { bytes, free, freed }
    }

    /// Waits until there is as much; who wants more than there ever is gets all.
    pub(crate) fn take(&self, bytes: u64) -> Share<'_> {
        let bytes = bytes.min(self.bytes);
        let free = self.free();
        let free = self.freed.wait_while(free, |free| *free < bytes);
        *free.unwrap_or_else(PoisonError::into_inner) -= bytes;
        Share { of: self, bytes }
    }

    /// What is free at this moment.
    #[cfg(test)]
    pub(crate) fn left(&self) -> u64 {
        *self.free()
    }

    fn free(&self) -> MutexGuard<'_, u64> {
        // Nothing panics that holds it.
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        *self.of.free() += self.bytes;
        self.of.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_shares_are_never_more_than_there_is() {
        let budget = Budget::new(100);
        let (used, most) = (AtomicU64::new(0), AtomicU64::new(0));
        let use_it = |bytes: u64| {
            let share = budget.take(bytes);
            let now = used.fetch_add(share.bytes, Ordering::SeqCst) + share.bytes;
            most.fetch_max(now, Ordering::SeqCst);
            thread::sleep(Duration::from_micros(bytes));
            used.fetch_sub(share.bytes, Ordering::SeqCst);
        };
        thread::scope(|threads| {
            for bytes in [70, 60, 30, 20, 10, 1000] {
                threads.spawn(move || (0..50).for_each(|_| use_it(bytes)));
            }
        });
        assert_eq!(most.load(Ordering::SeqCst), 100);
        assert_eq!(budget.left(), 100);
    }

    #[test]
    fn the_largest_image_has_room() {
        let memory = Memory::new(1000);
        assert_eq!(memory.decoding.take(4000).bytes, 4000);
        assert_eq!(memory.max_file_bytes(), DEFAULT_MAX_DECODED_BYTES);
        assert_eq!(Memory::new(1 << 30).max_file_bytes(), 1 << 30);
        assert_eq!(Memory::new(u64::MAX).decoding.bytes, u64::MAX);
    }
}
