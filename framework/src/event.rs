//! What happened, for whoever wants to know.

use std::fmt;

use serde::Serialize;

use crate::clock::Moment;
use crate::error::DependencyName;

/// A breaker's state. *Open* always means that calls are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Calls pass.
    Closed,
    /// Calls are refused.
    Open,
    /// A few probes pass, to find out whether the dependency has recovered.
    HalfOpen,
}

impl State {
    /// Every state, in the order of [`State::index`].
    pub const ALL: [Self; 3] = [Self::Closed, Self::Open, Self::HalfOpen];

    /// The label value that metrics use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }

    /// Position in [`State::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A breaker's move from one state to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Transition {
    /// When, on the clock that the breaker is driven by.
    #[serde(serialize_with = "seconds")]
    pub at: Moment,
    /// Out of this state.
    pub from: State,
    /// Into this one.
    pub to: State,
}

fn seconds<S: serde::Serializer>(at: &Moment, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(at.as_nanos() as f64 / 1e9)
}

/// Something that happened to a dependency. Calls are not events: they are counted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The breaker moved.
    Transition {
        /// Whose breaker.
        dependency: DependencyName,
        /// The move.
        transition: Transition,
    },
    /// The dependency's actor died and was rebuilt on the same gate.
    ActorRestarted {
        /// Whose actor.
        dependency: DependencyName,
        /// How often that has happened in all.
        restarts: u64,
    },
    /// The dependency's actor kept failing and is left alone for a while. Calls go on under the last policy.
    ActorUnattended {
        /// Whose actor.
        dependency: DependencyName,
    },
}

/// Told of every [`Event`], in the task where it happened: be quick, do not block.
/// A panic in an observer is caught and goes no further.
pub trait Observer: Send + Sync + 'static {
    /// Something happened.
    fn on_event(&self, event: &Event);
}
