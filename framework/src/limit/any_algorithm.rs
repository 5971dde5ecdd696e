//! Whichever of the five a policy file asks for.

use std::time::Duration;

use super::algorithm::{Algorithm, Decision, Refusal};
use super::fixed_window::{FixedWindow, WindowCount};
use super::leaky_bucket::{LeakyBucket, Level};
use super::quota::Config;
use super::sliding_log::{Log, SlidingLog};
use super::sliding_window::{SlidingWindow, WindowCounts};
use super::token_bucket::{Bucket, TokenBucket};
use crate::clock::Moment;

/// One of the five, chosen at run time. Costs a comparison, and no pointer.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum AnyAlgorithm {
    /// See [`FixedWindow`].
    FixedWindow(FixedWindow),
    /// See [`SlidingLog`].
    SlidingLog(SlidingLog),
    /// See [`SlidingWindow`].
    SlidingWindow(SlidingWindow),
    /// See [`TokenBucket`].
    TokenBucket(TokenBucket),
    /// See [`LeakyBucket`].
    LeakyBucket(LeakyBucket),
}

/// The state of an [`AnyAlgorithm`]: of the same one that started it. Asked by another,
/// it has nothing to give: everything is refused for ever.
#[derive(Debug)]
#[non_exhaustive]
pub enum AnyState {
    /// Of a [`FixedWindow`].
    FixedWindow(WindowCount),
    /// Of a [`SlidingLog`]; in a box, because it is so much larger than the others.
    SlidingLog(Box<Log>),
    /// Of a [`SlidingWindow`].
    SlidingWindow(WindowCounts),
    /// Of a [`TokenBucket`].
    TokenBucket(Bucket),
    /// Of a [`LeakyBucket`].
    LeakyBucket(Level),
}

impl AnyAlgorithm {
    /// What these settings ask for.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        match config {
            Config::FixedWindow(quota) => Self::FixedWindow(FixedWindow::new(quota)),
            Config::SlidingLog(quota) => Self::SlidingLog(SlidingLog::new(quota)),
            Config::SlidingWindow(quota) => Self::SlidingWindow(SlidingWindow::new(quota)),
            Config::TokenBucket(rate) => Self::TokenBucket(TokenBucket::new(rate)),
            Config::LeakyBucket(rate) => Self::LeakyBucket(LeakyBucket::new(rate)),
        }
    }
}

/// Asks the algorithm with the state of its kind.
macro_rules! ask {
    ($any:expr, $state:expr, |$algorithm:ident, $its:ident| $ask:expr, else $stranger:expr) => {
        match ($any, $state) {
            // First, because it is what most ask for.
            (AnyAlgorithm::TokenBucket($algorithm), AnyState::TokenBucket($its)) => $ask,
            (AnyAlgorithm::FixedWindow($algorithm), AnyState::FixedWindow($its)) => $ask,
            (AnyAlgorithm::SlidingLog($algorithm), AnyState::SlidingLog($its)) => $ask,
            (AnyAlgorithm::SlidingWindow($algorithm), AnyState::SlidingWindow($its)) => $ask,
            (AnyAlgorithm::LeakyBucket($algorithm), AnyState::LeakyBucket($its)) => $ask,
            _ => $stranger,
        }
    };
}

const NEVER: Refusal = Refusal { retry_after: None };

impl Algorithm for AnyAlgorithm {
    type State = AnyState;

    fn start(&self, now: Moment) -> AnyState {
        match self {
            Self::FixedWindow(it) => AnyState::FixedWindow(it.start(now)),
            Self::SlidingLog(it) => AnyState::SlidingLog(Box::new(it.start(now))),
            Self::SlidingWindow(it) => AnyState::SlidingWindow(it.start(now)),
            Self::TokenBucket(it) => AnyState::TokenBucket(it.start(now)),
            Self::LeakyBucket(it) => AnyState::LeakyBucket(it.start(now)),
        }
    }

    fn limit(&self) -> u64 {
        match self {
            Self::FixedWindow(it) => it.limit(),
            Self::SlidingLog(it) => it.limit(),
            Self::SlidingWindow(it) => it.limit(),
            Self::TokenBucket(it) => it.limit(),
            Self::LeakyBucket(it) => it.limit(),
        }
    }

    #[inline]
    fn try_take(&self, state: &AnyState, now: Moment, cost: u64) -> Result<(), Refusal> {
        ask!(self, state, |it, its| it.try_take(its, now, cost), else Err(NEVER))
    }

    fn check(&self, state: &AnyState, now: Moment, cost: u64) -> Decision {
        ask!(self, state, |it, its| it.check(its, now, cost), else self.stranger())
    }

    fn peek(&self, state: &AnyState, now: Moment, cost: u64) -> Decision {
        ask!(self, state, |it, its| it.peek(its, now, cost), else self.stranger())
    }

    fn reserve(
        &self,
        state: &AnyState,
        now: Moment,
        cost: u64,
        max_wait: Duration,
    ) -> Result<Duration, Refusal> {
        ask!(self, state, |it, its| it.reserve(its, now, cost, max_wait), else Err(NEVER))
    }

    fn refund(&self, state: &AnyState, now: Moment, cost: u64, taken_for: Moment) {
        ask!(self, state, |it, its| it.refund(its, now, cost, taken_for), else ());
    }

    #[inline]
    fn has_one(&self, state: &AnyState, now: Moment) -> bool {
        ask!(self, state, |it, its| it.has_one(its, now), else false)
    }

    fn spent(&self, state: &AnyState, now: Moment) -> u64 {
        ask!(self, state, |it, its| it.spent(its, now), else self.limit())
    }

    fn start_spent(&mut self, now: Moment, spent: u64) -> AnyState {
        match self {
            Self::FixedWindow(it) => AnyState::FixedWindow(it.start_spent(now, spent)),
            Self::SlidingLog(it) => AnyState::SlidingLog(Box::new(it.start_spent(now, spent))),
            Self::SlidingWindow(it) => AnyState::SlidingWindow(it.start_spent(now, spent)),
            Self::TokenBucket(it) => AnyState::TokenBucket(it.start_spent(now, spent)),
            Self::LeakyBucket(it) => AnyState::LeakyBucket(it.start_spent(now, spent)),
        }
    }

    fn is_fresh(&self, state: &AnyState, now: Moment) -> bool {
        ask!(self, state, |it, its| it.is_fresh(its, now), else false)
    }
}

impl AnyAlgorithm {
    /// See [`TokenBucket::take_one_at_once`]; the others never do.
    #[inline]
    pub(super) fn take_one_at_once(&self, state: &AnyState, now: Moment) -> bool {
        match (self, state) {
            (Self::TokenBucket(it), AnyState::TokenBucket(its)) => it.take_one_at_once(its, now),
            _ => false,
        }
    }

    #[cold]
    fn stranger(&self) -> Decision {
        Decision {
            allowed: false,
            limit: self.limit(),
            remaining: 0,
            reset_after: Duration::ZERO,
            retry_after: None,
        }
    }
}
