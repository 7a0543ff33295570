//! Without a driver the functions are there, and say so.

use std::ffi::c_int;

use cust_raw::{CUresult, cuDriverGetVersion, cuInit};
use libcuda_loader::{FUNCTIONS, VARIABLE, last_failure, library};

#[test]
fn a_missing_library_is_no_device_and_is_named() {
    // This process again, with a library that cannot be there.
    if std::env::var_os(VARIABLE).is_none() {
        let status = std::process::Command::new(std::env::current_exe().expect("this test"))
            .env(VARIABLE, "/nowhere/libcuda.so.1")
            .status();
        assert!(status.expect("this test runs again").success());
        return;
    }
    let mut version: c_int = 0;
    // SAFETY: both functions are called as the driver's would be.
    let results = unsafe { [cuInit(0), cuDriverGetVersion(&mut version)] };
    assert_eq!(results, [CUresult::CUDA_ERROR_NO_DEVICE; 2]);
    let why = library().expect_err("no library");
    assert!(
        why.starts_with("/nowhere/libcuda.so.1 cannot be loaded: "),
        "{why}"
    );
    let failure = last_failure().expect("the last call failed");
    assert_eq!(failure.function, "cuDriverGetVersion");
    assert!(failure.is(CUresult::CUDA_ERROR_NO_DEVICE));
    assert_eq!(failure.to_string(), why);
    assert!(FUNCTIONS.contains(&"cuInit"));
}
