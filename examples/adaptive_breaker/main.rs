//! A threshold that follows the hour, against fixed ones.
//!
//! `cargo run --release --example adaptive_breaker` plays four weeks of a service with a daily pattern, of
//! traffic and of what fails when all is well, and with two incidents in it, to an adaptive circuit breaker
//! and to one for each of seventeen fixed thresholds, down to 0.01. Nothing waits: breakers are told the time.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `story.rs` | the four weeks: start here |
//! | `contest.rs` | the breakers, and what each did |
//! | `table.rs` | the result, for people and as JSON |
//! | `chart.rs` | the result as a picture |

mod args;
mod chart;
mod contest;
mod story;
mod table;

use std::error::Error;
use std::process::ExitCode;

use args::Args;
use clap::Parser;
use contest::Contest;
use story::Story;

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("adaptive_breaker: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let story = Story::new(args.seed, f64::from(args.noon));
    let picture = args.output.picture("adaptive_breaker");
    if let Some(path) = &picture {
        seawall_examples::chart::prepare(path)?;
    }
    let contest = Contest::hold(&story, &args.fixed, args.windows())?;
    if let Some(path) = &picture {
        chart::draw(path, &contest)?;
    }
    let text = if args.output.json {
        table::json(&contest)
    } else {
        table::text(args, &contest, picture.as_deref())
    };
    Ok(seawall_examples::print(&text)?)
}
