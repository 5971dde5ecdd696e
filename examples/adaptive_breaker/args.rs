//! The command line.

use std::time::Duration;

use clap::Parser;
use seawall_examples::Output;

use crate::contest::Windows;

/// Four weeks of a service with a daily pattern and two incidents: an adaptive circuit
/// breaker against some with fixed thresholds, over the same calls.
///
/// In the table and the JSON, a false trip is a move from closed to open outside the two
/// incidents, and the delay is that from the start of an incident to the trip: the mean of
/// both, or nothing (null) if one was missed.
#[derive(Debug, Parser)]
#[command(name = "adaptive_breaker", verbatim_doc_comment, next_line_help = false)]
pub(crate) struct Args {
    /// Calls a second at noon; all other traffic is in proportion [2 to 200]
    #[arg(long, value_name = "N", default_value_t = 36, value_parser = clap::value_parser!(u32).range(2..=200))]
    pub(crate) noon: u32,

    /// The fixed thresholds to play against, each above 0 and at most 1
    #[arg(long, value_name = "SHARES", value_delimiter = ',', value_parser = share, default_value = "0.01,0.02,0.03,0.04,0.05,0.07,0.1,0.15,0.2,0.25,0.3,0.4,0.5,0.6,0.7,0.8,0.9")]
    pub(crate) fixed: Vec<f64>,

    /// The window of the fixed thresholds, in seconds
    #[arg(long, value_name = "S", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=300))]
    window: u64,

    /// The window of the adaptive threshold, in seconds; with few calls a second a longer one
    /// sees more
    #[arg(long, value_name = "S", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=300))]
    adaptive_window: u64,

    /// Fixes which calls come and fail
    #[arg(long, value_name = "N", default_value_t = 7)]
    pub(crate) seed: u64,

    #[command(flatten)]
    pub(crate) output: Output,
}

impl Args {
    pub(crate) fn windows(&self) -> Windows {
        Windows {
            fixed: Duration::from_secs(self.window),
            adaptive: Duration::from_secs(self.adaptive_window),
        }
    }
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| *share > 0.0 && *share <= 1.0);
    share.ok_or_else(|| "must be above 0 and at most 1".to_owned())
}
