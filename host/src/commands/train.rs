//! `host train`

use anyhow::Result;

use super::Run;
use crate::ranks::Ranks;
use crate::train::report::Report;
use crate::train::run;
use crate::train::settings::Settings;

impl Run for Settings {
    type Report = Report;

    fn run(&self) -> Result<Report> {
        Ranks::join()?.carry(|ranks| run::train(self, ranks))
    }
}
