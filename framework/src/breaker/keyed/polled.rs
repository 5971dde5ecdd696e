//! What a poll of all keys did.

use crate::event::Transition;

/// A move that [`Keyed::poll`](super::Keyed::poll) made.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Moved<K> {
    /// Whose; `None` for the overflow breaker.
    pub key: Option<K>,
    /// From which state into which.
    pub transition: Transition,
}

/// What one [`Keyed::poll`](super::Keyed::poll) did.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Polled<K> {
    /// The breakers that went on to half-open.
    pub moved: Vec<Moved<K>>,
    /// How many keys were idle and are forgotten.
    pub evicted: usize,
}
