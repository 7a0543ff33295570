//! What the launchers of parallel programs say in the environment.

use std::env;
use std::ffi::CStr;

/// How many programs were started together: by Open MPI's mpirun, by one that speaks PMI (MPICH, Intel MPI), or by srun.
/// A script of sbatch is not one of several, though Slurm tells it how many tasks it may start; only in a step of srun there
/// is their number.
const SIZES: [&str; 3] = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"];

/// How many programs a launcher started together with this one; nothing if none did.
pub fn size() -> Option<u32> {
    by(|name| env::var(name).ok())
}

fn by(variable: impl Fn(&str) -> Option<String>) -> Option<u32> {
    let is_batch_script = variable("SLURM_STEP_ID").is_none();
    let told = SIZES
        .iter()
        .filter(|name| !(is_batch_script && name.starts_with("SLURM")));
    told.filter_map(|name| variable(name)?.parse().ok()).next()
}

/// The machine's name.
pub fn host() -> String {
    let mut name = [0; 256];
    // SAFETY: the buffer is as long as is said; its last byte, which is not given away, ends the name.
    let told = unsafe { libc::gethostname(name.as_mut_ptr(), name.len() - 1) };
    // SAFETY: the buffer ends with a zero at the latest.
    let name = unsafe { CStr::from_ptr(name.as_ptr()) };
    match told {
        0 => name.to_string_lossy().into_owned(),
        _ => "a machine without a name".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_launcher_is_understood() {
        let size = |set: &[(&str, &str)]| {
            by(|name| {
                let found = set.iter().find(|(key, _)| *key == name);
                found.map(|(_, value)| value.to_string())
            })
        };
        assert_eq!(size(&[]), None);
        assert_eq!(size(&[("OMPI_COMM_WORLD_SIZE", "4")]), Some(4));
        assert_eq!(size(&[("PMI_SIZE", "2")]), Some(2));
        let step = [("SLURM_STEP_ID", "0"), ("SLURM_STEP_NUM_TASKS", "8")];
        assert_eq!(size(&step), Some(8));
        assert_eq!(size(&[("SLURM_STEP_NUM_TASKS", "8")]), None);
        assert_eq!(size(&[("SLURM_NTASKS", "8")]), None);
    }

    #[test]
    fn the_machine_has_a_name() {
        assert!(!host().is_empty());
    }
}
