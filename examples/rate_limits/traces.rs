//! The traffic: when calls come, as everybody in the contest meets them.

use std::time::Duration;

use seawall::clock::Moment;
use seawall::entropy::Entropy;

/// What every limiter is given: this many calls in [`WINDOW`], however it counts.
pub(crate) const LIMIT: u64 = 100;
/// In seconds.
pub(crate) const WINDOW_S: f64 = 10.0;
/// The same as a length of time.
pub(crate) const WINDOW: Duration = Duration::from_secs(10);
/// The same as a rate.
pub(crate) const PER_SECOND: f64 = LIMIT as f64 / WINDOW_S;
/// How long each trace is, in seconds.
pub(crate) const LENGTH_S: f64 = 120.0;

/// A named list of arrivals, earliest first.
pub(crate) struct Trace {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) arrivals: Vec<Moment>,
}

/// All of them. `seed` fixes those that roll dice.
pub(crate) fn all(seed: u64) -> Vec<Trace> {
    let entropy = Entropy::seeded(seed);
    let trace = |name, what, seconds: Vec<f64>| Trace { name, what, arrivals: moments(seconds) };
    vec![
        trace("steady", "9 a second, evenly: below the limit", evenly(0.0, LENGTH_S, 9.0)),
        trace("bursty", "150 within a second, every 20 s", bursts(20.0, 1.0, 150)),
        trace("boundary", "100 before the end of a window, 100 after it", boundary()),
        trace("flood", "30 a second, evenly: three times the limit", evenly(0.0, LENGTH_S, 30.0)),
        trace("poisson", "10 a second by chance: just the limit", poisson(&entropy, PER_SECOND)),
    ]
}

/// How calls may come at the same mean rate, for the curve of the sliding counter's error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// By chance, evenly.
    Poisson,
    /// All calls of a window in a tenth of it, at a place that drifts from window to window.
    Bursts,
    /// All calls of a window in its last tenth: what the counter takes for spread out is not.
    LateBursts,
}

impl Shape {
    pub(crate) const ALL: [Self; 3] = [Self::Poisson, Self::Bursts, Self::LateBursts];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Poisson => "poisson",
            Self::Bursts => "drifting bursts",
            Self::LateBursts => "late bursts",
        }
    }

    /// Arrivals at `load` times the limit.
    pub(crate) fn arrivals(self, load: f64, seed: u64) -> Vec<Moment> {
        let calls = (LIMIT as f64 * load) as u64;
        let windows = (LENGTH_S / WINDOW_S) as u64;
        let burst =
            |from: f64| evenly(from, from + WINDOW_S / 10.0, calls as f64 / WINDOW_S * 10.0);
        moments(match self {
            Self::Poisson => poisson(&Entropy::seeded(seed), PER_SECOND * load),
            // 7 and 10 have no common factor: every place in a window comes up.
            Self::Bursts => (0..windows)
                .flat_map(|window| {
                    burst(window as f64 * WINDOW_S + (window * 7 % 10) as f64 * WINDOW_S / 10.0)
                })
                .collect(),
            Self::LateBursts => (0..windows)
                .flat_map(|window| burst(window as f64 * WINDOW_S + WINDOW_S * 0.9))
                .collect(),
        })
    }
}

fn moments(mut seconds: Vec<f64>) -> Vec<Moment> {
    seconds.sort_by(f64::total_cmp);
    seconds.into_iter().map(|at| Moment::from_nanos((at * 1e9) as u64)).collect()
}

fn evenly(from: f64, until: f64, per_second: f64) -> Vec<f64> {
    let calls = ((until - from) * per_second).round() as u64;
    (0..calls).map(|n| from + n as f64 / per_second).collect()
}

/// `calls` within `length` seconds, every `period` seconds, the first after a quarter of that.
fn bursts(period: f64, length: f64, calls: u64) -> Vec<f64> {
    let starts = (0..).map(|n| period / 4.0 + f64::from(n) * period);
    let starts = starts.take_while(|start| *start + length <= LENGTH_S);
    starts.flat_map(|start| evenly(start, start + length, calls as f64 / length)).collect()
}

/// A whole limit in the last second of a window, another in the first of the next; then quiet.
fn boundary() -> Vec<f64> {
    let ends = [10.0, 50.0, 90.0];
    ends.into_iter().flat_map(|end| evenly(end - 1.0, end + 1.0, LIMIT as f64)).collect()
}

fn poisson(entropy: &Entropy, per_second: f64) -> Vec<f64> {
    let mut arrivals = Vec::new();
    let mut at = 0.0;
    loop {
        // In [0, 1), so the logarithm is of something above zero.
        at -= (1.0 - entropy.unit()).ln() / per_second;
        if at >= LENGTH_S {
            return arrivals;
        }
        arrivals.push(at);
    }
}
