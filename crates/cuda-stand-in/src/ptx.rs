//! What a PTX text says about its kernels.

/// A kernel's entry.
#[derive(Clone)]
pub struct Entry {
    pub name: String,
    /// Bytes of each parameter.
    pub sizes: Vec<usize>,
    /// `.maxntid`, if it is there.
    most_threads: Option<u32>,
}

impl Entry {
    /// The most threads that a block may have.
    pub fn most_threads(&self) -> u32 {
        self.most_threads.unwrap_or(1024).min(1024)
    }
}

/// `8.7` of `.version 8.7`, times ten.
pub fn version(text: &str) -> Option<u32> {
    let line = text
        .lines()
        .find_map(|line| line.trim().strip_prefix(".version"))?;
    let (major, minor) = line.trim().split_once('.')?;
    Some(major.parse::<u32>().ok()? * 10 + minor.parse::<u32>().ok()?)
}

/// `90` of `.target sm_90a`.
pub fn target(text: &str) -> Option<u32> {
    let line = text
        .lines()
        .find_map(|line| line.trim().strip_prefix(".target sm_"))?;
    let digits: String = line.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

pub fn entries(text: &str) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some((_, name)) = line.split_once(".entry ") {
            let name = name.trim_end_matches(['(', ')', ' ']).to_owned();
            entries.push(Entry {
                name,
                sizes: Vec::new(),
                most_threads: None,
            });
        } else if let Some(last) = entries.last_mut() {
            if let Some(parameter) = line.strip_prefix(".param ") {
                last.sizes.extend(size(parameter.trim_end_matches(',')));
            } else if let Some(threads) = line.strip_prefix(".maxntid ") {
                let numbers = threads.split(',').map(|n| n.trim().parse::<u32>());
                last.most_threads = numbers.map(Result::ok).product();
            } else if line == "}" {
                // A parameter of a function that is no kernel belongs to nobody.
                entries.push(Entry {
                    name: String::new(),
                    sizes: Vec::new(),
                    most_threads: None,
                });
            }
        }
    }
    entries.retain(|entry| !entry.name.is_empty());
    entries
}

fn size(parameter: &str) -> Option<usize> {
    let element = |kind: &str| match kind {
        "b8" | "u8" | "s8" => Some(1),
        "b16" | "u16" | "s16" | "f16" => Some(2),
        "b32" | "u32" | "s32" | "f32" => Some(4),
        "b64" | "u64" | "s64" | "f64" => Some(8),
        _ => None,
    };
    let bytes = parameter
        .split_whitespace()
        .find_map(|word| element(word.strip_prefix('.')?))?;
    let (_, count) = parameter.split_once('[').unwrap_or(("", "1"));
    Some(bytes * count.trim_end_matches(']').parse::<usize>().ok()?)
}
