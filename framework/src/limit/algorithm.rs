//! What every rate-limiting algorithm is asked, and what it answers.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::clock::Moment;

/// The furthest ahead that anything can be reserved: an hour.
pub const MAX_RESERVATION: Duration = Duration::from_secs(3600);

/// A clock further back than this, in nanoseconds, has been set back; anything less is a thread
/// that read the clock and was then held up, or somebody's reservation.
pub(super) const SET_BACK_NANOS: u64 = MAX_RESERVATION.as_nanos() as u64 + 10_000_000_000;

/// A limiter had not enough left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("rate limit reached{}", hint(*retry_after))]
#[non_exhaustive]
pub struct Refusal {
    /// How long until the same request would be allowed, if nobody else takes anything: one
    /// nanosecond earlier it would still be refused. `None`: it asks for more than the limiter
    /// ever holds, so never.
    pub retry_after: Option<Duration>,
}

fn hint(retry_after: Option<Duration>) -> String {
    match retry_after {
        Some(after) => format!(", retry after {after:?}"),
        None => ", and the cost is above the capacity: never".to_owned(),
    }
}

/// A limiter's whole answer: what HTTP's rate-limit fields are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Decision {
    /// Whether the cost was there (and, unless it was only looked at, is now taken).
    pub allowed: bool,
    /// The most that can be had at once: a bucket's capacity, a window's quota.
    pub limit: u64,
    /// What is left for the next one, in whole units.
    pub remaining: u64,
    /// How long until the limiter is as good as new, if nobody takes anything.
    pub reset_after: Duration,
    /// Of a refusal: as [`Refusal::retry_after`]. Of anything else `None`.
    pub retry_after: Option<Duration>,
}

/// A way to limit a rate: its settings, without what is kept of the past. That is a
/// [`State`](Algorithm::State) of its own, so that a million keys share one set of settings.
///
/// All of them are told the time, and none waits. A cost of zero is always allowed and takes nothing. A clock that goes
/// back gives nobody anything, and locks nobody out for longer than it went back.
pub trait Algorithm: fmt::Debug + Send + Sync {
    /// What is kept of the past.
    type State: fmt::Debug + Send + Sync;

    /// The state of a limiter that nobody has used.
    fn start(&self, now: Moment) -> Self::State;

    /// The most that can be had at once.
    fn limit(&self) -> u64;

    /// Takes `cost`, or nothing. What a call on its way asks: nothing is computed that it does not need.
    ///
    /// # Errors
    /// There is not enough: when there will be. A refusal changes nothing.
    fn try_take(&self, state: &Self::State, now: Moment, cost: u64) -> Result<(), Refusal>;

    /// Takes `cost`, or nothing, and tells how things are now.
    fn check(&self, state: &Self::State, now: Moment, cost: u64) -> Decision;

    /// What [`Algorithm::check`] would say to `cost`, but takes nothing: `remaining` is what is there.
    fn peek(&self, state: &Self::State, now: Moment, cost: u64) -> Decision;

    /// Takes `cost` now or ahead of time, and tells how long to wait before using it. Nobody who comes
    /// later passes one that waits. Not used after all, it can be given back by [`Algorithm::refund`].
    ///
    /// # Errors
    /// It would take longer than `max_wait`, or than [`MAX_RESERVATION`]. Nothing is taken. It says how long it is
    /// until the same request, with the same `max_wait`, would be granted if nobody else takes anything: one
    /// nanosecond earlier it would still be refused. (So of a reservation that must not wait at all, `max_wait`
    /// zero, it says when its turn is.)
    fn reserve(
        &self,
        state: &Self::State,
        now: Moment,
        cost: u64,
        max_wait: Duration,
    ) -> Result<Duration, Refusal>;

    /// Gives `cost` back at `now` that was taken for `taken_for` (the moment it was taken, plus the wait if it
    /// was reserved) and not used. What has not been used then keeps to the limit, as if this had never been
    /// taken. Where the state cannot tell how much of it would be there by now, it is worth less, down to
    /// nothing: each algorithm says when. Given back at once, and not reserved, it is worth all of it.
    fn refund(&self, state: &Self::State, now: Moment, cost: u64, taken_for: Moment);

    /// Whether [`Algorithm::try_take`] would give one.
    #[doc(hidden)]
    fn has_one(&self, state: &Self::State, now: Moment) -> bool {
        self.peek(state, now, 1).allowed
    }

    /// How much of what was taken still counts at `now`; above the limit, if the limit was lowered since.
    fn spent(&self, state: &Self::State, now: Moment) -> u64 {
        self.limit().saturating_sub(self.peek(state, now, 0).remaining)
    }

    /// The state of a limiter of which so much is spent at `now`. Above the limit, nothing is there until that much has come
    /// back: what was spent under other settings stays spent.
    ///
    /// By default no more than the limit is. It may adjust the algorithm to so much.
    fn start_spent(&mut self, now: Moment, spent: u64) -> Self::State {
        let state = self.start(now);
        // It has its whole limit, so this is never refused.
        let _ = self.try_take(&state, now, spent.min(self.limit()));
        state
    }

    /// Whether the state says nothing that [`Algorithm::start`] would not: then it can be forgotten.
    fn is_fresh(&self, state: &Self::State, now: Moment) -> bool;
}
