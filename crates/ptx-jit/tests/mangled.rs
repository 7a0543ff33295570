//! Texts with a mistake in them: an error or a program, and never a panic. `PTX_JIT_MANGLED` says how many are tried.

use std::panic::{AssertUnwindSafe, catch_unwind};

use ptx_jit::{Options, Program};

/// Random numbers from a counter.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((x ^ x >> 31) % bound.max(1) as u64) as usize
    }

    fn range(&mut self, len: usize, most: usize) -> std::ops::Range<usize> {
        let begin = self.below(len);
        begin..(begin + 1 + self.below(most)).min(len)
    }
}

fn texts() -> Vec<String> {
    let mut texts = Vec::new();
    for compiler in ["nvcc", "clang"] {
        let folder = format!("{}/tests/cuda/{compiler}", env!("CARGO_MANIFEST_DIR"));
        for file in std::fs::read_dir(folder).unwrap() {
            texts.push(std::fs::read_to_string(file.unwrap().path()).unwrap());
        }
    }
    texts.sort();
    texts
}

/// A text's lines, the head of it and one kernel or function: mistakes in the others would mostly stay unseen.
fn one_function(text: &str, random: &mut Random) -> String {
    let parts: Vec<&str> = text.split_inclusive("\n}\n").collect();
    let (chosen, first) = (random.below(parts.len()), parts[0]);
    let head = first.find(".visible").map_or(first, |at| &first[..at]);
    match chosen {
        0 => first.to_owned(),
        _ => format!("{head}{}", parts[chosen]),
    }
}

/// The words between which a text has blanks, commas and other signs.
fn words(text: &str) -> Vec<&str> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || "%._$".contains(c)));
    words.filter(|word| !word.is_empty()).collect()
}

fn mangled(text: &str, others: &[&str], random: &mut Random) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..1 + random.below(3) {
        let len = bytes.len();
        match random.below(6) {
            0 => bytes.truncate(random.below(len)),
            1 => drop(bytes.drain(random.range(len, 40))),
            2 => {
                let piece = bytes[random.range(len, 60)].to_vec();
                let at = random.below(len);
                bytes.splice(at..at, piece);
            }
            3 if len > 0 => bytes[random.below(len)] = 32 + random.below(95) as u8,
            _ => {
                // A word in another's place.
                let now = String::from_utf8_lossy(&bytes).into_owned();
                let own = words(&now);
                if own.is_empty() {
                    continue;
                }
                let word = own[random.below(own.len())];
                let begin = word.as_ptr().addr() - now.as_ptr().addr();
                let other = match random.below(2) {
                    0 => own[random.below(own.len())],
                    _ => others[random.below(others.len())],
                };
                bytes.splice(begin..begin + word.len(), other.bytes());
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn load(text: &str) -> bool {
    let options = Options {
        shared: true,
        ..Options::default()
    };
    match Program::load(text, &options) {
        Ok(program) => {
            let module = program.instance();
            for entry in program.module().entries() {
                let _ = module.kernel(&entry.name);
            }
            true
        }
        Err(error) => {
            assert!(!error.to_string().contains('\n'), "{error}");
            assert!(error.line <= 1 + text.matches('\n').count(), "{error}");
            false
        }
    }
}

#[test]
fn mangled_texts_are_refused_or_compiled() {
    let tries = std::env::var("PTX_JIT_MANGLED").map_or(400, |tries| tries.parse().unwrap());
    let texts = texts();
    let others: Vec<&str> = texts.iter().flat_map(|text| words(text)).collect();
    let (mut random, mut loaded) = (Random(tries), 0);
    for _ in 0..tries {
        let text = one_function(&texts[random.below(texts.len())], &mut random);
        let text = mangled(&text, &others, &mut random);
        let done = catch_unwind(AssertUnwindSafe(|| load(&text)));
        loaded += u64::from(done.unwrap_or_else(|_| panic!("this is taken ill:\n{text}")));
    }
    assert!(loaded < tries, "nothing was refused");
}
