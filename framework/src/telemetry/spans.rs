//! What is rare enough to be logged at once.

use crate::event::{Event, Observer, State};

/// An observer that tells `tracing`, under the target `seawall`, with the fields `dependency`, `from`, `to`, `restarts`.
///
/// A breaker that opens is a warning, any other move of it information; a rebuilt actor is a warning, one
/// that is left unattended an error. It costs nothing when nobody subscribes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tracing;

impl Observer for Tracing {
    fn on_event(&self, event: &Event) {
        match event {
            Event::Transition { dependency, transition } => {
                let (from, to) = (transition.from.as_str(), transition.to.as_str());
                let dependency = &**dependency;
                match transition.to {
                    State::Open => {
                        tracing::warn!(target: "seawall", dependency, from, to, "circuit breaker opened: calls are refused");
                    }
                    State::HalfOpen => {
                        tracing::info!(target: "seawall", dependency, from, to, "circuit breaker half-open: probing");
                    }
                    State::Closed => {
                        tracing::info!(target: "seawall", dependency, from, to, "circuit breaker closed: calls pass");
                    }
                }
            }
            Event::ActorRestarted { dependency, restarts } => {
                tracing::warn!(target: "seawall", dependency = &**dependency, restarts, "actor failed and was rebuilt");
            }
            Event::ActorUnattended { dependency } => {
                tracing::error!(target: "seawall", dependency = &**dependency, "actor keeps failing and is left alone; calls go on under the last policy");
            }
        }
    }
}
