//! Training: the loop tells what happens ([`events`]), others show it or write it down ([`observers`]).

mod alike;
pub mod best;
pub mod config;
pub mod events;
mod flat_start;
mod lock;
pub mod machine;
pub mod observers;
pub mod report;
pub mod run;
pub mod settings;
mod setup;
pub mod stop;
