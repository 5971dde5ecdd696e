//! How long to wait before the next attempt.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::config::Config;
use super::jitter::Jitter;

/// How delays grow from one attempt to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Backoff {
    /// `base_delay * factor ^ attempt`, at most `max_delay`: with a factor of 2 and from 1 s: 1, 2, 4, 8, 16.
    #[default]
    Exponential,
    /// `base_delay` every time.
    Constant,
    /// `base_delay * (attempt + 1)`, at most `max_delay`: from 1 s: 1, 2, 3, 4, 5.
    Linear,
    /// `base_delay` times the Fibonacci number of the attempt, at most `max_delay`: from 1 s: 1, 1, 2, 3, 5. Grows more
    /// gently than doubling.
    Fibonacci,
}

impl Backoff {
    /// Every backoff.
    pub const ALL: &[Self] = &Self::EVERY;
    pub(crate) const EVERY: [Self; 4] =
        [Self::Exponential, Self::Constant, Self::Linear, Self::Fibonacci];

    /// The name that policy files use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exponential => "exponential",
            Self::Constant => "constant",
            Self::Linear => "linear",
            Self::Fibonacci => "fibonacci",
        }
    }
}

impl fmt::Display for Backoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Config {
    /// How long to wait after attempt number `attempt` has failed; the first attempt is number 0.
    ///
    /// `previous` is what this gave for the attempt before, zero for the first: only
    /// [`Jitter::Decorrelated`] looks at it. `unit` is chance, in `[0, 1)`; anything outside is
    /// taken as the nearest end, NaN as 0. The delay is capped, then spread, then capped again, so it is at
    /// most [`max_delay`](Config::max_delay) for every attempt up to `u32::MAX`. (Capping only
    /// once, before the jitter, would let a delay exceed it.)
    #[must_use]
    pub fn delay(&self, attempt: u32, previous: Duration, unit: f64) -> Duration {
        let unit = if unit.is_nan() { 0.0 } else { unit.clamp(0.0, 1.0) };
        let (base, cap) = (as_nanos(self.base_delay()), as_nanos(self.max_delay()));
        let nanos = if self.jitter() == Jitter::Decorrelated {
            // Before the first delay the previous one counts as `base`: otherwise everybody's
            // first delay would be the same.
            let upper = as_nanos(previous).max(base) * 3.0;
            base + (upper - base) * unit
        } else {
            // Zero times a growth beyond all numbers would be NaN.
            let grown = if base == 0.0 { 0.0 } else { base * self.growth(attempt) };
            self.jitter().spread(grown.min(cap), self.jitter_share(), unit)
        };
        // At most 30 days, which a double holds to the nanosecond.
        Duration::from_nanos(nanos.min(cap).round() as u64)
    }

    /// How many times as long as the base the delay after this attempt is; may be infinite, but never NaN.
    fn growth(&self, attempt: u32) -> f64 {
        match self.backoff() {
            Backoff::Exponential => self.factor().powf(f64::from(attempt)),
            Backoff::Constant => 1.0,
            Backoff::Linear => f64::from(attempt) + 1.0,
            Backoff::Fibonacci => fibonacci(attempt),
        }
    }

    /// How long to wait when the server, or one of our guards, has said when to come back: never before `asked`, and
    /// spread after it by as much as the jitter spreads `own`, the delay that [`Config::delay`] gave for the same
    /// `attempt` and `previous`. So callers that were all told the same moment do not all return at it.
    ///
    /// Never shorter than `own`. May exceed [`max_delay`](Config::max_delay), because the server asked for it.
    #[must_use]
    pub fn delay_after(
        &self,
        asked: Duration,
        own: Duration,
        attempt: u32,
        previous: Duration,
    ) -> Duration {
        let shortest = self.delay(attempt, previous, 0.0);
        own.max(asked.saturating_add(own.saturating_sub(shortest)))
    }
}

/// 1, 1, 2, 3, 5, …; exact as far as a double is.
fn fibonacci(attempt: u32) -> f64 {
    let (mut this, mut next) = (1.0_f64, 1.0_f64);
    for _ in 0..attempt {
        (this, next) = (next, this + next);
        if this.is_infinite() {
            break;
        }
    }
    this
}

fn as_nanos(duration: Duration) -> f64 {
    duration.as_nanos() as f64
}
