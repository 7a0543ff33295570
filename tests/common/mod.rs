//! What the tests of the whole programs share: the programs, small data sets, and what an error looks like.
#![allow(dead_code)]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::sync::Mutex;

use tempfile::TempDir;

/// A program of another package of the workspace, `host` or `dataset-pack`.
pub fn program(name: &str) -> Command {
    // It lies in target/PROFILE, and this test some folders deeper.
    let test = std::env::current_exe().expect("the test's own path");
    let file = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    let path = test
        .ancestors()
        .map(|folder| folder.join(&file))
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("{file} is not built; run `cargo test --workspace`"));
    let mut command = Command::new(path);
    command.env_remove("ALEXNET_CPU");
    // What the tests' own caller ignores, as `nohup` and a script's `&` do, the program would leave ignored.
    // SAFETY: `signal` may be called between fork and exec.
    unsafe {
        command.pre_exec(|| {
            for signal in [libc::SIGHUP, libc::SIGINT] {
                libc::signal(signal, libc::SIG_DFL);
            }
            Ok(())
        })
    };
    command
}

/// A path inside a folder, as an argument.
pub fn path(folder: &Path, name: &str) -> String {
    folder
        .join(name)
        .into_os_string()
        .into_string()
        .expect("an UTF-8 path")
}

/// What a program that has ended left behind.
#[derive(Debug)]
pub struct Done {
    /// Its exit status.
    pub code: Option<i32>,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
}

impl Done {
    /// Checks that it exited with 0.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{}{}", self.out, self.err);
        self
    }

    /// Checks that it failed with one line of error in which all these words are.
    #[track_caller]
    pub fn fails(self, words: &[&str]) -> Self {
        assert_eq!(self.code, Some(1), "{}{}", self.out, self.err);
        let is_error =
            |line: &&str| line.starts_with("error: ") || line.starts_with("dataset-pack: ");
        let errors: Vec<&str> = self.err.lines().filter(is_error).collect();
        assert_eq!(errors.len(), 1, "{}", self.err);
        assert_eq!(
            self.err.lines().last(),
            Some(errors[0]),
            "the error comes last"
        );
        for word in words {
            assert!(errors[0].contains(word), "{word}: {}", errors[0]);
        }
        assert!(!self.err.contains("panicked"), "{}", self.err);
        self
    }

    /// Its standard output as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {}", self.out))
    }
}

impl From<Output> for Done {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Done {
            code: output.status.code(),
            out: text(&output.stdout),
            err: text(&output.stderr),
        }
    }
}

/// Runs a command to its end.
pub fn run(command: &mut Command) -> Done {
    command.output().expect("the program starts").into()
}

/// A program at work, which ends with its test, however that ends.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs `host`.
pub fn host<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Done {
    run(program("host").args(arguments))
}

/// Runs `dataset-pack`.
pub fn pack<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Done {
    run(program("dataset-pack").args(arguments))
}

/// A temporary folder that is there until the tests of a program end. They keep theirs in statics, which are never
/// dropped.
pub struct Folder(PathBuf);

static FOLDERS: Mutex<Vec<TempDir>> = Mutex::new(Vec::new());

extern "C" fn remove_folders() {
    if let Ok(mut folders) = FOLDERS.lock() {
        folders.clear();
    }
}

impl Folder {
    fn new() -> Folder {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().to_path_buf();
        let mut folders = FOLDERS.lock().expect("nobody panics with it");
        if folders.is_empty() {
            // SAFETY: the function neither panics nor unwinds.
            assert_eq!(unsafe { libc::atexit(remove_folders) }, 0);
        }
        folders.push(dir);
        Folder(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

/// A folder with drawn images in `drawn` and the sets made of them, `sets/train` and `sets/val`.
pub fn sets(classes: u32, per_class: u32, size: u32) -> Folder {
    let dir = Folder::new();
    let [drawn, sets] = ["drawn", "sets"].map(|name| path(dir.path(), name));
    let [classes, per_class, size] = [classes, per_class, size].map(|n| n.to_string());
    pack([
        "synth",
        "--out",
        &drawn,
        "--classes",
        &classes,
        "--per-class",
        &per_class,
    ])
    .ok();
    pack([
        "build",
        "--source",
        &drawn,
        "--out",
        &sets,
        "--size",
        &size,
        "--val-fraction",
        "0.25",
    ])
    .ok();
    dir
}

/// `tests/common/tiny.toml`
pub fn tiny() -> String {
    path(
        Path::new(env!("CARGO_MANIFEST_DIR")),
        "tests/common/tiny.toml",
    )
}

/// `host train` of the tiny net on the sets in `dir`, into the run directory `out` in it.
pub fn train_tiny(dir: &Path, out: &str, options: &[&str]) -> Command {
    let mut command = program("host");
    command.args([
        "train",
        "--net",
        &tiny(),
        "--data",
        &path(dir, "sets/train"),
        "--out",
        &path(dir, out),
    ]);
    command.args(options);
    command
}

/// The checkpoint of a step in a run directory.
pub fn checkpoint(run: &Path, step: u64) -> PathBuf {
    run.join(format!("checkpoints/step-{step:07}.safetensors"))
}

/// A file's bytes.
#[track_caller]
pub fn bytes(path: impl AsRef<Path>) -> Vec<u8> {
    let path = path.as_ref();
    fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The lines of a run's metrics, without the speed, which is never the same twice.
pub fn metrics(run: &Path) -> Vec<serde_json::Value> {
    let text = String::from_utf8(bytes(run.join("metrics.jsonl"))).expect("UTF-8");
    let line = |line: &str| {
        let mut line: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let speed = line
            .as_object_mut()
            .and_then(|fields| fields.remove("images_per_second"));
        assert!(
            speed.is_some_and(|speed| speed.as_f64() > Some(0.0)),
            "{line}"
        );
        line
    };
    text.lines().map(line).collect()
}

/// Names of the files in a folder, sorted.
pub fn files(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut names: Vec<String> = entries
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    names
}
