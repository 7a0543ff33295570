//! A stack to run a thread on, and the switch to another one.
//!
//! On x86-64 Unix the switch is a dozen instructions written here (a few
//! nanoseconds); elsewhere, and under the feature `portable-switch`, it is
//! corosensei's.
#[cfg_attr(
    not(all(target_arch = "x86_64", unix, not(feature = "portable-switch"))),
    path = "fiber/portable.rs"
)]
#[cfg_attr(
    all(target_arch = "x86_64", unix, not(feature = "portable-switch")),
    path = "fiber/x86_64.rs"
)]
mod imp;

pub(crate) use imp::Fibers;

/// Bytes of stack for one thread of a kernel: address space, of which only what is used takes memory. A product keeps
/// its sums there, and a build without optimisation keeps copies of them.
pub(crate) const STACK: usize = 2 * 1024 * 1024;

/// Where [`Fibers::switch`] goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Target {
    /// Back to [`Fibers::run`]'s caller.
    Caller,
    /// The fiber of this number, begun at the entry function if it is not under way.
    Fiber(usize),
}
