//! What a breaker says about itself.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use crate::clock::Moment;
use crate::event::{Cause, State, Transition};
use crate::sync::Ordering;

use super::history::Tallies;
use super::state::{CircuitBreaker, Settings};
use super::word::Tag;

/// Whether the breaker decides for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Mode {
    /// It does.
    Automatic,
    /// It does, but refuses nothing.
    Observing,
    /// Held open by hand until a reset.
    ForcedOpen,
    /// Held closed by hand until a reset; outcomes are not counted.
    ForcedClosed,
    /// Admits every call and counts nothing, until a reset.
    Disabled,
}

/// A breaker at one instant.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct BreakerReport {
    /// Its state; open past its time still reads open until somebody looks.
    pub state: State,
    /// Closed, but only a growing share of the calls is let through, see [`Config::ramp`](super::Config::ramp);
    /// [`CircuitBreaker::ramp`](super::CircuitBreaker::ramp) says how large it is. Past its time it still reads
    /// so until somebody looks.
    pub ramping: bool,
    /// Whether it is held by hand.
    pub mode: Mode,
    /// Transitions since the start; wraps at 2^24.
    pub generation: u32,
    /// Calls in the closed window: the one of calls, if there are two; the run of failures, if there is none.
    pub window_calls: u64,
    /// Failures among them.
    pub window_failures: u64,
    /// Slow calls among them, if those count.
    pub window_slow: u64,
    /// Failures in a row, if those count.
    pub failures_in_a_row: u64,
    /// How many in a row open it now, if they count: more than `failures` says only where no policy says anything, see
    /// [`Trip::failures_grow`](super::Trip::failures_grow).
    pub failures_needed: Option<u32>,
    /// Attempts in a row that ended without any answer, if those count.
    pub unanswered: u32,
    /// Probes out; one that has outlived its life is out until somebody looks.
    pub probes: u32,
    /// Calls that an observing breaker would have refused.
    pub refusals_withheld: u64,
    /// Answers that came too late to count: after the breaker had moved, or of a probe that had outlived its life.
    pub stale_results: u64,
    /// The latest 256 moves, oldest first.
    pub transitions: Vec<Transition>,
    /// How often each move was made: `[from][to]`, by [`State::index`].
    #[serde(serialize_with = "by_states")]
    pub transition_counts: [[u64; 3]; 3],
    /// How often it opened, by cause: in the order of [`Cause::OPENING`].
    #[serde(serialize_with = "by_causes")]
    pub openings: [u64; Cause::OPENING.len()],
}

/// By the names of the causes: `{"failures": 1, …}`.
fn by_causes<S: Serializer>(
    openings: &[u64; Cause::OPENING.len()],
    to: S,
) -> Result<S::Ok, S::Error> {
    to.collect_map(Cause::OPENING.iter().zip(openings))
}

/// By the names of both states: `{"closed": {"open": 1, …}, …}`.
fn by_states<S: Serializer>(counts: &[[u64; 3]; 3], to: S) -> Result<S::Ok, S::Error> {
    let names = || State::ALL.iter().map(|state| state.as_str());
    to.collect_map(
        names().zip(counts).map(|(from, row)| (from, names().zip(row).collect::<BTreeMap<_, _>>())),
    )
}

impl CircuitBreaker {
    /// Everything about it at one instant. What has left its windows by `now` is not in it, as it is not when the breaker
    /// decides. Of a breaker that moves three times while its window is counted, the window is that of the moment before.
    #[must_use]
    pub fn report(&self, now: Moment) -> BreakerReport {
        let mut looks = 3;
        let (moves, word, (tally, run, needed, unanswered)) = loop {
            let seen = self.load().generation();
            // Not under the lock, which trips and probes wait for: a large window takes its time.
            let counted = self.settings.with(|Settings { window, .. }| {
                let words = self.words();
                let (run, needed) = (window.run(words, now), window.required_run(words, now));
                (window.tally(words, now), run, needed, window.unanswered(words, now))
            });
            let moves = self.transitions.lock();
            let word = self.load();
            looks -= 1;
            if looks == 0 || word.generation() == seen {
                break (moves, word, counted);
            }
        };
        let Tallies { counts, openings } = moves.tallies();
        BreakerReport {
            state: word.tag().state(),
            ramping: word.tag() == Tag::Ramping,
            mode: match word.tag() {
                Tag::ForcedOpen => Mode::ForcedOpen,
                Tag::ForcedClosed => Mode::ForcedClosed,
                Tag::Disabled => Mode::Disabled,
                _ if self.is_observing() => Mode::Observing,
                _ => Mode::Automatic,
            },
            generation: word.generation(),
            window_calls: tally.calls,
            window_failures: tally.failures,
            window_slow: tally.slow,
            failures_in_a_row: run,
            failures_needed: needed,
            unanswered,
            probes: if word.tag() == Tag::HalfOpen { word.probes().live } else { 0 },
            refusals_withheld: self.withheld.load(Ordering::Relaxed),
            stale_results: self.stale.load(Ordering::Relaxed),
            transitions: moves.transitions.iter().copied().collect(),
            transition_counts: counts,
            openings,
        }
    }
}
