//! The command line.

use clap::Parser;
use seawall_examples::Output;

/// The same bursty traffic through all five rate-limiting algorithms, each held to 100 calls in
/// 10 seconds, and their errors against the exact log of everything that was let through.
///
/// "worst window" is the most that one let through in any stretch of 10 seconds, by the limit: 2.0
/// is twice what was promised. Nothing waits: limiters are told the time.
#[derive(Debug, Parser)]
#[command(name = "rate_limits", verbatim_doc_comment, next_line_help = false)]
pub(crate) struct Args {
    /// Fixes when calls come that come by chance
    #[arg(long, value_name = "N", default_value_t = 7)]
    pub(crate) seed: u64,

    #[command(flatten)]
    pub(crate) output: Output,
}
