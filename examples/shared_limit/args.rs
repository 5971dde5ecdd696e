//! The command line.

use clap::{Parser, ValueEnum};
use seawall::distributed;

/// One rate limit over several processes, which together ask for three times as much as it admits.
///
/// They share it through Redis: a redis-server that this program starts and ends, or one that runs already. The limit is a
/// token bucket. The last line of the output is one JSON object:
///
///   {"admitted":…,"bound":…,"instances":…,"limit":…,"mode":…,"refused":…,"undecided":…}
///
/// "limit" is the burst and what comes back in the time; "bound" is what the mode promises at most. Ends with 1 if more was
/// admitted than that, and with 2 if it could not run.
#[derive(Debug, Parser)]
#[command(name = "shared_limit", verbatim_doc_comment, next_line_help = false)]
pub(crate) struct Args {
    /// How many processes
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..=64))]
    pub(crate) processes: u64,

    /// For how long they ask
    #[arg(long, value_name = "S", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(crate) seconds: u64,

    /// How they keep to the limit
    #[arg(long, value_enum, default_value_t = Mode::Exact)]
    pub(crate) mode: Mode,

    /// What the limit admits a second
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub(crate) rate: u64,

    /// What it admits at once
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(crate) burst: u64,

    /// How much a process holds ahead of its need, with `--mode leased` [default: a twentieth of the burst]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    lease: Option<u64>,

    /// A server that runs already, such as redis://127.0.0.1:6380 [default: one of its own]
    #[arg(long, value_name = "URL")]
    pub(crate) redis: Option<String>,

    /// Print the JSON line and nothing else
    #[arg(long)]
    pub(crate) json: bool,

    /// What a process is started with
    #[arg(long, hide = true)]
    pub(crate) worker: Option<String>,

    #[arg(long, hide = true, default_value = "shared_limit")]
    pub(crate) namespace: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Mode {
    /// A round trip for each decision; never more than the limit
    Exact,
    /// Parts of the limit ahead of need; at most `processes × lease` more
    Leased,
    /// The limit divided by the processes that are alive
    LocalShare,
}

/// Signs of life that an instance gives in a second: of those, the first process is alone for one.
const BEATS: f64 = 3.0;

impl Args {
    pub(crate) fn lease(&self) -> u64 {
        self.lease.unwrap_or(self.burst / 20).clamp(1, self.burst)
    }

    /// What may be admitted beyond the limit.
    pub(crate) fn slack(&self) -> f64 {
        match self.mode {
            // What the clocks of the processes and of the server may differ by, over the whole time.
            Mode::Exact => 0.005 * (self.burst + self.rate * self.seconds) as f64,
            Mode::Leased => (self.processes * self.lease()) as f64,
            Mode::LocalShare => self.rate as f64 / BEATS,
        }
    }

    pub(crate) fn why(&self) -> String {
        match self.mode {
            Mode::Exact => "the limit, and half a per cent for clocks that are read apart".into(),
            Mode::Leased => format!(
                "the limit, and {} processes with a lease of {}",
                self.processes,
                self.lease()
            ),
            Mode::LocalShare => {
                "the limit, and what comes back until the first process knows of the others".into()
            }
        }
    }

    pub(crate) fn describe(&self) -> String {
        format!("a bucket of {} at {} a second", self.burst, self.rate)
    }
}

impl From<Mode> for distributed::Mode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Exact => Self::Exact,
            Mode::Leased => Self::Leased,
            Mode::LocalShare => Self::LocalShare,
        }
    }
}
