//! The command line.

use clap::Parser;

/// A shop in front of three services that fail in turn: what Seawall does about it, live.
///
/// 100 workers take checkouts: reserve stock, charge the card, send a confirmation. On a script,
/// payment hangs and then refuses, inventory answers slowly, and notification is flooded.
#[derive(Debug, Parser)]
#[command(name = "storefront")]
pub(crate) struct Args {
    /// How long the run takes; the script and the policies scale with it
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(5..=3600))]
    pub(crate) seconds: u64,

    /// Customers who arrive each second, whether or not a worker is free
    #[arg(long, value_name = "N", default_value_t = 150, value_parser = clap::value_parser!(u32).range(1..=5000))]
    pub(crate) rate: u32,

    /// Fixes arrivals, latencies and jitter
    #[arg(long, value_name = "N", default_value_t = 7)]
    pub(crate) seed: u64,

    /// The control run: leaves payment's outage out of the script. Inventory still turns slow and
    /// notification is still flooded, so that what differs is the outage's doing alone
    #[arg(long)]
    pub(crate) no_outage: bool,

    /// The same customers and the same faults without Seawall: plain HTTP clients with no timeout
    #[arg(long)]
    pub(crate) bare: bool,

    /// Ends with one line of JSON on standard output; everything to look at goes to standard error
    #[arg(long)]
    pub(crate) json: bool,
}
