//! How a run is asked to end.

use std::ffi::c_int;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Set by the first SIGINT (Ctrl-C), SIGTERM or SIGHUP; the run then saves and ends. A second one kills.
///
/// A signal that is ignored when the program starts stays so: SIGHUP under `nohup`, SIGINT behind a script's `&`.
pub(super) fn signal() -> Result<Arc<AtomicBool>> {
    let heard = [SIGHUP, SIGINT, SIGTERM].into_iter();
    let mut signals = Signals::new(heard.filter(|&signal| !is_ignored(signal)))
        .context("listening for signals")?;
    let stop = Arc::new(AtomicBool::new(false));
    let flag = stop.clone();
    let listen = move || {
        for signal in signals.forever() {
            if flag.swap(true, Ordering::Relaxed) {
                std::process::exit(128 + signal);
            }
            console::note!("stopping after this step; once more to stop at once");
        }
    };
    let thread = std::thread::Builder::new().name("signals".into());
    thread.spawn(listen).context("listening for signals")?;
    Ok(stop)
}

fn is_ignored(signal: c_int) -> bool {
    // SAFETY: zeros are a `sigaction`, and without a new one the call only writes the present one there.
    unsafe {
        let mut now: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &mut now);
        now.sa_sigaction == libc::SIG_IGN
    }
}
