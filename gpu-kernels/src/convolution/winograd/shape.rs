//! What the sizes of a convolution by Winograd's algorithm are, and how its work is cut.

use crate::convolution::Shape;
use crate::divisor::Divisor;
use crate::gemm::{PANEL, Panels};
use crate::sizes::{BadSize, keep};

/// Numbers of a transformed tile.
pub const PLANES: u32 = 36;

/// Columns (tile, image) whose products make one term of a part of the weights' gradient. Part of the result's bits.
pub const SUM_COLUMNS: u32 = 128;
/// Terms of a part at least, and parts at most: each is as large as the transformed weights.
const PART_TERMS: u32 = 4;
const PARTS: u32 = 16;

/// Floats between the end of one plane and the next one, so that planes do not all begin in the same lines of a cache.
pub(super) const GAP: usize = 16;

/// Floats of a plane of a strip: a vector of images of a vector of filters.
const STRIP: usize = 16 * 16;

/// Channels of images and the size of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub(super) struct Maps {
    pub channels: u32,
    pub height: u32,
    pub width: u32,
}

/// A convolution from one set of maps to another, cut into tiles of its output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Pass {
    pub(super) images: u32,
    pub(super) across: Divisor,
    pub(super) tiles: Divisor,
    pub(super) kernel: u32,
    pub(super) pad: u32,
    pub(super) from: Maps,
    pub(super) to: Maps,
}

/// How much a block does at a time, which differs by device.
#[derive(Clone, Copy)]
pub(super) struct Cut {
    /// Columns (tile, image) of a group.
    pub columns: u32,
    /// Filters, and channels, that are multiplied at a time.
    pub rows: u32,
    /// Channels, and filters, that a block of the weights' gradient multiplies.
    pub gradient: [u32; 2],
    /// Whether the planes of that gradient have room for so many even where there are fewer: their distances, if they
    /// are known to the compiler, take no registers.
    pub fixed: bool,
    /// Blocks at most, each of which takes some groups of columns, one behind the other.
    pub blocks: u32,
}

impl Cut {
    /// What is multiplied at a time lies in a second-level cache. Groups of one block share what lies between them.
    pub const CPU: Cut = Cut {
        columns: 32,
        rows: 64,
        gradient: [128, 256],
        fixed: false,
        blocks: 128,
    };
    /// The tile of the product. Each block has a part of global memory to itself.
    pub const GPU: Cut = Cut {
        columns: 128,
        rows: 128,
        gradient: [128, 128],
        fixed: true,
        blocks: 64,
    };
    /// Of the device this is compiled for.
    pub const HERE: Cut = if cfg!(target_arch = "nvptx64") {
        Cut::GPU
    } else {
        Cut::CPU
    };
}

#[inline(always)]
pub(super) const fn least(a: u32, b: u32) -> u32 {
    if a < b { a } else { b }
}

impl Pass {
    /// Rows and columns of a tile's output.
    #[inline(always)]
    pub(super) const fn side(&self) -> u32 {
        7 - self.kernel
    }

    /// (tile, image) pairs.
    #[inline(always)]
    pub(super) const fn columns(&self) -> u32 {
        self.tiles.get() * self.images
    }

    const fn of(shape: &Shape, pad: u32, from: Maps, to: Maps) -> Pass {
        let side = 7 - shape.kernel.get();
        let across = to.width.div_ceil(side);
        Pass {
            images: shape.images.get(),
            across: Divisor::new(across),
            tiles: Divisor::new(across * to.height.div_ceil(side)),
            kernel: shape.kernel.get(),
            pad,
            from,
            to,
        }
    }

    /// Floats of a plane of transformed inputs, and of one of products.
    #[inline(always)]
    pub(super) const fn planes(&self, cut: Cut) -> [usize; 2] {
        let columns = cut.columns as usize;
        [
            self.from.channels as usize * columns + GAP,
            cut.rows as usize * columns + GAP,
        ]
    }

    /// Floats that a block of the convolution has to itself.
    #[inline(always)]
    pub(super) const fn block_len(&self, cut: Cut) -> usize {
        let [inputs, products] = self.planes(cut);
        PLANES as usize * (inputs + products)
    }

    /// Columns of a part of the weights' gradient.
    #[inline(always)]
    pub(super) const fn part_columns(&self) -> u32 {
        let terms = self.columns().div_ceil(SUM_COLUMNS).div_ceil(PARTS);
        SUM_COLUMNS
            * if terms < PART_TERMS {
                PART_TERMS
            } else {
                terms
            }
    }

    /// Parts of the sum of the weights' gradient.
    #[inline(always)]
    pub(super) const fn parts(&self) -> u32 {
        self.columns().div_ceil(self.part_columns())
    }

    /// Floats of a plane of a part's sums, which lie in panels of filters.
    #[inline(always)]
    pub(super) const fn sums_plane(&self) -> usize {
        Panels::len(self.from.channels, self.to.channels)
    }

    /// Floats of a plane of transformed inputs, and of one of gradients, in a block of the weights' gradient.
    #[inline(always)]
    pub(super) const fn gradient_planes(&self, cut: Cut) -> [usize; 2] {
        let [mut channels, mut filters] = cut.gradient;
        if !cut.fixed {
            channels = least(channels, self.from.channels);
            filters = least(filters, self.to.channels.next_multiple_of(PANEL));
        }
        let columns = SUM_COLUMNS as usize;
        [
            channels as usize * columns + GAP,
            filters as usize * columns + GAP,
        ]
    }

    /// Floats that a block of the weights' gradient has to itself: its planes, and a CPU's strip of gradients.
    #[inline(always)]
    pub(super) const fn gradient_len(&self, cut: Cut) -> usize {
        let [inputs, gradients] = self.gradient_planes(cut);
        PLANES as usize * (inputs + gradients + STRIP)
    }

    /// Floats of a plane of transformed weights: in panels forward, in rows of filters backward.
    #[inline(always)]
    pub(super) const fn weights_plane(channels: u32, filters: u32) -> usize {
        Panels::len(channels, filters) + GAP
    }
}

/// The sizes of a convolution that can be made by Winograd's algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Winograd {
    pub(super) forward: Pass,
    pub(super) backward: Pass,
    pub(super) shape: Shape,
}

impl Winograd {
    /// Those of `shape`.
    ///
    /// # Errors
    /// The windows are not 3 × 3 or 5 × 5, not one pixel apart, or the padding is as large as they are.
    pub const fn try_new(shape: Shape) -> Result<Winograd, BadSize> {
        let kernel = shape.kernel.get();
        let rules = [
            keep(
                kernel == 3 || kernel == 5,
                "Winograd's algorithm is for windows of 3 or 5 pixels",
                kernel as u64,
            ),
            keep(
                shape.stride.get() == 1,
                "Winograd's algorithm is for windows 1 pixel apart",
                shape.stride.get() as u64,
            ),
            keep(
                shape.pad < kernel,
                "rows of zeros must be fewer than those of a window",
                shape.pad as u64,
            ),
        ];
        let mut i = 0;
        while i < rules.len() {
            if let Err(bad) = rules[i] {
                return Err(bad);
            }
            i += 1;
        }
        let from = Maps {
            channels: shape.channels,
            height: shape.height,
            width: shape.width.get(),
        };
        let to = Maps {
            channels: shape.filters.get(),
            height: shape.out_height,
            width: shape.out_width.get(),
        };
        Ok(Winograd {
            forward: Pass::of(&shape, shape.pad, from, to),
            // A window that is turned round reaches as far the other way.
            backward: Pass::of(&shape, kernel - 1 - shape.pad, to, from),
            shape,
        })
    }

    /// What the kernels are given: the way from x to y, and from dy to dx.
    pub const fn passes(&self) -> [Pass; 2] {
        [self.forward, self.backward]
    }

    /// The convolution's own sizes.
    pub const fn shape(&self) -> Shape {
        self.shape
    }

    /// Floats of the transformed weights, of either direction.
    pub const fn weights_len(&self) -> usize {
        let plane = Pass::weights_plane(self.shape.channels, self.shape.filters.get());
        PLANES as usize * plane
    }

    /// Parts of the sum of the weights' gradient.
    pub const fn parts(&self) -> u32 {
        self.forward.parts()
    }

    /// Floats of one of them.
    pub const fn part_len(&self) -> usize {
        PLANES as usize * self.forward.sums_plane()
    }

    /// Floats of all parts.
    pub const fn parts_len(&self) -> usize {
        self.part_len().saturating_mul(self.parts() as usize)
    }
}

#[cfg(not(target_arch = "nvptx64"))]
mod launch {
    use super::{Cut, Pass, Winograd};
    use crate::gemm::{CpuTile, GpuTile};
    use crate::sizes::product;
    use crate::target::Target;
    use cuda_std::simt::Launch;

    impl Cut {
        pub const fn on(target: Target) -> Cut {
            match target {
                Target::Cpu => Cut::CPU,
                Target::Gpu => Cut::GPU,
            }
        }
    }

    impl Pass {
        /// The launch of the kernel that convolves.
        pub(in super::super) const fn launch(&self, target: Target) -> Launch {
            let cut = Cut::on(target);
            // A GPU's many blocks share the filters, too.
            let rows = match target {
                Target::Cpu => 1,
                Target::Gpu => self.to.channels.div_ceil(cut.rows),
            };
            let groups = self.columns().div_ceil(cut.columns);
            let each = groups.div_ceil(cut.blocks.div_ceil(rows));
            launch(
                [groups.div_ceil(each), rows, 1],
                self.block_len(cut),
                target,
            )
        }

        /// The launch of the weights' gradient: parts × blocks of channels × blocks of filters.
        pub(in super::super) const fn gradient_launch(&self, target: Target) -> Launch {
            let cut = Cut::on(target);
            let [channels, filters] = cut.gradient;
            let grid = [
                self.parts(),
                self.from.channels.div_ceil(channels),
                self.to.channels.div_ceil(filters),
            ];
            launch(grid, self.gradient_len(cut), target)
        }

        const fn scratch(&self, target: Target) -> usize {
            scratch(self.launch(target), self.block_len(Cut::GPU), target)
        }
    }

    /// A launch of blocks that have `own` floats each to themselves: a CPU's in shared memory, a GPU's in
    /// [`scratch`].
    const fn launch(grid: [u32; 3], own: usize, target: Target) -> Launch {
        let (threads, shared) = match target {
            Target::Cpu => (CpuTile::threads(16), size_of::<f32>() * own),
            Target::Gpu => (GpuTile::threads(4), GpuTile::SHARED),
        };
        Launch {
            grid,
            block: [threads as u32, 1, 1],
            shared: shared as u32,
        }
    }

    /// Floats of global memory for blocks that have `own` each.
    const fn scratch(launch: Launch, own: usize, target: Target) -> usize {
        match target {
            Target::Cpu => 0,
            Target::Gpu => own * product(&launch.grid),
        }
    }

    impl Winograd {
        /// A thread for each vector of weights at one place of the window.
        pub(in super::super) fn by_weights(&self, target: Target) -> Launch {
            let weights = self.shape.channels as usize * self.shape.filters() as usize;
            Launch::cover(weights / target.lanes(), target.threads())
        }

        /// Floats of global memory that [`winograd_forward`](super::super::winograd_forward) works in.
        pub const fn forward_scratch(&self, target: Target) -> usize {
            self.forward.scratch(target)
        }

        /// The same for [`winograd_input_gradient`](super::super::winograd_input_gradient).
        pub const fn input_gradient_scratch(&self, target: Target) -> usize {
            self.backward.scratch(target)
        }

        /// The same for [`winograd_weight_gradient`](super::super::weight_gradient::winograd_weight_gradient).
        pub const fn weight_gradient_scratch(&self, target: Target) -> usize {
            let launch = self.forward.gradient_launch(target);
            scratch(launch, self.forward.gradient_len(Cut::GPU), target)
        }
    }
}
