//! How a run is asked to end.

use std::ffi::c_int;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGXCPU};
use signal_hook::iterator::Signals;

use super::observers::screen;

/// Those of people (Ctrl-C, a terminal that hangs up) and those of schedulers before their time is over.
const HEARD: [c_int; 6] = [SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGXCPU];

/// Whether a signal has asked the run to save and end.
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Listens from now on. A second SIGINT ends the program at once; other signals may come several times, as a
    /// scheduler and a shell pass on the same one.
    ///
    /// A signal that is ignored when the program starts stays so: SIGHUP under `nohup`, SIGINT behind a script's `&`.
    pub fn listen() -> Result<Stop> {
        let heard = HEARD.into_iter().filter(|&signal| !is_ignored(signal));
        let mut signals = Signals::new(heard).context("listening for signals")?;
        let stop = Arc::new(AtomicBool::new(false));
        let flag = stop.clone();
        let listen = move || {
            let mut interrupted = false;
            for signal in signals.forever() {
                if signal == SIGINT && interrupted {
                    screen::leave();
                    std::process::exit(128 + signal);
                }
                interrupted |= signal == SIGINT;
                if !flag.swap(true, Ordering::Relaxed) {
                    screen::say("saving and stopping; a second Ctrl-C stops at once");
                }
            }
        };
        let thread = std::thread::Builder::new().name("signals".into());
        thread.spawn(listen).context("listening for signals")?;
        Ok(Stop(stop))
    }

    /// Whether one has come.
    pub fn asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Whether the program was started with a signal ignored.
pub fn is_ignored(signal: c_int) -> bool {
    // SAFETY: zeros are a `sigaction`, and without a new one the call only writes the present one there.
    unsafe {
        let mut now: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &mut now);
        now.sa_sigaction == libc::SIG_IGN
    }
}
