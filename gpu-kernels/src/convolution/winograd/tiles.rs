//! Where the tiles of a column (tile, image) lie in images, and how a block's threads walk over them.

use super::shape::{Cut, Maps, Pass, least};
use super::transforms::{self, POINTS, Transform};
use crate::device::*;
use crate::gemm::NativeTile;

/// Images of a tile that are neighbouring columns.
pub(super) const IMAGES: u32 = 32;
/// Vectors of a tile that a thread takes at a time: a CPU's, whose memory likes to give two lines, all of them.
pub(super) const VECTORS: u32 = if cfg!(target_arch = "nvptx64") {
    1
} else {
    IMAGES / V::LANES as u32
};

/// Where the tiles of a column lie in every map: the first pixel, and an image.
#[derive(Clone, Copy)]
pub(super) struct Corner {
    top: u32,
    left: u32,
    image: u32,
}

impl Pass {
    /// The corner of `column`'s tiles, of the input and of the output.
    #[inline(always)]
    pub(super) fn corner(&self, column: u32) -> Corner {
        // Tiles side by side share pixels, so they are neighbours.
        let (images, tile) = self.tiles.div_rem(column / IMAGES);
        let image = images * IMAGES + column % IMAGES;
        let (down, across) = self.across.div_rem(tile);
        Corner {
            top: down * self.side(),
            left: across * self.side(),
            image,
        }
    }
}

/// The maps of one phase.
#[derive(Clone, Copy)]
pub(super) struct Phase {
    /// That of the first channel, and that at which the next phase begins.
    pub first: u32,
    pub end: u32,
    /// The first row and column that belong to it.
    pub offset: [u32; 2],
}

impl Maps {
    /// The phase of `map`.
    #[inline(always)]
    pub(super) fn phase(&self, map: u32) -> Phase {
        let (phase, channel) = self.channels.div_rem(map);
        let (down, across) = self.stride.div_rem(phase);
        Phase {
            first: map - channel,
            end: map - channel + self.channels.get(),
            offset: [down, across],
        }
    }
}

/// Where a tile of N × N pixels lies in each map of a phase.
#[derive(Clone, Copy)]
pub(super) struct Tile<const N: usize> {
    /// Its first pixel in the first channel, in floats; wraps where that lies outside.
    first: u32,
    /// From row to row, and from pixel to pixel.
    pub steps: [u32; 2],
    /// To what a CPU will want soon.
    ahead: u32,
    /// Which rows lie in the image, a bit each, and from bit 8 on which columns.
    inside: u32,
}

impl<const N: usize> Tile<N> {
    /// The tile that begins at `corner` in maps of that phase.
    #[inline(always)]
    pub fn new(maps: &Maps, images: u32, corner: Corner, [down, across]: [u32; 2]) -> Tile<N> {
        let stride = maps.stride.get();
        let top = (corner.top * stride + down).wrapping_sub(maps.pad);
        let left = (corner.left * stride + across).wrapping_sub(maps.pad);
        let mut inside = 0;
        let mut n = 0;
        while n < N {
            let away = n as u32 * stride;
            let (y, x) = (top.wrapping_add(away), left.wrapping_add(away));
            inside |= ((y < maps.height) as u32) << n | ((x < maps.width) as u32) << (8 + n);
            n += 1;
        }
        let row = maps.width * images;
        let first = top
            .wrapping_mul(row)
            .wrapping_add(left.wrapping_mul(images));
        // Two channels on, or of a few colours the next phase.
        let ahead = if stride == 1 || maps.channels.get() > 4 {
            maps.channel.wrapping_mul(2)
        } else if across + 1 < stride {
            images
        } else {
            row.wrapping_sub(across * images)
        };
        Tile {
            first: first.wrapping_add(corner.image),
            steps: maps.steps,
            ahead,
            inside,
        }
    }

    /// Whether row `r` and column `q` are in the image.
    #[inline(always)]
    pub fn has(&self, r: usize, q: usize) -> bool {
        let bits = 1 << r | 1 << (8 + q);
        self.inside & bits == bits
    }

    /// Its first pixel in a channel.
    #[inline(always)]
    pub fn corner(&self, channel: *const f32) -> *const f32 {
        channel.wrapping_offset(self.first as i32 as isize)
    }
}

/// A way over places of two indices, the inner one running fastest, each place from the one before: the offsets of all
/// of them would take a GPU's registers.
pub(super) struct Way {
    first: *const f32,
    line: *const f32,
    at: *const f32,
    /// Floats from one inner index to the next, and from one outer index to the next.
    steps: [usize; 2],
}

impl Way {
    #[inline(always)]
    pub fn new(first: *const f32, steps: [usize; 2]) -> Way {
        Way {
            first,
            line: first,
            at: first,
            steps,
        }
    }

    /// The place of these indices. They come in order, which begins anew at the first.
    #[inline(always)]
    pub fn place(&mut self, inner: usize, outer: usize) -> *const f32 {
        if inner > 0 {
            self.at = self.at.wrapping_add(self.steps[0]);
            return self.at;
        }
        self.line = match outer {
            0 => self.first,
            _ => self.line.wrapping_add(self.steps[1]),
        };
        self.at = self.line;
        self.at
    }
}

/// This thread's share of rows × columns of numbers, of which it takes vectors: from `first` on in steps of `steps`.
pub(super) struct Share {
    pub first: [u32; 2],
    pub steps: [u32; 2],
}

impl Share {
    /// A CPU's one thread has all columns; of a GPU's, neighbours have neighbouring ones.
    #[inline(always)]
    pub fn of_thread(lanes: u32) -> Share {
        let (thread, threads) = (
            thread::thread_idx_x(),
            NativeTile::threads(lanes as usize) as u32,
        );
        let across = Cut::HERE.columns / lanes;
        if threads == 1 {
            return Share {
                first: [0, 0],
                steps: [1, IMAGES],
            };
        }
        Share {
            first: [thread / across, thread % across * lanes],
            steps: [threads / across, Cut::HERE.columns],
        }
    }
}

/// `T` of both dimensions of tiles of `from`: those at `columns` columns from `first` on in maps `range[0]..range[1]`, to
/// planes in which map and column are at `place(map, column)`, both counted from the first.
///
/// # Safety
/// `from` is valid for the `maps` of the pass, `to` for the planes, and no other block uses them.
#[inline(always)]
pub(super) unsafe fn transform_tiles<V: Vector, T: Transform<N, POINTS>, const N: usize>(
    pass: &Pass,
    (maps, from): (&Maps, *const f32),
    range: [u32; 2],
    [first, columns]: [u32; 2],
    (to, plane): (*mut f32, usize),
    place: impl Fn(u32, u32) -> usize,
) {
    let share = Share::of_thread(V::LANES as u32);
    let mut column = share.first[1];
    while column < columns {
        let corner = pass.corner(first + column);
        let mut map = range[0] + share.first[0];
        while map < range[1] {
            let phase = maps.phase(map);
            let tile = Tile::<N>::new(maps, pass.images, corner, phase.offset);
            let end = least(phase.end, range[1]);
            while map < end {
                let channel = (map - phase.first) * maps.channel;
                let from = tile.corner(from.add(channel as usize));
                let to = to.add(place(map - range[0], column));
                let mut lane = 0;
                while lane < VECTORS as usize * V::LANES {
                    transform_tile::<V, T, N>(&tile, from.wrapping_add(lane), to.add(lane), plane);
                    lane += V::LANES;
                }
                map += share.steps[0];
            }
        }
        column += share.steps[1];
    }
}

/// `T` of both dimensions of a vector of tiles, the first pixel of which would be at `from`; the results lie `step`
/// floats apart.
///
/// # Safety
/// As of [`transform_tiles`].
#[inline(always)]
pub(super) unsafe fn transform_tile<V: Vector, T: Transform<N, POINTS>, const N: usize>(
    tile: &Tile<N>,
    from: *const f32,
    mut to: *mut f32,
    step: usize,
) {
    let mut way = Way::new(from, tile.steps.map(|step| step as usize));
    transforms::both::<V, T, N, POINTS>(
        |r, q| {
            let place = way.place(r, q);
            if !tile.has(r, q) {
                return V::splat(0.0);
            }
            prefetch_l1(place.wrapping_add(tile.ahead as usize));
            place.load_vector(0)
        },
        |_, number| {
            // From plane to plane, as they come: 36 offsets would take a GPU's registers.
            to.store_vector(0, number);
            to = to.wrapping_add(step);
        },
    );
}

/// `len` floats that the block has to itself: a part of `scratch`, as shared memory does not hold so much.
#[cfg(target_arch = "nvptx64")]
#[inline(always)]
pub(super) unsafe fn block_memory(scratch: *mut f32, len: usize) -> *mut f32 {
    let row = thread::block_idx_z() * thread::grid_dim_y() + thread::block_idx_y();
    let block = row * thread::grid_dim_x() + thread::block_idx_x();
    scratch.add(block as usize * len)
}

/// The floats that the block has to itself: a CPU's shared memory, which stays in the cache from block to block.
#[cfg(not(target_arch = "nvptx64"))]
#[inline(always)]
pub(super) unsafe fn block_memory(_: *mut f32, _: usize) -> *mut f32 {
    Shared::dynamic().as_mut_ptr()
}
