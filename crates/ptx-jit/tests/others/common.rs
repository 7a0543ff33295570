//! Programs of the corpus, launches with typed arguments, and numbers to work on.

use std::sync::Arc;

use ptx_jit::{Fault, Launch, Module, Options, Pool, Program};

/// The compilers that a file was compiled by.
pub const BOTH: [&str; 2] = ["nvcc", "clang"];

/// The text of a file of the corpus.
pub fn text(compiler: &str, file: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cuda");
    let path = format!("{folder}/{compiler}/{file}.ptx");
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Set where the tests run once more with all checks on.
pub const CHECKED: &str = "PTX_JIT_TESTS_CHECKED";

pub fn checked() -> bool {
    std::env::var_os(CHECKED).is_some()
}

fn options() -> Options {
    if !checked() {
        return Options::default();
    }
    Options {
        memory: Some(Arc::new(|_, _| true)),
        shared: true,
        steps: Some(1 << 20),
        coverage: true,
        ..Options::default()
    }
}

/// A loaded file, with variables of its own.
pub struct Loaded {
    pub instance: Module,
    pool: Pool,
    name: String,
}

pub fn load(compiler: &str, file: &str) -> Loaded {
    let name = format!("{compiler}/{file}.ptx");
    let program = Program::load(&text(compiler, file), &options())
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    Loaded {
        instance: program.instance(),
        pool: Pool::new(2).unwrap(),
        name,
    }
}

/// An argument of a kernel.
pub trait Argument {
    fn bytes(&self) -> Vec<u8>;
}

macro_rules! numbers {
    ($($number:ty)*) => {$(
        impl Argument for $number {
            fn bytes(&self) -> Vec<u8> {
                self.to_ne_bytes().to_vec()
            }
        }
    )*};
}
numbers!(i32 u32 i64 u64 f32 f64);

/// A buffer goes by its address.
impl<T> Argument for &Vec<T> {
    fn bytes(&self) -> Vec<u8> {
        (self.as_ptr().expose_provenance() as u64)
            .to_ne_bytes()
            .to_vec()
    }
}

impl<T> Argument for &mut Vec<T> {
    fn bytes(&self) -> Vec<u8> {
        (self.as_ptr().expose_provenance() as u64)
            .to_ne_bytes()
            .to_vec()
    }
}

impl Loaded {
    /// Runs a kernel on buffers that are long enough for it: the tests' kernels and sizes are chosen so.
    pub fn try_run(
        &self,
        kernel: &str,
        launch: Launch,
        arguments: &[&dyn Argument],
    ) -> Result<(), Fault> {
        let found = self.instance.kernel(kernel);
        let found = found.unwrap_or_else(|| panic!("{}: no kernel {kernel}", self.name));
        let bytes: Vec<_> = arguments.iter().map(|one| one.bytes()).collect();
        let bytes: Vec<&[u8]> = bytes.iter().map(|one| &one[..]).collect();
        // SAFETY: the buffers are as long as the kernel needs them, and nothing else uses them.
        unsafe { found.run(&self.pool, launch, &bytes) }
    }

    pub fn run(&self, kernel: &str, launch: Launch, arguments: &[&dyn Argument]) {
        let done = self.try_run(kernel, launch, arguments);
        done.unwrap_or_else(|fault| panic!("{}, {kernel}: {fault}", self.name));
    }
}

/// Blocks of threads along x.
pub fn blocks(blocks: u32, threads: u32) -> Launch {
    Launch {
        grid: [blocks, 1, 1],
        block: [threads, 1, 1],
        shared: 0,
    }
}

/// 32 bits that look random.
pub fn word(i: usize) -> u32 {
    let mut x = (i as u32).wrapping_mul(0x9e37_79b1) ^ 0x5bd1_e995;
    x = (x ^ x >> 15).wrapping_mul(0x2c1b_3c6d);
    x = (x ^ x >> 12).wrapping_mul(0x297a_2d39);
    x ^ x >> 15
}

pub fn long(i: usize) -> u64 {
    u64::from(word(2 * i + 1_000_003)) << 32 | u64::from(word(2 * i + 1_000_004))
}

/// Whole numbers in [−bound, bound).
pub fn integers(len: usize, bound: i32) -> Vec<i32> {
    (0..len)
        .map(|i| (word(i) % (2 * bound as u32)) as i32 - bound)
        .collect()
}

/// Floats in (−1, 1) that need all their bits.
pub fn floats(seed: usize, len: usize) -> Vec<f32> {
    let float = |i| (word(i + seed * 65_537) >> 8) as f32 * (2.0 / (1 << 24) as f32) - 1.0;
    (0..len).map(float).collect()
}

/// Says where two results differ, all NaNs alike.
#[track_caller]
pub fn same_f32(found: &[f32], expected: &[f32], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (a, b)) in found.iter().zip(expected).enumerate() {
        let same = a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan();
        assert!(
            same,
            "{what}, element {i}: {a:e} ({:08x}) for {b:e} ({:08x})",
            a.to_bits(),
            b.to_bits()
        );
    }
}

#[track_caller]
pub fn same_f64(found: &[f64], expected: &[f64], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (a, b)) in found.iter().zip(expected).enumerate() {
        let same = a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan();
        assert!(
            same,
            "{what}, element {i}: {a:e} ({:016x}) for {b:e} ({:016x})",
            a.to_bits(),
            b.to_bits()
        );
    }
}

/// Memory that vectors of four words may be read from.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(16))]
pub struct Four<T>(pub [T; 4]);

/// The same numbers where vectors of four may be read.
pub fn aligned<T: Copy>(numbers: Vec<T>) -> Aligned<T> {
    Aligned(
        numbers
            .as_chunks()
            .0
            .iter()
            .map(|&four| Four(four))
            .collect(),
    )
}

pub struct Aligned<T>(Vec<Four<T>>);

impl<T> Aligned<T> {
    pub fn as_flattened(&self) -> &[T] {
        // SAFETY: the elements are arrays of four, without padding.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast(), self.0.len() * 4) }
    }
}

impl<T> Argument for &Aligned<T> {
    fn bytes(&self) -> Vec<u8> {
        (&self.0).bytes()
    }
}

impl<T> Argument for &mut Aligned<T> {
    fn bytes(&self) -> Vec<u8> {
        (&self.0).bytes()
    }
}
