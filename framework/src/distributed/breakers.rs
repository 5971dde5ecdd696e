//! Breakers that open, probe and close with those of other instances.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Moment;
use crate::constraint::{Constraints, InvalidSettings};
use crate::dependency::Dependency;
use crate::event::State;

use super::store::{BoardReport, BoardStanding, BoardWord, Store};
use super::within::within;

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
    /// Whether others have been told that it is open.
    has_told: bool,
}

impl Watch {
    pub(crate) fn new(instance: Arc<str>, settings: SharedBreakers) -> Self {
        Self { instance, settings, opened_at: None, has_told: false }
    }

    /// Tells how it is here, hears how it is elsewhere, and does what follows from that. If the store does not answer by the next
    /// look, the breaker is on its own until then.
    pub(crate) async fn look(&mut self, store: &dyn Store, dependency: &Dependency) {
        let time = dependency.time().clone();
        let now = time.now();
        let report = self.report(dependency, now);
        let told_open = report.word == BoardWord::Open;
        let answer = within(&time, report.deadline, store.board(report)).await;
        let Some(Ok(standing)) = answer else { return };
        self.has_told = told_open;
        self.follow(dependency, &standing, now);
    }

    fn report(&mut self, dependency: &Dependency, now: Moment) -> BoardReport {
        let breaker = dependency.gate().breaker();
        let state = breaker.state();
        let left = breaker.open_left(now);
        let look = self.settings.look_every;
        let held = look.saturating_mul(LOOKS_HELD);
        let is_closed = state == State::Closed;
        match (is_closed, self.opened_at) {
            (true, _) => self.opened_at = None,
            (false, None) => self.opened_at = Some(now),
            (false, Some(_)) => {}
        }
        let is_own =
            || {
                let report = breaker.report(now);
                report.transitions.iter().rev().find(|moved| moved.to == State::Open).is_some_and(
                    |moved| !matches!(moved.cause.as_str(), "open_elsewhere" | "by_hand"),
                )
            };
        let word = match is_closed {
            true if self.has_told => BoardWord::Closed,
            true => BoardWord::Look,
            false if is_own() => BoardWord::Open,
            false => BoardWord::Look,
        };
        let wants_to_probe = !is_closed && left <= look.saturating_mul(LOOKS_AHEAD);
        BoardReport {
            breaker: Arc::clone(dependency.name()),
            instance: Arc::clone(&self.instance),
            word,
            holds: left.max(held),
            probes_for: if wants_to_probe { held } else { Duration::ZERO },
            deadline: now + look,
        }
    }

    fn follow(&self, dependency: &Dependency, standing: &BoardStanding, now: Moment) {
        let breaker = dependency.gate().breaker();
        let others = u32::try_from(standing.open).unwrap_or(u32::MAX);
        let look = self.settings.look_every;
        match (breaker.state(), self.opened_at) {
            (State::Closed, _) => {
                if others >= self.settings.quorum {
                    let counts = (others, self.settings.quorum);
                    dependency.open_elsewhere(counts, standing.holds);
                }
            }
            // By the time it was asked, so that what was closed before it opened is not taken for later.
            (_, Some(opened_at))
                if standing.closed_ago.is_some_and(|ago| now.before(ago) > opened_at) =>
            {
                dependency.close_elsewhere();
            }
            (State::Open, _) if !standing.is_prober => {
                if breaker.open_left(now) <= look.saturating_mul(LOOKS_AHEAD) {
                    breaker.stay_open(dependency.now(), look.saturating_mul(LOOKS_AHEAD + 1));
                }
            }
            (State::Open | State::HalfOpen, _) => {}
        }
    }
}
