//! Every kernel gives the same bits whatever instruction set it is compiled for.
//!
//! A process chooses its instruction set once, so this test runs itself again
//! for each and compares what it prints: a line per kernel with a hash of the
//! bits of its results.
mod common;

use std::process::Command;

use common::{Buffer, random, random_below, run};
use gpu_kernels::target::Target::Cpu;
use gpu_kernels::{
    augment, average_pool, dropout, fill, lrn, pool, relu, sgd, softmax, tanh, transpose,
};
use simt_executor::InstructionSet;

#[test]
fn same_bits_on_every_instruction_set() {
    let baseline = lines(InstructionSet::Baseline);
    assert!(baseline.len() >= 17, "{baseline:?}");
    for set in [InstructionSet::Avx2, InstructionSet::Avx512] {
        if set > InstructionSet::current() {
            eprintln!("not on this processor: {}", set.name());
            continue;
        }
        assert_eq!(baseline, lines(set), "{}", set.name());
    }
}

/// What [`print_hashes`] prints in a process of its own.
fn lines(set: InstructionSet) -> Vec<String> {
    let output = Command::new(std::env::current_exe().expect("this test's path"))
        .args(["--exact", "print_hashes", "--ignored", "--nocapture"])
        // Whatever is run in place of this code elsewhere.
        .env_remove("KERNELS_PTX")
        .env(InstructionSet::VARIABLE, set.name())
        .output()
        .expect("this test runs again");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines()
        .filter(|line| line.starts_with("kernel "))
        .map(str::to_owned)
        .collect()
}

fn print(name: &str, result: &[f32]) {
    assert!(
        result.iter().all(|x| !x.is_nan()),
        "{name}: not everything was written"
    );
    // FNV-1a.
    let hash = result
        .iter()
        .flat_map(|x| x.to_bits().to_le_bytes())
        .fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
            (hash ^ byte as u64).wrapping_mul(0x100_0000_01b3)
        });
    println!("kernel {name} {hash:016x}");
}

#[test]
#[ignore = "run by same_bits_on_every_instruction_set"]
fn print_hashes() {
    // SAFETY: each makes buffers of the lengths that its kernels ask for.
    unsafe {
        elementwise();
        normalisation();
        pooling();
        probabilities();
        inputs_and_initial_values();
    }
}

unsafe fn elementwise() {
    const LEN: u32 = 16 * 601;
    let wide: Vec<f32> = random(1, LEN as usize).iter().map(|x| 4.0 * x).collect();
    let (x, dy) = (Buffer::new(&wide), Buffer::new(&random(2, LEN as usize)));
    let mut y = Buffer::unwritten(LEN as usize);
    let launch = relu::relu_launch(LEN, Cpu);
    run(&relu::relu_forward, launch, (LEN, x.ptr(), y.mut_ptr()));
    print("relu_forward", &y);
    run(
        &relu::relu_backward,
        launch,
        (LEN, x.ptr(), dy.ptr(), y.mut_ptr()),
    );
    print("relu_backward", &y);
    run(&tanh::tanh_forward, launch, (LEN, x.ptr(), y.mut_ptr()));
    print("tanh_forward", &y);
    run(
        &tanh::tanh_backward,
        launch,
        (LEN, y.ptr(), dy.ptr(), y.mut_ptr()),
    );
    print("tanh_backward", &y);
    run(
        &dropout::dropout_forward,
        launch,
        (LEN, 0.5, [1, 2], 3, 4, 0, x.ptr(), y.mut_ptr()),
    );
    print("dropout_forward", &y);
    run(
        &dropout::dropout_backward,
        launch,
        (LEN, 0.3, [1, 2], 3, 5, 0, x.ptr(), y.mut_ptr()),
    );
    print("dropout_backward", &y);
    run(&dropout::scale, launch, (LEN, 0.7, x.ptr(), y.mut_ptr()));
    print("scale", &y);
    let (mut v, mut w) = (Buffer::new(&dy), Buffer::new(&x));
    let arguments = (LEN, 0.01, 0.9, 0.0005, x.ptr(), v.mut_ptr(), w.mut_ptr());
    run(&sgd::sgd_update, launch, arguments);
    print("sgd_update velocity", &v);
    print("sgd_update weights", &w);
}

unsafe fn normalisation() {
    let len = 11 * 48;
    let wide: Vec<f32> = random(1, len).iter().map(|x| 4.0 * x).collect();
    let (x, dy) = (Buffer::new(&wide), Buffer::new(&random(2, len)));
    let mut y = Buffer::unwritten(len);
    for (size, beta) in [(5, 0.75), (3, 0.75), (5, 0.6)] {
        let shape = lrn::Shape {
            channels: 11,
            columns: 48,
            size,
            k: 2.0,
            alpha: 0.1,
            beta,
        };
        let launch = lrn::lrn_forward_launch(shape, Cpu);
        run(&lrn::lrn_forward, launch, (shape, x.ptr(), y.mut_ptr()));
        print(&format!("lrn_forward {size} {beta}"), &y);
        let launch = lrn::lrn_backward_launch(shape, Cpu);
        run(
            &lrn::lrn_backward,
            launch,
            (shape, x.ptr(), dy.ptr(), y.mut_ptr()),
        );
        print(&format!("lrn_backward {size} {beta}"), &y);
    }
}

unsafe fn pooling() {
    let (inputs, outputs) = (3 * 13 * 13 * 64, 3 * 6 * 6 * 64);
    let shape = pool::Shape::new([3, 13, 13], [6, 6], 3, 2, 64);
    let (x, dy) = (
        Buffer::new(&random(1, inputs)),
        Buffer::new(&random(2, outputs)),
    );
    let (mut y, mut winner) = (Buffer::unwritten(outputs), Buffer::unwritten(outputs));
    let mut dx = Buffer::unwritten(inputs);
    let launch = pool::max_pool_forward_launch(shape, Cpu);
    run(
        &pool::max_pool_forward,
        launch,
        (shape, x.ptr(), y.mut_ptr(), winner.mut_ptr()),
    );
    print("max_pool_forward", &y);
    print("max_pool_forward winner", &winner);
    let launch = pool::max_pool_backward_launch(shape, Cpu);
    run(
        &pool::max_pool_backward,
        launch,
        (shape, winner.ptr(), dy.ptr(), dx.mut_ptr()),
    );
    print("max_pool_backward", &dx);
    let launch = average_pool::average_pool_forward_launch(shape, Cpu);
    run(
        &average_pool::average_pool_forward,
        launch,
        (shape, x.ptr(), y.mut_ptr()),
    );
    print("average_pool_forward", &y);
    let launch = average_pool::average_pool_backward_launch(shape, Cpu);
    run(
        &average_pool::average_pool_backward,
        launch,
        (shape, dy.ptr(), dx.mut_ptr()),
    );
    print("average_pool_backward", &dx);
}

unsafe fn probabilities() {
    const CLASSES: u32 = 101;
    let len = CLASSES as usize * 64;
    let wide: Vec<f32> = random(1, len).iter().map(|x| 9.0 * x).collect();
    let (z, labels) = (
        Buffer::new(&wide),
        Buffer::new(&random_below(3, 64, CLASSES)),
    );
    let (mut p, mut out) = (Buffer::unwritten(len), Buffer::unwritten(len));
    let (mut loss, mut rank) = (Buffer::unwritten(64), Buffer::unwritten(64));
    let launch = softmax::softmax_launch(64, Cpu);
    run(
        &softmax::softmax,
        launch,
        (CLASSES, 64, z.ptr(), p.mut_ptr()),
    );
    print("softmax", &p);
    let arguments = (
        CLASSES,
        64,
        z.ptr(),
        labels.ptr(),
        loss.mut_ptr(),
        rank.mut_ptr(),
    );
    run(&softmax::cross_entropy, launch, arguments);
    print("cross_entropy loss", &loss);
    print("cross_entropy rank", &rank);
    let launch = softmax::softmax_gradient_launch(CLASSES, 64, Cpu);
    let arguments = (
        CLASSES,
        64,
        0,
        CLASSES,
        CLASSES,
        60,
        p.ptr(),
        labels.ptr(),
        out.mut_ptr(),
    );
    run(&softmax::softmax_gradient, launch, arguments);
    print("softmax_gradient", &out);
}

unsafe fn inputs_and_initial_values() {
    let mut out = Buffer::unwritten(200 * 112);
    let launch = fill::gaussian_fill_launch(200, 112, Cpu);
    run(
        &fill::gaussian_fill,
        launch,
        (200, 112, 101, 0.01, [1, 2], 3, out.mut_ptr()),
    );
    print("gaussian_fill", &out);
    let x = Buffer::new(&out);
    run(
        &transpose::transpose,
        transpose::transpose_launch(200, 112, Cpu),
        (200, 112, x.ptr(), out.mut_ptr()),
    );
    print("transpose", &out);

    let bytes: Vec<u8> = random_below(1, 32 * 20 * 20 * 3, 256)
        .iter()
        .map(|&b| b as u8)
        .collect();
    let noise = [1.5, -0.3, 0.7];
    let views: Vec<_> = (0..32)
        .map(|n| augment::View {
            y: n % 4,
            x: n % 3,
            mirror: n % 2,
            noise,
        })
        .collect();
    let (pixels, views) = (Buffer::new(&bytes), Buffer::new(&views));
    let mean = Buffer::new(&random(2, 20 * 20 * 3));
    let mut out = Buffer::unwritten(3 * 17 * 17 * 32);
    let arguments = (
        20,
        20,
        17,
        32,
        pixels.ptr(),
        views.ptr(),
        mean.ptr(),
        out.mut_ptr(),
    );
    run(
        &augment::augment,
        augment::augment_launch(17, 32, Cpu),
        arguments,
    );
    print("augment", &out);
}
