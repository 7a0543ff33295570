//! Takes the place of the crate of this name in `cust`'s build scripts (see `[patch.crates-io]`): nothing is looked
//! for and nothing is linked. `libcuda-loader` defines the functions instead.

/// Would ask for `libcuda` at link time.
pub fn include_cuda() {}
