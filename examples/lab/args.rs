//! The command line.

use std::path::PathBuf;

use clap::Parser;

/// Experiments in virtual time: what retries, breakers and budgets do to a service in trouble.
///
/// Minutes of traffic take a second or so. The same seed gives the same figures, to the last digit.
#[derive(Debug, Parser)]
#[command(name = "lab", verbatim_doc_comment)]
pub(crate) struct Args {
    /// Which scenario; without one they are listed
    #[arg(value_name = "SCENARIO")]
    pub(crate) scenario: Option<String>,

    /// Name the scenarios, one a line
    #[arg(long)]
    pub(crate) list: bool,

    /// Where all chance comes from
    #[arg(long, value_name = "N", default_value_t = 7)]
    pub(crate) seed: u64,

    /// Print nothing but one line of JSON
    #[arg(long)]
    pub(crate) json: bool,

    /// Write the figures here
    #[arg(long, value_name = "FILE")]
    pub(crate) csv: Option<PathBuf>,

    /// Draw the chart here
    #[arg(long, value_name = "FILE")]
    pub(crate) svg: Option<PathBuf>,

    /// Fewer trials, where there are many: a tenth of the time, and less exact
    #[arg(long)]
    pub(crate) quick: bool,

    /// With `metastable`: from which states it recovers, instead of how soon
    #[arg(long)]
    pub(crate) map: bool,
}
