//! When a failed actor is rebuilt: after a backoff, and not for ever.
//!
//! Restart intensity after Erlang/OTP's supervisors: more than `max_restarts` within a stretch of time
//! means that rebuilding does not help. There the supervisor dies; here the actor is left unattended
//! for a while and then tried again, because what it looks after works without it.

use std::collections::VecDeque;
use std::time::Duration;

use crate::clock::Moment;
use crate::constraint::{Constraints, InvalidSettings};

/// How failed actors are rebuilt. Default: after 10 ms, doubling to 1 s; more than 10 times within
/// 60 s, and the actor is left alone for 30 s.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestartPolicy {
    max_restarts: u32,
    within: Duration,
    base_delay: Duration,
    max_delay: Duration,
    unattended_for: Duration,
}

impl Default for RestartPolicy {
    fn default() -> Self {
        Self {
            max_restarts: 10,
            within: Duration::from_secs(60),
            base_delay: Duration::from_millis(10),
            max_delay: Duration::from_secs(1),
            unattended_for: Duration::from_secs(30),
        }
    }
}

impl RestartPolicy {
    /// Starts from the defaults.
    #[must_use]
    pub fn builder() -> RestartBuilder {
        RestartBuilder(Self::default())
    }
}

/// Builds a [`RestartPolicy`], checking every setting.
#[derive(Clone, Debug)]
pub struct RestartBuilder(RestartPolicy);

impl RestartBuilder {
    /// This many restarts within that stretch of time are borne; 1 to 10,000. Default 10 within 60 s.
    #[must_use]
    pub fn intensity(mut self, max_restarts: u32, within: Duration) -> Self {
        self.0.max_restarts = max_restarts;
        self.0.within = within;
        self
    }
    /// The wait before the first restart, and the longest: it doubles in between. Default 10 ms to 1 s.
    #[must_use]
    pub fn backoff(mut self, base_delay: Duration, max_delay: Duration) -> Self {
        self.0.base_delay = base_delay;
        self.0.max_delay = max_delay;
        self
    }
    /// How long an actor that keeps failing is left alone. Default 30 s.
    #[must_use]
    pub fn unattended_for(mut self, length: Duration) -> Self {
        self.0.unattended_for = length;
        self
    }
    /// The checked policy.
    ///
    /// # Errors
    /// Every setting that is out of range.
    pub fn build(self) -> Result<RestartPolicy, InvalidSettings> {
        let mut check = Constraints::default();
        let RestartPolicy { max_restarts, within, base_delay, max_delay, unattended_for } = self.0;
        check.require(
            (1..=10_000).contains(&max_restarts),
            "max_restarts",
            max_restarts,
            "from 1 to 10000",
        );
        check.require(!within.is_zero(), "within", within, "longer than zero");
        check.require(
            base_delay <= max_delay,
            "base_delay",
            base_delay,
            format!("at most max_delay ({max_delay:?})"),
        );
        check.require(
            !unattended_for.is_zero(),
            "unattended_for",
            unattended_for,
            "longer than zero",
        );
        check.finish(self.0)
    }
}

/// What to do about an actor that has just failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Rebuild it after this long.
    Rebuild(Duration),
    /// Leave it alone for this long, then begin afresh.
    LeaveAlone(Duration),
}

/// One actor's failures of late.
#[derive(Debug)]
pub(super) struct Restarts {
    policy: RestartPolicy,
    recent: VecDeque<Moment>,
}

impl Restarts {
    pub(super) fn new(policy: RestartPolicy) -> Self {
        Self { policy, recent: VecDeque::new() }
    }

    /// The actor failed `now`.
    pub(super) fn failed(&mut self, now: Moment) -> Next {
        let within = self.policy.within;
        while self.recent.front().is_some_and(|&then| now.since(then) >= within) {
            self.recent.pop_front();
        }
        if self.recent.len() >= self.policy.max_restarts as usize {
            self.recent.clear();
            return Next::LeaveAlone(self.policy.unattended_for);
        }
        let doublings = u32::try_from(self.recent.len()).unwrap_or(u32::MAX).min(31);
        self.recent.push_back(now);
        let delay = self.policy.base_delay.saturating_mul(1 << doublings);
        Next::Rebuild(delay.min(self.policy.max_delay))
    }
}
