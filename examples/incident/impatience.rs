//! Callers of a healthy dependency that give up at random moments: no breaker may open.

use std::error::Error;
use std::time::Duration;

use crate::virtual_time::{Load, send};

/// One caller in twenty gives up.
const IMPATIENT: f64 = 0.05;
/// How long the dependency takes, in milliseconds, and calls a second.
const DEPENDENCIES: [(u64, u32); 2] = [(5, 20), (2_000, 10)];

/// How often a breaker opens in a day.
pub(crate) fn run() -> Result<u64, Box<dyn Error>> {
    let mut openings = 0;
    for (answers_after_ms, per_second) in DEPENDENCIES {
        eprintln!("a healthy dependency of {answers_after_ms} ms, a day of impatient callers");
        let lasts = Duration::from_secs(24 * 3600);
        let load = Load { per_second, lasts, impatient: IMPATIENT };
        openings += send("", load, Duration::from_millis(answers_after_ms), None)?.openings();
    }
    Ok(openings)
}
