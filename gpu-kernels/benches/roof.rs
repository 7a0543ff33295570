//! What this machine can do at most, all cores together: fused multiply-adds of the instruction set that kernels use,
//! and bytes to and from memory. What kernels reach is measured against it (docs/performance.md).
//!
//! `cargo bench -p gpu-kernels --bench roof` prints a line of JSON: `{"gflops": …, "read": …, "copy": …, …}`, the
//! last ones in GB/s. `ALEXNET_CPU` restricts it as it restricts kernels.

use std::hint::black_box;
use std::sync::Barrier;
use std::time::Instant;

#[cfg(target_arch = "x86_64")]
use cuda_std::simt::vector::{Avx2, Avx512};
use cuda_std::simt::vector::{Lanes, Vector};
use memmap2::MmapMut;
use simt_executor::InstructionSet;

/// Times that each is measured; the best counts.
const ROUNDS: usize = 9;
/// Floats of each of a core's three arrays: far more than caches hold.
const FLOATS: usize = 48 << 20;
const STEPS: usize = 10_000_000;

fn main() {
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
    let work = entry();
    let barrier = Barrier::new(cores);
    let rates = std::thread::scope(|scope| {
        let core = || core(work, &barrier);
        let cores: Vec<_> = (0..cores).map(|_| scope.spawn(core)).collect();
        let rates = cores
            .into_iter()
            .map(|core| core.join().expect("a core's measurement"));
        rates.fold([0.0; 5], |all, one| {
            std::array::from_fn(|i| all[i] + one[i])
        })
    });
    let [flops, read, copy, stream, triad] = rates.map(|rate| rate / 1e9);
    let set = InstructionSet::current().name();
    println!(
        "{{\"set\": \"{set}\", \"cores\": {cores}, \"gflops\": {flops:.1}, \"read\": {read:.1}, \
         \"copy\": {copy:.1}, \"stream\": {stream:.1}, \"triad\": {triad:.1}}}"
    );
}

/// What is measured: number `which` on three arrays of so many floats.
type Work = unsafe fn(which: usize, arrays: [*mut f32; 3], floats: usize) -> f32;

/// One core's operations a second, then bytes a second.
fn core((work, chains): (Work, usize), barrier: &Barrier) -> [f64; 5] {
    let mut arrays = [(); 3].map(|()| array(FLOATS));
    let pointers = arrays.each_mut().map(|array| array.as_mut_ptr().cast());
    let amounts = [
        (STEPS * chains * 2 * 16) as f64,
        4.0 * FLOATS as f64,
        8.0 * FLOATS as f64,
        8.0 * FLOATS as f64,
        12.0 * FLOATS as f64,
    ];
    std::array::from_fn(|which| {
        let seconds = (0..ROUNDS).map(|_| {
            barrier.wait();
            let begun = Instant::now();
            // SAFETY: the arrays have so many floats, and the processor the instructions.
            black_box(unsafe { work(which, pointers, FLOATS) });
            begun.elapsed().as_secs_f64()
        });
        amounts[which] / seconds.fold(f64::INFINITY, f64::min)
    })
}

fn array(floats: usize) -> MmapMut {
    let mut map = MmapMut::map_anon(4 * floats).expect("memory");
    #[cfg(target_os = "linux")]
    let _ = map.advise(memmap2::Advice::HugePage);
    map.fill(0);
    map
}

/// It, and how many sums it has that do not wait for each other: as many as the registers hold.
fn entry() -> (Work, usize) {
    match InstructionSet::current() {
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx512 => (avx512, 12),
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx2 => (avx2, 6),
        _ => (baseline, 2),
    }
}

/// # Safety
/// As of [`work`].
unsafe fn baseline(which: usize, arrays: [*mut f32; 3], floats: usize) -> f32 {
    // SAFETY: the caller's; it needs no particular processor.
    unsafe { work::<Lanes<16>, 2>(which, arrays, floats) }
}

/// # Safety
/// As of [`work`].
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn avx2(which: usize, arrays: [*mut f32; 3], floats: usize) -> f32 {
    // SAFETY: the caller's.
    unsafe { work::<Avx2, 6>(which, arrays, floats) }
}

/// # Safety
/// As of [`work`].
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,avx512f,avx512vl,avx512dq,avx512bw")]
unsafe fn avx512(which: usize, arrays: [*mut f32; 3], floats: usize) -> f32 {
    // SAFETY: the caller's.
    unsafe { work::<Avx512, 12>(which, arrays, floats) }
}

/// # Safety
/// The processor has `V`'s instructions; each array has so many floats, a multiple of 16.
#[inline(always)]
unsafe fn work<V: Vector, const CHAINS: usize>(
    which: usize,
    [a, b, c]: [*mut f32; 3],
    floats: usize,
) -> f32 {
    // SAFETY: the caller's, for all of it.
    unsafe {
        let factor = V::splat(black_box(0.999));
        let mut sums = [V::splat(black_box(1.0)); CHAINS];
        let mut i = 0;
        match which {
            0 => {
                for _ in 0..STEPS {
                    for sum in &mut sums {
                        *sum = sum.fma(factor, factor);
                    }
                }
            }
            1 => {
                while i + CHAINS * 16 <= floats {
                    for (n, sum) in sums.iter_mut().enumerate() {
                        *sum = *sum + V::read(b.add(i + 16 * n));
                    }
                    i += CHAINS * 16;
                }
            }
            2 => {
                while i < floats {
                    V::read(b.add(i)).write(a.add(i));
                    i += 16;
                }
            }
            3 => {
                while i < floats {
                    V::read(b.add(i)).stream(a.add(i));
                    i += 16;
                }
            }
            _ => {
                while i < floats {
                    V::read(b.add(i))
                        .fma(factor, V::read(c.add(i)))
                        .write(a.add(i));
                    i += 16;
                }
            }
        }
        sums.into_iter().fold(0.0, |all, sum| all + sum.lane(0))
    }
}
