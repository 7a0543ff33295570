//! `host train`

use anyhow::Result;

use super::Run;
use crate::train::report::Report;
use crate::train::run;
use crate::train::settings::Settings;

impl Run for Settings {
    type Report = Report;

    fn run(&self) -> Result<Report> {
        run::train(self)
    }
}
