//! What a breaker remembers from transition to transition, and what only a transition changes.

use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::clock::Moment;
use crate::event::{Cause, State, Transition};
use crate::outcome::Outcome;

use super::adaptive::Memory;
use super::live_probes::LiveProbes;
use super::open_time::OpenTime;

/// How many moves a breaker remembers.
const HISTORY: usize = 256;

/// What there is to tell of a move, beside where it went.
#[derive(Clone, Copy, Debug)]
pub(super) struct Made {
    pub(super) at: Moment,
    pub(super) cause: Cause,
    pub(super) open_for: Option<Duration>,
    pub(super) last_failure: Option<Outcome>,
}

/// A breaker's history, made by what first comes to be remembered: most breakers never move.
#[derive(Debug, Default)]
pub(super) struct LateHistory(Option<Box<History>>);

impl LateHistory {
    pub(super) fn remembering(memory: Option<Arc<Memory>>) -> Self {
        Self(memory.map(|memory| Box::new(History { memory: Some(memory), ..History::default() })))
    }
}

impl Deref for LateHistory {
    type Target = History;

    fn deref(&self) -> &History {
        static NOTHING: OnceLock<History> = OnceLock::new();
        self.0.as_deref().unwrap_or_else(|| NOTHING.get_or_init(History::default))
    }
}

impl DerefMut for LateHistory {
    fn deref_mut(&mut self) -> &mut History {
        self.0.get_or_insert_default()
    }
}

/// What a breaker remembers from transition to transition. Behind its lock.
#[derive(Debug, Default)]
pub(super) struct History {
    pub(super) transitions: VecDeque<Transition>,
    tallies: Tallies,
    /// How many there were.
    made: u64,
    /// An order by hand stands: settings have no say in whether it refuses.
    pub(super) is_by_hand: bool,
    /// What an adaptive threshold goes by; kept while the settings have none.
    pub(super) memory: Option<Arc<Memory>>,
    /// The probes of a half-open breaker: as many as its word says are live.
    pub(super) out: LiveProbes,
    /// Probes in a row that their callers abandoned, since it is half-open.
    pub(super) abandoned_probes: u32,
    pub(super) open_time: OpenTime,
}

/// How many moves there were.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tallies {
    pub(super) counts: [[u64; 3]; 3],
    /// Moves into open, by [`Cause::OPENING`].
    pub(super) openings: [u64; Cause::OPENING.len()],
}

impl History {
    pub(super) fn tallies(&self) -> Tallies {
        self.tallies
    }

    pub(super) fn note(&mut self, (from, to): (State, State), made: Made) -> Transition {
        self.made += 1;
        let Made { at, cause, open_for, last_failure } = made;
        let sequence = self.made;
        let transition = Transition { at, from, to, sequence, cause, open_for, last_failure };
        let tallies = &mut self.tallies;
        let opening = Cause::OPENING.iter().position(|name| *name == cause.as_str());
        if let (State::Open, Some(at)) = (to, opening) {
            // In bounds: as many counts as names.
            tallies.openings[at] += 1;
        }
        tallies.counts[transition.from.index()][transition.to.index()] += 1;
        if self.transitions.len() == HISTORY {
            self.transitions.pop_front();
        }
        self.transitions.push_back(transition);
        transition
    }
}
