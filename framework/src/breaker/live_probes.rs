//! The probes that are out, each with the time it was let out at: each lives for as long as a probe may.
//!
//! A half-open breaker is rare and its probes are few: plain code before fast code.

use std::time::Duration;

use crate::clock::Moment;

use super::admission::TICKETS;

/// One that is out.
#[derive(Clone, Copy, Debug)]
struct Probe {
    ticket: u32,
    since: Moment,
}

/// Those that are out now, in no order; at most `MAX_HALF_OPEN_CALLS`.
#[derive(Debug, Default)]
pub(super) struct LiveProbes {
    probes: Vec<Probe>,
    /// The next one's. It would come round after two billion probes, and an answer that is late by exactly
    /// that many be taken for another's.
    next: u32,
}

impl LiveProbes {
    /// Lets one out, and tells its ticket.
    pub(super) fn let_out(&mut self, now: Moment) -> u32 {
        let ticket = self.next;
        self.next = (ticket + 1) % TICKETS;
        self.probes.push(Probe { ticket, since: now });
        ticket
    }

    /// Takes one's place back, and tells since when it was out. `None`: it has no place any more.
    pub(super) fn take_back(&mut self, ticket: u32) -> Option<Moment> {
        let at = self.probes.iter().position(|probe| probe.ticket == ticket)?;
        Some(self.probes.swap_remove(at).since)
    }

    /// Takes the places of those back that have been out for as long as a probe may live.
    pub(super) fn take_back_expired(&mut self, life: Duration, now: Moment) {
        self.probes.retain(|probe| now.since(probe.since) < life);
    }

    /// Takes all of them back: the breaker has moved on.
    pub(super) fn take_back_all(&mut self) {
        self.probes = Vec::new();
    }

    /// How many are out.
    pub(super) fn len(&self) -> u32 {
        self.probes.len() as u32
    }

    /// How many are out and have not outlived their life.
    pub(super) fn living(&self, life: Duration, now: Moment) -> u32 {
        self.probes.iter().filter(|probe| now.since(probe.since) < life).count() as u32
    }

    /// Since when the oldest one is out.
    pub(super) fn oldest(&self) -> Option<Moment> {
        self.probes.iter().map(|probe| probe.since).min()
    }
}
