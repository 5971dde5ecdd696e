//! What Seawall does to a dependency, and for its callers, in an incident.
//!
//! `cargo run --release --example incident` lets a real HTTP server fall ill in five ways under a load (`--outage`).
//! `--overload` sends a dependency that never fails more than it can serve. `--openings` gives it short bursts of failures,
//! `--false-alarms` a steady share of errors, and callers that give up. All but the first happens in virtual time: hours take
//! seconds.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `outage.rs` | a server that hangs, refuses, fails or is slow: how soon the breaker opens and closes |
//! | `server.rs` | that server |
//! | `overload.rs` | more calls than can be served: how many are answered |
//! | `openings.rs` | bursts of failures: what is refused while the dependency is ill, and what afterwards |
//! | `false_alarms.rs` | errors by chance: how often each criterion opens a breaker |
//! | `impatience.rs` | callers of a healthy dependency that give up by chance: no breaker may open |
//! | `virtual_time.rs` | a client, a load and a clock that does not wait |

mod args;
mod false_alarms;
mod impatience;
mod openings;
mod outage;
mod overload;
mod server;
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
    let nothing_else = !(args.overload || args.openings || args.false_alarms);
    if args.outage || nothing_else {
        let (table, mut result) = outage::run(args.quick, args.json)?;
        page += &table;
        if !args.quick {
            result["false_trips"] =
                (result["false_trips"].as_u64().unwrap_or_default() + impatience::run()?).into();
        }
        page += &format!("{}\n", serde_json::Value::Object(result));
    }
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
