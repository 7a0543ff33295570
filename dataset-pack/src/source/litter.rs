//! What systems and programs leave in a data set, which is no part of it.

/// Folders, in small letters. Those whose names begin with a dot are passed over as well.
const FOLDERS: [&str; 14] = [
    "__macosx",
    "__pycache__",
    "@eadir",
    "@recycle",
    "@recently-snapshot",
    "#recycle",
    "#snapshot",
    "$recycle.bin",
    "recycler",
    "recycled",
    "lost+found",
    "system volume information",
    "network trash folder",
    "temporary items",
];

/// Files, in small letters.
const FILES: [&str; 9] = [
    ".ds_store",
    ".directory",
    ".localized",
    ".gitignore",
    ".gitkeep",
    ".keep",
    ".nomedia",
    "desktop.ini",
    "thumbs.db",
];

/// How a file begins in which macOS keeps what other file systems cannot hold of a file.
const APPLE_DOUBLE: &[u8] = &[0, 5, 0x16, 7];

/// Whether a folder of this name is passed over.
pub(crate) fn is_folder(name: &str) -> bool {
    let hidden = name.starts_with('.') && name != "." && name != "..";
    hidden || FOLDERS.contains(&name.to_lowercase().as_str())
}

/// The first folder in a file's path that is passed over.
pub(crate) fn folder_in(path: &str) -> Option<&str> {
    let (folders, _) = path.rsplit_once('/')?;
    folders.split('/').find(|name| is_folder(name))
}

/// Whether a file, which begins like this, is none of anybody's.
pub(crate) fn is_file(name: &str, start: &[u8]) -> bool {
    FILES.contains(&name.to_lowercase().as_str())
        || may_be_apples(name) && start.starts_with(APPLE_DOUBLE)
}

/// Whether a file is called like macOS's companion of another. Its content decides.
pub(crate) fn may_be_apples(name: &str) -> bool {
    name.starts_with("._")
}
