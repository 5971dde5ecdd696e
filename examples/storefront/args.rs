//! The command line.

use std::path::PathBuf;

use clap::Parser;

/// A shop in front of three services that fail in turn: what Seawall does about it, live.
///
/// 100 workers take checkouts: reserve the goods, charge the card, send a confirmation.
/// On a script, payment hangs and then refuses, inventory turns slow, and notification
/// is flooded. Compare three runs:
///
///   storefront               with Seawall
///   storefront --bare        the same without it: payment takes the others down
///   storefront --no-outage   the control run: payment is well throughout
#[derive(Debug, Parser)]
#[command(name = "storefront", verbatim_doc_comment, next_line_help = false)]
pub(crate) struct Args {
    /// How long the run takes; the script scales with it [5 to 3600]
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(5..=3600))]
    pub(crate) seconds: u64,

    /// Customers a second, whether or not a worker is free [1 to 5000]
    #[arg(long, value_name = "N", default_value_t = 150, value_parser = clap::value_parser!(u32).range(1..=5000))]
    pub(crate) rate: u32,

    /// Fixes arrivals, latencies and jitter
    #[arg(long, value_name = "N", default_value_t = 7)]
    pub(crate) seed: u64,

    /// Leave payment's outage out of the script, and nothing else
    #[arg(long)]
    pub(crate) no_outage: bool,

    /// Same customers, same faults, no Seawall: plain HTTP clients
    #[arg(long)]
    pub(crate) bare: bool,

    /// Draw the run here, as SVG
    #[arg(long, value_name = "PATH")]
    pub(crate) svg: Option<PathBuf>,

    /// End with a line of JSON; all that is for people goes to stderr
    #[arg(long)]
    pub(crate) json: bool,
}
