//! The quota that a dependency's own answers tell of: slowing down before it has to refuse.

use std::time::Duration;

use once_cell::race::OnceBox;

use crate::clock::Moment;
use crate::limit::headers::Report;
use crate::limit::{Pacer, PacerConfig, Refusal, Reservation};
use crate::sync::{AtomicU64, Ordering};

/// A pacer, if there has ever been need of one. It stays while it is off, because reservations that are out are numbers of its.
#[derive(Debug)]
pub(crate) struct Quota {
    pacer: OnceBox<Pacer>,
    is_on: AtomicU64,
}

impl Quota {
    pub(crate) fn new() -> Self {
        Self { pacer: OnceBox::new(), is_on: AtomicU64::new(0) }
    }

    /// Goes by these settings from now on, and keeps what it has learned.
    pub(super) fn set(&self, config: Option<PacerConfig>) {
        if let Some(config) = config {
            self.pacer.get_or_init(|| Box::new(Pacer::new(config))).reconfigure(config);
        }
        self.is_on.store(u64::from(config.is_some()), Ordering::Release);
    }

    pub(crate) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Acquire) != 0
    }

    /// A reservation for `latest`, or before; none is needed while it is off.
    pub(crate) fn pace(&self, now: Moment, latest: Moment) -> Result<Option<Reservation>, Refusal> {
        let left = latest.since(now);
        self.pacer
            .get()
            .filter(|_| self.is_on())
            .map(|pacer| pacer.pace_within(now, left))
            .transpose()
    }

    pub(crate) fn learn(&self, now: Moment, reservation: Reservation, report: &Report) {
        if let Some(pacer) = self.pacer.get() {
            pacer.learn(now, reservation, report);
        }
    }

    pub(crate) fn refund(&self, reservation: Reservation) {
        if let Some(pacer) = self.pacer.get() {
            pacer.refund(reservation);
        }
    }
}

/// A reservation of an attempt that the dependency has not seen yet, given back when dropped.
#[derive(Debug)]
pub(crate) struct UnusedReservation<'a> {
    quota: &'a Quota,
    reservation: Option<Reservation>,
}

impl<'a> UnusedReservation<'a> {
    pub(crate) fn new(quota: &'a Quota, reservation: Option<Reservation>) -> Self {
        Self { quota, reservation }
    }

    /// How long it has to wait.
    pub(crate) fn wait(&self) -> Duration {
        self.reservation.map_or(Duration::ZERO, |reservation| reservation.wait())
    }

    /// Hands the reservation to somebody who sees to it.
    pub(crate) fn take(mut self) -> Option<Reservation> {
        self.reservation.take()
    }
}

impl Drop for UnusedReservation<'_> {
    fn drop(&mut self) {
        if let Some(reservation) = self.reservation.take() {
            self.quota.refund(reservation);
        }
    }
}
