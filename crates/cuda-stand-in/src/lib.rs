//! A `libcuda.so` that records what it is asked to do; see the README.
//!
//! | module | what |
//! |---|---|
//! | `state` | devices, contexts and all that lives in them; settings; the log |
//! | `ptx` | what the PTX says about a kernel |
//! | `memory`, `work`, `start` | the driver's functions: memory and copies; streams, events, launches; the rest |

mod memory;
mod start;
mod state;
mod work;
