//! The stand-in refuses what the driver would refuse.

mod common;

use std::ffi::{c_int, c_uint, c_void};
use std::ptr::null_mut;

use libloading::Library;

fn library() -> Library {
    let path = common::stand_in();
    // SAFETY: it does nothing when it is loaded.
    unsafe { Library::new(&path) }.unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Calls a function of the library with these arguments.
macro_rules! call {
    ($library:ident.$name:ident($($argument:expr => $type:ty),*)) => {{
        // SAFETY: this is its type.
        let function = unsafe {
            $library.get::<unsafe extern "C" fn($($type),*) -> u32>(stringify!($name))
        };
        // SAFETY: the pointers are to variables of the test.
        unsafe { function.expect(stringify!($name))($($argument),*) }
    }};
}

#[test]
fn handles_contexts_and_ranges_are_checked() {
    let cuda = library();
    let (mut count, mut address, mut context) = (0, 0, null_mut());
    assert_eq!(
        call!(cuda.cuDeviceGetCount(&mut count => *mut c_int)),
        3,
        "before cuInit"
    );
    assert_eq!(call!(cuda.cuInit(0 => c_uint)), 0);
    assert_eq!(call!(cuda.cuDeviceGetCount(&mut count => *mut c_int)), 0);
    assert_eq!(count, 1);
    let allocate =
        |address: &mut u64, bytes| call!(cuda.cuMemAlloc_v2(address => *mut u64, bytes => usize));
    assert_eq!(allocate(&mut address, 100), 201, "no context");
    assert_eq!(call!(cuda.cuCtxSetCurrent(null_mut() => *mut c_void)), 201);
    let retain = |context: &mut *mut c_void, device| call!(cuda.cuDevicePrimaryCtxRetain(context => *mut *mut c_void, device => c_int));
    assert_eq!(retain(&mut context, 1), 101, "no such device");
    assert_eq!(retain(&mut context, 0), 0);
    assert_eq!(call!(cuda.cuCtxSetCurrent(context => *mut c_void)), 0);
    assert_eq!(allocate(&mut address, 1 << 40), 2, "more than there is");
    assert_eq!(allocate(&mut address, 100), 0);
    assert!(address != 0 && address.is_multiple_of(256));
    let bytes = [1u8, 2, 3];
    let mut back = [0u8; 3];
    let upload = |to: u64, len| call!(cuda.cuMemcpyHtoDAsync_v2(to => u64, bytes.as_ptr() => *const u8, len => usize, null_mut() => *mut c_void));
    assert_eq!(upload(address + 97, 3), 0);
    assert_eq!(upload(address + 98, 3), 1, "beyond the end");
    let (to, from, none) = (back.as_mut_ptr(), address + 97, null_mut());
    assert_eq!(
        call!(cuda.cuMemcpyDtoHAsync_v2(to => *mut u8, from => u64, 3 => usize, none => *mut c_void)),
        0
    );
    assert_eq!(back, bytes);
    let stream = std::ptr::without_provenance_mut(4096);
    assert_eq!(
        call!(cuda.cuStreamSynchronize(stream => *mut c_void)),
        400,
        "no stream"
    );
    let free = || call!(cuda.cuMemFree_v2(address => u64));
    assert_eq!((free(), free()), (0, 1), "twice");
    let release = || call!(cuda.cuDevicePrimaryCtxRelease_v2(0 => c_int));
    assert_eq!((release(), release()), (0, 201), "twice");
}
