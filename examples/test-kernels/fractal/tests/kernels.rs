//! Both kernels against plain Rust. They want a driver: a GPU's, or one that runs PTX on the CPU.

use fractal::{Gpu, Picture};
use fractal_kernels::{escape, point};

fn expected([width, height]: [u32; 2], limit: u32) -> Picture {
    let pixel = |i: u32| {
        let [re, im] = point(i % width, i / width, [width, height]);
        escape(re, im, limit)
    };
    let steps: Vec<u32> = (0..width * height).map(pixel).collect();
    let mut histogram = vec![0; 256];
    for &steps in &steps {
        histogram[steps.min(255) as usize] += 1;
    }
    Picture { steps, histogram }
}

#[test]
fn pictures_are_those_of_the_host() {
    let gpu = Gpu::first().unwrap();
    for (sides, limit) in [([64, 48], 100), ([33, 7], 300), ([1, 1], 1)] {
        let picture = gpu.picture(sides, limit).unwrap();
        assert!(
            picture == expected(sides, limit),
            "{sides:?}, {limit} steps"
        );
    }
}

#[test]
fn from_several_threads_at_once() {
    std::thread::scope(|scope| {
        for n in 1..4 {
            scope.spawn(move || {
                let picture = Gpu::first().unwrap().picture([20 * n, 30], 50).unwrap();
                assert!(picture == expected([20 * n, 30], 50), "{n}");
            });
        }
    });
}
