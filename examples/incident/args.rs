//! The command line.

use clap::{ArgGroup, Parser};

/// What Seawall does to a dependency, and for its callers, in an incident. Without an option, all of --outage.
#[derive(Debug, Parser)]
#[command(name = "incident", verbatim_doc_comment, next_line_help = false)]
#[command(group(ArgGroup::new("what").multiple(true)))]
pub(crate) struct Args {
    /// A real HTTP server on loopback falls ill in five ways: how soon the breaker opens, and closes again. About two minutes
    #[arg(long, group = "what")]
    pub(crate) outage: bool,

    /// Of --outage only callers that give up after a second, under two policies
    #[arg(long)]
    pub(crate) quick: bool,

    /// More calls than a dependency that never fails can serve: how many are answered
    #[arg(long, group = "what")]
    pub(crate) overload: bool,

    /// Bursts in which everything fails: what the breaker refuses meanwhile, and what afterwards
    #[arg(long, group = "what")]
    pub(crate) openings: bool,

    /// Errors by chance: how often a day each criterion opens the breaker
    #[arg(long, group = "what")]
    pub(crate) false_alarms: bool,

    /// For how long each overload lasts, in virtual minutes
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=1440))]
    pub(crate) minutes: u32,

    /// Print one line of JSON for each option above, and everything else to stderr
    #[arg(long)]
    pub(crate) json: bool,
}
