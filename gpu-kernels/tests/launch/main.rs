//! Checked launches: the right call for the right arguments, one line for wrong ones.
mod cases;

use std::collections::BTreeMap;
use std::path::PathBuf;

use cases::*;
use gpu_kernels::augment::View;
use gpu_kernels::convolution::{Shape, Sizes};
use gpu_kernels::fully_connected as fc;
use gpu_kernels::launch::{self, Gaussian, In, Out, Target};
use gpu_kernels::{lrn, pool};
use simt_executor::Launch;

fn refused(made: Made) -> String {
    match made {
        Ok(call) => panic!("{} was not refused", call.name()),
        Err(error) => error.to_string(),
    }
}

/// The texts of the sources, from all folders.
fn sources() -> Vec<String> {
    let mut folders = vec![PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))];
    let mut texts = Vec::new();
    while let Some(folder) = folders.pop() {
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                texts.push(std::fs::read_to_string(path).unwrap());
            }
        }
    }
    texts
}

/// The kernels in the sources, by name: what follows `#[kernel]`, and its parameters.
fn kernels() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for text in sources() {
        for head in text.split("\n#[kernel]\npub unsafe fn ").skip(1) {
            let (name, rest) = head.split_once('(').unwrap();
            let (parameters, _) = rest.split_once(") {").unwrap();
            found.insert(name.to_owned(), parameters.to_owned());
        }
    }
    found
}

/// The names of those parameters that are chosen by their declaration.
fn names(parameters: &str, chosen: impl Fn(&str) -> bool) -> Vec<&str> {
    let parameters = parameters.split(',').filter(|one| one.contains(':'));
    let parameters = parameters.filter(|one| chosen(one));
    let names = parameters.filter_map(|one| one.split(':').next());
    names.map(str::trim).collect()
}

#[test]
fn every_kernel_has_a_checked_launch() {
    let kernels = kernels();
    let found: Vec<_> = kernels
        .iter()
        .map(|(name, parameters)| (name.as_str(), names(parameters, |one| one.contains('*'))))
        .collect();
    let here = CASES.iter();
    let here: Vec<_> = here
        .map(|(name, pointers, _)| (*name, pointers.to_vec()))
        .collect();
    assert_eq!(here, found);
}

#[test]
fn a_call_has_the_buffers_in_the_order_of_the_parameters() {
    for (name, parameters, call) in CASES {
        let call = call(gpu(None)).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(call.name(), *name);
        let Launch { grid, block, .. } = call.launch();
        assert!(grid.iter().chain(&block).all(|&n| n > 0), "{name}");
        assert!(block.iter().product::<u32>() <= 1024, "{name}: {block:?}");
        let pointers = call.pointers();
        let buffers = &pointers[pointers.len() - parameters.len()..];
        for (number, argument) in buffers.iter().enumerate() {
            // SAFETY: a pointer is an argument of 8 bytes.
            let value = unsafe { argument.cast::<u64>().read() };
            assert_eq!(
                value,
                (number as u64 + 1) << 40,
                "{name}: {}",
                parameters[number]
            );
        }
    }
}

/// With the feature `checked` an access beyond a buffer is a fault.
#[test]
fn a_call_stays_within_its_buffers() {
    let pool = simt_executor::Pool::new(2).unwrap();
    for (_, _, call) in CASES {
        let memory = Memory {
            target: Target::Cpu,
            wrong: None,
        };
        let call = call(memory).unwrap();
        // SAFETY: the buffers are never freed.
        let done = unsafe { pool.run_call(&call.into_inner()) };
        done.unwrap_or_else(|fault| panic!("{fault}"));
    }
}

#[test]
fn a_buffer_of_another_length_is_refused() {
    // The length of these buffers is the size of the work.
    let free = [
        ("augment", "views"),
        ("constant_fill", "out"),
        ("cross_entropy", "labels"),
        ("dropout_backward", "dy"),
        ("dropout_forward", "x"),
        ("relu_backward", "y"),
        ("relu_forward", "x"),
        ("scale", "x"),
        ("sgd_update", "weights"),
        ("softmax_gradient", "labels"),
        ("sum_maps", "y"),
        ("sum_parts", "y"),
        ("sum_parts_with_bias", "y"),
        ("tanh_backward", "y"),
        ("tanh_forward", "x"),
    ];
    for (name, parameters, call) in CASES {
        for (number, parameter) in parameters.iter().enumerate() {
            for longer in [-1, 1, 1 << 20] {
                let wrong = Some((number, longer, 0));
                if free.contains(&(*name, *parameter)) {
                    if call(gpu(wrong)).is_err() {
                        continue;
                    }
                    // The one buffer of a fill, and the channels of a sum, may have any length.
                    assert!(matches!(*name, "constant_fill"), "{name}: {parameter}");
                    continue;
                }
                let line = refused(call(gpu(wrong)));
                let begin = format!("{name}: {parameter} has ");
                assert!(line.starts_with(&begin), "{line}");
                assert!(
                    line.ends_with("are needed") && !line.contains('\n'),
                    "{line}"
                );
            }
        }
    }
}

#[test]
fn a_buffer_at_no_multiple_of_16_bytes_is_refused() {
    for (name, parameters, call) in CASES {
        for (number, parameter) in parameters.iter().enumerate() {
            let wrong = Some((number, 0, 2));
            if *parameter == "pixels" {
                assert!(call(gpu(wrong)).is_ok());
                continue;
            }
            let line = refused(call(gpu(wrong)));
            let begin = format!(
                "{name}: {parameter} begins at {:#x}",
                ((number + 1) << 40) + 2
            );
            assert!(line.starts_with(&begin), "{line}");
            // Labels and views are read one by one.
            let needs = match *parameter {
                "labels" | "views" => 4,
                _ => 16,
            };
            assert!(
                line.ends_with(&format!("no multiple of {needs} bytes")),
                "{line}"
            );
        }
    }
}

#[test]
fn a_null_pointer_is_refused() {
    for (name, parameters, call) in CASES {
        for (number, parameter) in parameters.iter().enumerate() {
            let wrong = Some((number, 0, -((number as i64 + 1) << 40)));
            let line = refused(call(gpu(wrong)));
            let begin = format!("{name}: {parameter} is a null pointer");
            assert!(line.starts_with(&begin), "{line}");
        }
    }
}

#[test]
fn what_is_written_overlaps_nothing_but_where_a_kernel_works_in_place() {
    let in_place = |name: &str| {
        let elementwise = ["relu", "tanh", "dropout", "scale", "sum_parts"];
        elementwise.iter().any(|begin| name.starts_with(begin))
    };
    for (name, parameters, call) in CASES.iter().filter(|(_, names, _)| names.len() > 1) {
        let last = parameters.len() - 1;
        // The output at the first buffer, then 16 bytes into it.
        for further in [0, 16] {
            let wrong = Some((last, 0, further - ((last as i64) << 40)));
            if in_place(name) && further == 0 {
                assert!(call(gpu(wrong)).is_ok(), "{name}");
                continue;
            }
            let line = refused(call(gpu(wrong)));
            let overlap = format!("{name}: {} overlaps {}", parameters[last], parameters[0]);
            assert_eq!(line, overlap);
        }
    }
}

#[test]
fn sizes_that_a_kernel_cannot_have_are_refused() {
    let m = gpu(None);
    let lines = [
        refused(launch::relu_forward(m.read(0, 40), m.write(1, 40), GPU)),
        refused(launch::softmax(
            [10, 33],
            m.read(0, 330),
            m.write(1, 330),
            GPU,
        )),
        refused(launch::sum_parts(0, m.read(0, 0), m.write(1, 16), GPU)),
        refused(launch::gaussian_fill(
            Gaussian {
                valid: 33,
                ..GAUSSIAN
            },
            m.write(0, 96),
            GPU,
        )),
        refused(launch::lrn_forward(
            lrn::Shape { columns: 40, ..LRN },
            m.read(0, 280),
            m.write(1, 280),
            GPU,
        )),
        refused(launch::lrn_forward(
            lrn::Shape { channels: 0, ..LRN },
            m.read(0, 0),
            m.write(1, 0),
            GPU,
        )),
        refused(launch::fully_connected_weight_gradient(
            fc::Shape {
                outputs: 10,
                ..LAYER
            },
            m.read(0, 1500 * 32),
            m.read(1, 320),
            m.write(2, 15000),
            GPU,
        )),
        refused(launch::transpose(
            [2_200_000, 1],
            m.read(0, 2_200_000),
            m.write(1, 2_200_000),
            GPU,
        )),
    ];
    let expected = [
        "relu_forward: elements must be a multiple of 16 and fewer than 2³¹, but there are 40",
        "softmax: images must be a multiple of 32 and fewer than 2²⁴, but there are 33",
        "sum_parts: parts must be at least 1, but there are 0",
        "gaussian_fill: valid elements must be at most the stride, but there are 33",
        "lrn_forward: columns must be a multiple of 16 and fewer than 2³¹, but there are 40",
        "lrn_forward: the grid is [0, 1, 1], but CUDA takes from [1, 1, 1] to [2147483647, 65535, 65535]",
        "fully_connected_weight_gradient: outputs must be a multiple of 16, but there are 10",
        "transpose: the grid is [1, 68750, 1], but CUDA takes from [1, 1, 1] to [2147483647, 65535, 65535]",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn shapes_that_cannot_be_are_refused() {
    let convolution = |change: fn(&mut Sizes)| {
        let mut sizes = CONVOLUTION;
        change(&mut sizes);
        Shape::try_new(sizes).unwrap_err().to_string()
    };
    assert_eq!(
        convolution(|sizes| sizes.images = 33),
        "images must be a multiple of 32, but there are 33"
    );
    assert_eq!(
        convolution(|sizes| sizes.filters = 40),
        "filters must be a multiple of 16, but there are 40"
    );
    assert_eq!(
        convolution(|sizes| sizes.stride = 0),
        "pixels from window to window must be at least 1, but there are 0"
    );
    assert!(convolution(|sizes| sizes.input = [0, 8]).starts_with("input must have"));
    assert!(convolution(|sizes| sizes.input = [1 << 16; 2]).starts_with("input must have"));
    assert!(convolution(|sizes| sizes.kernel = 0).starts_with("weights must"));
    assert!(convolution(|sizes| sizes.kernel = u32::MAX).starts_with("weights must"));
    assert!(convolution(|sizes| sizes.pad = u32::MAX).starts_with("pixels from first"));
    assert!(convolution(|sizes| sizes.stride = u32::MAX).starts_with("pixels from first"));

    let pool = |output, size, stride| {
        let made = pool::Shape::try_new([3, 9, 8], output, size, stride, 32);
        made.unwrap_err().to_string()
    };
    assert_eq!(
        pool([6, 4], 3, 2),
        "rows and columns must reach to where the last window begins, but there are 9"
    );
    assert!(pool([4, 4], 0, 2).starts_with("rows of a window"));
    assert!(pool([4, 4], 3, 0).starts_with("pixels from window to window"));
    let padded = pool::Shape::new([3, 9, 8], [5, 5], 3, 2, 32).padded(3);
    assert_eq!(
        padded.check().unwrap_err().to_string(),
        "pixels of padding must be fewer than those of a window's side, but there are 3"
    );
}

/// Memory as kernels want it.
#[repr(align(64))]
struct Aligned<T>(T);

#[test]
fn a_slice_is_not_for_a_gpu_and_a_gpus_call_not_for_the_executor() {
    let (x, mut y) = (Aligned([1.0; 16]), Aligned([0.0; 16]));
    let line = launch::relu_forward(In::from(&x.0), Out::from(&mut y.0), GPU).map(drop);
    assert_eq!(
        line.unwrap_err().to_string(),
        "relu_forward: x is a slice of the host's memory; a GPU takes its copy there, by from_raw"
    );
    let memory = gpu(None);
    let call = launch::relu_forward(memory.read(0, 16), memory.write(1, 16), GPU).unwrap();
    let pool = simt_executor::Pool::new(1).unwrap();
    assert_eq!(
        call.run(&pool).unwrap_err().to_string(),
        "relu_forward: the call was made for Target::Gpu; the executor runs those for Target::Cpu"
    );
}

/// Safe code could free them before.
#[test]
fn buffers_by_their_addresses_are_run_by_who_knows_that_they_are_there() {
    let memory = Memory {
        target: Target::Cpu,
        wrong: None,
    };
    let (x, mut y) = (memory.read(0, 16), Aligned([0.0; 16]));
    let call = launch::relu_forward(x, Out::from(&mut y.0), Target::Cpu).unwrap();
    assert_eq!(
        call.run(&simt_executor::Pool::new(1).unwrap())
            .unwrap_err()
            .to_string(),
        "relu_forward: a buffer was given by its address; Call::into_inner is for who knows that it is there"
    );
}

#[test]
fn a_view_that_leaves_its_image_is_refused() {
    let view = View {
        y: 4,
        x: 0,
        mirror: 0,
        noise: [0.0; 3],
    };
    let mut views = [view; 32];
    let (pixels, mean) = (vec![0u8; 20 * 20 * 3 * 32], Aligned([0.0; 1200]));
    let mut out = Aligned([0.0; 3 * 16 * 16 * 32]);
    let mut made = |views: &[View]| {
        let (pixels, views) = (In::from(&pixels), In::from(views));
        let out = Out::from(&mut out.0);
        launch::augment(
            [20, 20, 16],
            pixels,
            views,
            In::from(&mean.0),
            out,
            Target::Cpu,
        )
        .map(drop)
    };
    assert_eq!(made(&views), Ok(()));
    views[7].x = 5;
    assert_eq!(
        made(&views).unwrap_err().to_string(),
        "augment: view 7 begins at row 4, column 5 and leaves the image"
    );
}

/// A kernel's parameters as the documentation lists them: what is read → what is written.
fn signature(parameters: &str) -> String {
    let [read, written] = [false, true]
        .map(|written| names(parameters, |one| one.contains("*mut") == written).join(", "));
    format!("{read} → {written}")
}

/// Name, parameters, threads and shared memory: what the table has from here.
#[test]
fn the_documentations_table_is_complete_and_true() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/kernels.md");
    let Ok(text) = std::fs::read_to_string(path) else {
        eprintln!("no documentation beside this crate: it stands alone");
        return;
    };
    let kernels = kernels();
    for (name, _, call) in CASES {
        let begin = format!("| `{name}` | {} |", signature(&kernels[*name]));
        let row = text.lines().find(|line| line.starts_with(&begin));
        let row = row.unwrap_or_else(|| panic!("docs/kernels.md lacks: {begin}"));
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let launch = call(gpu(None)).unwrap().launch();
        // Threads depend on the images where the cell says so.
        if !cells[4].contains("images") {
            assert_eq!(cells[4], launch.threads().to_string(), "threads of {name}");
        }
        assert_eq!(
            cells[5],
            launch.shared.to_string(),
            "shared memory of {name}"
        );
        assert_eq!(cells.len(), 9, "{row}");
    }
}

/// The README's is a doc test.
#[test]
fn the_documentations_quick_start_is_that_of_the_readme() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/");
    let first = |file: &str| {
        let text = std::fs::read_to_string(format!("{folder}{file}")).ok()?;
        let (code, _) = text.split_once("```rust\n")?.1.split_once("```")?;
        Some(code.to_owned())
    };
    if let Some(code) = first("../docs/kernels.md") {
        assert_eq!(Some(code), first("README.md"));
    }
}
