//! That the ranks of a run do the same: what would lead them apart is refused before the first step.

use std::hash::Hasher;
use std::path::Path;

use anyhow::Result;
use twox_hash::XxHash3_64;

use super::settings::Settings;
use crate::device::Places;
use crate::formats::state::StateDict;
use crate::formats::training::TrainingState;
use crate::paths;
use crate::ranks::Ranks;

/// That all have the same program, options, sets, network and checkpoint. Where the towers run may differ.
pub fn check(ranks: &Ranks, options: &Settings, training: &TrainingState) -> Result<()> {
    if ranks.is_alone() {
        return Ok(());
    }
    // A program is told from others, and with it its kernels, by all that it consists of.
    let program = ranks.agree(paths::hash(Path::new("/proc/self/exe")))?;
    let settings = Settings {
        places: Places::default(),
        ..options.clone()
    };
    let without_sets = TrainingState {
        data: None,
        val: None,
        ..training.clone()
    };
    let run = ranks.agree(serde_json::to_string(&settings).map_err(Into::into))?;
    let state = ranks.agree(without_sets.to_text())?;
    ranks.check_same(&[
        ("version", env!("CARGO_PKG_VERSION").into()),
        ("program and its kernels", program),
        ("options", run),
        ("training set", format!("{:?}", training.data)),
        ("validation set", format!("{:?}", training.val)),
        ("network or checkpoint", format!("{state:?}")),
    ])
}

/// That all begin with the same weights.
pub fn check_weights(ranks: &Ranks, state: &StateDict) -> Result<()> {
    if ranks.is_alone() {
        return Ok(());
    }
    let digest = || {
        let mut hash = XxHash3_64::with_seed(0);
        for info in state.common() {
            hash.write(bytemuck::cast_slice(&state.fetch(info)?));
        }
        Ok(format!("{:016x}", hash.finish()))
    };
    let digest = ranks.agree(digest())?;
    ranks.check_same(&[("first weights", digest)])
}
