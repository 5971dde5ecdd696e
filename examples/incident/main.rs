//! What Seawall does to a dependency, and for its callers, in an incident.
//!
//! `cargo run --release --example incident -- --overload` sends a dependency that never fails more than it can serve.
//! `--openings` gives it short bursts of failures, `--false-alarms` a steady share of errors. All of it happens in virtual
//! time: hours take seconds.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `overload.rs` | more calls than can be served: how many are answered |
//! | `openings.rs` | bursts of failures: what is refused while the dependency is ill, and what afterwards |
//! | `false_alarms.rs` | errors by chance: how often each criterion opens a breaker |
//! | `virtual_time.rs` | a client, a load and a clock that does not wait |

mod args;
mod false_alarms;
mod openings;
mod overload;
mod virtual_time;

use std::error::Error;
use std::process::ExitCode;

use args::Args;
use clap::Parser;

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("incident: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let mut page = String::new();
    if args.overload {
        page += &overload::run(args.minutes, args.json)?;
    }
    if args.openings {
        page += &openings::run(args.json)?;
    }
    if args.false_alarms {
        page += &false_alarms::run(args.json)?;
    }
    Ok(seawall_examples::print(&page)?)
}
