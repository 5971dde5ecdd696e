//! A day in virtual time: load that goes up and down with the hour, and a server that freezes, slows down, goes away and fails. What is looked for is
//! what wears out: permits that do not come back, a limit that does not find its way back, an hour that is worse than the same hour before.
//!
//! The server does 100 requests a second, 10 ms each, and works for clients that have given up, too. Calls have a deadline of 100 ms.

use std::ops::Range;
use std::time::Duration;

use seawall::simulation::{
    CallEnd, Clients, Distribution, Load, Report, Scenario, Server, Trouble,
};
use serde_json::json;

use crate::chart::{self, Series};
use crate::progress::Progress;
use crate::scenarios::{Found, Result};
use crate::stacks::policy;

const CAPACITY: f64 = 100.0;
const HOURS: u32 = 24;
/// How often the load goes up and down: the second half of the run is as the first, but for the troubles.
const WAVES: u32 = 4;

const POLICY: &str = "timeout = '100ms'\ndeadline = '100ms'\n\
    bulkhead = { max_concurrent = 200, max_wait = '50ms', limit = 'adaptive' }\nretry = { max_attempts = 1 }";

/// In which hour, for which share of it, and what.
const TROUBLES: [(u32, f64, Trouble); 5] = [
    (2, 0.02, Trouble::Freezes),
    (4, 0.5, Trouble::Speed(0.5)),
    (6, 0.1, Trouble::Down),
    (8, 0.2, Trouble::Fails(0.3)),
    (10, 0.02, Trouble::Freezes),
];

/// An hour of the run.
struct Hour {
    begun: f64,
    answered: f64,
    /// What could have been answered: what came, as far as the server can do it; of every second by itself.
    possible: f64,
    has_trouble: bool,
}

impl Hour {
    fn kept(&self) -> f64 {
        self.answered / self.possible.max(1.0)
    }
}

fn simulate(hour: Duration, seed: u64) -> std::result::Result<Report, Box<dyn std::error::Error>> {
    let lasts = hour * HOURS;
    let load = Load::poisson(CAPACITY).wave(lasts / WAVES, 0.8);
    let mut server = Server::new(1, Distribution::constant(Duration::from_millis(10)));
    for (at, share, trouble) in TROUBLES {
        server = server.trouble(trouble, hour * at..hour * at + hour.mul_f64(share));
    }
    let clients = Clients::of("server", policy(POLICY)?, load);
    let scenario = Scenario::new().server("server", server).clients("clients", clients);
    Ok(scenario.bin(Duration::from_secs(1)).run(lasts, seed)?)
}

fn hours(begun: &[u32], answered: &[u32]) -> Vec<Hour> {
    let seconds = begun.len().div_ceil(HOURS as usize).max(1);
    let sum = |counts: &[u32]| counts.iter().map(|&count| f64::from(count)).sum::<f64>();
    // Over ten seconds, since a queue evens out what chance brings.
    let possible = |counts: &[u32]| -> f64 {
        counts.chunks(10).map(|some| sum(some).min(CAPACITY * some.len() as f64)).sum()
    };
    begun
        .chunks(seconds)
        .zip(answered.chunks(seconds))
        .zip(0u32..)
        .map(|((begun, answered), hour)| Hour {
            begun: sum(begun),
            answered: sum(answered),
            possible: possible(begun),
            has_trouble: TROUBLES.iter().any(|(at, ..)| *at == hour),
        })
        .collect()
}

/// What is kept of the hours in this part of the run that have no trouble.
fn kept(hours: &[Hour], during: Range<u32>) -> f64 {
    let during = during.start as usize..(during.end as usize).min(hours.len());
    let calm = || hours[during.clone()].iter().filter(|hour| !hour.has_trouble);
    let answered: f64 = calm().map(|hour| hour.answered).sum();
    answered / calm().map(|hour| hour.possible).sum::<f64>().max(1.0)
}

pub(crate) fn run(seed: u64, quick: bool) -> Result {
    let mut progress = Progress::new("day", 1);
    // Quick: an hour of 150 s.
    let hour = Duration::from_secs(if quick { 150 } else { 3_600 });
    let report = simulate(hour, seed)?;
    progress.step();
    let Some(clients) = report.clients("clients") else {
        return Err("a scenario without its clients".into());
    };
    let hours = hours(&clients.begun, &clients.answered);
    let (first, second) = (kept(&hours, 0..HOURS / 2), kept(&hours, HOURS / 2..HOURS));
    let ended: u64 = clients.ends.values().sum();
    let mut page = format!(
        "{} calls in {HOURS} hours of {} s; {} have ended, {} with a good answer.\nOf what could be answered in hours without \
         trouble: {first:.3} in the first half, {second:.3} in the second.\n\n{:>4}  {:>9}  {:>9}  {:>6}  trouble\n",
        clients.calls,
        hour.as_secs(),
        ended,
        clients.ended_by(CallEnd::Answered),
        "hour",
        "begun/s",
        "answered/s",
        "kept",
    );
    let mut csv = "hour,begun,answered,possible,has_trouble\n".to_owned();
    let seconds = hour.as_secs_f64();
    for (at, it) in hours.iter().enumerate() {
        let trouble = if it.has_trouble { "yes" } else { "" };
        page += &format!(
            "{at:>4}  {:>9.1}  {:>9.1}  {:>6.3}  {trouble}\n",
            it.begun / seconds,
            it.answered / seconds,
            it.kept()
        );
        csv += &format!("{at},{},{},{},{}\n", it.begun, it.answered, it.possible, it.has_trouble);
    }
    let line = |of: fn(&Hour) -> f64| {
        hours.iter().enumerate().map(|(at, it)| (at as f64, of(it) / seconds)).collect()
    };
    let lines = vec![
        Series::new("begun", line(|hour| hour.begun)),
        Series::new("answered", line(|hour| hour.answered)),
    ];
    let worst = hours.iter().filter(|hour| !hour.has_trouble).map(Hour::kept).fold(1.0, f64::min);
    let json = json!({ "day": {
        "calls": clients.calls, "ended": ended, "answered": clients.ended_by(CallEnd::Answered),
        "kept_first_half": first, "kept_second_half": second, "kept_worst_hour": worst,
    }});
    let svg = chart::lines(&[("calls a second, by the hour", lines)])?;
    Ok(Found { page, json, csv, svg })
}
