//! A file in memory. What it no longer has, or the disk fails to give, is an error and not the program's end.
//!
//! The system answers an access to such a page with SIGBUS. The handler here puts a page of zeros in its place and
//! leaves a mark, which is looked at after every access; so is the file's length, since the rest of a page that the
//! end of the file has moved into reads as zeros without a signal. A SIGBUS of other origin goes to the handler that
//! was there before.

use std::fs::File;
use std::io::{Error, ErrorKind, Result};
use std::num::NonZeroU64;
use std::ops::Range;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering, compiler_fence};

use libc::{c_int, c_void, siginfo_t};
use memmap2::{MmapOptions, MmapRaw};
use rustix::fs::{Advice, fadvise};

const TORN: &str = "the disk gave no data, or the file was shorter for a while";

/// A file's bytes as it was opened.
pub(crate) struct Map {
    file: File,
    bytes: MmapRaw,
    watched: Watched,
}

/// What the handler knows of a map.
struct Watched {
    addresses: Range<usize>,
    /// Whether a page could not be had. Then zeros stand in its place.
    torn: AtomicBool,
}

impl Map {
    pub(crate) fn new(file: File) -> Result<Map> {
        watch()?;
        let length = usize::try_from(file.metadata()?.len()).map_err(Error::other)?;
        let bytes = MmapOptions::new().len(length).map_raw_read_only(&file)?;
        let start = bytes.as_ptr() as usize;
        Ok(Map {
            file,
            bytes,
            watched: Watched {
                addresses: start..start + length,
                torn: AtomicBool::new(false),
            },
        })
    }

    /// The file's length when it was opened.
    pub(crate) fn len(&self) -> u64 {
        self.watched.addresses.len() as u64
    }

    /// Asks the system to fetch a part of the file. That it cannot is no matter.
    pub(crate) fn will_need(&self, part: Range<u64>) {
        if let Some(bytes) = NonZeroU64::new(part.end - part.start) {
            let _ = fadvise(&self.file, part.start, Some(bytes), Advice::WillNeed);
        }
    }

    /// Shows `look` a part of the file. [`ErrorKind::UnexpectedEof`] is a file that is shorter.
    ///
    /// Whoever writes into the file meanwhile changes the bytes under the eyes of `look`. They are bytes all the same.
    pub(crate) fn with<R>(&self, part: Range<u64>, look: impl FnOnce(&[u8]) -> R) -> Result<R> {
        let within = part.start <= part.end && part.end <= self.len();
        if !within {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let (start, length) = (part.start as usize, (part.end - part.start) as usize);
        // SAFETY: within the map, which lives as long as `self`.
        let bytes = unsafe { std::slice::from_raw_parts(self.bytes.as_ptr().add(start), length) };
        let result = self.watched.during(|| look(bytes));
        if self.file.metadata()?.len() < self.len() {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        if self.watched.torn.load(Ordering::SeqCst) {
            return Err(Error::other(TORN));
        }
        Ok(result)
    }
}

thread_local! {
    /// The map that this thread reads.
    static READ: AtomicPtr<Watched> = const { AtomicPtr::new(ptr::null_mut()) };
}

impl Watched {
    fn during<R>(&self, look: impl FnOnce() -> R) -> R {
        /// Puts back what was read before, after a panic too.
        struct Before(*mut Watched);
        impl Drop for Before {
            fn drop(&mut self) {
                compiler_fence(Ordering::SeqCst);
                READ.with(|read| read.store(self.0, Ordering::Relaxed));
            }
        }
        let this = ptr::from_ref(self).cast_mut();
        let _before = Before(READ.with(|read| read.swap(this, Ordering::Relaxed)));
        // The handler runs on this thread, so the order of the instructions is enough.
        compiler_fence(Ordering::SeqCst);
        look()
    }

    /// Puts zeros where a page could not be had. Calls nothing but the system.
    fn mend(&self, address: usize) -> bool {
        if !self.addresses.contains(&address) {
            return false;
        }
        // First the mark: whoever reads the zeros shall find it.
        self.torn.store(true, Ordering::SeqCst);
        let size = PAGE.get().copied().unwrap_or(4096);
        let page = (address & !(size - 1)) as *mut c_void;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
        // SAFETY: a page of the map that `Map` owns, which is read only and stays so.
        let zeros = unsafe { libc::mmap(page, size, libc::PROT_READ, flags, -1, 0) };
        zeros != libc::MAP_FAILED
    }
}

/// Bytes of a page.
static PAGE: OnceLock<usize> = OnceLock::new();

/// What was done about SIGBUS before.
static BEFORE: OnceLock<libc::sigaction> = OnceLock::new();

/// Installs the handler, once.
fn watch() -> Result<()> {
    static WATCHING: OnceLock<std::result::Result<(), c_int>> = OnceLock::new();
    let install = || {
        // SAFETY: a query, and an action of zeros, which is a valid one, to be written to.
        let (page, mut before) = unsafe { (libc::sysconf(libc::_SC_PAGESIZE), std::mem::zeroed()) };
        let _ = PAGE.set(page as usize);
        // SAFETY: both actions are valid; the handler keeps to what a handler may do.
        unsafe {
            check(libc::sigaction(libc::SIGBUS, ptr::null(), &mut before))?;
            // Before the handler is there, which reads it.
            let _ = BEFORE.set(before);
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = on_bus_error as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            check(libc::sigaction(libc::SIGBUS, &action, ptr::null_mut()))
        }
    };
    WATCHING
        .get_or_init(|| install().map_err(|error: Error| error.raw_os_error().unwrap_or(0)))
        .map_err(Error::from_raw_os_error)
}

fn check(result: c_int) -> Result<()> {
    match result {
        0 => Ok(()),
        _ => Err(Error::last_os_error()),
    }
}

extern "C" fn on_bus_error(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: the system passes valid information; a map that is read lives.
    let mended = unsafe {
        let read = READ.with(|read| read.load(Ordering::Relaxed)).as_ref();
        read.is_some_and(|map| map.mend((*info).si_addr() as usize))
    };
    if !mended {
        pass_on(signal, info, context);
    }
}

/// Does with a signal what would have been done without this handler.
fn pass_on(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    let Some(before) = BEFORE.get() else { return };
    // SAFETY: what was installed is a handler of the kind that its flags say.
    unsafe {
        if matches!(before.sa_sigaction, libc::SIG_DFL | libc::SIG_IGN) {
            // Waits until this handler returns.
            libc::sigaction(signal, before, ptr::null_mut());
            libc::raise(signal);
        } else if before.sa_flags & libc::SA_SIGINFO != 0 {
            type Handler = extern "C" fn(c_int, *mut siginfo_t, *mut c_void);
            std::mem::transmute::<usize, Handler>(before.sa_sigaction)(signal, info, context);
        } else {
            std::mem::transmute::<usize, extern "C" fn(c_int)>(before.sa_sigaction)(signal);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file_of(bytes: u64) -> File {
        let file = tempfile::tempfile().expect("makes a file");
        file.set_len(bytes).expect("has the length");
        file
    }

    fn kind(map: &Map, part: Range<u64>) -> ErrorKind {
        map.with(part, <[u8]>::to_vec).expect_err("is gone").kind()
    }

    #[test]
    fn a_file_that_shrinks_is_an_error_wherever_it_is_read() {
        let map = Map::new(file_of(100_000)).expect("maps");
        assert_eq!(map.with(5..9, <[u8]>::len).expect("is there"), 4);
        map.file.set_len(50_000).expect("cuts");
        // Beyond the last page, within it, and before it.
        for part in [90_000..90_010, 50_000..50_010, 0..10] {
            assert_eq!(kind(&map, part), ErrorKind::UnexpectedEof);
        }
    }

    #[test]
    fn the_file_may_shrink_while_it_is_looked_at() {
        let map = Map::new(file_of(100_000)).expect("maps");
        let seen = map.with(0..100_000, |bytes| {
            map.file.set_len(0).expect("cuts");
            bytes.iter().all(|&byte| byte == 0)
        });
        assert_eq!(seen.expect_err("is gone").kind(), ErrorKind::UnexpectedEof);
    }

    #[test]
    fn what_was_lost_stays_lost_when_the_file_grows_again() {
        let map = Map::new(file_of(100_000)).expect("maps");
        map.file.set_len(0).expect("cuts");
        kind(&map, 0..10);
        map.file.set_len(100_000).expect("grows");
        assert_eq!(kind(&map, 0..10), ErrorKind::Other);
    }

    #[test]
    fn nothing_lies_beyond_the_end() {
        let map = Map::new(file_of(10)).expect("maps");
        assert_eq!(kind(&map, 8..11), ErrorKind::UnexpectedEof);
        assert_eq!(kind(&map, 11..11), ErrorKind::UnexpectedEof);
        let empty = Map::new(file_of(0)).expect("maps");
        assert_eq!(
            (empty.len(), kind(&empty, 0..1)),
            (0, ErrorKind::UnexpectedEof)
        );
    }

    #[test]
    fn many_threads_may_read_a_map_that_is_cut() {
        let map = Map::new(file_of(1 << 20)).expect("maps");
        std::thread::scope(|threads| {
            for _ in 0..4 {
                threads.spawn(|| {
                    while map
                        .with(0..1 << 20, |bytes| bytes.iter().max().copied())
                        .is_ok()
                    {}
                });
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
            map.file.set_len(12_345).expect("cuts");
        });
    }

    /// What becomes of a program that installs `handler` for SIGBUS first, if any, reads a map, and then touches a
    /// page that a map of another kind does not have.
    fn after_a_bus_error_elsewhere(handler: &str) -> std::process::ExitStatus {
        std::process::Command::new(std::env::current_exe().expect("has a path"))
            .args([
                "--exact",
                "map::tests::touches_a_page_that_is_not_there",
                "--ignored",
            ])
            .env("HANDLER", handler)
            // AddressSanitizer has a handler of its own, which it would install first.
            .env("ASAN_OPTIONS", "handle_sigbus=0:detect_leaks=0")
            .stderr(std::process::Stdio::null())
            .status()
            .expect("runs")
    }

    #[test]
    fn a_bus_error_elsewhere_is_not_swallowed() {
        use std::os::unix::process::ExitStatusExt;
        for handler in ["the language's", "default", "ignore"] {
            let status = after_a_bus_error_elsewhere(handler);
            assert_eq!(status.signal(), Some(libc::SIGBUS), "{handler}");
        }
        for (handler, code) in [("plain", 71), ("with information", 72)] {
            assert_eq!(
                after_a_bus_error_elsewhere(handler).code(),
                Some(code),
                "{handler}"
            );
        }
    }

    extern "C" fn plain(_: c_int) {
        // SAFETY: ends the program.
        unsafe { libc::_exit(71) }
    }

    extern "C" fn with_information(_: c_int, info: *mut siginfo_t, _: *mut c_void) {
        // SAFETY: ends the program; the information is the system's.
        unsafe { libc::_exit(if (*info).si_addr().is_null() { 70 } else { 72 }) }
    }

    #[test]
    #[ignore = "run by a_bus_error_elsewhere_is_not_swallowed"]
    fn touches_a_page_that_is_not_there() {
        let (address, flags) = match std::env::var("HANDLER").as_deref() {
            Ok("default") => (libc::SIG_DFL, 0),
            Ok("ignore") => (libc::SIG_IGN, 0),
            Ok("plain") => (plain as *const () as usize, 0),
            Ok("with information") => (with_information as *const () as usize, libc::SA_SIGINFO),
            _ => (usize::MAX, 0),
        };
        if address != usize::MAX {
            // SAFETY: a valid action.
            unsafe {
                let mut action: libc::sigaction = std::mem::zeroed();
                (action.sa_sigaction, action.sa_flags) = (address, flags);
                check(libc::sigaction(libc::SIGBUS, &action, ptr::null_mut())).expect("installs");
            }
        }
        let map = Map::new(file_of(10_000)).expect("maps");
        map.file.set_len(0).expect("cuts");
        kind(&map, 0..10_000);
        let elsewhere = MmapOptions::new()
            .len(4096)
            .map_raw_read_only(&map.file)
            .expect("maps");
        // SAFETY: no map of this module's: it ends the program, as it should.
        let byte = unsafe { elsewhere.as_ptr().read_volatile() };
        panic!("read {byte}");
    }
}
