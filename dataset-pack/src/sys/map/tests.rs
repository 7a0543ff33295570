use std::ptr;

use libc::{c_int, c_void, siginfo_t};
use tempfile::NamedTempFile;

use super::bus_error::check;
use super::*;

/// A file and its map.
fn mapped(bytes: u64) -> (NamedTempFile, Map) {
    let file = NamedTempFile::new().expect("makes a file");
    cut(&file, bytes);
    let map = Map::new(file.path()).expect("maps");
    (file, map)
}

fn cut(file: &NamedTempFile, bytes: u64) {
    file.as_file().set_len(bytes).expect("has the length");
}

fn kind(map: &Map, part: Range<u64>) -> ErrorKind {
    map.with(part, <[u8]>::to_vec).expect_err("is gone").kind()
}

#[test]
fn a_file_that_shrinks_is_an_error_wherever_it_is_read() {
    let (file, map) = mapped(100_000);
    assert_eq!(map.with(5..9, <[u8]>::len).expect("is there"), 4);
    cut(&file, 50_000);
    // Beyond the last page, within it, and before it.
    for part in [90_000..90_010, 50_000..50_010, 0..10] {
        assert_eq!(kind(&map, part), ErrorKind::UnexpectedEof);
    }
}

#[test]
fn the_file_may_shrink_while_it_is_looked_at() {
    let (file, map) = mapped(100_000);
    let seen = map.with(0..100_000, |bytes| {
        cut(&file, 0);
        bytes.iter().all(|&byte| byte == 0)
    });
    assert_eq!(seen.expect_err("is gone").kind(), ErrorKind::UnexpectedEof);
}

#[test]
fn what_was_lost_stays_lost_when_the_file_grows_again() {
    let (file, map) = mapped(100_000);
    cut(&file, 0);
    kind(&map, 0..10);
    cut(&file, 100_000);
    assert_eq!(kind(&map, 0..10), ErrorKind::Other);
}

#[test]
fn nothing_lies_beyond_the_end() {
    let (_file, map) = mapped(10);
    assert_eq!(kind(&map, 8..11), ErrorKind::UnexpectedEof);
    assert_eq!(kind(&map, 11..11), ErrorKind::UnexpectedEof);
    let (_file, empty) = mapped(0);
    assert_eq!(
        (empty.len(), kind(&empty, 0..1)),
        (0, ErrorKind::UnexpectedEof)
    );
}

#[test]
fn many_threads_may_read_a_map_that_is_cut() {
    let (file, map) = mapped(1 << 20);
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
        cut(&file, 12_345);
    });
}

/// What becomes of a program that installs `handler` for SIGBUS first, if any, reads a map, and then touches a
/// page that a map of another kind does not have.
fn after_a_bus_error_elsewhere(handler: &str) -> std::process::ExitStatus {
    let (_, module) = module_path!().split_once("::").expect("is in the crate");
    let test = format!("{module}::touches_a_page_that_is_not_there");
    std::process::Command::new(std::env::current_exe().expect("has a path"))
        .args(["--exact", &test, "--ignored"])
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
    // SAFETY: ends the program should it never end by itself.
    unsafe { libc::alarm(60) };
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
    let (file, map) = mapped(10_000);
    cut(&file, 0);
    kind(&map, 0..10_000);
    let elsewhere = MmapOptions::new()
        .len(4096)
        .map_raw_read_only(file.as_file())
        .expect("maps");
    let (_file, whole) = mapped(10_000);
    // SAFETY: not of the map that is read: it ends the program, as it should.
    let byte = whole.with(0..10, |_| unsafe { elsewhere.as_ptr().read_volatile() });
    panic!("read {byte:?}");
}
