//! Transposition of matrices of any size.
mod common;

use common::{Buffer, bits, here, random, run};
use gpu_kernels::target::Target;
use gpu_kernels::transpose::{transpose, transpose_launch};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn rows_become_columns(rows in 1..130u32, cols in 1..130u32, four: bool, seed: u32) {
        let [rows, cols] = if four { [4 * rows, 4 * cols] } else { [rows, cols] };
        let x = Buffer::new(&random(seed, (rows * cols) as usize));
        let from = |i: u32| x[(i % rows * cols + i / rows) as usize];
        let want: Vec<f32> = (0..rows * cols).map(from).collect();
        for target in [here(), Target::Gpu] {
            let mut y = Buffer::unwritten(x.len());
            let launch = transpose_launch(rows, cols, target);
            // SAFETY: both buffers have `rows` · `cols` elements.
            unsafe { run(&transpose, launch, (rows, cols, x.ptr(), y.mut_ptr())) };
            prop_assert_eq!(bits(&y), bits(&want));
        }
    }
}
