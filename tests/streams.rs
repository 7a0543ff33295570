//! Standard output and standard error that are closed, full or broken: no command panics, none loses its work, and a
//! result that cannot be written is an error.

mod common;

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use common::{Done, Folder, path, program, run, train_tiny};

static DATA: LazyLock<Folder> = LazyLock::new(|| {
    let data = common::sets(3, 16, 64);
    run(&mut train_tiny(data.path(), "run", &["--steps", "1"])).ok();
    data
});

fn at(name: &str) -> String {
    path(DATA.path(), name)
}

/// What becomes of a stream.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Read,
    /// Closed before the program begins.
    Closed,
    /// No byte fits.
    Full,
    /// Its reader has gone.
    Broken,
}

impl Fate {
    fn stdio(self) -> Stdio {
        match self {
            Fate::Read => Stdio::piped(),
            // The shell closes it.
            Fate::Closed => Stdio::null(),
            Fate::Full => OpenOptions::new()
                .write(true)
                .open("/dev/full")
                .expect("a full device")
                .into(),
            Fate::Broken => std::io::pipe().expect("a pipe").1.into(),
        }
    }
}

/// Runs a command with these streams.
fn with(command: &Command, out: Fate, err: Fate) -> Done {
    let close = |fate, number: u32| match fate {
        Fate::Closed => format!(" {number}>&-"),
        _ => String::new(),
    };
    let line = format!("exec \"$@\"{}{}", close(out, 1), close(err, 2));
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &line, "sh"])
        .arg(command.get_program())
        .args(command.get_args());
    shell
        .stdin(Stdio::null())
        .stdout(out.stdio())
        .stderr(err.stdio());
    shell
        .spawn()
        .and_then(|child| child.wait_with_output())
        .expect("it runs")
        .into()
}

/// A command of one of the programs; `OUT` stands for a path of its own.
fn command(line: &str, out: &str) -> Command {
    let mut words = line.split_whitespace();
    let mut command = program(words.next().expect("a program"));
    for word in words {
        match word {
            "OUT" => command.arg(out),
            "NET" => command.arg(common::tiny()),
            _ if word.starts_with('@') => command.arg(at(&word[1..])),
            _ => command.arg(word),
        };
    }
    command
}

/// Every command, and what it leaves in `OUT`.
const COMMANDS: [(&str, &str); 28] = [
    (
        "host train --net NET --data @sets/train --val @sets/val --steps 2 --out OUT",
        "checkpoints/latest",
    ),
    (
        "host test-crop --checkpoint @run --data @sets/val --crops 1 --batch 32",
        "",
    ),
    (
        "host test-crop --checkpoint @run --data @sets/val --crops 1 --batch 32 --json",
        "",
    ),
    (
        "host features --checkpoint @run --data @sets/val --layer fc3 --batch 32 --out OUT",
        ".",
    ),
    (
        "host index --checkpoint @run --data @sets/val --batch 32 --out OUT",
        ".",
    ),
    (
        "host predict --checkpoint @run @image.png @image.png --batch 32",
        "",
    ),
    (
        "host predict --checkpoint @run @image.png --batch 32 --json",
        "",
    ),
    (
        "host similar --index @val.index --checkpoint @run @image.png --batch 32",
        "",
    ),
    (
        "host activations --checkpoint @run @image.png --layer conv1 --out OUT",
        ".",
    ),
    (
        "host report @run --data @sets/val --batch 32 --out OUT",
        ".",
    ),
    ("host export --checkpoint @run --out OUT", "."),
    (
        "host import --from @weights.safetensors --net NET --out OUT",
        ".",
    ),
    ("host nets paper", ""),
    ("host filters --checkpoint @run --out OUT", "."),
    ("host check-gradients --net NET --gpus cpu", ""),
    (
        "host check-kernels --net NET --gpus cpu --batch 32 --classes 3 --kernel relu_forward",
        "",
    ),
    ("host bench --net NET --gpus cpu --batch 32 --steps 1", ""),
    ("host doctor", ""),
    ("host --help", ""),
    ("host train --help", ""),
    (
        "dataset-pack synth --out OUT --classes 2 --per-class 2",
        ".",
    ),
    (
        "dataset-pack build --source @odd --size 16 --out OUT",
        "index.json",
    ),
    ("dataset-pack merge @part --out OUT", "index.json"),
    ("dataset-pack verify @sets/train", ""),
    ("dataset-pack info @sets/train", ""),
    ("dataset-pack inspect @sets/train --index 0 --png OUT", "."),
    ("dataset-pack extract @sets/val --out OUT", "."),
    ("dataset-pack --version", ""),
];

/// Commands without a result on standard output.
fn is_silent(line: &str) -> bool {
    line.contains(" synth ") || line.contains(" extract ")
}

/// What the commands above read.
fn prepare() {
    let (run, val) = (at("run"), at("sets/val"));
    let (weights, index) = (at("weights.safetensors"), at("val.index"));
    common::host(["export", "--checkpoint", &run, "--out", &weights]).ok();
    let made = ["index", "--checkpoint", &run, "--data", &val, "--out"];
    common::host(made.iter().chain(&[&*index, "--batch", "32"])).ok();
    let image = at("image.png");
    common::pack(["inspect", &val, "--index", "0", "--png", &image]).ok();
    // Bad images, so that there is something to warn of.
    let odd = at("odd");
    common::pack(["synth", "--out", &odd, "--classes", "2", "--per-class", "4"]).ok();
    let class = std::fs::read_dir(&odd)
        .expect("a folder")
        .next()
        .expect("a class")
        .expect("its entry")
        .path();
    for number in 0..20 {
        std::fs::write(class.join(format!("bad{number}.jpg")), "bad").expect("written");
    }
    common::pack([
        "build",
        "--source",
        &odd,
        "--size",
        "16",
        "--out",
        &at("part"),
        "--part",
        "1/1",
    ])
    .ok();
}

/// What must be so however the streams are.
fn judge(line: &str, out: Fate, err: Fate, done: &Done) {
    let told = format!("{line}, output {out:?}, error {err:?}: {done:?}");
    let fails = out == Fate::Full && !is_silent(line);
    assert_eq!(done.code, Some(i32::from(fails)), "{told}");
    let wrong = |line: &&str| line.starts_with("error: ") || line.starts_with("dataset-pack: ");
    let wrong: Vec<&str> = done.err.lines().filter(wrong).collect();
    match fails && err == Fate::Read {
        true => assert!(
            matches!(wrong[..], [one] if one.contains("cannot write to standard output")),
            "{told}"
        ),
        false => assert!(wrong.is_empty(), "{told}"),
    }
    assert!(!done.err.contains("panicked"), "{told}");
    assert!(
        out != Fate::Read || is_silent(line) || !done.out.is_empty(),
        "{told}"
    );
}

#[test]
fn no_command_minds_its_streams() {
    prepare();
    let fates = [Fate::Closed, Fate::Full, Fate::Broken];
    let pairs = [
        [(Fate::Read, Fate::Read); 3],
        fates.map(|fate| (fate, Fate::Read)),
        fates.map(|fate| (Fate::Read, fate)),
        fates.map(|fate| (fate, fate)),
    ];
    for (number, (line, left)) in COMMANDS.into_iter().enumerate() {
        for (turn, &(out, err)) in pairs.as_flattened()[2..].iter().enumerate() {
            let name = at(&format!("out-{number}-{turn}"));
            judge(line, out, err, &with(&command(line, &name), out, err));
            let work = Path::new(&name).join(left);
            assert!(
                left.is_empty() || work.exists() || Path::new(&name).is_file(),
                "{line}: no {left}"
            );
        }
    }
}

#[test]
fn wrong_usage_and_failures_keep_their_status() {
    for fate in [Fate::Closed, Fate::Full, Fate::Broken] {
        for (line, code) in [
            ("host fly", 2),
            ("host train --data d", 2),
            ("dataset-pack build", 2),
            ("host test-crop --checkpoint @none --data @sets/val", 1),
            ("dataset-pack info @none", 1),
        ] {
            let done = with(&command(line, ""), fate, fate);
            assert_eq!(done.code, Some(code), "{line}, {fate:?}");
        }
    }
}

/// Another program may have made a stream one that does not wait. Its reader is slow here, not gone.
#[test]
fn a_result_waits_for_a_slow_reader() {
    let (mut reader, mut writer) = std::io::pipe().expect("a pipe");
    assert_ne!(
        // SAFETY: the descriptor is open, and the flag concerns nobody else.
        unsafe { libc::fcntl(writer.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) },
        -1
    );
    let mut filled = 0;
    while let Ok(written) = writer.write(&[b'.'; 4096]) {
        filled += written;
    }
    let mut command = command("dataset-pack info @sets/train", "");
    let mut child = command
        .stdout(writer)
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    drop(command);
    std::thread::sleep(Duration::from_millis(300));
    assert!(
        child.try_wait().expect("its state").is_none(),
        "it did not wait"
    );
    let mut told = Vec::new();
    reader.read_to_end(&mut told).expect("all it writes");
    assert_eq!(child.wait().expect("its status").code(), Some(0));
    let told = String::from_utf8(told.split_off(filled)).expect("text");
    assert!(told.contains("classes  3"), "{told}");
}
