//! What a kernel is to those who launch it.

use std::marker::PhantomData;
use std::sync::OnceLock;

/// Three extents or indices, `[x, y, z]`.
pub type Dim3 = [u32; 3];

/// How many threads run a kernel, and with how much shared memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Launch {
    /// Number of blocks.
    pub grid: Dim3,
    /// Number of threads in a block.
    pub block: Dim3,
    /// Dynamic shared memory of a block, in bytes.
    pub shared: u32,
}

impl Launch {
    /// Enough blocks of `threads` threads for `count` of them, along x.
    pub fn cover(count: usize, threads: u32) -> Launch {
        Launch {
            grid: [count.div_ceil(threads as usize) as u32, 1, 1],
            block: [threads, 1, 1],
            shared: 0,
        }
    }

    /// Threads in a block.
    pub fn threads(&self) -> usize {
        self.block.iter().map(|&n| n as usize).product()
    }

    /// Blocks in the grid.
    pub fn blocks(&self) -> usize {
        self.grid.iter().map(|&n| n as usize).product()
    }
}

/// Runs one thread of a kernel with the arguments (a tuple) behind the pointer.
pub type Entry = unsafe fn(*const ());

/// A kernel: its name, the types of its arguments `A`, and its code.
///
/// Made by the `#[kernel]` attribute under the function's own name, so that a
/// launch is checked by the compiler: `launch(&relu_forward, grid, (n, x, y))`.
pub struct Kernel<A> {
    name: &'static str,
    entries: &'static [(InstructionSet, Entry)],
    arguments: PhantomData<fn(A)>,
}

impl<A> Kernel<A> {
    /// A kernel whose code for the better instruction sets comes first.
    ///
    /// # Safety
    /// Each entry reads an `A` behind its pointer and runs on every processor
    /// that has its instruction set; the last needs none.
    pub const unsafe fn new(
        name: &'static str,
        entries: &'static [(InstructionSet, Entry)],
    ) -> Self {
        Kernel {
            name,
            entries,
            arguments: PhantomData,
        }
    }

    /// The name, which is also that of the entry in PTX.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The code for this machine.
    pub fn entry(&self) -> Entry {
        let have = InstructionSet::current();
        let usable = self.entries.iter().find(|(needed, _)| *needed <= have);
        usable.unwrap_or(&self.entries[self.entries.len() - 1]).1
    }
}

/// Instruction sets for which kernels are compiled, each including those before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum InstructionSet {
    /// What every processor of the architecture has.
    Baseline,
    /// x86-64 with AVX2 and FMA.
    Avx2,
    /// x86-64 with AVX-512F, VL, DQ and BW as well.
    Avx512,
}

impl InstructionSet {
    /// The environment variable that asks for a lower one than the machine has.
    pub const VARIABLE: &'static str = "ALEXNET_CPU";

    /// The best that this processor has, or what `ALEXNET_CPU` (`baseline`,
    /// `avx2`, `avx512`) asks for, if it is less.
    pub fn current() -> Self {
        static CURRENT: OnceLock<InstructionSet> = OnceLock::new();
        *CURRENT.get_or_init(|| {
            let best = Self::detect();
            match std::env::var(Self::VARIABLE).as_deref() {
                Ok("baseline") => Self::Baseline,
                Ok("avx2") => best.min(Self::Avx2),
                _ => best,
            }
        })
    }

    #[cfg(target_arch = "x86_64")]
    fn detect() -> Self {
        let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        // What the #[kernel] attribute enables: AVX-512F alone is not enough.
        let avx512 = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512bw");
        match avx2 {
            true if avx512 => Self::Avx512,
            true => Self::Avx2,
            false => Self::Baseline,
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn detect() -> Self {
        Self::Baseline
    }

    /// Its name, as `ALEXNET_CPU` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }
}

/// A kernel with the arguments it is to run on, whatever their types: what a
/// device queues.
pub struct Call {
    /// The kernel's name.
    pub name: &'static str,
    /// Its code on this machine's CPU.
    pub entry: Entry,
    /// Grid and block.
    pub launch: Launch,
    /// The size of each argument.
    pub sizes: &'static [usize],
    arguments: Box<dyn Erased>,
}

// SAFETY: arguments are plain values; that the memory behind their pointers may
// be used from another thread is promised by whoever makes the call.
unsafe impl Send for Call {}

impl Call {
    /// `kernel` on `arguments`.
    ///
    /// # Safety
    /// The kernel's own contract holds from now until the call has run.
    pub unsafe fn new<A: Arguments + 'static>(
        kernel: &Kernel<A>,
        launch: Launch,
        arguments: A,
    ) -> Call {
        Call {
            name: kernel.name(),
            entry: kernel.entry(),
            launch,
            sizes: A::SIZES,
            arguments: Box::new(arguments),
        }
    }

    /// Where the arguments lie, as an [`Entry`] takes them.
    pub fn arguments(&self) -> *const () {
        self.arguments.address()
    }

    /// The address of each argument, as a CUDA launch takes them.
    pub fn pointers(&self) -> Vec<*const ()> {
        self.arguments.each()
    }
}

trait Erased {
    fn address(&self) -> *const ();
    fn each(&self) -> Vec<*const ()>;
}

impl<A: Arguments> Erased for A {
    fn address(&self) -> *const () {
        std::ptr::from_ref(self).cast()
    }

    fn each(&self) -> Vec<*const ()> {
        self.pointers()
    }
}

/// A kernel's arguments: a tuple of plain values.
pub trait Arguments: Copy {
    /// The size of each, in order.
    const SIZES: &'static [usize];

    /// The address of each, in order, as a CUDA launch wants them.
    fn pointers(&self) -> Vec<*const ()>;
}

macro_rules! arguments {
    ($($name:ident)*) => {
        impl<$($name: Copy),*> Arguments for ($($name,)*) {
            const SIZES: &'static [usize] = &[$(size_of::<$name>()),*];

            #[allow(non_snake_case)]
            fn pointers(&self) -> Vec<*const ()> {
                let ($($name,)*) = self;
                vec![$(std::ptr::from_ref($name).cast()),*]
            }
        }
    };
}
arguments!(A);
arguments!(A B);
arguments!(A B C);
arguments!(A B C D);
arguments!(A B C D E);
arguments!(A B C D E F);
arguments!(A B C D E F G);
arguments!(A B C D E F G H);
arguments!(A B C D E F G H I);
arguments!(A B C D E F G H I J);
arguments!(A B C D E F G H I J K);
arguments!(A B C D E F G H I J K L);
