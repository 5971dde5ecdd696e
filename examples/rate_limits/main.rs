//! Five ways to limit a rate, and the same bursts through each of them.
//!
//! `cargo run --release --example rate_limits` plays a few traces of calls to a fixed window, a sliding
//! counter, the exact log, a token bucket and a leaky bucket, all with the same sustained limit.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `traces.rs` | when calls come: start here |
//! | `contest.rs` | the limiters, and what each let through |
//! | `table.rs` | the result, for people and as JSON |
//! | `chart.rs` | the result as a picture |

mod args;
mod chart;
mod contest;
mod table;
mod traces;

use std::error::Error;
use std::process::ExitCode;

use args::Args;
use clap::Parser;
use contest::Contest;

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rate_limits: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let contest = Contest::hold(args.seed)?;
    let picture = args.output.picture("rate_limits");
    if let Some(path) = &picture {
        seawall_examples::chart::prepare(path)?;
        chart::draw(path, &contest)?;
    }
    let text = if args.output.json {
        table::json(&contest)
    } else {
        table::text(&contest, picture.as_deref())
    };
    Ok(seawall_examples::print(&text)?)
}
