//! One program at a time trains into a run directory.

use std::fs::{File, TryLockError};
use std::path::Path;

use anyhow::{Context, Result, bail};
use console::escaped;

/// Held while a run is written. The system frees it when the program ends, however it ends.
pub struct RunLock {
    _folder: File,
}

impl RunLock {
    /// Takes the lock of an existing run directory, or says that another program has it.
    pub fn take(run: &Path) -> Result<RunLock> {
        let folder = File::open(run).with_context(|| escaped(run).to_string())?;
        match folder.try_lock() {
            Err(TryLockError::WouldBlock) => bail!(
                "{}: another host trains into this folder; name another --out",
                escaped(run)
            ),
            // Some network file systems lock no folders.
            Err(TryLockError::Error(_)) | Ok(()) => Ok(RunLock { _folder: folder }),
        }
    }
}
