//! The limiters, what each let through, and how that compares with the exact log.

use std::time::Duration;

use seawall::clock::Moment;
use seawall::constraint::InvalidSettings;
use seawall::limit::{AnyAlgorithm, Config, RateLimiter};

use crate::traces::{LIMIT, PER_SECOND, Shape, Trace, WINDOW};

/// One way of holding to the limit.
pub(crate) struct Contestant {
    pub(crate) name: &'static str,
    config: Config,
    /// How long a call may be held back. Zero: it is let through at once, or refused.
    max_wait: Duration,
}

/// What came of one trace.
pub(crate) struct Run {
    /// When each call went out; `None` if it was refused. In the order of arrival.
    pub(crate) sent: Vec<Option<Moment>>,
    /// The longest that one was held back.
    pub(crate) longest_wait: Duration,
}

impl Run {
    pub(crate) fn admitted(&self) -> usize {
        self.sent.iter().flatten().count()
    }

    /// The most that went out in any stretch of one window's length, by the limit. More than 1 is more than
    /// was promised.
    pub(crate) fn worst_window(&self) -> f64 {
        let sent: Vec<Moment> = self.sent.iter().flatten().copied().collect();
        let mut first = 0;
        let mut most = 0;
        for (last, at) in sent.iter().enumerate() {
            while at.since(sent[first]) >= WINDOW {
                first += 1;
            }
            most = most.max(last + 1 - first);
        }
        most as f64 / LIMIT as f64
    }

    /// The share of calls that `other` decided otherwise, in per cent.
    pub(crate) fn differs_from(&self, other: &Self) -> f64 {
        let pairs = self.sent.iter().zip(&other.sent);
        let wrong = pairs.filter(|(one, other)| one.is_some() != other.is_some()).count();
        100.0 * wrong as f64 / self.sent.len().max(1) as f64
    }

    /// How uneven the output is: the standard deviation of the gaps between calls, by their mean. 0: as a
    /// clock ticks; 1: as by chance.
    pub(crate) fn unevenness(&self) -> f64 {
        let sent: Vec<Moment> = self.sent.iter().flatten().copied().collect();
        let gaps: Vec<f64> =
            sent.windows(2).map(|pair| pair[1].since(pair[0]).as_secs_f64()).collect();
        let count = gaps.len().max(1) as f64;
        let mean = gaps.iter().sum::<f64>() / count;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / count;
        if mean > 0.0 { variance.sqrt() / mean } else { 0.0 }
    }
}

impl Contestant {
    /// Plays a trace to a new limiter.
    pub(crate) fn play(&self, arrivals: &[Moment]) -> Run {
        let limiter = RateLimiter::new(AnyAlgorithm::new(&self.config), Moment::ZERO);
        let mut longest_wait = Duration::ZERO;
        let sent = arrivals
            .iter()
            .map(|arrival| {
                if self.max_wait.is_zero() {
                    return limiter.try_take(*arrival, 1).ok().map(|()| *arrival);
                }
                let wait = limiter.reserve(*arrival, 1, self.max_wait).ok()?;
                longest_wait = longest_wait.max(wait);
                Some(*arrival + wait)
            })
            .collect();
        Run { sent, longest_wait }
    }
}

/// Everybody, all with the same sustained limit. The exact log is the third.
pub(crate) fn contestants() -> Result<Vec<Contestant>, InvalidSettings> {
    let refuses = |name, config| Contestant { name, config, max_wait: Duration::ZERO };
    Ok(vec![
        refuses("fixed_window", Config::fixed_window(LIMIT, WINDOW)?),
        refuses("sliding_window", Config::sliding_window(LIMIT, WINDOW)?),
        refuses(LOG, Config::sliding_log(LIMIT, WINDOW)?),
        refuses("token_bucket", Config::token_bucket(LIMIT, PER_SECOND)?),
        // The usual picture of it: a queue with a constant output.
        Contestant {
            name: "leaky_bucket",
            config: Config::leaky_bucket(LIMIT, PER_SECOND)?,
            max_wait: WINDOW,
        },
        // As a meter it refuses instead of holding back. A tenth of the limit, for with all of it it
        // would be the token bucket.
        refuses("leaky_bucket_meter", Config::leaky_bucket(LIMIT / 10, PER_SECOND)?),
    ])
}

/// The one that all others are held against.
pub(crate) const LOG: &str = "sliding_log";

/// The results of all contestants over all traces: `[contestant][trace]`.
pub(crate) struct Contest {
    pub(crate) traces: Vec<Trace>,
    pub(crate) contestants: Vec<Contestant>,
    pub(crate) runs: Vec<Vec<Run>>,
    pub(crate) curve: Vec<Point>,
}

/// The sliding counter against the log, at one load and in one shape.
pub(crate) struct Point {
    pub(crate) shape: Shape,
    pub(crate) load: f64,
    /// In per cent of all calls.
    pub(crate) wrong: f64,
    /// How much more it let through than the log, in per cent of that; below zero: less.
    pub(crate) excess: f64,
    /// The most it let through in any window, by the limit.
    pub(crate) worst_window: f64,
}

impl Contest {
    pub(crate) fn hold(seed: u64) -> Result<Self, InvalidSettings> {
        let traces = crate::traces::all(seed);
        let contestants = contestants()?;
        let runs = contestants
            .iter()
            .map(|one| traces.iter().map(|trace| one.play(&trace.arrivals)).collect())
            .collect();
        Ok(Self { curve: curve(&contestants, seed), traces, contestants, runs })
    }

    /// The runs of the contestant of this name, which is one of them.
    pub(crate) fn of(&self, name: &str) -> &[Run] {
        let at = self.contestants.iter().position(|one| one.name == name);
        at.map_or(&[], |at| &self.runs[at])
    }

    /// Which trace is the one of this name.
    pub(crate) fn trace(&self, name: &str) -> usize {
        self.traces.iter().position(|trace| trace.name == name).unwrap_or(0)
    }
}

fn curve(contestants: &[Contestant], seed: u64) -> Vec<Point> {
    let find = |name| contestants.iter().find(|one| one.name == name);
    let (Some(counter), Some(log)) = (find("sliding_window"), find(LOG)) else { return Vec::new() };
    let loads = (2..=12).map(|quarters| f64::from(quarters) / 4.0);
    let points = loads.flat_map(|load| Shape::ALL.map(|shape| (shape, load)));
    points
        .map(|(shape, load)| {
            let arrivals = shape.arrivals(load, seed);
            let (counter, log) = (counter.play(&arrivals), log.play(&arrivals));
            let exact = log.admitted().max(1) as f64;
            Point {
                shape,
                load,
                wrong: counter.differs_from(&log),
                excess: 100.0 * (counter.admitted() as f64 - exact) / exact,
                worst_window: counter.worst_window(),
            }
        })
        .collect()
}
