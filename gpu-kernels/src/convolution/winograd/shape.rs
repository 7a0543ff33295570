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

/// Channels of images, as maps of pixels that lie `stride` apart: stride² maps a channel, the *phases* of its rows and
/// columns (space to depth). Between them windows that far apart are windows one pixel apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub(super) struct Maps {
    pub channels: Divisor,
    pub height: u32,
    pub width: u32,
    pub stride: Divisor,
    /// Rows and columns of zeros above and left of the image.
    pub pad: u32,
    /// Floats from one channel to the next.
    pub channel: u32,
    /// Floats from one row of a map to the next, and from one pixel to the next.
    pub steps: [u32; 2],
}

impl Maps {
    const fn new(
        channels: Divisor,
        [height, width]: [u32; 2],
        stride: Divisor,
        pad: u32,
        images: u32,
    ) -> Maps {
        Maps {
            channels,
            height,
            width,
            stride,
            pad,
            channel: height * width * images,
            // The row after the last may lie anywhere.
            steps: [
                (width * images).wrapping_mul(stride.get()),
                images * stride.get(),
            ],
        }
    }

    /// Channels of every phase.
    #[inline(always)]
    pub const fn count(&self) -> u32 {
        self.channels.get() * self.stride.get() * self.stride.get()
    }

    /// Pixels that the largest map has of so many.
    const fn extent(&self, pixels: u32) -> u32 {
        (pixels + self.pad).div_ceil(self.stride.get())
    }
}

/// A convolution from one set of maps to another, cut into tiles of its output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Pass {
    pub(super) images: u32,
    pub(super) across: Divisor,
    pub(super) tiles: Divisor,
    /// Of the windows between maps: 3 or 5.
    pub(super) kernel: u32,
    pub(super) from: Maps,
    pub(super) to: Maps,
}

/// A convolution's weights, as windows between the maps of x and y.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Windows {
    /// Those of x.
    pub(super) maps: Maps,
    pub(super) filters: Divisor,
    /// Rows and columns of a window between channels, and between maps: 3 or 5.
    pub(super) kernel: u32,
    pub(super) between: u32,
}

/// The weights between one map and some filters.
#[derive(Clone, Copy)]
pub(super) struct Window {
    first: usize,
    /// Row and column of the first.
    offset: [u32; 2],
    stride: u32,
    kernel: u32,
    filters: u32,
}

impl Windows {
    /// From `map` to the filters from `filter` on.
    #[inline(always)]
    pub(super) fn window(&self, map: u32, filter: u32) -> Window {
        let phase = self.maps.phase(map);
        let (filters, kernel) = (self.filters.get(), self.kernel);
        let channel = map - phase.first;
        let first = channel * kernel * kernel * filters + filter;
        Window {
            first: first as usize,
            offset: phase.offset,
            stride: self.maps.stride.get(),
            kernel,
            filters,
        }
    }
}

impl Window {
    /// Where row `r` and column `q` of these weights are; of the last ones some phases have none.
    #[inline(always)]
    pub(super) fn at(&self, r: usize, q: usize) -> Option<usize> {
        let [r, q] = [
            self.offset[0] + r as u32 * self.stride,
            self.offset[1] + q as u32 * self.stride,
        ];
        (r < self.kernel && q < self.kernel)
            .then(|| self.first + ((r * self.kernel + q) * self.filters) as usize)
    }
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

    const fn of(images: u32, kernel: u32, from: Maps, to: Maps) -> Pass {
        let side = 7 - kernel;
        let across = to.extent(to.width).div_ceil(side);
        let down = to.extent(to.height).div_ceil(side);
        Pass {
            images,
            across: Divisor::new(across),
            tiles: Divisor::new(across * down),
            kernel,
            from,
            to,
        }
    }

    /// Floats of a plane of transformed inputs, and of one of products.
    #[inline(always)]
    pub(super) const fn planes(&self, cut: Cut) -> [usize; 2] {
        let columns = cut.columns as usize;
        [
            self.from.count() as usize * columns + GAP,
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
        Panels::len(self.from.count(), self.to.count())
    }

    /// Floats of a plane of transformed inputs, and of one of gradients, in a block of the weights' gradient.
    #[inline(always)]
    pub(super) const fn gradient_planes(&self, cut: Cut) -> [usize; 2] {
        let [mut channels, mut filters] = cut.gradient;
        if !cut.fixed {
            channels = least(channels, self.from.count());
            filters = least(filters, self.to.count().next_multiple_of(PANEL));
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

    /// Floats of a plane of transformed weights from `maps` to `filters`: in panels forward, in rows of filters backward.
    #[inline(always)]
    pub(super) const fn weights_plane(maps: u32, filters: u32) -> usize {
        Panels::len(maps, filters) + GAP
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
    /// Whether the windows, `kernel` pixels wide and `stride` apart, are 3 or 5 strides wide, rounded up.
    pub const fn is_for(kernel: u32, stride: u32) -> bool {
        stride > 0 && matches!(kernel.div_ceil(stride), 3 | 5)
    }

    /// Those of `shape`.
    ///
    /// # Errors
    /// The algorithm [is not for](Self::is_for) the windows, or the padding is as large as they are.
    pub const fn try_new(shape: Shape) -> Result<Winograd, BadSize> {
        let (stride, pad) = (shape.stride.get(), shape.pad);
        let kernel = shape.kernel.get().div_ceil(stride);
        let rules = [
            keep(
                Winograd::is_for(shape.kernel.get(), stride),
                "Winograd's algorithm is for windows of 3 or 5 strides",
                kernel as u64,
            ),
            keep(
                pad < shape.kernel.get(),
                "rows of zeros must be fewer than those of a window",
                pad as u64,
            ),
        ];
        let mut i = 0;
        while i < rules.len() {
            if let Err(bad) = rules[i] {
                return Err(bad);
            }
            i += 1;
        }
        let images = shape.images.get();
        let channels = Divisor::new(shape.channels);
        let x = Maps::new(
            channels,
            [shape.height, shape.width.get()],
            shape.stride,
            pad,
            images,
        );
        let extent = [shape.out_height, shape.out_width.get()];
        let y = Maps::new(shape.filters, extent, Divisor::new(1), 0, images);
        // On the way back only pixels of the image count: strides of nothing but padding are left out. A window that is
        // turned round reaches as far the other way.
        let left_out = pad / stride;
        let dx = Maps {
            pad: pad - left_out * stride,
            ..x
        };
        let dy = Maps {
            pad: kernel - 1 - left_out,
            ..y
        };
        Ok(Winograd {
            forward: Pass::of(images, kernel, x, y),
            backward: Pass::of(images, kernel, dy, dx),
            shape,
        })
    }

    /// What the kernels are given: the way from x to y, and from dy to dx.
    pub const fn passes(&self) -> [Pass; 2] {
        [self.forward, self.backward]
    }

    /// The same of the weights.
    pub const fn windows(&self) -> Windows {
        Windows {
            maps: self.forward.from,
            filters: self.shape.filters,
            kernel: self.shape.kernel.get(),
            between: self.forward.kernel,
        }
    }

    /// The convolution's own sizes.
    pub const fn shape(&self) -> Shape {
        self.shape
    }

    /// Floats of the transformed weights, of either direction.
    pub const fn weights_len(&self) -> usize {
        let plane = Pass::weights_plane(self.forward.from.count(), self.shape.filters());
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
                Target::Gpu => self.to.count().div_ceil(cut.rows),
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
                self.from.count().div_ceil(channels),
                self.to.count().div_ceil(filters),
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
        /// A thread for each vector of filters of a map.
        pub(in super::super) fn by_weights(&self, target: Target) -> Launch {
            let weights = self.forward.from.count() as usize * self.shape.filters() as usize;
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
