//! A terminal that hangs up, and one that is stopped and never read: training saves and ends as asked. Colours where they
//! are wanted.

mod common;

use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::process::{Command, Stdio};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use common::{Folder, Running, bytes, checkpoint, metrics, train_tiny};

static DATA: LazyLock<Folder> = LazyLock::new(|| common::sets(3, 16, 64));

/// Held by a test: a program that another one starts would inherit its terminal and keep that from hanging up.
static TURN: Mutex<()> = Mutex::new(());

/// A new terminal of 120 columns and 40 lines: the side of whoever looks at it, which no program inherits, and the program's.
fn terminal() -> (OwnedFd, OwnedFd) {
    let (mut seen, mut used) = (-1, -1);
    let none = std::ptr::null_mut();
    let size = libc::winsize {
        ws_row: 40,
        ws_col: 120,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    // SAFETY: it writes the two descriptors, which nobody else owns, and reads the size.
    let (seen, used) = unsafe {
        let done = libc::openpty(&mut seen, &mut used, none, none.cast(), &size);
        assert_eq!(done, 0);
        (OwnedFd::from_raw_fd(seen), OwnedFd::from_raw_fd(used))
    };
    let own = seen
        .try_clone()
        .expect("a handle that is closed in programs");
    (own, used)
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what}");
        sleep(Duration::from_millis(5));
    }
}

fn steps(out: &str) -> usize {
    let lines = std::fs::read(DATA.path().join(out).join("metrics.jsonl"));
    lines.map_or(0, |lines| {
        lines.iter().filter(|&&byte| byte == b'\n').count()
    })
}

/// Starts a run that would take for ever.
fn start(out: &str, stdout: Stdio, stderr: Stdio) -> Running {
    let train = train_tiny(DATA.path(), out, &["--steps", "1000000"]);
    let mut command = Command::new("env");
    command
        .arg("--default-signal=HUP,TERM")
        .arg(train.get_program())
        .args(train.get_args());
    command.stdin(Stdio::null()).stdout(stdout).stderr(stderr);
    Running(command.spawn().expect("it starts"))
}

fn ends_well(mut child: Running, signal: i32, out: &str) {
    let pid = child.0.id().try_into().expect("a process");
    // SAFETY: it only sends a signal, to a child that nobody has waited for.
    assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
    until("it does not end", || {
        child.0.try_wait().expect("its state").is_some()
    });
    assert_eq!(child.0.wait().expect("its status").code(), Some(0));
    let run = DATA.path().join(out);
    assert!(checkpoint(&run, metrics(&run).len() as u64).is_file());
}

#[test]
fn a_terminal_that_hangs_up() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let (seen, used) = terminal();
    let copy = used.try_clone().expect("another handle");
    let child = start("hang-up", used.into(), copy.into());
    until("no steps", || steps("hang-up") > 5);
    drop(seen);
    let before = steps("hang-up");
    until("it ended with its terminal", || {
        steps("hang-up") > before + 20
    });
    ends_well(child, libc::SIGHUP, "hang-up");
}

#[test]
fn a_terminal_that_is_stopped() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let (seen, used) = terminal();
    let stdout = File::create(DATA.path().join("stdout")).expect("a file");
    // SAFETY: the descriptor is open; what Ctrl-S does.
    assert_eq!(unsafe { libc::tcflow(used.as_raw_fd(), libc::TCOOFF) }, 0);
    let child = start("stopped", stdout.into(), used.into());
    until("no steps", || steps("stopped") > 50);
    ends_well(child, libc::SIGTERM, "stopped");
    let told = bytes(DATA.path().join("stdout"));
    assert!(String::from_utf8_lossy(&told).contains("--resume"));
    drop(seen);
}

/// What has come to whoever looks at a terminal since the last time.
fn seen_since(seen: &OwnedFd, all: &mut Vec<u8>) {
    let mut ready = libc::pollfd {
        fd: seen.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    let mut part = [0; 4096];
    // SAFETY: one descriptor, which is open, and room for what is read.
    unsafe {
        while libc::poll(&mut ready, 1, 0) == 1 && ready.revents & libc::POLLIN != 0 {
            let count = libc::read(seen.as_raw_fd(), part.as_mut_ptr().cast(), part.len());
            let Ok(count @ 1..) = usize::try_from(count) else {
                break;
            };
            all.extend_from_slice(&part[..count]);
        }
    }
}

/// What a command writes to a terminal as both its streams; it must end with 0.
fn on_a_terminal(command: &mut Command) -> String {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let (seen, used) = terminal();
    let copy = used.try_clone().expect("another handle");
    command.stdin(Stdio::null()).stdout(used).stderr(copy);
    let mut child = Running(command.spawn().expect("it starts"));
    // The command's handles would keep the terminal from hanging up.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut all = Vec::new();
    until("it does not end", || {
        seen_since(&seen, &mut all);
        child.0.try_wait().expect("its state").is_some()
    });
    seen_since(&seen, &mut all);
    assert_eq!(child.0.wait().expect("its status").code(), Some(0));
    String::from_utf8_lossy(&all).into_owned()
}

/// Whether a text sets a colour, which is what `NO_COLOR` is about; bold type and a cursor that moves are none.
fn has_colour(text: &str) -> bool {
    text.split("\x1b[").skip(1).any(|part| {
        let end = part.find(|c: char| !(c.is_ascii_digit() || c == ';'));
        let numbers = end.filter(|&end| part[end..].starts_with('m'));
        let mut numbers = part[..numbers.unwrap_or(0)].split(';');
        numbers.any(|n| matches!(n.parse(), Ok(30..=38 | 40..=48 | 90..=97 | 100..=107)))
    })
}

#[test]
fn colours_are_left_out_where_they_are_not_wanted() {
    assert!(has_colour("a\x1b[0;31mb") && !has_colour("a\x1b[1mb\x1b[3Ac31m\x1b[39m"));
    let plain = |words: &[&str]| {
        let mut command = common::program("host");
        command.args(words);
        command
    };
    let train = |out: &str, options: &[&str]| {
        let steps = [&["--steps", "3"], options].concat();
        train_tiny(DATA.path(), out, &steps)
    };
    // The view in colours by default, so that one would be seen.
    let coloured = on_a_terminal(train("coloured", &["--tui"]).env_remove("NO_COLOR"));
    assert!(has_colour(&coloured), "{coloured:?}");
    for mut command in [
        train("grey", &["--tui"]),
        train("bar", &[]),
        plain(&["train", "--help"]),
        plain(&["nets", "paper"]),
    ] {
        let told = on_a_terminal(command.env("NO_COLOR", "1"));
        assert!(!told.is_empty() && !has_colour(&told), "{told:?}");
    }
    // A pipe gets lines alone, whatever was asked for.
    let done = common::run(&mut train("piped", &["--tui"])).ok();
    assert!(!done.err.contains('\x1b') && !done.out.contains('\x1b'));
    assert!(done.err.contains("virtual GPU"), "{}", done.err);
}

#[test]
fn the_whole_terminal_is_given_back_when_the_run_is_stopped() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let (seen, used) = terminal();
    let mut train = train_tiny(DATA.path(), "whole", &["--steps", "1000000", "--tui"]);
    let copy = used.try_clone().expect("another handle");
    train.stdin(Stdio::null()).stdout(used).stderr(copy);
    let mut child = Running(train.spawn().expect("it starts"));
    drop(train);
    let mut all = Vec::new();
    until("no steps", || {
        seen_since(&seen, &mut all);
        steps("whole") > 20
    });
    let pid = child.0.id().try_into().expect("a process");
    // SAFETY: it only sends a signal, to a child that nobody has waited for.
    assert_eq!(unsafe { libc::kill(pid, libc::SIGTERM) }, 0);
    until("it does not end", || {
        seen_since(&seen, &mut all);
        child.0.try_wait().expect("its state").is_some()
    });
    seen_since(&seen, &mut all);
    let text = String::from_utf8_lossy(&all);
    let (before, after) = text.split_once("\x1b[?1049l").expect("the screen is left");
    assert!(
        before.contains("\x1b[?1049h") && before.contains("images/s"),
        "{before}"
    );
    assert!(before.ends_with("\x1b[?25h"), "the cursor is shown again");
    // What was said stays, and the report comes after it; no other bar was drawn into the picture.
    assert!(
        after.contains("saving and stopping") && after.contains("--resume"),
        "{after}"
    );
    assert!(
        !after.contains("\x1b[?1049h") && !before.contains("tested"),
        "{before}"
    );
}
