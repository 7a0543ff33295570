//! `--part auto`: the part that is this program's among those that a launcher has started.

use std::env;

use dataset_pack::Part;

/// By which variables launchers say which of the programs one is, and how many they are: Open MPI's mpirun; those that
/// speak PMI, as MPICH's and Intel MPI's do; Slurm's srun.
const VARIABLES: [[&str; 2]; 3] = [
    ["OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"],
    ["PMI_RANK", "PMI_SIZE"],
    ["SLURM_PROCID", "SLURM_NTASKS"],
];

/// The part, or that no launcher has said which.
pub fn part() -> Result<Part, String> {
    by(|name| env::var(name).ok())
}

fn by(variable: impl Fn(&str) -> Option<String>) -> Result<Part, String> {
    let told = VARIABLES.iter().find_map(|names| {
        let [index, count] = names.map(|name| variable(name).map(|value| value.parse()));
        Some((names, index?, count?))
    });
    match told {
        Some((_, Ok(index), Ok(count))) if index < count => Ok(Part { index, count }),
        Some(([rank, size], ..)) => {
            Err(format!("{rank} and {size} are not a rank and their number"))
        }
        None => {
            Err("auto: no launcher (mpirun, srun) says which part this is; give it as I/N".into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(set: &[(&str, &str)]) -> Result<Part, String> {
        by(|name| {
            let found = set.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| value.to_string())
        })
    }

    #[test]
    fn every_launcher_is_understood() {
        for [rank, size] in VARIABLES {
            let part = told(&[(rank, "2"), (size, "4")]);
            assert_eq!(part, Ok(Part { index: 2, count: 4 }), "{rank}");
        }
    }

    #[test]
    fn what_makes_no_part_is_refused() {
        let [rank, size] = VARIABLES[0];
        for (set, words) in [
            (&[][..], "no launcher"),
            (&[(rank, "1")], "no launcher"),
            (&[(rank, "4"), (size, "4")], rank),
            (&[(rank, "-1"), (size, "4")], size),
        ] {
            let error = told(set).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }
}
