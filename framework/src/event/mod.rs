//! What happened, as data for observers.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::clock::Moment;
use crate::error::{DependencyName, RejectedBy};
use crate::outcome::{CallOutcome, Outcome};

mod cause;
mod sampler;

pub use cause::Cause;
pub use sampler::SAMPLE_EVERY;
pub(crate) use sampler::Sampler;

/// A breaker's state. *Open* always means that calls are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Calls pass; all of them, unless the breaker has a slow start (`breaker.ramp_for`) and that is going on.
    Closed,
    /// Calls are refused.
    Open,
    /// A few probes pass, to find out whether the dependency has recovered.
    HalfOpen,
}

impl State {
    /// Every state, in the order of [`State::index`].
    pub const ALL: &[Self] = &Self::EVERY;
    pub(crate) const EVERY: [Self; 3] = [Self::Closed, Self::Open, Self::HalfOpen];

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
///
/// Nobody holds a lock while telling of a move, so those of one breaker may be told in another order than they
/// were made, and two may have the same [`Transition::at`]. A reader that follows the state keeps the one with the
/// highest [`Transition::sequence`], and passes over any that comes after it with a lower one:
///
/// ```
/// use seawall::event::{State, Transition};
///
/// /// The latest move of one breaker that was told of.
/// #[derive(Default)]
/// struct Latest(Option<Transition>);
///
/// impl Latest {
///     fn hear(&mut self, told: Transition) -> Option<State> {
///         if self.0.is_none_or(|latest| told.sequence > latest.sequence) {
///             self.0 = Some(told);
///         }
///         self.0.map(|latest| latest.to)
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Transition {
    /// When, on the clock that the breaker is driven by.
    #[serde(serialize_with = "seconds")]
    pub at: Moment,
    /// Out of this state.
    pub from: State,
    /// Into this one.
    pub to: State,
    /// Which of this breaker's moves it is: 1 for the first, one more for each, and never the same again (it
    /// has 64 bits). A gap is a move that has not been told of yet, or never will be, to a subscriber that fell
    /// behind. A dependency that is spawned again, and a key that was forgotten, have another breaker, and it
    /// begins at 1.
    pub sequence: u64,
    /// Why.
    pub cause: Cause,
    /// For how long calls are refused, if that was decided: of a move into open that was not made by hand.
    pub open_for: Option<Duration>,
    /// How the last attempt ended that counted against the dependency, if there was one since the start.
    pub last_failure: Option<Outcome>,
}

pub(crate) fn seconds<S: serde::Serializer>(at: &Moment, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(at.as_nanos() as f64 / 1e9)
}

/// What an operator, or a test, has told a breaker by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Command {
    /// Refuse every call until a reset.
    ForceOpen,
    /// Admit every call until a reset.
    ForceClosed,
    /// As forced closed, but reported as disabled.
    Disable,
    /// Go on judging, and refuse nothing, until a reset.
    Observe,
    /// Close, forget what was seen, and decide for itself again.
    Reset,
}

impl Command {
    /// Every command.
    pub const ALL: &[Self] = &Self::EVERY;
    pub(crate) const EVERY: [Self; 5] =
        [Self::ForceOpen, Self::ForceClosed, Self::Disable, Self::Observe, Self::Reset];

    /// As logs and data spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ForceOpen => "force_open",
            Self::ForceClosed => "force_closed",
            Self::Disable => "disable",
            Self::Observe => "observe",
            Self::Reset => "reset",
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Something that happened to a dependency. Calls are not events: they are counted. Of refusals, failures, fallbacks and slow
/// calls, which come by the thousand, some are told of as examples, at most one in [`SAMPLE_EVERY`] of
/// each kind, with the number of those that were not.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The breaker moved. Moves may be told in another order than they were made: see
    /// [`sequence`](Transition::sequence).
    Transition {
        /// Whose breaker.
        dependency: DependencyName,
        /// The move.
        transition: Transition,
    },
    /// The breaker of one key moved. Sampled, for each dependency.
    KeyMoved {
        /// Whose.
        dependency: DependencyName,
        /// The key; `None` for the breaker that keys share for which there is no room.
        key: Option<Arc<str>>,
        /// The move.
        transition: Transition,
        /// Moves of this dependency's keys since the last one that was told of, this one not counted.
        unreported: u64,
    },
    /// A guard refused an attempt. Sampled, for each dependency and guard.
    Refused {
        /// When.
        at: Moment,
        /// Who was to be called.
        dependency: DependencyName,
        /// Which guard refused.
        by: RejectedBy,
        /// When it is worth coming back, where that is known.
        retry_after: Option<Duration>,
        /// Refusals by this guard since the last one that was told of, this one not counted.
        unreported: u64,
    },
    /// An attempt took as long as a slow call (`slow_call` of the breaker, else its timeout), or longer,
    /// whatever became of it. Sampled, for each method.
    SlowCall {
        /// When it ended.
        at: Moment,
        /// Who was called.
        dependency: DependencyName,
        /// The method.
        method: &'static str,
        /// How long it took.
        took: Duration,
        /// How it ended.
        outcome: Outcome,
        /// Slow attempts of this method since the last one that was told of, this one not counted.
        unreported: u64,
    },
    /// An attempt failed, timed out or panicked. Sampled, for each dependency and outcome.
    AttemptFailed {
        /// When.
        at: Moment,
        /// Who was called.
        dependency: DependencyName,
        /// The method.
        method: &'static str,
        /// How it ended.
        outcome: Outcome,
        /// How long it took.
        took: Duration,
        /// Attempts that ended so since the last one that was told of, this one not counted.
        unreported: u64,
    },
    /// A fallback answered a call in the dependency's place. Sampled, for each dependency.
    FellBack {
        /// When.
        at: Moment,
        /// Who was called.
        dependency: DependencyName,
        /// The method.
        method: &'static str,
        /// How the call would have ended without it.
        instead_of: CallOutcome,
        /// Which guard had refused the last attempt, if one had.
        refused_by: Option<RejectedBy>,
        /// Fallbacks that answered since the last one that was told of, this one not counted.
        unreported: u64,
    },
    /// A limit in front of a server has refused a request. Sampled, for each limit and policy.
    LimitRefused {
        /// When.
        at: Moment,
        /// The limit, by the name that it was given to `Seawall::watch_limit` under.
        limit: Arc<str>,
        /// The policy that refused: a tier's, a layer's, the cap's.
        policy: Arc<str>,
        /// Refusals by this policy since the last one that was told of, this one not counted.
        unreported: u64,
    },
    /// The breaker was told something by hand. What it does thereupon follows as a [`Event::Transition`],
    /// if it moves.
    CommandExecuted {
        /// When.
        at: Moment,
        /// Whose breaker.
        dependency: DependencyName,
        /// What it was told.
        command: Command,
        /// Who said so, if the order was given in somebody's name: `DependencyHandle::by`.
        author: Option<Arc<str>>,
    },
    /// The dependency goes by another policy from now on.
    Reloaded {
        /// When.
        at: Moment,
        /// Whose.
        dependency: DependencyName,
        /// What is different, setting by setting: `Policy::changes`.
        changes: Arc<[String]>,
    },
    /// The policy has settings for a method that no trait on the dependency has: a name misspelt, perhaps. Told once, when
    /// the dependency is spawned or its policy reloaded.
    UnknownMethod {
        /// When.
        at: Moment,
        /// Whose policy.
        dependency: DependencyName,
        /// The name in the policy.
        method: Arc<str>,
        /// The known method that is meant, if one is a slip of the finger away.
        nearest: Option<Arc<str>>,
    },
    /// A setting of the policy does not do what it says, beside the others: `Policy::warnings`. Each is told once, when
    /// Seawall is started or reloaded, or the dependency is spawned.
    PolicyWarning {
        /// When.
        at: Moment,
        /// Whose policy.
        dependency: DependencyName,
        /// Which setting, what is wrong with it, and what to write instead.
        warning: Arc<str>,
    },
    /// The policy file has a section that no dependency was spawned for: a name misspelt, perhaps. Told once, a minute after
    /// the start or later.
    UnspawnedSection {
        /// When.
        at: Moment,
        /// The section's name.
        dependency: DependencyName,
        /// The spawned dependency that is meant, if one is a slip of the finger away.
        nearest: Option<Arc<str>>,
    },
    /// The dependency's actor died and was rebuilt on the same gate.
    ActorRestarted {
        /// When.
        at: Moment,
        /// Whose actor.
        dependency: DependencyName,
        /// How often that has happened in all.
        restarts: u64,
    },
    /// What the dependency's breaker has learned could not be read, or not be kept. It goes on with what it
    /// has, and will be tried again.
    HistoryTrouble {
        /// When.
        at: Moment,
        /// Whose.
        dependency: DependencyName,
        /// What went wrong, and where, for people.
        trouble: String,
    },
    /// The dependency's actor kept failing and is left alone for a while. Calls go on under the last policy.
    ActorUnattended {
        /// When.
        at: Moment,
        /// Whose actor.
        dependency: DependencyName,
    },
}

impl Event {
    /// When it happened, on the clock that [`Seawall::now`](crate::Seawall::now) reads.
    #[must_use]
    pub fn at(&self) -> Moment {
        match self {
            Self::Transition { transition, .. } | Self::KeyMoved { transition, .. } => {
                transition.at
            }
            Self::Refused { at, .. }
            | Self::SlowCall { at, .. }
            | Self::AttemptFailed { at, .. }
            | Self::FellBack { at, .. }
            | Self::LimitRefused { at, .. }
            | Self::CommandExecuted { at, .. }
            | Self::Reloaded { at, .. }
            | Self::UnknownMethod { at, .. }
            | Self::PolicyWarning { at, .. }
            | Self::UnspawnedSection { at, .. }
            | Self::ActorRestarted { at, .. }
            | Self::HistoryTrouble { at, .. }
            | Self::ActorUnattended { at, .. } => *at,
        }
    }

    /// Whom it happened to: a dependency, or a limit.
    #[must_use]
    pub fn dependency(&self) -> &str {
        match self {
            Self::Transition { dependency, .. }
            | Self::KeyMoved { dependency, .. }
            | Self::Refused { dependency, .. }
            | Self::SlowCall { dependency, .. }
            | Self::AttemptFailed { dependency, .. }
            | Self::FellBack { dependency, .. }
            | Self::CommandExecuted { dependency, .. }
            | Self::Reloaded { dependency, .. }
            | Self::UnknownMethod { dependency, .. }
            | Self::PolicyWarning { dependency, .. }
            | Self::UnspawnedSection { dependency, .. }
            | Self::ActorRestarted { dependency, .. }
            | Self::HistoryTrouble { dependency, .. }
            | Self::ActorUnattended { dependency, .. } => dependency,
            Self::LimitRefused { limit, .. } => limit,
        }
    }
}

/// Tells an observer. Its panics are its own.
pub(crate) fn tell(observer: &dyn Observer, event: &Event) {
    if catch_unwind(AssertUnwindSafe(|| observer.on_event(event))).is_err() {
        tracing::error!(dependency = event.dependency(), "an observer panicked");
    }
}

/// Told of every [`Event`], in the task where it happened: be quick, do not block.
/// A panic in an observer is caught and goes no further.
pub trait Observer: Send + Sync + 'static {
    /// Something happened.
    fn on_event(&self, event: &Event);
}

/// Told of everything, and does nothing about it.
#[cfg(any(all(test, not(seawall_loom)), feature = "simulation"))]
pub(crate) struct Silent;

#[cfg(any(all(test, not(seawall_loom)), feature = "simulation"))]
impl Observer for Silent {
    fn on_event(&self, _: &Event) {}
}
