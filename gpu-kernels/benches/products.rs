//! Speed of the matrix products on this CPU, at the sizes of AlexNet's layers:
//! billions of operations per second of processor time, which other programs on
//! the machine disturb little.
//!
//! `cargo bench -p gpu-kernels --bench products [-- NAME]`

use gpu_kernels::convolution::winograd::Winograd;
use gpu_kernels::convolution::{
    Shape, Sizes, convolution_forward, convolution_input_gradient, convolution_weight_gradient,
};
use gpu_kernels::fully_connected::{
    self, fully_connected_forward, fully_connected_input_gradient, fully_connected_weight_gradient,
};
use gpu_kernels::launch::{self, Call, In, Out};
use gpu_kernels::sum::{sum_parts, sum_parts_launch};
use gpu_kernels::target::Target::Cpu;
use memmap2::MmapMut;
use simt_executor::{Arguments, Kernel, Launch, Pool};

const IMAGES: u32 = 128;
const ROUNDS: usize = 5;

fn main() {
    let wanted = std::env::args().skip(1).find(|word| !word.starts_with('-'));
    let wanted = wanted.unwrap_or_default();
    let pool = Pool::new(std::thread::available_parallelism().map_or(1, Into::into))
        .expect("threads for the pool");
    println!(
        "{:10} {:>8} {:>8} {:>8}  GFLOP/s a core, median of {ROUNDS}",
        "", "forward", "dx", "dw"
    );
    let layers: [(&str, [u32; 7]); 5] = [
        ("conv1", [3, 224, 48, 11, 4, 0, 55]),
        ("conv2", [48, 27, 128, 5, 1, 2, 27]),
        ("conv3", [256, 13, 192, 3, 1, 1, 13]),
        ("conv4", [192, 13, 192, 3, 1, 1, 13]),
        ("conv5", [192, 13, 128, 3, 1, 1, 13]),
    ];
    for (name, layer) in layers.iter().filter(|(name, _)| name.contains(&wanted)) {
        let shape = shape(*layer);
        report(name, convolution(&pool, shape, *name == "conv1"));
        if let Ok(winograd) = Winograd::try_new(shape) {
            report("  winograd", by_winograd(&pool, winograd));
        }
    }
    let layers = [("fc6", [9216, 2048]), ("fc7", [4096, 2048])];
    for (name, layer) in layers.iter().filter(|(name, _)| name.contains(&wanted)) {
        report(name, fully_connected(&pool, *layer));
    }
}

fn report(name: &str, [forward, dx, dw]: [f64; 3]) {
    println!("{name:10} {forward:8.1} {dx:8.1} {dw:8.1}");
}

/// Nobody asks for the gradient of the images.
const NOT_TRAINED: f64 = f64::NAN;

fn shape([channels, input, filters, kernel, stride, pad, output]: [u32; 7]) -> Shape {
    Shape::new(Sizes {
        images: IMAGES,
        channels,
        input: [input; 2],
        filters,
        kernel,
        stride,
        pad,
        output: [output; 2],
    })
}

/// Of the operations that a direct convolution has.
fn operations(s: Shape) -> f64 {
    2.0 * s.weights_len() as f64 * s.out_columns() as f64
}

fn convolution(pool: &Pool, s: Shape, first: bool) -> [f64; 3] {
    let filters = s.filters();
    let weights = s.depth() * filters;
    let x = floats(s.input_len() as u32);
    let (w, bias) = (floats(weights), floats(filters));
    let (mut y, mut dx) = (
        floats(filters * s.out_columns()),
        floats(s.input_len() as u32),
    );
    let mut dw = floats(s.splits() * weights);
    let operations = operations(s);
    let (x, w, bias, y, dx, dw) = (
        at(&x),
        at(&w),
        at(&bias),
        at_mut(&mut y),
        at_mut(&mut dx),
        at_mut(&mut dw),
    );
    // SAFETY: the buffers are of the shape's sizes.
    unsafe {
        [
            rate(
                pool,
                operations,
                &convolution_forward,
                s.forward(Cpu),
                (s, x, w, bias, y),
            ),
            if first {
                NOT_TRAINED
            } else {
                rate(
                    pool,
                    operations,
                    &convolution_input_gradient,
                    s.input_gradient(Cpu),
                    (s, w, y.cast_const(), dx),
                )
            },
            rate(
                pool,
                operations,
                &convolution_weight_gradient,
                s.weight_gradient(Cpu),
                (s, x, y.cast_const(), dw),
            ),
        ]
    }
}

/// The time of the weights' transform is not counted, but that of their gradient is.
fn by_winograd(pool: &Pool, winograd: Winograd) -> [f64; 3] {
    let s = winograd.shape();
    let (mut x, mut y) = (floats(s.input_len() as u32), floats(s.output_len() as u32));
    let weights = floats(winograd.weights_len() as u32);
    let (weights, bias) = (In::from(slice(&weights)), floats(s.filters()));
    let scratches = [
        winograd.forward_scratch(Cpu),
        winograd.input_gradient_scratch(Cpu),
    ];
    let [mut scratch, mut back] = scratches.map(|len| floats(len as u32));
    let run = |call: Result<Call, launch::Error>| {
        let call = call.expect("the buffers are of the shape's sizes");
        call.run(pool).expect("a launch");
    };
    let forward = median(operations(s), || {
        let (x, bias, out) = (
            In::from(slice(&x)),
            In::from(slice(&bias)),
            Out::from(slice_mut(&mut y)),
        );
        let scratch = Out::from(slice_mut(&mut scratch));
        run(launch::winograd_forward(
            winograd, x, weights, bias, out, scratch, Cpu,
        ));
    });
    let dx = median(operations(s), || {
        let (dy, out, scratch) = (
            In::from(slice(&y)),
            Out::from(slice_mut(&mut x)),
            Out::from(slice_mut(&mut back)),
        );
        run(launch::winograd_input_gradient(
            winograd, dy, weights, out, scratch, Cpu,
        ));
    });
    let mut parts = floats(winograd.parts_len() as u32);
    let mut dw = floats(s.weights_len() as u32);
    let by_weights = median(operations(s), || {
        let (x, dy) = (In::from(slice(&x)), In::from(slice(&y)));
        let (out, none) = (Out::from(slice_mut(&mut parts)), Out::from(&mut [][..]));
        run(launch::winograd_weight_gradient(
            winograd, x, dy, out, none, Cpu,
        ));
        let (len, count) = (winograd.part_len() as u32, winograd.parts());
        let sum = at_mut(&mut parts);
        let launch = sum_parts_launch(len, Cpu);
        // SAFETY: the buffers are of the shape's sizes.
        unsafe { pool.run(&sum_parts, launch, (len, count, sum.cast_const(), sum)) }
            .expect("a launch");
        let sum = In::from(&slice(&parts)[..winograd.part_len()]);
        let out = Out::from(slice_mut(&mut dw));
        run(launch::winograd_weight_transform(winograd, sum, out, Cpu));
    });
    [forward, dx, by_weights]
}

fn fully_connected(pool: &Pool, [inputs, outputs]: [u32; 2]) -> [f64; 3] {
    let s = fully_connected::Shape {
        images: IMAGES,
        inputs,
        outputs,
    };
    let splits = fully_connected::splits;
    let (x, w) = (floats(inputs * IMAGES), floats(inputs * outputs));
    let mut y = floats(outputs * IMAGES * splits(inputs));
    let mut dx = floats(inputs * IMAGES * splits(outputs));
    let mut dw = floats(inputs * outputs);
    let operations = 2.0 * inputs as f64 * outputs as f64 * IMAGES as f64;
    let (x, w, y, dx, dw) = (
        at(&x),
        at(&w),
        at_mut(&mut y),
        at_mut(&mut dx),
        at_mut(&mut dw),
    );
    let dy = y.cast_const();
    let (dx_launch, dw_launch) = (s.input_gradient(Cpu), s.weight_gradient(Cpu));
    // SAFETY: the buffers are of the shape's sizes.
    unsafe {
        [
            rate(
                pool,
                operations,
                &fully_connected_forward,
                s.forward(Cpu),
                (s, x, w, y),
            ),
            rate(
                pool,
                operations,
                &fully_connected_input_gradient,
                dx_launch,
                (s, w, dy, dx),
            ),
            rate(
                pool,
                operations,
                &fully_connected_weight_gradient,
                dw_launch,
                (s, x, dy, dw),
            ),
        ]
    }
}

/// See [`median`].
///
/// # Safety
/// The kernel's own contract.
unsafe fn rate<A: Arguments + 'static>(
    pool: &Pool,
    operations: f64,
    kernel: &Kernel<A>,
    launch: Launch,
    arguments: A,
) -> f64 {
    median(operations, || {
        // SAFETY: the caller's.
        unsafe { pool.run(kernel, launch, arguments) }.unwrap_or_else(|fault| panic!("{fault}"))
    })
}

/// Billions of operations per second of processor time.
fn median(operations: f64, mut run: impl FnMut()) -> f64 {
    let mut rates: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let begin = processor_seconds();
            run();
            operations / (processor_seconds() - begin) / 1e9
        })
        .collect();
    rates.sort_by(f64::total_cmp);
    rates[ROUNDS / 2]
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

/// Numbers in memory like that of a virtual GPU, in large pages.
fn floats(len: u32) -> MmapMut {
    let mut map = MmapMut::map_anon(4 * len as usize).expect("memory");
    let _ = map.advise(memmap2::Advice::HugePage);
    for (i, bytes) in map.as_chunks_mut::<4>().0.iter_mut().enumerate() {
        bytes.copy_from_slice(&number(i).to_ne_bytes());
    }
    map
}

/// Of both signs.
fn number(i: usize) -> f32 {
    (i / 16 % 7) as f32 - (i % 16) as f32 / 8.0
}

fn slice(map: &MmapMut) -> &[f32] {
    // SAFETY: a page's beginning is aligned, and all bits are floats.
    unsafe { std::slice::from_raw_parts(at(map), map.len() / 4) }
}

fn slice_mut(map: &mut MmapMut) -> &mut [f32] {
    // SAFETY: as of `slice`.
    unsafe { std::slice::from_raw_parts_mut(at_mut(map), map.len() / 4) }
}

fn at(map: &MmapMut) -> *const f32 {
    map.as_ptr().cast()
}

fn at_mut(map: &mut MmapMut) -> *mut f32 {
    map.as_mut_ptr().cast()
}
