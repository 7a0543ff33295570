//! From checked arguments to a call.

use core::cell::Cell;
use core::ffi::c_void;
use core::fmt;
use core::marker::PhantomData;
use std::vec::Vec;

use super::{BadSize, Error, In, Need, Out, needs};
use crate::elementwise;
use crate::target::Target;
use simt_executor::{Arguments, Dim3, Kernel, Launch, Pool};

/// A kernel with arguments that fit it.
///
/// It borrows the slices that its buffers were made of.
pub struct Call<'a> {
    inner: simt_executor::Call,
    target: Target,
    by_address: bool,
    buffers: PhantomData<&'a mut [u8]>,
}

impl fmt::Debug for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("name", &self.name())
            .field("launch", &self.launch())
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

impl Call<'_> {
    /// The kernel's name, that of its entry in PTX.
    pub fn name(&self) -> &'static str {
        self.inner.name
    }

    /// Grid, block and bytes of shared memory.
    pub fn launch(&self) -> Launch {
        self.inner.launch
    }

    /// The address of each argument, in order, as `cuLaunchKernel` takes them; of
    /// use as long as the call lives.
    pub fn pointers(&self) -> Vec<*mut c_void> {
        let pointers = self.inner.pointers();
        pointers.into_iter().map(|p| p.cast_mut().cast()).collect()
    }

    /// The same without its lifetime, for a queue of one's own. Whoever runs it sees
    /// to it that the buffers are still there.
    pub fn into_inner(self) -> simt_executor::Call {
        self.inner
    }

    /// Runs it on the executor and returns when it is done.
    ///
    /// # Errors
    /// [`Error::Target`] if it was made for a GPU, [`Error::Address`] if a buffer was
    /// given by its address, [`Error::Fault`] if it failed.
    pub fn run(&self, pool: &Pool) -> Result<(), Error> {
        if self.target != Target::Cpu {
            return Err(Error::Target {
                kernel: self.name(),
            });
        }
        if self.by_address {
            return Err(Error::Address {
                kernel: self.name(),
            });
        }
        // SAFETY: the arguments fit the kernel and the launch, and the buffers are borrowed.
        Ok(unsafe { pool.run_call(&self.inner) }?)
    }
}

/// Checks arguments and makes the [`Call`] of them.
///
/// ```
/// use gpu_kernels::elementwise::launch;
/// use gpu_kernels::launch::{Call, Check, Error, In, Out, Target, keep, needs};
/// use gpu_kernels::relu::relu_forward; // or a kernel of one's own
///
/// fn relu<'a>(x: In<'a, f32>, y: Out<'a, f32>, target: Target) -> Result<Call<'a>, Error> {
///     let check = Check::new(&relu_forward, target);
///     let len = x.len();
///     check.size(keep(len % 16 == 0, "elements must be a multiple of 16", len as u64))?;
///     check.in_place(&needs![x: len, y: len])?;
///     // SAFETY: both buffers have `len` elements, a multiple of 16.
///     unsafe {
///         let arguments = (len as u32, x.pointer(), y.pointer());
///         check.call(launch(len as u32, target), arguments)
///     }
/// }
/// # let _ = relu;
/// ```
pub struct Check<'k, A> {
    kernel: &'k Kernel<A>,
    target: Target,
    by_address: Cell<bool>,
}

impl<A: Arguments + 'static> Check<'_, A> {
    /// For a launch of `kernel` on `target`.
    pub fn new(kernel: &Kernel<A>, target: Target) -> Check<'_, A> {
        Check {
            kernel,
            target,
            by_address: Cell::new(false),
        }
    }

    /// Names the kernel in a size's error.
    pub fn size<T>(&self, size: Result<T, BadSize>) -> Result<T, Error> {
        size.map_err(|size| Error::Size {
            kernel: self.kernel.name(),
            size,
        })
    }

    /// The length of a buffer that is gone over by vectors: below 2³¹ and a
    /// multiple of 16.
    pub(crate) fn sixteens(&self, len: usize) -> Result<u32, Error> {
        let fits = u32::try_from(len).ok().filter(|&len| len < 1 << 31);
        let len = fits.filter(|len| len.is_multiple_of(16)).ok_or(BadSize {
            rule: "elements must be a multiple of 16 and fewer than 2³¹",
            have: len as u64,
        });
        self.size(len)
    }

    /// That all buffers are as they need to be and none that is written overlaps
    /// another.
    pub fn buffers(&self, needs: &[Need]) -> Result<(), Error> {
        self.each(needs)?;
        self.apart(needs, false)
    }

    /// The same for a kernel whose output may be its input.
    pub fn in_place(&self, needs: &[Need]) -> Result<(), Error> {
        self.each(needs)?;
        self.apart(needs, true)
    }

    fn each(&self, needs: &[Need]) -> Result<(), Error> {
        needs.iter().try_for_each(|need| self.one(need))
    }

    fn one(&self, need: &Need) -> Result<(), Error> {
        let (kernel, argument) = (self.kernel.name(), need.argument);
        if !need.slice {
            self.by_address.set(true);
        }
        if need.have != need.need {
            return Err(Error::Length {
                kernel,
                argument,
                have: need.have,
                need: need.need,
            });
        }
        if need.need > 0 && need.address == 0 {
            return Err(Error::Null {
                kernel,
                argument,
                need: need.need,
            });
        }
        if need.need > 0 && !need.address.is_multiple_of(need.align()) {
            return Err(Error::Alignment {
                kernel,
                argument,
                address: need.address,
                need: need.align(),
            });
        }
        if need.slice && self.target == Target::Gpu {
            return Err(Error::HostMemory { kernel, argument });
        }
        Ok(())
    }

    fn apart(&self, needs: &[Need], in_place: bool) -> Result<(), Error> {
        for (i, written) in needs.iter().enumerate().filter(|(_, need)| need.written) {
            for (j, other) in needs.iter().enumerate() {
                let same = in_place && !other.written && other.address == written.address;
                if i != j && !same && written.overlaps(other) {
                    return Err(Error::Overlap {
                        kernel: self.kernel.name(),
                        written: written.argument,
                        other: other.argument,
                    });
                }
            }
        }
        Ok(())
    }

    /// The call.
    ///
    /// # Safety
    /// The kernel's contract holds for `arguments` on `launch` as long as `'a`
    /// lasts and as long as the contracts of the raw buffers say.
    pub unsafe fn call<'a>(self, launch: Launch, arguments: A) -> Result<Call<'a>, Error> {
        const LARGEST: Dim3 = [(1 << 31) - 1, 65535, 65535];
        let sides = launch.grid.into_iter().zip(LARGEST);
        if !sides.into_iter().all(|(n, most)| (1..=most).contains(&n)) {
            return Err(Error::Grid {
                kernel: self.kernel.name(),
                grid: launch.grid,
            });
        }
        Ok(Call {
            // SAFETY: the caller's.
            inner: unsafe { simt_executor::Call::new(self.kernel, launch, arguments) },
            target: self.target,
            by_address: self.by_address.get(),
            buffers: PhantomData,
        })
    }
}

impl Check<'_, (u32, *const f32, *mut f32)> {
    /// The call of a kernel that goes over `x` and `y` by [`elementwise::Walk`]; y may be x.
    ///
    /// # Safety
    /// The kernel reads as many elements of its first buffer as its first argument
    /// says, and writes as many of the second.
    pub(crate) unsafe fn unary<'a>(
        self,
        x: In<'a, f32>,
        y: Out<'a, f32>,
    ) -> Result<Call<'a>, Error> {
        let len = self.sixteens(x.len())?;
        self.in_place(&needs![x: x.len(), y: x.len()])?;
        let launch = elementwise::launch(len, self.target);
        // SAFETY: both buffers have `len` elements.
        unsafe { self.call(launch, (len, x.pointer(), y.pointer())) }
    }
}

impl Check<'_, (u32, *const f32, *const f32, *mut f32)> {
    /// The same for a kernel that reads two buffers; dx may be either.
    ///
    /// # Safety
    /// The kernel reads as many elements of its first two buffers as its first
    /// argument says, and writes as many of the third.
    pub(crate) unsafe fn binary<'a>(
        self,
        [y, dy]: [In<'a, f32>; 2],
        dx: Out<'a, f32>,
    ) -> Result<Call<'a>, Error> {
        let len = self.sixteens(y.len())?;
        self.in_place(&needs![y: y.len(), dy: y.len(), dx: y.len()])?;
        let launch = elementwise::launch(len, self.target);
        let arguments = (len, y.pointer(), dy.pointer(), dx.pointer());
        // SAFETY: all buffers have `len` elements.
        unsafe { self.call(launch, arguments) }
    }
}
