//! What the kernels' tests share: buffers as kernels want them, launches, random
//! numbers, and the measures by which results are judged.
#![allow(dead_code)]

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::{LazyLock, OnceLock};

use gpu_kernels::random::{philox, uniform};
use gpu_kernels::target::Target;
use simt_executor::{Arguments, Fault, Kernel, Launch, Pool, memory};

/// The largest relative error of a kernel against a reference in f64.
pub const TOLERANCE: f64 = 1e-5;

/// Plain values of a kernel.
pub trait Plain: Copy + 'static {}
impl Plain for f32 {}
impl Plain for u32 {}
impl Plain for u8 {}
impl Plain for gpu_kernels::augment::View {}

/// Memory for a kernel: aligned to a cache line, and known to the checked mode
/// by its exact length.
pub struct Buffer<T> {
    lines: Vec<Line>,
    len: usize,
    element: PhantomData<T>,
}

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; 64]);

impl<T: Plain> Buffer<T> {
    /// A buffer with these elements.
    pub fn new(elements: &[T]) -> Self {
        let lines = vec![Line([0xff; 64]); size_of_val(elements).div_ceil(64).max(1)];
        let mut buffer = Buffer {
            lines,
            len: elements.len(),
            element: PhantomData,
        };
        memory::register(buffer.lines.as_ptr().cast(), size_of_val(elements));
        buffer.copy_from_slice(elements);
        buffer
    }

    /// What a kernel reads through.
    pub fn ptr(&self) -> *const T {
        self.lines.as_ptr().cast()
    }

    /// What a kernel writes through.
    pub fn mut_ptr(&mut self) -> *mut T {
        self.lines.as_mut_ptr().cast()
    }
}

impl Buffer<f32> {
    /// A buffer for results: NaN until written.
    pub fn unwritten(len: usize) -> Self {
        Self::new(&vec![f32::NAN; len])
    }
}

impl<T> Deref for Buffer<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: `len` elements were written; any bits are a `Plain`.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }
}

impl<T> DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}

impl<T> Drop for Buffer<T> {
    fn drop(&mut self) {
        memory::unregister(self.lines.as_ptr().cast());
    }
}

/// The PTX text that `KERNELS_PTX` names: what is run in place of the code that the tests are compiled with.
static PTX: LazyLock<Option<ptx_jit::Module>> = LazyLock::new(|| {
    let path = std::env::var_os("KERNELS_PTX")?;
    let text = std::fs::read_to_string(path).expect("the text that KERNELS_PTX names");
    let options = ptx_jit::Options {
        refuse_fusable: true,
        ..ptx_jit::Options::default()
    };
    let program = ptx_jit::Program::load(&text, &options).unwrap_or_else(|error| panic!("{error}"));
    Some(program.instance())
});

/// What launches are for: the executor, or a GPU where PTX is run.
pub fn here() -> Target {
    match *PTX {
        Some(_) => Target::Gpu,
        None => Target::Cpu,
    }
}

/// Runs a kernel on two cores, from the PTX text if there is one that has it.
///
/// # Safety
/// The kernel's own contract.
pub unsafe fn try_run<A: Arguments + 'static>(
    kernel: &Kernel<A>,
    launch: Launch,
    arguments: A,
) -> Result<(), Fault> {
    static POOL: OnceLock<Pool> = OnceLock::new();
    let pool = POOL.get_or_init(|| Pool::new(2).expect("two threads"));
    let Some(ptx) = PTX.as_ref().and_then(|ptx| ptx.kernel(kernel.name())) else {
        // SAFETY: the caller's.
        return unsafe { pool.run(kernel, launch, arguments) };
    };
    let places = arguments.pointers().into_iter().zip(A::SIZES);
    let bytes: Vec<&[u8]> = places
        // SAFETY: the arguments lie there, with these sizes, and are plain values.
        .map(|(at, size)| unsafe { std::slice::from_raw_parts(at.cast(), *size) })
        .collect();
    // SAFETY: the caller's.
    let done = unsafe { ptx.run(pool, launch, &bytes) };
    done.map_err(|fault| Fault {
        kernel: fault.kernel,
        block: fault.block,
        thread: fault.thread,
        cause: fault.cause,
    })
}

/// Runs a kernel on two cores; a fault fails the test.
///
/// # Safety
/// The kernel's own contract.
pub unsafe fn run<A: Arguments + 'static>(kernel: &Kernel<A>, launch: Launch, arguments: A) {
    // SAFETY: the caller's.
    unsafe { try_run(kernel, launch, arguments) }.unwrap_or_else(|fault| panic!("{fault}"));
}

/// `len` numbers in (−1, 1).
pub fn random(seed: u32, len: usize) -> Vec<f32> {
    let word = |i: usize| philox([(i / 4) as u32, seed, 0, 0], [7, 7])[i % 4];
    (0..len).map(|i| 2.0 * uniform(word(i)) - 1.0).collect()
}

/// `len` whole numbers below `bound`.
pub fn random_below(seed: u32, len: usize, bound: u32) -> Vec<u32> {
    let word = |i: usize| philox([i as u32, seed, 1, 0], [7, 7])[0];
    (0..len).map(|i| word(i) % bound).collect()
}

/// The same numbers in double precision.
pub fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&x| x as f64).collect()
}

/// `‖result − reference‖ / ‖reference‖`.
pub fn relative_error(result: &[f32], reference: &[f64]) -> f64 {
    assert_eq!(result.len(), reference.len());
    let square = |x: f64| x * x;
    let error: f64 = result
        .iter()
        .zip(reference)
        .map(|(&a, b)| square(a as f64 - b))
        .sum();
    let size: f64 = reference.iter().map(|&b| square(b)).sum();
    (error / if size > 0.0 { size } else { 1.0 }).sqrt()
}

/// Fails unless the relative error is within [`TOLERANCE`].
#[track_caller]
pub fn assert_close(what: &str, result: &[f32], reference: &[f64]) {
    let error = relative_error(result, reference);
    assert!(error <= TOLERANCE, "{what}: relative error {error:e}");
}

/// The gradient of `f` at `x` by central differences.
pub fn differences(x: &[f64], f: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    const STEP: f64 = 1e-5;
    let mut at = x.to_vec();
    let mut slope = |i: usize| {
        let mut value = |x| {
            at[i] = x;
            f(&at)
        };
        let rise = value(x[i] + STEP) - value(x[i] - STEP);
        at[i] = x[i];
        rise / (2.0 * STEP)
    };
    (0..x.len()).map(&mut slope).collect()
}

/// `Σ a · b`.
pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The bits of floats, for comparisons that tell −0 from 0 and know NaN.
pub fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}
