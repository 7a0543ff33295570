//! On which kind of device a launch is to run: what decides its configuration.

use crate::gemm::{CpuTile, GpuTile};

/// A kind of device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The executor.
    Cpu,
    /// PTX.
    Gpu,
}

impl Target {
    /// Lanes of the kernels' vectors.
    pub const fn lanes(self) -> usize {
        match self {
            Target::Cpu => 16,
            Target::Gpu => 4,
        }
    }

    /// Threads of a block where nothing else decides.
    pub const fn threads(self) -> u32 {
        match self {
            Target::Cpu => 64,
            Target::Gpu => 256,
        }
    }

    /// The launch of a matrix product with `rows` × `cols` results, its sum cut
    /// into `parts`.
    pub const fn product(self, rows: u32, cols: u32, parts: u32) -> cuda_std::simt::Launch {
        let (tile, threads, shared) = match self {
            Target::Cpu => (
                [CpuTile::BM, CpuTile::BN],
                CpuTile::threads(16),
                CpuTile::SHARED,
            ),
            Target::Gpu => (
                [GpuTile::BM, GpuTile::BN],
                GpuTile::threads(4),
                GpuTile::SHARED,
            ),
        };
        cuda_std::simt::Launch {
            grid: [
                cols.div_ceil(tile[1] as u32),
                rows.div_ceil(tile[0] as u32),
                parts,
            ],
            block: [threads as u32, 1, 1],
            shared: shared as u32,
        }
    }
}
