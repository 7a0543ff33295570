//! What the environment variable `CUDA_STAND_IN` says, and the log.

use std::fs::File;
use std::io::Write;
use std::str::FromStr;
use std::sync::LazyLock;

use crate::state::Code;

pub static SETTINGS: LazyLock<Settings> = LazyLock::new(Settings::read);

/// What goes wrong: a function of the driver when it is called for the `nth` time, or a kernel when it runs.
pub struct Failure {
    name: String,
    nth: u64,
    code: Code,
}

impl Failure {
    fn read(value: &str, key: &str) -> Self {
        let words: Vec<_> = value.split(':').collect();
        let [name, nth, code] = words[..] else {
            wrong(key, value);
        };
        Failure {
            name: name.to_owned(),
            nth: number(nth, key),
            code: number(code, key),
        }
    }

    /// The error, if this is the time.
    pub fn of(&self, name: &str, nth: u64) -> Option<Code> {
        (self.name == name && self.nth == nth).then_some(self.code)
    }
}

/// How the stand-in behaves; the README has the words.
pub struct Settings {
    pub devices: usize,
    pub capability: (i32, i32),
    pub driver: i32,
    pub memory: usize,
    pub peers: bool,
    /// Whether a null pointer stands behind a launch's last argument, which the driver does not ask for.
    pub terminated: bool,
    /// The seed of a random order of what the program left unordered.
    pub schedule: Option<u64>,
    pub fail: Option<Failure>,
    pub fault: Option<Failure>,
    /// Whether kernels do what their PTX says, or nothing.
    pub execute: bool,
    pub approximate: bool,
    pub refuse_fusable: bool,
    pub check_memory: bool,
    pub check_shared: bool,
    pub steps: Option<u64>,
    /// One block in how many is followed to count what it asks of memory.
    pub traffic: Option<u32>,
    log: Option<File>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            devices: 1,
            capability: (9, 0),
            driver: 13000,
            memory: 1 << 34,
            peers: true,
            terminated: false,
            schedule: None,
            fail: None,
            fault: None,
            execute: true,
            approximate: false,
            refuse_fusable: false,
            check_memory: false,
            check_shared: false,
            steps: None,
            traffic: None,
            log: None,
        }
    }
}

impl Settings {
    fn read() -> Self {
        let text = std::env::var("CUDA_STAND_IN").unwrap_or_default();
        let mut settings = Settings::default();
        for word in text.split_whitespace() {
            let (key, value) = word.split_once('=').unwrap_or((word, ""));
            settings.set(key, value);
        }
        settings
    }

    fn set(&mut self, key: &str, value: &str) {
        match key {
            "devices" => self.devices = number(value, key),
            "driver" => self.driver = number(value, key),
            "memory" => self.memory = number(value, key),
            "peers" => self.peers = yes(value, key),
            "terminated" => self.terminated = yes(value, key),
            "execute" => self.execute = yes(value, key),
            "approximate" => self.approximate = yes(value, key),
            "fusable" => self.refuse_fusable = !yes(value, key),
            "traffic" => self.traffic = Some(number(value, key)),
            "steps" => self.steps = Some(number(value, key)),
            "check" => {
                for check in value.split(',') {
                    match check {
                        "memory" => self.check_memory = true,
                        "shared" => self.check_shared = true,
                        _ => wrong(key, value),
                    }
                }
            }
            "schedule" => self.schedule = Some(number(value, key)),
            "capability" => {
                let (major, minor) = value.split_once('.').unwrap_or((value, "0"));
                self.capability = (number(major, key), number(minor, key));
            }
            "fail" => self.fail = Some(Failure::read(value, key)),
            "fault" => self.fault = Some(Failure::read(value, key)),
            "log" => {
                let file = File::create(value);
                self.log = Some(file.unwrap_or_else(|e| panic!("{value}: {e}")));
            }
            _ => wrong(key, value),
        }
    }

    /// Writes a line of JSON, if there is a log.
    pub fn log(&self, line: &str) {
        let Some(mut log) = self.log.as_ref() else {
            return;
        };
        // At once, so that lines of several threads stay whole.
        if let Err(error) = log.write_all(format!("{line}\n").as_bytes()) {
            panic!("CUDA_STAND_IN: the log: {error}");
        }
    }
}

/// A word that means nothing here; there is no caller who could be told in another way.
fn wrong(key: &str, value: &str) -> ! {
    panic!("CUDA_STAND_IN: {key}={value}")
}

fn number<T: FromStr>(value: &str, key: &str) -> T {
    value.parse().unwrap_or_else(|_| wrong(key, value))
}

fn yes(value: &str, key: &str) -> bool {
    match value {
        "yes" => true,
        "no" => false,
        _ => wrong(key, value),
    }
}
