//! The matrix products of the paper's network beside those of the crate `gemm`, on the same number of threads:
//! billions of operations per second of processor time, which other programs on the machine disturb little.
//!
//! `cargo run --release [-- [NAME] [--threads N]]` in this folder. A convolution is measured as the crate sees it best:
//! as the product of its weights with a matrix of windows that is already there.

use std::time::Instant;

use gemm::{Parallelism, gemm};
use gpu_kernels::convolution::{
    Shape, Sizes, convolution_forward, convolution_input_gradient, convolution_weight_gradient,
};
use gpu_kernels::fully_connected::{
    self, fully_connected_forward, fully_connected_input_gradient, fully_connected_weight_gradient,
    splits,
};
use gpu_kernels::target::Target::Cpu;
use memmap2::MmapMut;
use simt_executor::{Arguments, Kernel, Launch, Pool};

const IMAGES: u32 = 128;
const ROUNDS: usize = 5;

/// Channels, side, filters, window, stride, padding, side of the output: of one tower.
const CONVOLUTIONS: [(&str, [u32; 7]); 5] = [
    ("conv1", [3, 224, 48, 11, 4, 0, 55]),
    ("conv2", [48, 27, 128, 5, 1, 2, 27]),
    ("conv3", [256, 13, 192, 3, 1, 1, 13]),
    ("conv4", [192, 13, 192, 3, 1, 1, 13]),
    ("conv5", [192, 13, 128, 3, 1, 1, 13]),
];

/// Images, inputs, outputs: of one tower.
const CONNECTED: [(&str, [u32; 3]); 4] = [
    ("fc6", [IMAGES, 9216, 2048]),
    ("fc7", [IMAGES, 4096, 2048]),
    ("fc8", [IMAGES, 4096, 512]),
    ("1024³", [1024; 3]),
];

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let threads = words.iter().position(|word| word == "--threads");
    let threads = threads.and_then(|at| words.get(at + 1)?.parse().ok());
    let threads =
        threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, Into::into));
    let wanted = words.first().filter(|word| !word.starts_with("--"));
    let bench = Bench {
        pool: Pool::new(threads).expect("threads for the pool"),
        crate_threads: match threads {
            1 => Parallelism::None,
            n => Parallelism::Rayon(n),
        },
    };
    println!("| product | rows × columns × depth | here | crate | ratio |\n|---|---|---|---|---|");
    let wanted = |name: &str| wanted.is_none_or(|wanted| name.contains(wanted.as_str()));
    for (name, sizes) in CONVOLUTIONS {
        if wanted(name) {
            bench.convolution(name, sizes);
        }
    }
    for (name, sizes) in CONNECTED {
        if wanted(name) {
            bench.connected(name, sizes);
        }
    }
}

struct Bench {
    pool: Pool,
    crate_threads: Parallelism,
}

impl Bench {
    fn convolution(&self, name: &str, sizes: [u32; 7]) {
        let [channels, input, filters, kernel, stride, pad, output] = sizes;
        let s = Shape::new(Sizes {
            images: IMAGES,
            channels,
            input: [input; 2],
            filters,
            kernel,
            stride,
            pad,
            output: [output; 2],
        });
        let (x, w, bias) = (
            floats(s.input_len()),
            floats(s.weights_len()),
            floats(filters as usize),
        );
        let (mut y, mut dx) = (floats(s.output_len()), floats(s.input_len()));
        let mut dw = floats(s.splits() as usize * s.weights_len());
        let (x, w, bias) = (at(&x), at(&w), at(&bias));
        let (y, dx, dw) = (at_mut(&mut y), at_mut(&mut dx), at_mut(&mut dw));
        let (depth, columns) = (s.depth() as usize, s.out_columns() as usize);
        let window = (kernel * kernel) as usize;
        // SAFETY: the buffers are of the shape's sizes.
        unsafe {
            let forward = (s, x, w, bias, y);
            let here = self.ours(&convolution_forward, s.forward(Cpu), forward);
            self.line(name, "forward", [filters as usize, columns, depth], here);
            if channels > 3 {
                let backward = (s, w, y.cast_const(), dx);
                let here = self.ours(&convolution_input_gradient, s.input_gradient(Cpu), backward);
                let product = [
                    channels as usize,
                    s.in_columns() as usize,
                    filters as usize * window,
                ];
                self.line(name, "input gradient", product, here);
            }
            let backward = (s, x, y.cast_const(), dw);
            let here = self.ours(
                &convolution_weight_gradient,
                s.weight_gradient(Cpu),
                backward,
            );
            self.line(
                name,
                "weight gradient",
                [depth, filters as usize, columns],
                here,
            );
        }
    }

    fn connected(&self, name: &str, [images, inputs, outputs]: [u32; 3]) {
        let s = fully_connected::Shape {
            images,
            inputs,
            outputs,
        };
        let (x, w) = (floats(s.input_len()), floats(s.weights_len()));
        let mut y = floats(s.output_len() * splits(inputs) as usize);
        let mut dx = floats(s.input_len() * splits(outputs) as usize);
        let mut dw = floats(s.weights_len());
        let (x, w) = (at(&x), at(&w));
        let (y, dx, dw) = (at_mut(&mut y), at_mut(&mut dx), at_mut(&mut dw));
        let dy = y.cast_const();
        let [n, i, o] = [images, inputs, outputs].map(|n| n as usize);
        // SAFETY: the buffers are of the shape's sizes.
        unsafe {
            let here = self.ours(&fully_connected_forward, s.forward(Cpu), (s, x, w, y));
            self.line(name, "forward", [o, n, i], here);
            let launch = s.input_gradient(Cpu);
            let here = self.ours(&fully_connected_input_gradient, launch, (s, w, dy, dx));
            self.line(name, "input gradient", [i, n, o], here);
            let launch = s.weight_gradient(Cpu);
            let here = self.ours(&fully_connected_weight_gradient, launch, (s, x, dy, dw));
            self.line(name, "weight gradient", [i, o, n], here);
        }
    }

    /// Seconds of processor time of a kernel.
    ///
    /// # Safety
    /// The kernel's own contract.
    unsafe fn ours<A: Arguments + 'static>(
        &self,
        kernel: &Kernel<A>,
        launch: Launch,
        arguments: A,
    ) -> f64 {
        median(|| {
            // SAFETY: the caller's.
            unsafe { self.pool.run(kernel, launch, arguments) }
                .unwrap_or_else(|fault| panic!("{fault}"));
        })
    }

    /// Measures the crate's product of these rows, columns and depth, and prints both.
    fn line(&self, name: &str, what: &str, [rows, cols, depth]: [usize; 3], here: f64) {
        let (a, b, mut c) = (
            floats(rows * depth),
            floats(depth * cols),
            floats(rows * cols),
        );
        let (a, b, c) = (at(&a), at(&b), at_mut(&mut c));
        let [r, n, k] = [rows, cols, depth].map(|n| n as isize);
        let theirs = median(|| {
            // SAFETY: matrices in row order, of these sizes.
            unsafe {
                gemm(
                    rows,
                    cols,
                    depth,
                    c,
                    1,
                    n,
                    false,
                    a,
                    1,
                    k,
                    b,
                    1,
                    n,
                    0.0,
                    1.0,
                    false,
                    false,
                    false,
                    self.crate_threads,
                );
            }
        });
        let rate = |seconds: f64| 2.0 * (rows * cols) as f64 * depth as f64 / seconds / 1e9;
        println!(
            "| {name} {what} | {r} × {n} × {k} | {:.1} | {:.1} | {:.2} |",
            rate(here),
            rate(theirs),
            theirs / here
        );
    }
}

/// Median of the seconds of processor time that `work` takes.
fn median(mut work: impl FnMut()) -> f64 {
    let begun = Instant::now();
    work();
    // What is short is done more often.
    let repeat = 1 + (0.02 / begun.elapsed().as_secs_f64().max(1e-6)) as usize;
    let mut seconds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let begin = processor_seconds();
            (0..repeat).for_each(|_| work());
            (processor_seconds() - begin) / repeat as f64
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    seconds[ROUNDS / 2]
}

/// Time that this process's threads have run so far, as Linux counts it.
fn processor_seconds() -> f64 {
    let of_task = |task: std::io::Result<std::fs::DirEntry>| {
        let text = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<f64>().ok()
    };
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten();
    tasks.filter_map(of_task).sum::<f64>() / 1e9
}

/// Numbers in large pages, as a virtual GPU has them.
fn floats(len: usize) -> MmapMut {
    let mut map = MmapMut::map_anon(4 * len).expect("memory");
    let _ = map.advise(memmap2::Advice::HugePage);
    for (i, bytes) in map.as_chunks_mut::<4>().0.iter_mut().enumerate() {
        let number = (i / 16 % 7) as f32 - (i % 16) as f32 / 8.0;
        bytes.copy_from_slice(&number.to_ne_bytes());
    }
    map
}

fn at(map: &MmapMut) -> *const f32 {
    map.as_ptr().cast()
}

fn at_mut(map: &mut MmapMut) -> *mut f32 {
    map.as_mut_ptr().cast()
}
