//! Breakers that open, probe and close with those of other instances.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Moment;
use crate::constraint::{Constraints, InvalidSettings};
use crate::dependency::Dependency;
use crate::error::RejectedBy;
use crate::event::{Cause, State, Transition};
use crate::time::within;

use super::store::{BoardReport, BoardStanding, BoardWord, Prober, Store};

/// How many looks an instance holds a breaker open that another one probes for, and holds its own place to probe.
const LOOKS_HELD: u32 = 5;
/// A breaker whose open time ends within so many looks asks who probes.
const LOOKS_AHEAD: u32 = 2;

/// How breakers are shared; see `Seawall::share_breakers`. Built by [`SharedBreakers::builder`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharedBreakers {
    quorum: u32,
    look_every: Duration,
}

impl SharedBreakers {
    /// Starts from the defaults.
    pub fn builder() -> SharedBreakersBuilder {
        SharedBreakersBuilder(Self::default())
    }
    /// In how many *other* instances a breaker must be open for it to open here. Default 1.
    #[must_use]
    pub fn quorum(&self) -> u32 {
        self.quorum
    }
    /// How often each breaker looks at the others. Default 200 ms.
    #[must_use]
    pub fn look_every(&self) -> Duration {
        self.look_every
    }
}

impl Default for SharedBreakers {
    fn default() -> Self {
        Self { quorum: 1, look_every: Duration::from_millis(200) }
    }
}

/// Builds a [`SharedBreakers`], checking every setting.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct SharedBreakersBuilder(SharedBreakers);

impl SharedBreakersBuilder {
    /// In how many other instances a breaker must be open for it to open here; at least 1. With 1 one instance that cannot reach
    /// the dependency closes it to all; with more, that many must say so.
    pub fn quorum(mut self, instances: u32) -> Self {
        self.0.quorum = instances;
        self
    }

    /// How often each breaker looks at the others; 10 ms to 10 s. A breaker opens with the others so much later, at most.
    pub fn look_every(mut self, interval: Duration) -> Self {
        self.0.look_every = interval;
        self
    }

    /// The checked settings.
    ///
    /// # Errors
    /// Every setting that is out of range.
    pub fn build(self) -> Result<SharedBreakers, InvalidSettings> {
        let mut check = Constraints::default();
        check.require(self.0.quorum >= 1, "quorum", self.0.quorum, "at least 1");
        let range = Duration::from_millis(10)..=Duration::from_secs(10);
        let every = self.0.look_every;
        check.require(range.contains(&every), "look_every", every, "from 10ms to 10s");
        check.finish(self.0)
    }
}

/// One breaker, as this instance shares it.
#[derive(Debug)]
pub(crate) struct Watch {
    instance: Arc<str>,
    settings: SharedBreakers,
    /// Since when it is not closed.
    opened_at: Option<Moment>,
    /// How many calls it had refused at the last look.
    refused: u64,
    /// When it was last seen to have refused one.
    wanted_at: Option<Moment>,
}

impl Watch {
    pub(crate) fn new(instance: Arc<str>, settings: SharedBreakers) -> Self {
        Self { instance, settings, opened_at: None, refused: 0, wanted_at: None }
    }

    /// Tells how it is here, hears how it is elsewhere, and does what follows from that. If the store does not answer by the next
    /// look, the breaker is on its own until then.
    pub(crate) async fn look(&mut self, store: &dyn Store, dependency: &Dependency) {
        let time = dependency.time().clone();
        let now = time.now();
        let report = self.report(dependency, now);
        let has_closed = report.word == BoardWord::Closed;
        let answer = within(&time, report.deadline, store.board(report)).await;
        let Some(Ok(standing)) = answer else { return };
        if has_closed {
            self.opened_at = None;
        }
        self.follow(dependency, &standing, now);
    }

    fn look_times(&self, times: u32) -> Duration {
        self.settings.look_every.saturating_mul(times)
    }

    fn report(&mut self, dependency: &Dependency, now: Moment) -> BoardReport {
        let breaker = dependency.gate().breaker();
        let (state, left) = (breaker.state(), breaker.open_left(now));
        let last = if state == State::Closed && self.opened_at.is_none() {
            None
        } else {
            breaker.report(now).transitions.last().copied()
        };
        // What others have opened, or hold open, is no evidence for more.
        let own = last.filter(|last| last.to == State::Open && !is_by_others(last));
        let own_left = own.map_or(Duration::ZERO, |opened| {
            (opened.at + opened.open_for.unwrap_or_default()).since(now)
        });
        let has_probed =
            last.is_some_and(|last| matches!(last.cause, Cause::ProbesSucceeded { .. }));
        let word = match state {
            // Told until somebody has heard it.
            State::Closed if has_probed => BoardWord::Closed,
            State::Open if !own_left.is_zero() => BoardWord::Open,
            State::Closed | State::Open | State::HalfOpen => BoardWord::Look,
        };
        match state {
            State::Closed if word == BoardWord::Closed => {}
            State::Closed => self.opened_at = None,
            State::Open | State::HalfOpen => self.opened_at = Some(self.opened_at.unwrap_or(now)),
        }
        let probes = match state {
            State::Closed => false,
            State::HalfOpen => true,
            // Only where somebody calls: else nobody would be let in for as long as it is this instance's turn.
            State::Open => left <= self.look_times(LOOKS_AHEAD) && self.is_wanted(dependency, now),
        };
        BoardReport {
            breaker: dependency.name().clone().into(),
            instance: Arc::clone(&self.instance),
            word,
            holds: own_left,
            probes_for: if probes { self.look_times(LOOKS_HELD) } else { Duration::ZERO },
            deadline: now + self.settings.look_every,
        }
    }

    /// Whether calls have been refused of late.
    fn is_wanted(&mut self, dependency: &Dependency, now: Moment) -> bool {
        let refused = dependency.snapshot().rejections(RejectedBy::Breaker);
        if refused != std::mem::replace(&mut self.refused, refused) {
            self.wanted_at = Some(now);
        }
        self.wanted_at.is_some_and(|at| now.since(at) <= self.look_times(LOOKS_HELD))
    }

    fn follow(&self, dependency: &Dependency, standing: &BoardStanding, now: Moment) {
        let breaker = dependency.gate().breaker();
        let others = u32::try_from(standing.open).unwrap_or(u32::MAX);
        let is_open_elsewhere = others >= self.settings.quorum;
        // By the time it was asked, so that what was closed before it opened is not taken for later.
        let closed_since = self.opened_at.zip(standing.closed_ago);
        if breaker.state() == State::Closed {
            if is_open_elsewhere {
                dependency.open_elsewhere((others, self.settings.quorum), standing.holds);
            }
        } else if closed_since.is_some_and(|(opened_at, ago)| now.before(ago) > opened_at) {
            dependency.close_elsewhere();
        } else if standing.prober == Prober::Another {
            breaker.stay_open(dependency.now(), self.look_times(LOOKS_AHEAD + 1));
        } else if is_open_elsewhere {
            // Somebody's probe has failed, and all know it.
            breaker.stay_open(dependency.now(), standing.holds);
        }
    }
}

fn is_by_others(moved: &Transition) -> bool {
    matches!(moved.cause, Cause::OpenElsewhere { .. } | Cause::ByHand { .. })
}
