//! The quota that a dependency's own answers tell of: slowing down before it has to refuse.

use std::sync::OnceLock;
use std::time::Duration;

use crate::clock::Moment;
use crate::limit::headers::Report;
use crate::limit::{Pacer, PacerConfig, Refusal, Turn};
use crate::sync::{AtomicU64, Ordering};

use super::dependency::Dependency;

/// A pacer, if there has ever been need of one. It stays while it is off, because turns that are out are numbers of its.
#[derive(Debug)]
pub(super) struct Quota {
    pacer: OnceLock<Box<Pacer>>,
    is_on: AtomicU64,
}

impl Quota {
    pub(super) fn new() -> Self {
        Self { pacer: OnceLock::new(), is_on: AtomicU64::new(0) }
    }

    /// Goes by these settings from now on, and keeps what it has learned.
    pub(super) fn set(&self, config: Option<PacerConfig>) {
        if let Some(config) = config {
            self.pacer.get_or_init(|| Box::new(Pacer::new(config))).reconfigure(config);
        }
        self.is_on.store(u64::from(config.is_some()), Ordering::Release);
    }

    pub(super) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Acquire) != 0
    }

    /// A turn that comes before `deadline`; none is needed while it is off.
    pub(super) fn pace(&self, now: Moment, deadline: Moment) -> Result<Option<Turn>, Refusal> {
        // At the deadline itself there would be no time left to do anything in.
        let left = Duration::from_nanos(deadline.nanos_since(now).saturating_sub(1));
        self.pacer
            .get()
            .filter(|_| self.is_on())
            .map(|pacer| pacer.pace_within(now, left))
            .transpose()
    }

    pub(super) fn learn(&self, now: Moment, turn: Turn, report: &Report) {
        if let Some(pacer) = self.pacer.get() {
            pacer.learn(now, turn, report);
        }
    }

    pub(super) fn refund(&self, turn: Turn) {
        if let Some(pacer) = self.pacer.get() {
            pacer.refund(turn);
        }
    }
}

/// A turn of an attempt that the dependency has not seen yet, given back when dropped.
#[derive(Debug)]
pub(super) struct Unused<'a> {
    dependency: &'a Dependency,
    turn: Option<Turn>,
}

impl<'a> Unused<'a> {
    pub(super) fn new(dependency: &'a Dependency, turn: Option<Turn>) -> Self {
        Self { dependency, turn }
    }

    /// How long it has to wait.
    pub(super) fn wait(&self) -> Duration {
        self.turn.map_or(Duration::ZERO, |turn| turn.wait())
    }

    /// Hands the turn to somebody who sees to it.
    pub(super) fn take(mut self) -> Option<Turn> {
        self.turn.take()
    }
}

impl Drop for Unused<'_> {
    fn drop(&mut self) {
        if let Some(turn) = self.turn.take() {
            self.dependency.gate().quota().refund(turn);
        }
    }
}
