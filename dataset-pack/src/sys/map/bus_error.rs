//! What becomes of SIGBUS: the handler puts a page of zeros where the system has none for a map that is read, and
//! leaves a mark. A SIGBUS of other origin goes to the handler that was there before.

use std::io::{Error, Result};
use std::ops::Range;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering, compiler_fence};

use libc::{c_int, c_void, siginfo_t};

/// What the handler knows of a map. It lives as long as the map is read.
pub(super) struct Watched {
    addresses: Range<usize>,
    /// Whether a page could not be had. Then zeros stand in its place.
    torn: AtomicBool,
}

thread_local! {
    /// The map that this thread reads.
    static READ: AtomicPtr<Watched> = const { AtomicPtr::new(ptr::null_mut()) };
}

impl Watched {
    /// For a map that is read only, at these addresses.
    pub(super) fn new(addresses: Range<usize>) -> Result<Watched> {
        install()?;
        Ok(Watched {
            addresses,
            torn: AtomicBool::new(false),
        })
    }

    /// Bytes of the map.
    pub(super) fn len(&self) -> usize {
        self.addresses.len()
    }

    /// What `look` makes of the map, unless a page could not be had, now or ever before.
    pub(super) fn during<R>(&self, look: impl FnOnce() -> R) -> Option<R> {
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
        let result = look();
        compiler_fence(Ordering::SeqCst);
        (!self.torn.load(Ordering::SeqCst)).then_some(result)
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
fn install() -> Result<()> {
    static INSTALLED: OnceLock<std::result::Result<(), c_int>> = OnceLock::new();
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
    INSTALLED
        .get_or_init(|| install().map_err(|error: Error| error.raw_os_error().unwrap_or(0)))
        .map_err(Error::from_raw_os_error)
}

/// What a system call answered.
pub(super) fn check(result: c_int) -> Result<()> {
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
