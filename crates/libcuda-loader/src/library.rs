//! The driver's library, opened once and for the life of the process.

use std::ffi::OsString;
use std::sync::OnceLock;

use libloading::Library;

/// The environment variable that names another library than the driver's own.
pub const VARIABLE: &str = "ALEXNET_LIBCUDA";

#[cfg(not(windows))]
const NAME: &str = "libcuda.so.1";
#[cfg(windows)]
const NAME: &str = "nvcuda.dll";

struct Opened {
    library: Library,
    name: String,
}

fn opened() -> &'static Result<Opened, String> {
    static OPENED: OnceLock<Result<Opened, String>> = OnceLock::new();
    OPENED.get_or_init(|| {
        let path = std::env::var_os(VARIABLE).unwrap_or_else(|| OsString::from(NAME));
        let name = path.display().to_string();
        // SAFETY: what a driver does when it is loaded is its own affair; it stays loaded for ever.
        match unsafe { Library::new(&path) } {
            Ok(library) => Ok(Opened { library, name }),
            Err(error) => Err(format!(
                "{name} cannot be loaded: {}",
                reason(&error, &name)
            )),
        }
    })
}

/// What the system says, without the name that it may begin with.
fn reason(error: &libloading::Error, name: &str) -> String {
    let text = match std::error::Error::source(error) {
        Some(cause) => cause.to_string(),
        None => error.to_string(),
    };
    text.strip_prefix(&format!("{name}: "))
        .unwrap_or(&text)
        .to_owned()
}

/// The library in use, or why there is none.
pub fn library() -> Result<&'static str, &'static str> {
    match opened() {
        Ok(opened) => Ok(&opened.name),
        Err(why) => Err(why),
    }
}

/// A function of the library; `None` where the library or the function does not exist.
///
/// # Safety
/// `F` is the type of the function of that name.
pub(crate) unsafe fn function<F: Copy>(name: &str) -> Option<F> {
    let opened = opened().as_ref().ok()?;
    // SAFETY: the caller's promise.
    unsafe { opened.library.get::<F>(name.as_bytes()) }
        .ok()
        .map(|symbol| *symbol)
}
