//! The block's shared memory.

use simt_vector::Vector;

#[cfg(not(target_arch = "nvptx64"))]
use simt_executor::memory::check_shared;

/// The block's dynamic shared memory as floats.
///
/// A handle, not a pointer: in PTX a 32-bit address in the shared state space,
/// so that its loads and stores are `ld.shared` and `st.shared` and not the slow
/// generic ones. Offsets count floats; those of vectors are multiples of 4.
#[derive(Clone, Copy)]
pub struct Shared {
    #[cfg(target_arch = "nvptx64")]
    address: u32,
    #[cfg(not(target_arch = "nvptx64"))]
    base: *mut f32,
}

#[cfg(target_arch = "nvptx64")]
mod ptx {
    use core::arch::{asm, global_asm};

    global_asm!(".extern .shared .align 16 .b8 dynamic_shared_memory[];");

    #[inline(always)]
    pub fn base() -> u32 {
        let address;
        // SAFETY: takes an address.
        unsafe {
            asm!("mov.u32 {}, dynamic_shared_memory;", out(reg32) address, options(pure, nomem, nostack))
        };
        address
    }

    /// # Safety
    /// A float of the block's shared memory lies at the address.
    #[inline(always)]
    pub unsafe fn load(address: u32) -> f32 {
        let x;
        // SAFETY: within the shared memory, as the caller promises.
        unsafe {
            asm!("ld.shared.f32 {}, [{}];", out(reg32) x, in(reg32) address, options(nostack))
        };
        x
    }

    /// # Safety
    /// Four floats of the block's shared memory lie at the address, a multiple of 16.
    #[inline(always)]
    pub unsafe fn load4(address: u32) -> [f32; 4] {
        let (a, b, c, d);
        // SAFETY: within the shared memory, as the caller promises.
        unsafe {
            asm!(
                "ld.shared.v4.f32 {{{}, {}, {}, {}}}, [{}];",
                out(reg32) a, out(reg32) b, out(reg32) c, out(reg32) d,
                in(reg32) address,
                options(nostack)
            )
        };
        [a, b, c, d]
    }

    /// # Safety
    /// A float of the block's shared memory lies at the address.
    #[inline(always)]
    pub unsafe fn store(address: u32, x: f32) {
        // SAFETY: within the shared memory, as the caller promises.
        unsafe {
            asm!("st.shared.f32 [{}], {};", in(reg32) address, in(reg32) x, options(nostack))
        };
    }

    /// # Safety
    /// Four floats of the block's shared memory lie at the address, a multiple of 16.
    #[inline(always)]
    pub unsafe fn store4(address: u32, [a, b, c, d]: [f32; 4]) {
        // SAFETY: within the shared memory, as the caller promises.
        unsafe {
            asm!(
                "st.shared.v4.f32 [{}], {{{}, {}, {}, {}}};",
                in(reg32) address,
                in(reg32) a, in(reg32) b, in(reg32) c, in(reg32) d,
                options(nostack)
            )
        };
    }
}

#[cfg(target_arch = "nvptx64")]
impl Shared {
    /// The shared memory that the launch asked for.
    #[inline(always)]
    pub fn dynamic() -> Self {
        Shared {
            address: ptx::base(),
        }
    }

    /// The part from float `offset` on.
    #[inline(always)]
    pub fn from(self, offset: usize) -> Self {
        Shared {
            address: self.address + 4 * offset as u32,
        }
    }

    /// The float at `i`.
    ///
    /// # Safety
    /// Within the shared memory that the launch asked for; written by this
    /// thread, or by another one before a barrier.
    /// # Safety
    /// A float of the block's shared memory lies at the address.
    #[inline(always)]
    pub unsafe fn load(self, i: usize) -> f32 {
        // SAFETY: within the shared memory, as the caller promises.
        unsafe { ptx::load(self.address + 4 * i as u32) }
    }

    /// Sets the float at `i`.
    ///
    /// # Safety
    /// Within the shared memory; no other thread uses it before the next barrier.
    /// # Safety
    /// A float of the block's shared memory lies at the address.
    #[inline(always)]
    pub unsafe fn store(self, i: usize, x: f32) {
        // SAFETY: within the shared memory, as the caller promises.
        unsafe { ptx::store(self.address + 4 * i as u32, x) }
    }

    /// `N` consecutive floats; `N` and `i` are multiples of 4.
    ///
    /// # Safety
    /// As [`load`](Self::load).
    #[inline(always)]
    pub unsafe fn load_array<const N: usize>(self, i: usize) -> [f32; N] {
        let mut out = [0.0; N];
        let mut j = 0;
        while j < N {
            // SAFETY: within the shared memory, as the caller promises.
            let four = unsafe { ptx::load4(self.address + 4 * (i + j) as u32) };
            out[j] = four[0];
            out[j + 1] = four[1];
            out[j + 2] = four[2];
            out[j + 3] = four[3];
            j += 4;
        }
        out
    }

    /// A vector at `i`.
    ///
    /// # Safety
    /// As [`load`](Self::load).
    #[inline(always)]
    pub unsafe fn load_vector<V: Vector>(self, i: usize) -> V {
        const { assert!(V::LANES == 4) };
        // SAFETY: within the shared memory, as the caller promises.
        unsafe {
            let lanes = ptx::load4(self.address + 4 * i as u32);
            V::from_fn(|l| *lanes.as_ptr().add(l))
        }
    }

    /// Sets the floats from `i` on to a vector's lanes.
    ///
    /// # Safety
    /// As [`store`](Self::store).
    #[inline(always)]
    pub unsafe fn store_vector<V: Vector>(self, i: usize, v: V) {
        const { assert!(V::LANES == 4) };
        // SAFETY: within the shared memory, as the caller promises.
        unsafe {
            let lanes = [v.lane(0), v.lane(1), v.lane(2), v.lane(3)];
            ptx::store4(self.address + 4 * i as u32, lanes)
        }
    }
}

#[cfg(not(target_arch = "nvptx64"))]
impl Shared {
    /// The shared memory that the launch asked for.
    #[inline(always)]
    pub fn dynamic() -> Self {
        Shared {
            base: simt_executor::shared_memory().cast(),
        }
    }

    /// The part from float `offset` on.
    #[inline(always)]
    pub fn from(self, offset: usize) -> Self {
        Shared {
            base: self.base.wrapping_add(offset),
        }
    }

    /// Its address. As in CUDA, that is an address like any other; in PTX, where it would have to be converted, nobody
    /// has needed it yet.
    #[inline(always)]
    pub fn as_mut_ptr(self) -> *mut f32 {
        self.base
    }

    #[inline(always)]
    fn check(self, i: usize, count: usize, align: usize) {
        if cfg!(feature = "checked") {
            let start = simt_executor::shared_memory().addr();
            let offset = self.base.wrapping_add(i).addr().wrapping_sub(start);
            check_shared(offset, 4 * count, align);
        }
    }

    /// The float at `i`.
    ///
    /// # Safety
    /// Within the shared memory that the launch asked for; written by this
    /// thread, or by another one before a barrier.
    #[inline(always)]
    pub unsafe fn load(self, i: usize) -> f32 {
        self.check(i, 1, 4);
        // SAFETY: within the shared memory, as the caller promises.
        unsafe { *self.base.add(i) }
    }

    /// Sets the float at `i`.
    ///
    /// # Safety
    /// Within the shared memory; no other thread uses it before the next barrier.
    #[inline(always)]
    pub unsafe fn store(self, i: usize, x: f32) {
        self.check(i, 1, 4);
        // SAFETY: within the shared memory, as the caller promises.
        unsafe { *self.base.add(i) = x }
    }

    /// `N` consecutive floats; `N` and `i` are multiples of 4.
    ///
    /// # Safety
    /// As [`load`](Self::load).
    #[inline(always)]
    pub unsafe fn load_array<const N: usize>(self, i: usize) -> [f32; N] {
        self.check(i, N, 16);
        // SAFETY: within the shared memory, as the caller promises. At a multiple of 16 bytes, so the array is aligned.
        unsafe { self.base.add(i).cast::<[f32; N]>().read() }
    }

    /// A vector at `i`.
    ///
    /// # Safety
    /// As [`load`](Self::load).
    #[inline(always)]
    pub unsafe fn load_vector<V: Vector>(self, i: usize) -> V {
        self.check(i, V::LANES, 16);
        // SAFETY: within the shared memory, as the caller promises.
        unsafe { V::read(self.base.add(i)) }
    }

    /// Sets the floats from `i` on to a vector's lanes.
    ///
    /// # Safety
    /// As [`store`](Self::store).
    #[inline(always)]
    pub unsafe fn store_vector<V: Vector>(self, i: usize, v: V) {
        self.check(i, V::LANES, 16);
        // SAFETY: within the shared memory, as the caller promises.
        unsafe { v.write(self.base.add(i)) }
    }
}
