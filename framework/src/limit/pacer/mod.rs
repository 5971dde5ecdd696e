//! The other side of a limit: slow down before the server has to refuse.
//!
//! A [`Pacer`] is told what a dependency's answers say of its quota ([`Report`]), and tells each request how long to wait. While
//! there is plenty it says nothing. When what remains has become short, it spreads it over the time until the reset; when
//! nothing remains, it refuses, and no request has to travel to be told so.
//!
//! ```
//! use std::time::Duration;
//! use seawall::clock::Moment;
//! use seawall::limit::Pacer;
//! use seawall::limit::headers::Report;
//!
//! let pacer = Pacer::default();
//! let start = Moment::ZERO;
//! let turn = pacer.pace(start)?; // nothing is known yet
//! assert_eq!(turn.wait(), Duration::ZERO);
//!
//! // 10 of 100 remain for the next 20 seconds: one in 2 seconds.
//! let ten_left = Report {
//!     limit: Some(100),
//!     remaining: Some(10),
//!     reset_after: Some(Duration::from_secs(20)),
//!     ..Report::default()
//! };
//! pacer.learn(start, turn, &ten_left);
//! assert_eq!(pacer.pace(start)?.wait(), Duration::ZERO);
//! let second = pacer.pace(start).unwrap_err(); // it would wait for longer than `max_wait`
//! assert_eq!(second.retry_after, Some(Duration::from_millis(1750)));
//! assert_eq!(pacer.pace(start + Duration::from_secs(2))?.wait(), Duration::ZERO);
//! # Ok::<(), seawall::limit::Refusal>(())
//! ```
//!
//! # How it reckons
//!
//! Every request has a number, and an answer is filed under the number of its request. What a server says remains is what remained
//! after that request; those that have left since are taken off. So requests on their way are never forgotten, and an answer that
//! was overtaken by a newer one cannot raise what is left.
//!
//! How much of the quota others take is watched, and what is left is shared with them in the same proportion. The last few
//! units of a shared quota nobody can be sure of: there a client may still be refused, about once a window. The one that is
//! refused sends nothing until `Retry-After` has passed, then one request to see how things are.
//!
//! The fields speak of whole seconds, rounded up. So windows of a second or two cannot be used up to the last tenth.
//!
//! News are good until the reset that they name. Then the quota is taken to be whole again, until an answer says otherwise.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;

use crate::clock::Moment;
use crate::constraint::{Constraints, InvalidSettings};

use super::algorithm::Refusal;
use super::headers::Report;

mod state;

use state::State;

/// The longest that a server's word is taken for: a week.
pub const MAX_HORIZON: Duration = Duration::from_secs(7 * 24 * 3600);

/// A pacer's settings, checked.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PacerConfig {
    slow_below: f64,
    max_wait: Duration,
    horizon: Duration,
}

impl PacerConfig {
    /// Starts from the defaults.
    #[must_use]
    pub fn builder() -> PacerBuilder {
        PacerBuilder(Self::default())
    }
    /// From this share of the limit down, what remains is spread. Default 0.5.
    #[must_use]
    pub fn slow_below(&self) -> f64 {
        self.slow_below
    }
    /// The longest that a request is told to wait; where it would be longer it is refused. Default 250 ms.
    /// What waits was promised its place by older news, so a long wait is a promise that others on the same quota may break.
    #[must_use]
    pub fn max_wait(&self) -> Duration {
        self.max_wait
    }
    /// The longest that a server's word is taken for. Default 1 h.
    #[must_use]
    pub fn horizon(&self) -> Duration {
        self.horizon
    }
}

impl Default for PacerConfig {
    fn default() -> Self {
        Self {
            slow_below: 0.5,
            max_wait: Duration::from_millis(250),
            horizon: Duration::from_secs(3600),
        }
    }
}

/// Builds a [`PacerConfig`], checking every setting.
#[derive(Clone, Debug, Default)]
pub struct PacerBuilder(PacerConfig);

impl PacerBuilder {
    /// From which share of the limit down what remains is spread; 0 (never: it is used up at once) to 1 (always).
    #[must_use]
    pub fn slow_below(mut self, share: f64) -> Self {
        self.0.slow_below = share;
        self
    }
    /// The longest that a request is told to wait; up to a week. Zero: none ever waits, and those that would are refused.
    #[must_use]
    pub fn max_wait(mut self, wait: Duration) -> Self {
        self.0.max_wait = wait;
        self
    }
    /// The longest that a server's word is taken for, lest a mistake of its, or a clock that is put back, locks us out for
    /// years; 1 s to a week.
    #[must_use]
    pub fn horizon(mut self, horizon: Duration) -> Self {
        self.0.horizon = horizon;
        self
    }
    /// The checked settings.
    ///
    /// # Errors
    /// Every setting that is out of range.
    pub fn build(self) -> Result<PacerConfig, InvalidSettings> {
        let mut check = Constraints::default();
        let share = self.0.slow_below;
        check.require((0.0..=1.0).contains(&share), "slow_below", share, "from 0 to 1");
        check.require(self.0.max_wait <= MAX_HORIZON, "max_wait", self.0.max_wait, "up to 7 days");
        check.require(
            (Duration::from_secs(1)..=MAX_HORIZON).contains(&self.0.horizon),
            "horizon",
            self.0.horizon,
            "from 1 s to 7 days",
        );
        check.finish(self.0)
    }
}

/// A request's place: how long to wait before it is sent, and the number that its answer is filed under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// In nanoseconds.
    wait: u64,
    number: u64,
    /// How much later the next call is for it, in nanoseconds.
    gap: u64,
}

impl Reservation {
    /// How long to wait before the request is sent. A caller that waits holds nothing: it may be dropped, and the next answer puts
    /// the count right. Until then it counts as sent, unless it is given back: [`Pacer::refund`].
    #[must_use]
    pub fn wait(&self) -> Duration {
        Duration::from_nanos(self.wait)
    }
}

/// Paces requests by what their answers say. Shared by reference between threads; never waits; is told the time.
///
/// A short mutex is held for a few comparisons: once for a request, once for an answer that says something.
#[derive(Debug)]
pub struct Pacer {
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    config: PacerConfig,
    state: State,
}

impl Pacer {
    /// A pacer that knows nothing yet.
    #[must_use]
    pub fn new(config: PacerConfig) -> Self {
        Self { kept: Mutex::new(Kept { config, state: State::default() }) }
    }

    /// Its settings.
    #[must_use]
    pub fn config(&self) -> PacerConfig {
        self.kept().config
    }

    /// Goes by other settings from now on, and keeps what it has learned.
    pub fn reconfigure(&self, config: PacerConfig) {
        self.kept().config = config;
    }

    /// A turn for a request, which is counted as sent.
    ///
    /// # Errors
    /// Nothing remains, or it would have to wait for longer than `max_wait`, or the server said when to come back: when it is
    /// worth asking again. Nothing is counted.
    pub fn pace(&self, now: Moment) -> Result<Reservation, Refusal> {
        self.pace_within(now, Duration::MAX)
    }

    /// The same for a request that can wait for no longer than this, though `max_wait` may be more.
    ///
    /// # Errors
    /// As with [`Pacer::pace`].
    pub fn pace_within(&self, now: Moment, longest: Duration) -> Result<Reservation, Refusal> {
        let mut kept = self.kept();
        let max_wait = kept.config.max_wait.min(longest);
        let config = PacerConfig { max_wait, ..kept.config };
        kept.state.pace(&config, now)
    }

    /// Files what the answer to the request of `turn` says. One that says nothing of a limit changes nothing, and need not be
    /// filed; nor need requests without an answer.
    pub fn learn(&self, now: Moment, turn: Reservation, report: &Report) {
        if !report.is_empty() {
            let mut kept = self.kept();
            let config = kept.config;
            kept.state.learn(&config, now, turn.number, report);
        }
    }

    /// Takes the turn of a request back that was never sent: somebody else can have it. At most once for each turn, and not for
    /// a request that has no answer: the server may have counted it.
    pub fn refund(&self, turn: Reservation) {
        self.kept().state.refund(turn);
    }

    /// What is left, as far as is known: what the answers said, less what has been sent since.
    #[must_use]
    pub fn left(&self, now: Moment) -> Option<u64> {
        self.kept().state.left(now)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Nothing in there panics; and numbers cannot be half-written.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Pacer {
    fn default() -> Self {
        Self::new(PacerConfig::default())
    }
}

#[cfg(test)]
mod tests;
