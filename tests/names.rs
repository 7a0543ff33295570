//! Any name that a file system allows does for every path of both programs, and is shown without doing anything to a
//! terminal or looking like a line of its own.

mod common;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::sync::LazyLock;

use common::{Done, Folder, host, pack, run, train_tiny};

/// Not UTF-8, with an end of a line, a coloured forgery, and a control character of two bytes.
const ODD: &[u8] = b"o\xffdd\nerror: \x1b[31mforged\xc2\x9b0m";
const SHOWN: &str = "o\\xffdd\\nerror: \\u{1b}[31mforged\\u{9b}0m";

static DATA: LazyLock<Folder> = LazyLock::new(|| {
    let data = common::sets(3, 16, 64);
    run(&mut train_tiny(data.path(), "run", &["--steps", "1"])).ok();
    let odd = data.path().join(OsStr::from_bytes(ODD));
    fs::create_dir(&odd).expect("made");
    for name in ["drawn", "sets", "run"] {
        fs::rename(data.path().join(name), odd.join(name)).expect("moved");
    }
    fs::copy(common::tiny(), odd.join("tiny.toml")).expect("copied");
    data
});

/// A path in the folder with the odd name.
fn at(name: &[u8]) -> PathBuf {
    DATA.path()
        .join(OsStr::from_bytes(ODD))
        .join(OsStr::from_bytes(name))
}

/// A command's words: one that begins with `@` is a path there, `LONG` as long a name as there may be, and `OTHER` another.
fn words(line: &str) -> Vec<OsString> {
    let word = |word: &str| match word.strip_prefix('@') {
        Some("LONG") => at(&[b'n'; 255]).into(),
        Some("OTHER") => at(&[b'm'; 255]).into(),
        Some(name) => at(name.as_bytes()).into(),
        None => OsString::from_vec(word.as_bytes().to_vec()),
    };
    line.split_whitespace().map(word).collect()
}

fn start(line: &str) -> Done {
    let words = words(line);
    match words[0] == "host" {
        true => host(&words[1..]),
        false => pack(&words[1..]),
    }
}

/// That nothing in what a program says gives the name away.
#[track_caller]
fn plain(done: Done, line: &str) -> Done {
    let harmful = |c: char| c.is_control() && c != '\n';
    for text in [&done.out, &done.err] {
        assert!(!text.contains(harmful), "{line}: {text:?}");
        let forged = text.lines().any(|line| line.starts_with("error: \\u{1b}"));
        assert!(!forged, "{line}: {text:?}");
    }
    done
}

#[test]
fn every_command_works_with_any_name() {
    for line in [
        "host train --net @tiny.toml --data @sets/train --val @sets/val --steps 1 --out @trained",
        "host train --net @tiny.toml --data @sets/train --init-from @run/checkpoints/step-0000001.safetensors --steps 1 --out @LONG",
        "host train --data @sets/train --val @sets/val --steps 2 --resume --out @trained",
        "host test-crop --checkpoint @run @trained --data @sets/val --crops 1 --batch 32",
        "host features --checkpoint @run --data @sets/val --layer fc3 --batch 32 --out @features",
        "host index --checkpoint @run --data @sets/val --batch 32 --out @index",
        "host similar --index @index --data @sets/val --image 0 --png @sheet",
        "host index --checkpoint @run --data @sets/val --batch 32 --out @index --bits 64",
        "host similar --index @index --data @sets/val --image 0 --codes --rerank 9",
        "host export --checkpoint @run --out @exported",
        "host train --net @tiny.toml --data @sets/train --init-from @exported --steps 1 --out @tuned",
        "host filters --checkpoint @LONG --out @OTHER",
        "host bench --net @tiny.toml --gpus cpu --batch 32 --steps 1",
        "dataset-pack build --source @drawn --size 16 --out @built",
        "dataset-pack build --source @drawn --size 16 --out @built-json --json",
        "dataset-pack build --source @drawn --size 16 --part 1/1 --out @part",
        "dataset-pack merge @part --out @merged",
        "dataset-pack verify @merged",
        "dataset-pack rebuild-index @merged",
        "dataset-pack info @merged",
        "dataset-pack inspect @merged --index 0 --png @one.png",
        "dataset-pack inspect @merged --index 0 --json",
        "host predict --checkpoint @run @one.png --png @sheet",
        "host saliency --checkpoint @run @one.png --png @sheet",
        "dataset-pack extract @merged --out @extracted",
        "dataset-pack synth --out @more --classes 2 --per-class 2",
    ] {
        plain(start(line), line).ok();
    }
    assert!(at(&[b'n'; 255]).join("checkpoints/latest").is_file() && at(&[b'm'; 255]).is_file());
}

#[test]
fn every_error_shows_the_name_escaped() {
    for line in [
        "host train --data @none --out @never",
        "host train --net @none --data @sets/train --out @never",
        "host train --net @tiny.toml --data @sets/train --init-from @none --out @never",
        "host train --net @tiny.toml --data @sets/train --out @run",
        "host train --net @tiny.toml --data @sets/train --out @tiny.toml/never",
        "host test-crop --checkpoint @none --data @sets/val",
        "host test-crop --checkpoint @run --data @none",
        "host features --checkpoint @run --data @sets/val --layer fc3 --batch 32 --out @no/where",
        "host index --checkpoint @run --data @sets/val --batch 32 --out @no/where",
        "host similar --index @none --image 0",
        "host saliency --checkpoint @none x.png --png @sheet",
        "host saliency --checkpoint @run @none --png @sheet",
        "host predict --checkpoint @none x.png",
        "host export --checkpoint @run --out @no/where",
        "host filters --checkpoint @run --out @no/where",
        "host bench --net @none",
        "host check-gradients --net @none",
        "host check-kernels --net @none",
        "dataset-pack build --source @none --out @never",
        "dataset-pack build --source @drawn --labels @none --out @never",
        "dataset-pack merge @none --out @never",
        "dataset-pack verify @none",
        "dataset-pack info @none",
        "dataset-pack inspect @sets/train --index 0 --png @no/where",
        "dataset-pack extract @none --out @never",
        "dataset-pack synth --out @drawn --classes 2 --per-class 2",
    ] {
        plain(start(line), line).fails(&[SHOWN]);
    }
    for line in [
        "host @x",
        "host train @x",
        "host doctor --json=@x",
        "dataset-pack info a @x",
        "dataset-pack synth --seed @x",
    ] {
        assert_eq!(plain(start(line), line).code, Some(2), "{line}");
    }
}
