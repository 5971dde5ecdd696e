//! What is rare enough to be logged at once.

use crate::error::RejectedBy;
use crate::event::{Event, Observer, State, Transition};
use crate::outcome::Outcome;

/// An observer that tells `tracing`, under the target `seawall`, with the fields `dependency`, `key`, `from`, `to`,
/// `cause`, `last_failure`, `open_for_seconds`, `command`, `author`, `by`, `method`, `outcome`, `took_seconds`, `retry_after_seconds`, `unreported`, `restarts`, `trouble`.
///
/// A breaker that opens is a warning, any other move of it information, and so is an command by hand; a rebuilt
/// actor and a history that cannot be read or kept are warnings, an actor that is left unattended an error.
/// Of what comes by the thousand the first is told at once and then at most one a second, with the number of those that
/// were not: timeouts, panics, fallbacks, and refusals by every guard but the breaker are warnings; failures, refusals by the
/// breaker and slow calls are for debugging. It costs nothing when nobody subscribes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tracing;

/// A move, with why it was made and what follows.
fn tell_of_transition(dependency: &str, transition: &Transition) {
    let Transition { from, to, cause, open_for, last_failure, .. } = transition;
    let (from, to, kind) = (from.as_str(), to.as_str(), cause.as_str());
    let last_failure = last_failure.map(Outcome::as_str);
    let open_for_seconds = open_for.map(|open_for| open_for.as_secs_f64());
    match (transition.to, open_for) {
        (State::Open, Some(open_for)) => {
            let open_for = humantime::format_duration(*open_for);
            tracing::warn!(target: "seawall", dependency, from, to, cause = kind, last_failure, open_for_seconds, "circuit breaker opened: {cause}; calls are refused for {open_for}, then probes are let through");
        }
        (State::Open, None) => {
            tracing::warn!(target: "seawall", dependency, from, to, cause = kind, last_failure, "circuit breaker opened: {cause}; calls are refused until a reset");
        }
        (State::HalfOpen, _) => {
            tracing::info!(target: "seawall", dependency, from, to, cause = kind, "circuit breaker half-open: {cause}; the next calls are probes");
        }
        (State::Closed, _) => {
            tracing::info!(target: "seawall", dependency, from, to, cause = kind, "circuit breaker closed: {cause}; calls pass");
        }
    }
}

/// An attempt that failed: one of many.
fn tell_of_failure(event: &Event) {
    let Event::AttemptFailed { dependency, method, outcome, took, unreported, .. } = event else {
        return;
    };
    let (dependency, ended) = (&**dependency, outcome.as_str());
    let took_seconds = took.as_secs_f64();
    if *outcome == Outcome::Failure {
        tracing::debug!(target: "seawall", dependency, method, outcome = ended, took_seconds, unreported, "an attempt failed");
    } else {
        let what = if *outcome == Outcome::TimedOut { "timed out" } else { "panicked" };
        tracing::warn!(target: "seawall", dependency, method, outcome = ended, took_seconds, unreported, "an attempt {what}");
    }
}

impl Observer for Tracing {
    fn on_event(&self, event: &Event) {
        match event {
            Event::Transition { dependency, transition } => {
                tell_of_transition(dependency, transition);
            }
            Event::KeyMoved { dependency, key, transition, unreported } => {
                let Transition { from, to, cause, .. } = transition;
                let (from, to, kind) = (from.as_str(), to.as_str(), cause.as_str());
                let (dependency, key) = (&**dependency, key.as_deref());
                tracing::info!(target: "seawall", dependency, key, from, to, cause = kind, unreported, "circuit breaker of a key moved: {cause}");
            }
            Event::Refused { dependency, by, retry_after, unreported, .. } => {
                let (dependency, guard) = (&**dependency, by.as_str());
                let retry_after_seconds = retry_after.map(|after| after.as_secs_f64());
                if *by == RejectedBy::Breaker {
                    // It has warned of its opening.
                    tracing::debug!(target: "seawall", dependency, by = guard, retry_after_seconds, unreported, "a call was refused by {by}");
                } else {
                    tracing::warn!(target: "seawall", dependency, by = guard, retry_after_seconds, unreported, "a call was refused by {by}");
                }
            }
            Event::AttemptFailed { .. } => tell_of_failure(event),
            Event::LimitRefused { limit, policy, unreported, .. } => {
                tracing::warn!(target: "seawall", limit = &**limit, policy = &**policy, unreported, "a request was refused by a limit");
            }
            Event::FellBack { dependency, method, instead_of, refused_by, unreported, .. } => {
                let (dependency, instead_of) = (&**dependency, instead_of.as_str());
                let by = refused_by.map(RejectedBy::as_str);
                tracing::warn!(target: "seawall", dependency, method, instead_of, by, unreported, "a fallback answered a call");
            }
            Event::SlowCall { dependency, method, took, outcome, unreported, .. } => {
                let (dependency, outcome) = (&**dependency, outcome.as_str());
                let took_seconds = took.as_secs_f64();
                tracing::debug!(target: "seawall", dependency, method, outcome, took_seconds, unreported, "a call was slow");
            }
            Event::CommandExecuted { dependency, command, author, .. } => {
                let (dependency, command) = (&**dependency, command.as_str());
                tracing::info!(target: "seawall", dependency, command, author = author.as_deref(), "an operator command was executed");
            }
            Event::Reloaded { dependency, changes, .. } => {
                let (dependency, changes) = (&**dependency, changes.join(", "));
                tracing::info!(target: "seawall", dependency, changes, "policy reloaded");
            }
            Event::UnknownMethod { dependency, method, nearest, .. } => {
                let (dependency, nearest) = (&**dependency, nearest.as_deref());
                tracing::warn!(target: "seawall", dependency, method = &**method, did_you_mean = nearest, "the policy has settings for a method that no trait on the dependency has");
            }
            Event::PolicyWarning { dependency, warning, .. } => {
                let (dependency, warning) = (&**dependency, &**warning);
                tracing::warn!(target: "seawall", dependency, warning, "the policy has a setting that does not do what it says");
            }
            Event::UnspawnedSection { dependency, nearest, .. } => {
                let (section, nearest) = (&**dependency, nearest.as_deref());
                tracing::warn!(target: "seawall", section, did_you_mean = nearest, "the policy file has a section that no dependency was spawned for");
            }
            Event::ActorRestarted { dependency, restarts, .. } => {
                tracing::warn!(target: "seawall", dependency = &**dependency, restarts, "actor failed and was rebuilt");
            }
            Event::HistoryTrouble { dependency, trouble, .. } => {
                tracing::warn!(target: "seawall", dependency = &**dependency, trouble, "trouble with what the breaker has learned");
            }
            Event::ActorUnattended { dependency, .. } => {
                tracing::error!(target: "seawall", dependency = &**dependency, "actor keeps failing and is left alone; calls go on under the last policy");
            }
        }
    }
}
