//! Experiments in virtual time: what retries, breakers and budgets do to a service in trouble.
//!
//! `cargo run --release --example lab -- --list` names the scenarios; `-- metastable` runs one. Each takes `--seed N`, `--json` (the
//! last line is one JSON object), `--csv FILE` and `--svg FILE`. The same seed gives the same figures, to the last digit.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `scenarios.rs` | the list of scenarios, and what each gives: start here |
//! | `jitter.rs` | contention for one row, by backoff |
//! | `amplification.rs` | what retries add to the load of what fails |
//! | `herd.rs` | a thousand clients after an outage |
//! | `metastable.rs` | overload that outlives its cause |
//! | `stacks.rs` | the policies that are compared there |
//! | `study.rs` | the same in the model of a published study |
//! | `map.rs` | from which states that model recovers |
//! | `overload.rs` | more calls than can be served |
//! | `isolation.rs` | one of ten dependencies hangs |
//! | `fleet.rs` | one total of permits for ten dependencies |
//! | `seen.rs` | what both of them count |
//! | `priority.rs` | a spike of work that can wait |
//! | `fanout.rs` | tasks of several calls of an overloaded service |
//! | `stability.rs` | breaker, budget and threshold together under a load that goes up and down |
//! | `day.rs` | 24 hours with troubles: what wears out |
//! | `chart.rs` | the pictures |

mod amplification;
mod args;
mod chart;
mod day;
mod fanout;
mod fleet;
mod herd;
mod isolation;
mod jitter;
mod map;
mod metastable;
mod overload;
mod priority;
mod progress;
mod scenarios;
mod seen;
mod stability;
mod stacks;
mod study;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use args::Args;
use clap::Parser;

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lab: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let Some(scenario) = args.scenario.as_deref().filter(|_| !args.list) else {
        return Ok(seawall_examples::print(&scenarios::list())?);
    };
    let scenario = scenarios::find(scenario)?;
    if args.map && scenario.name != "metastable" {
        return Err(format!("--map is for `metastable`, not for `{}`", scenario.name).into());
    }
    // Before anybody waits for them.
    for path in args.csv.iter().chain(&args.svg) {
        seawall_examples::chart::prepare(path)?;
    }
    let found = (scenario.run)(args)?;
    let mut page = if args.json { String::new() } else { found.page };
    for (path, text) in [(&args.csv, &found.csv), (&args.svg, &found.svg)] {
        if let Some(path) = path {
            write(path, text)?;
            page +=
                &if args.json { String::new() } else { format!("written: {}\n", path.display()) };
        }
    }
    if args.json {
        page += &format!("{}\n", found.json);
    }
    Ok(seawall_examples::print(&page)?)
}

fn write(path: &Path, text: &str) -> Result<(), Box<dyn Error>> {
    std::fs::write(path, text)
        .map_err(|error| format!("cannot write {}: {error}", path.display()).into())
}
