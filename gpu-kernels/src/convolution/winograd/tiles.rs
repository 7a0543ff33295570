//! Where the tiles of a column (tile, image) lie in images, and how a block's threads walk over them.

use super::shape::{Cut, Maps, Pass};
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

/// A tile's row and column among the tiles, and an image.
#[derive(Clone, Copy)]
struct Column {
    down: u32,
    across: u32,
    image: u32,
}

impl Pass {
    #[inline(always)]
    fn column(&self, column: u32) -> Column {
        // Tiles side by side share pixels, so they are neighbours.
        let (images, tile) = self.tiles.div_rem(column / IMAGES);
        let image = images * IMAGES + column % IMAGES;
        let (down, across) = self.across.div_rem(tile);
        Column {
            down,
            across,
            image,
        }
    }
}

/// Where a tile of N × N pixels lies in each map.
#[derive(Clone, Copy)]
pub(super) struct Tile<const N: usize> {
    /// Its first pixel in the first map, in floats; wraps where that lies outside.
    first: u32,
    /// From row to row, from pixel to pixel, and from map to map.
    pub steps: [u32; 3],
    /// Which rows lie in the image, a bit each, and from bit 8 on which columns.
    inside: u32,
}

impl<const N: usize> Tile<N> {
    /// The tile whose first pixel is at `top` and `left`, which wrap above and left of the image.
    #[inline(always)]
    fn new(maps: Maps, images: u32, [top, left]: [u32; 2], image: u32) -> Tile<N> {
        let mut inside = 0;
        let mut n = 0;
        while n < N {
            let (y, x) = (top.wrapping_add(n as u32), left.wrapping_add(n as u32));
            inside |= ((y < maps.height) as u32) << n | ((x < maps.width) as u32) << (8 + n);
            n += 1;
        }
        let row = maps.width * images;
        let first = top
            .wrapping_mul(row)
            .wrapping_add(left.wrapping_mul(images));
        Tile {
            first: first.wrapping_add(image),
            steps: [row, images, maps.height * row],
            inside,
        }
    }

    /// Whether row `r` and column `q` are in the image.
    #[inline(always)]
    pub fn has(&self, r: usize, q: usize) -> bool {
        let bits = 1 << r | 1 << (8 + q);
        self.inside & bits == bits
    }

    /// Outside the image as a whole: zeros.
    #[inline(always)]
    pub fn outside(self) -> Tile<N> {
        Tile { inside: 0, ..self }
    }

    /// From one map to the next.
    #[inline(always)]
    pub fn map(&self) -> usize {
        self.steps[2] as usize
    }

    /// Its first pixel in a map.
    #[inline(always)]
    pub fn corner(&self, map: *const f32) -> *const f32 {
        map.wrapping_offset(self.first as i32 as isize)
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

impl Pass {
    /// The tile of the input that `column` is made of.
    #[inline(always)]
    pub(super) fn input_tile(&self, column: u32) -> Tile<6> {
        let at = self.column(column);
        let corner = [at.down, at.across].map(|n| (n * self.side()).wrapping_sub(self.pad));
        Tile::new(self.from, self.images, corner, at.image)
    }

    /// The tile of the output that `column` is, of `N` = [`side`](Self::side) pixels.
    #[inline(always)]
    pub(super) fn output_tile<const N: usize>(&self, column: u32) -> Tile<N> {
        let at = self.column(column);
        let corner = [at.down * N as u32, at.across * N as u32];
        Tile::new(self.to, self.images, corner, at.image)
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

/// `T` of both dimensions of tiles: those at `columns` columns from `first` on in maps `maps[0]..maps[1]`, to planes in
/// which map and column are at `place(map, column)`, both counted from the first.
///
/// # Safety
/// `from` is valid for the tiles, `to` for the planes, and no other block uses them.
#[inline(always)]
pub(super) unsafe fn transform_tiles<V: Vector, T: Transform<N, POINTS>, const N: usize>(
    tile: impl Fn(u32) -> Tile<N>,
    from: *const f32,
    maps: [u32; 2],
    [first, columns]: [u32; 2],
    (to, plane): (*mut f32, usize),
    place: impl Fn(u32, u32) -> usize,
) {
    let share = Share::of_thread(V::LANES as u32);
    let mut column = share.first[1];
    while column < columns {
        let tile = tile(first + column);
        let mut map = maps[0] + share.first[0];
        while map < maps[1] {
            let from = tile.corner(from.add(map as usize * tile.map()));
            let to = to.add(place(map - maps[0], column));
            let mut lane = 0;
            while lane < VECTORS as usize * V::LANES {
                transform_tile::<V, T, N>(&tile, from.wrapping_add(lane), to.add(lane), plane);
                lane += V::LANES;
            }
            map += share.steps[0];
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
    let [row, pixel, map] = tile.steps.map(|step| step as usize);
    let mut way = Way::new(from, [row, pixel]);
    transforms::both::<V, T, N, POINTS>(
        |r, q| {
            let place = way.place(r, q);
            if !tile.has(r, q) {
                return V::splat(0.0);
            }
            // The same of the map after the next comes into a CPU's cache.
            prefetch_l1(place.wrapping_add(2 * map));
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
