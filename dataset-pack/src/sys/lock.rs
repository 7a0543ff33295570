//! One program at a time writes into a folder.

use std::fs::{File, TryLockError};
use std::path::Path;

use crate::error::Error;

/// Held while a set is written. The system frees it when the program ends, however it ends.
pub(crate) struct FolderLock {
    folder: File,
}

impl FolderLock {
    /// Takes the lock of an existing folder, or says who has it.
    pub(crate) fn take(folder: &Path) -> Result<FolderLock, Error> {
        let handle = File::open(folder).map_err(Error::io(folder, "open"))?;
        match handle.try_lock() {
            Err(TryLockError::WouldBlock) => {
                let cause = "another dataset-pack is writing into this folder";
                Err(Error::input(folder, cause))
            }
            // Some network file systems lock no folders. Two builds then do each other's work,
            // but since files are renamed when they are whole, none is damaged.
            Err(TryLockError::Error(_)) | Ok(()) => Ok(FolderLock { folder: handle }),
        }
    }
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        // Closing would do, had not a process that is just being started a copy of the handle.
        let _ = self.folder.unlock();
    }
}
