//! What compiled code calls, and what a thread knows.

pub mod atomic;
pub mod bits;
pub mod block;
pub mod checks;
pub mod half;
pub mod requests;
pub mod rounding;
pub mod thread;
pub mod wait;
pub mod warp;

use cranelift_codegen::ir::Type;
use cranelift_codegen::ir::types::{F32, F64, I32, I64};

/// A function that compiled code may call: its name there, where it is, what it takes and gives.
pub struct Helper {
    pub name: &'static str,
    pub address: *const u8,
    pub parameters: &'static [Type],
    pub result: Option<Type>,
}

macro_rules! helpers {
    ($($name:ident = $function:path, ($($parameter:ident),*) $(-> $result:ident)?;)*) => {
        /// All of them.
        pub const HELPERS: &[Helper] = &[$(Helper {
            name: stringify!($name),
            address: $function as *const u8,
            parameters: &[$($parameter),*],
            result: helpers!(@result $($result)?),
        }),*];
    };
    (@result) => { None };
    (@result $result:ident) => { Some($result) };
}

// The thread, where it is taken, comes first.
helpers! {
    barrier = wait::barrier, (I64, I32, I32, I32, I32, I32) -> I32;
    barrier_count = wait::barrier_count, (I64, I32) -> I32;
    pass = wait::pass, (I64);
    trap = wait::trap, (I64, I32) -> I32;
    too_long = wait::too_long, (I64, I32) -> I32;
    warp_sync = warp::sync, (I64, I32, I32) -> I32;
    shuffle = warp::shuffle, (I64, I64, I32, I32, I32, I32, I32, I32) -> I32;
    vote = warp::vote, (I64, I64, I32, I32, I32, I32) -> I32;
    matching = warp::matching, (I64, I64, I32, I64, I32, I32) -> I32;
    reduce = warp::reduce, (I64, I64, I32, I32, I32, I32, I32) -> I32;
    active = warp::active, (I64) -> I32;
    multiply = warp::multiply, (I64, I64, I64, I32, I32, I32) -> I32;
    load_matrix = warp::load_matrix, (I64, I64, I32, I32, I32, I32) -> I32;
    access = checks::access, (I64, I64, I32, I32, I32, I32) -> I32;
    request = requests::request, (I64, I64, I32, I32, I32);
    local = checks::local, (I64, I64, I32);
    update = atomic::update, (I64, I64, I32, I32, I64, I64) -> I64;
    copy = atomic::copy, (I64, I64, I64, I32, I32);
    commit = atomic::commit, (I64);
    wait = atomic::wait, (I64, I32, I32) -> I32;
    half = half::compute, (I32, I32, I32, I32, I32, I32) -> I32;
    narrow_half = half::narrow, (I32, I32, F64) -> I32;
    widen_half = half::widen, (I32, I32) -> F32;
    rounded_f32 = rounding::f32, (I32, I32, F32, F32, F32) -> F32;
    rounded_f64 = rounding::f64, (I32, I32, F64, F64, F64) -> F64;
    rounded_narrow = rounding::narrow, (I32, F64) -> F32;
    integer_to_f32 = rounding::integer_to_f32, (I32, I32, I64) -> F32;
    integer_to_f64 = rounding::integer_to_f64, (I32, I32, I64) -> F64;
    extract = bits::extract, (I32, I32, I64, I32, I32) -> I64;
    insert = bits::insert, (I32, I64, I64, I32, I32) -> I64;
    permute = bits::permute, (I32, I32, I32, I32) -> I32;
    find = bits::find, (I32, I32, I32, I64) -> I32;
    divide = bits::divide, (I32, I32, I32, I64, I64) -> I64;
    dot = bits::dot, (I32, I32, I32, I32, I32) -> I32;
    approximate = bits::approximate, (I32, F32) -> F32;
    clock = bits::clock, () -> I64;
}
