//! What a call without a permit says of itself.

use std::task::Waker;

use crate::backpressure::Priority;
use crate::clock::Moment;

use super::keys::HeldKey;

/// A call that finds no permit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claim<'a> {
    pub(crate) key: Option<&'a HeldKey>,
    /// How many permits it needs.
    pub(crate) weight: u32,
    pub(crate) now: Moment,
    pub(crate) priority: Priority,
    /// Of its root request, from 0 to 1: of calls that are equally important, the lowest are shed first.
    pub(crate) lot: f64,
    /// Its task's.
    pub(crate) waker: Option<&'a Waker>,
}

#[cfg(test)]
impl Claim<'_> {
    pub(crate) fn normal(now: Moment) -> Self {
        Self { key: None, weight: 1, now, priority: Priority::NORMAL, lot: 0.5, waker: None }
    }
}
