//! A `libcuda.so` that records what it is asked to do; see the README.
//!
//! | module | what |
//! |---|---|
//! | `settings` | what the environment says; the log |
//! | `state` | devices, contexts and all that lives in them; how a call goes |
//! | `queue` | the work of streams, in order and beside each other |
//! | `ptx` | what the PTX says about a kernel |
//! | `execute` | kernels, carried out |
//! | `start`, `module`, `memory`, `work`, `occupancy` | the driver's functions: devices and contexts; modules; memory and copies; streams, events, launches; how many blocks fit |

mod execute;
mod memory;
mod module;
mod occupancy;
mod ptx;
mod queue;
mod random;
mod settings;
mod start;
mod state;
mod work;
