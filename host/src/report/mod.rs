//! Runs as one HTML file that needs no network: curves, filters, predictions, configuration.
//!
//! `facts` reads a run directory, `trained` its newest checkpoint, `predictions` tries that on a set, with the
//! `neighbours` of some images; `page` writes what
//! was found into `page.html`, where `page.js` draws the `curves`. All text from outside goes through `html`.

mod curves;
mod facts;
mod html;
mod neighbours;
mod page;
mod picture;
mod predictions;
mod trained;

pub use facts::{Facts, Source, Wanted};
pub use page::page;
