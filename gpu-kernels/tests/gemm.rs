//! The matrix product is exact: the bits of a plain loop over k, however the
//! work is cut, whatever the lanes and the instruction set.
mod common;

use std::process::Command;

use common::{Buffer, random, run};
use cuda_std::simt::vector::Lanes;
use gpu_kernels::device::*;
use gpu_kernels::gemm::{CpuTile, GpuTile, K_STEP, Matrix, Tile};
use proptest::prelude::*;
use simt_executor::{InstructionSet, Kernel, Launch};

/// `C = A · B`, or a part of the sum.
#[derive(Clone, Copy, Debug)]
struct Product {
    rows: u32,
    cols: u32,
    depth: u32,
    range: [u32; 2],
    transposed: [bool; 2],
}

macro_rules! product {
    ($name:ident, $tile:ty, $vector:ty) => {
        #[kernel]
        unsafe fn $name(p: Product, a: *const f32, b: *const f32, c: *mut f32) {
            type Cut = $tile;
            macro_rules! product {
                ($a:literal, $b:literal) => {
                    Cut::product::<$vector, _, _>(
                        matrix::<$a>(a, p.depth, p.rows),
                        matrix::<$b>(b, p.depth, p.cols),
                        p.range,
                        [
                            thread::block_idx_y() * Cut::BM as u32,
                            thread::block_idx_x() * Cut::BN as u32,
                        ],
                        [p.rows, p.cols],
                        |row, col, sum| c.store_vector((row * p.cols + col) as usize, sum),
                    )
                };
            }
            match p.transposed {
                [false, false] => product!(false, false),
                [false, true] => product!(false, true),
                [true, false] => product!(true, false),
                [true, true] => product!(true, true),
            }
        }
    };
}

type Small = Tile<64, 64, 32, 8, 8, 2, 8, 2, 0>;
type Deep = Tile<32, 96, 256, 4, 4, 2, 8, 3, 0>;
product!(cpu, CpuTile, V);
product!(small, Small, V);
product!(deep, Deep, V);
// What runs on a GPU, with its four lanes.
product!(gpu, GpuTile, Lanes<4>);

type ProductKernel = Kernel<(Product, *const f32, *const f32, *mut f32)>;

fn matrix<const TRANSPOSED: bool>(data: *const f32, depth: u32, width: u32) -> Matrix<TRANSPOSED> {
    let stride = if TRANSPOSED { depth } else { width };
    Matrix {
        data,
        stride,
        depth,
        width,
    }
}

macro_rules! launch {
    ($tile:ty, $lanes:literal, $p:ident) => {
        Launch {
            grid: [
                $p.cols.div_ceil(<$tile>::BN as u32),
                $p.rows.div_ceil(<$tile>::BM as u32),
                1,
            ],
            block: [<$tile>::threads($lanes) as u32, 1, 1],
            shared: <$tile>::SHARED as u32,
        }
    };
}

fn compute(p: Product, kernel: &ProductKernel, launch: Launch, a: &[f32], b: &[f32]) -> Vec<f32> {
    let (a, b) = (Buffer::new(a), Buffer::new(b));
    let mut c = Buffer::unwritten((p.rows * p.cols) as usize);
    // SAFETY: the buffers have the extents of the product.
    unsafe { run(kernel, launch, (p, a.ptr(), b.ptr(), c.mut_ptr())) };
    c.to_vec()
}

/// The definition, with k padded as the kernels do.
fn expected(p: Product, a: &[f32], b: &[f32]) -> Vec<f32> {
    let at = |x: &[f32], transposed, width: u32, k: u32, i: u32| match transposed {
        _ if k >= p.depth => 0.0,
        true => x[(i * p.depth + k) as usize],
        false => x[(k * width + i) as usize],
    };
    let end = p.range[0] + (p.range[1] - p.range[0]).next_multiple_of(K_STEP);
    let sum = |row, col| {
        (p.range[0]..end).fold(0.0f32, |sum, k| {
            let (a, b) = (
                at(a, p.transposed[0], p.rows, k, row),
                at(b, p.transposed[1], p.cols, k, col),
            );
            a.mul_add(b, sum)
        })
    };
    (0..p.rows * p.cols)
        .map(|i| sum(i / p.cols, i % p.cols))
        .collect()
}

prop_compose! {
    /// Extents that are whole numbers of 16 or 32 where the layout asks for it.
    fn products()(
        rows in 1..300u32,
        cols in 1..20u32,
        depth in 1..300u32,
        begin in 0..3u32,
        transposed: [bool; 2],
    ) -> Product {
        let rows = if transposed[0] { rows } else { rows.next_multiple_of(16) };
        let depth = if transposed[0] || transposed[1] { depth.next_multiple_of(16) } else { depth };
        let begin = if begin * K_STEP < depth { begin * K_STEP } else { 0 };
        let cols = if transposed[1] { 16 } else { 32 } * cols;
        Product { rows, cols, depth, range: [begin, depth], transposed }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn bits_of_a_plain_loop(p in products(), seed: u32) {
        let a = random(seed, (p.rows * p.depth) as usize);
        let b = random(!seed, (p.cols * p.depth) as usize);
        let want = expected(p, &a, &b);
        let cuts: [(&str, &ProductKernel, Launch); 4] = [
            ("CPU", &cpu, launch!(CpuTile, 16, p)),
            ("small", &small, launch!(Small, 16, p)),
            ("deep", &deep, launch!(Deep, 16, p)),
            ("GPU", &gpu, launch!(GpuTile, 4, p)),
        ];
        for (name, kernel, launch) in cuts {
            let c = compute(p, kernel, launch, &a, &b);
            let wrong = c.iter().zip(&want).position(|(c, want)| c.to_bits() != want.to_bits());
            prop_assert!(wrong.is_none(), "{} tile, element {:?}", name, wrong);
        }
    }
}

#[test]
fn same_on_every_instruction_set() {
    for set in [InstructionSet::Baseline, InstructionSet::Avx2] {
        let status = Command::new(std::env::current_exe().expect("this test's path"))
            .args(["--exact", "bits_of_a_plain_loop"])
            .env(InstructionSet::VARIABLE, set.name())
            .env("PROPTEST_CASES", "4")
            .status();
        assert!(
            status.expect("this test runs again").success(),
            "{}",
            set.name()
        );
    }
}
