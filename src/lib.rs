//! AlexNet's CUDA kernels as PTX, compiled from the Rust crate `gpu-kernels` when this crate was
//! built. Load what [`ptx_for`] gives into a CUDA context, with `cust` or any other binding:
//!
//! ```
//! match alexnet::ptx_for(9, 0) {
//!     Some(ptx) => println!("{}: {} bytes of PTX", ptx.target, ptx.source.len()),
//!     None => println!("{}", alexnet::PTX_MISSING.unwrap_or("the device is too old")),
//! }
//! ```
//!
//! The environment of the build decides what is in it: `ALEXNET_PTX_TARGETS` lists architectures
//! (`sm_80,sm_90` unless said otherwise); with `ALEXNET_PTX=required` a machine that cannot
//! compile for GPUs fails the build instead of leaving the PTX out, and `ALEXNET_PTX=off` leaves
//! it out.

include!(concat!(env!("OUT_DIR"), "/ptx.rs"));

/// The kernels for one GPU architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ptx {
    /// The architecture's name, such as `sm_80`.
    pub target: &'static str,
    /// The compute capability it stands for, such as `(8, 0)`.
    pub compute_capability: (u32, u32),
    /// The PTX text.
    pub source: &'static str,
}

impl Ptx {
    /// Whether a device of this compute capability can run it. PTX runs on its own architecture
    /// and all later ones, unless its name ends in `a` (its own only) or `f` (its family only:
    /// the same major number).
    pub fn runs_on(&self, major: u32, minor: u32) -> bool {
        let device = (major, minor);
        match self.target.as_bytes().last() {
            Some(b'a') => self.compute_capability == device,
            Some(b'f') => self.compute_capability.0 == major && self.compute_capability <= device,
            _ => self.compute_capability <= device,
        }
    }
}

/// The kernels for every architecture this build has; empty where [`PTX_MISSING`] says why.
pub static PTX: &[Ptx] = MODULES;

/// Why this build has no PTX, and what to do about it; `None` if it has some.
pub const PTX_MISSING: Option<&str> = MISSING;

/// The best PTX for a device of this compute capability: the highest target it can run.
pub fn ptx_for(major: u32, minor: u32) -> Option<&'static Ptx> {
    choose(PTX, major, minor)
}

fn choose(modules: &[Ptx], major: u32, minor: u32) -> Option<&Ptx> {
    modules
        .iter()
        .filter(|ptx| ptx.runs_on(major, minor))
        // Of two for the same capability, the one that may use more has the longer name.
        .max_by_key(|ptx| (ptx.compute_capability, ptx.target.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(target: &'static str, compute_capability: (u32, u32)) -> Ptx {
        Ptx {
            target,
            compute_capability,
            source: "",
        }
    }

    #[test]
    fn the_highest_target_the_device_can_run_is_chosen() {
        let modules = [
            module("sm_90a", (9, 0)),
            module("sm_80", (8, 0)),
            module("sm_100f", (10, 0)),
            module("sm_90", (9, 0)),
        ];
        for (device, expected) in [
            ((7, 5), None),
            ((8, 0), Some("sm_80")),
            ((8, 9), Some("sm_80")),
            ((9, 0), Some("sm_90a")),
            ((10, 0), Some("sm_100f")),
            ((10, 3), Some("sm_100f")),
            ((12, 0), Some("sm_90")),
        ] {
            let chosen = choose(&modules, device.0, device.1).map(|ptx| ptx.target);
            assert_eq!(chosen, expected, "{device:?}");
        }
    }

    #[test]
    fn there_is_ptx_or_a_reason() {
        assert_eq!(PTX.is_empty(), PTX_MISSING.is_some(), "{PTX_MISSING:?}");
    }

    #[test]
    fn each_module_is_for_its_target_and_has_kernels() {
        for ptx in PTX {
            assert!(
                ptx.source.contains(&format!("\n.target {}\n", ptx.target)),
                "{}",
                ptx.target
            );
            assert!(
                ptx.source.contains(".visible .entry "),
                "{} has no kernels",
                ptx.target
            );
            let (major, minor) = ptx.compute_capability;
            assert!(ptx.runs_on(major, minor));
        }
    }
}
