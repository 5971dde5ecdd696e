//! One limiter: an algorithm and what it keeps of the past.

use std::time::Duration;

use crate::clock::Moment;

use super::algorithm::{Algorithm, Decision, Refusal};
use super::any_algorithm::AnyAlgorithm;

/// A rate limiter. Shared by reference between threads; never waits; is told the time.
#[derive(Debug)]
pub struct RateLimiter<A: Algorithm> {
    algorithm: A,
    pub(super) state: A::State,
}

impl<A: Algorithm> RateLimiter<A> {
    /// A limiter that nobody has used.
    #[must_use]
    pub fn new(algorithm: A, now: Moment) -> Self {
        Self { state: algorithm.start(now), algorithm }
    }

    /// A limiter by other settings in the place of one that has been used: what is `spent` of that stays spent, so what
    /// remains moves by the difference of the two limits, from 0 to the new one. Lowered below what is spent, it gives
    /// nothing until that much has come back.
    #[must_use]
    pub fn with_spent(mut algorithm: A, now: Moment, spent: u64) -> Self {
        Self { state: algorithm.start_spent(now, spent), algorithm }
    }

    /// How much of what was taken still counts at `now`; above the limit, if that was lowered since.
    #[must_use]
    pub fn spent(&self, now: Moment) -> u64 {
        self.algorithm.spent(&self.state, now)
    }

    /// Its settings.
    #[must_use]
    pub fn algorithm(&self) -> &A {
        &self.algorithm
    }

    /// Takes `cost`, or nothing.
    ///
    /// # Errors
    /// There is not enough: when there will be. A refusal changes nothing.
    #[inline]
    pub fn try_take(&self, now: Moment, cost: u64) -> Result<(), Refusal> {
        self.algorithm.try_take(&self.state, now, cost)
    }

    /// Takes `cost`, or nothing, and tells how things are now.
    #[inline]
    pub fn check(&self, now: Moment, cost: u64) -> Decision {
        self.algorithm.check(&self.state, now, cost)
    }

    /// What [`RateLimiter::check`] would say, but takes nothing.
    #[must_use]
    pub fn peek(&self, now: Moment, cost: u64) -> Decision {
        self.algorithm.peek(&self.state, now, cost)
    }

    /// Takes `cost` now or ahead of time, and tells how long to wait before using it; see
    /// [`Algorithm::reserve`].
    ///
    /// # Errors
    /// It would take longer than `max_wait`: when the same request would be granted. Nothing is taken.
    pub fn reserve(&self, now: Moment, cost: u64, max_wait: Duration) -> Result<Duration, Refusal> {
        self.algorithm.reserve(&self.state, now, cost, max_wait)
    }

    /// Gives `cost` back that was taken for `taken_for` and not used; see [`Algorithm::refund`].
    pub fn refund(&self, now: Moment, cost: u64, taken_for: Moment) {
        self.algorithm.refund(&self.state, now, cost, taken_for);
    }

    /// Whether there is one now.
    pub(crate) fn has_one(&self, now: Moment) -> bool {
        self.algorithm.has_one(&self.state, now)
    }

    /// What is left, in whole units.
    #[must_use]
    pub fn remaining(&self, now: Moment) -> u64 {
        self.peek(now, 0).remaining
    }
}

impl RateLimiter<AnyAlgorithm> {
    /// Takes one, if that can be done at a look: it is a token bucket, which has one, and nobody interferes. False says nothing.
    #[inline]
    pub(crate) fn take_one_at_once(&self, now: Moment) -> bool {
        self.algorithm.take_one_at_once(&self.state, now)
    }
}
