//! Sliding window log: remembers everything, forgets each a window later.

use std::collections::VecDeque;
use std::time::Duration;

use super::algorithm::{Algorithm, Decision, MAX_RESERVATION, Refusal, SET_BACK_NANOS};
use super::quota::Quota;
use crate::clock::{Moment, nanos};
use crate::sync::Mutex;

/// A log that is this empty and was larger gives memory back.
const SPARE_ENTRIES: usize = 64;

/// A sliding window log (A. Xu, "System Design Interview", 2020, chapter 4): the moment of everything
/// that was taken, for one window's length. Its state is a list behind a lock.
///
/// | mechanism | bursts | memory | best for | time | space | accuracy | distributed |
/// | --- | --- | --- | --- | --- | --- | --- | --- |
/// | tracks each request's timestamp | good | O(n) | high accuracy needs | O(n) for cleanup, amortised O(1) | O(n) requests | high: exact to the nanosecond | medium (set operations) |
///
/// In no stretch of time as long as the window is more than the limit taken, wherever it begins. What is
/// taken at `t` counts until just before `t` plus the window. Entries of the same moment are one; memory
/// grows with what was really taken in a window, whatever the limit, never beyond it (and what is
/// reserved ahead), and is given back when it has been used.
///
/// A reservation is an entry ahead of its time; nobody else takes anything before it. Given back,
/// it leaves the log, from anywhere in it.
///
/// While the clock is behind the log, because it went back, time stands still at the latest entry. Set back
/// by more than an hour and 10 s, the log is moved back with it.
#[derive(Clone, Copy, Debug)]
pub struct SlidingLog {
    limit: u64,
    window: u64,
}

/// What a [`SlidingLog`] remembers.
#[derive(Debug, Default)]
pub struct Log(pub(super) Mutex<Entries>);

#[derive(Debug, Default)]
pub(super) struct Entries {
    /// In order of time, no two of the same.
    pub(super) entries: VecDeque<LoggedAmount>,
    /// Of all of them.
    total: u128,
    /// The latest that was taken ahead of its time.
    reserved_until: u64,
    /// The latest that has been forgotten: what was taken up to then cannot be given back.
    forgotten_until: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct LoggedAmount {
    at: u64,
    amount: u64,
}

impl Entries {
    fn last(&self) -> u64 {
        self.entries.back().map_or(0, |entry| entry.at)
    }

    fn push(&mut self, at: u64, amount: u64) {
        self.total += u128::from(amount);
        match self.entries.back_mut() {
            // Within a window there is never more than the limit, so it fits.
            Some(last) if last.at == at => last.amount = last.amount.saturating_add(amount),
            _ => self.entries.push_back(LoggedAmount { at, amount }),
        }
    }

    /// Forgets what is a window old.
    fn forget(&mut self, now: u64, window: u64) {
        while let Some(entry) = self.entries.front().copied() {
            if now.saturating_sub(entry.at) < window {
                break;
            }
            self.total -= u128::from(entry.amount);
            self.forgotten_until = Some(entry.at);
            self.entries.pop_front();
        }
        let (used, held) = (self.entries.len(), self.entries.capacity());
        if held > SPARE_ENTRIES && used < held / 4 {
            self.entries.shrink_to(used * 2);
        }
    }

    /// The clock was set back: so is the log.
    #[cold]
    fn set_back(&mut self, now: u64) {
        let by = self.last().saturating_sub(now);
        for entry in &mut self.entries {
            entry.at = entry.at.saturating_sub(by);
        }
        self.reserved_until = 0;
        self.forgotten_until = None;
    }
}

/// What can be taken, and when.
struct Fit {
    /// As what moment it would go into the log. It may be later than any clock can say.
    at: u128,
    wait: Duration,
}

impl SlidingLog {
    /// What these settings ask for.
    #[must_use]
    pub fn new(quota: &Quota) -> Self {
        Self { limit: quota.limit(), window: nanos(quota.window()) }
    }

    /// The moment by which the log goes: while the clock is behind it, its latest.
    fn present(log: &Entries, now: u64) -> u64 {
        now.max(log.last())
    }

    /// What counts at the moment by which the log goes.
    fn taken(&self, log: &Entries, now: u64) -> u128 {
        let present = Self::present(log, now);
        let over = log.entries.iter().take_while(|entry| present - entry.at >= self.window);
        log.total - over.map(|entry| u128::from(entry.amount)).sum::<u128>()
    }

    /// The earliest moment at which `cost`, at most the limit, fits.
    fn fit(&self, log: &Entries, now: u64, cost: u64) -> Fit {
        let present = Self::present(log, now);
        let mut at = u128::from(present);
        let mut excess = (log.total + u128::from(cost)).saturating_sub(u128::from(self.limit));
        for entry in &log.entries {
            if excess == 0 {
                break;
            }
            // It must have gone by then, and so must everything before it.
            at = at.max(u128::from(entry.at) + u128::from(self.window));
            excess = excess.saturating_sub(u128::from(entry.amount));
        }
        let is_at_once = at == u128::from(present) && log.reserved_until <= now;
        let wait = if is_at_once { 0 } else { at - u128::from(now) };
        Fit { at, wait: Duration::from_nanos(u64::try_from(wait).unwrap_or(u64::MAX)) }
    }

    /// Takes `cost` at the latest in `longest`.
    fn claim(
        &self,
        log: &mut Entries,
        now: Moment,
        cost: u64,
        longest: Duration,
    ) -> Result<Duration, Refusal> {
        if cost == 0 {
            return Ok(Duration::ZERO);
        }
        if cost > self.limit {
            return Err(Refusal { retry_after: None });
        }
        let now = now.as_nanos();
        if log.last().saturating_sub(now) > SET_BACK_NANOS {
            log.set_back(now);
        }
        log.forget(now, self.window);
        let Fit { at, wait } = self.fit(log, now, cost);
        let (Ok(at), true) = (u64::try_from(at), wait <= longest) else {
            return Err(Refusal { retry_after: Some(wait.saturating_sub(longest)) });
        };
        log.push(at, cost);
        if !wait.is_zero() {
            log.reserved_until = at;
        }
        Ok(wait)
    }

    fn decision(&self, log: &Entries, now: Moment, refused: Option<Refusal>) -> Decision {
        let now = now.as_nanos();
        let left = u128::from(self.limit).saturating_sub(self.taken(log, now));
        let is_ahead = log.reserved_until > now;
        // Saturates after 584 years.
        let reset_at = log.entries.back().map_or(0, |last| last.at.saturating_add(self.window));
        Decision {
            allowed: refused.is_none(),
            limit: self.limit,
            remaining: if is_ahead { 0 } else { u64::try_from(left).unwrap_or(self.limit) },
            reset_after: Duration::from_nanos(reset_at.saturating_sub(now)),
            retry_after: refused.and_then(|refusal| refusal.retry_after),
        }
    }
}

impl Algorithm for SlidingLog {
    type State = Log;

    fn start(&self, _: Moment) -> Log {
        Log::default()
    }

    fn limit(&self) -> u64 {
        self.limit
    }

    fn try_take(&self, log: &Log, now: Moment, cost: u64) -> Result<(), Refusal> {
        self.claim(&mut log.0.lock(), now, cost, Duration::ZERO).map(|_| ())
    }

    fn check(&self, log: &Log, now: Moment, cost: u64) -> Decision {
        let mut log = log.0.lock();
        let taken = self.claim(&mut log, now, cost, Duration::ZERO);
        self.decision(&log, now, taken.err())
    }

    fn peek(&self, log: &Log, now: Moment, cost: u64) -> Decision {
        let log = log.0.lock();
        let refused = if cost == 0 {
            None
        } else if cost > self.limit {
            Some(Refusal { retry_after: None })
        } else {
            let wait = self.fit(&log, now.as_nanos(), cost).wait;
            (!wait.is_zero()).then_some(Refusal { retry_after: Some(wait) })
        };
        self.decision(&log, now, refused)
    }

    fn reserve(
        &self,
        log: &Log,
        now: Moment,
        cost: u64,
        max_wait: Duration,
    ) -> Result<Duration, Refusal> {
        self.claim(&mut log.0.lock(), now, cost, max_wait.min(MAX_RESERVATION))
    }

    fn refund(&self, log: &Log, _: Moment, cost: u64, taken_for: Moment) {
        let mut log = log.0.lock();
        let taken_for = taken_for.as_nanos();
        if log.forgotten_until.is_some_and(|until| taken_for <= until) {
            return;
        }
        // Any clock was a little behind is in the log as the moment that it had reached.
        let at = log.entries.partition_point(|entry| entry.at < taken_for);
        let Some(entry) = log.entries.get_mut(at) else { return };
        let back = cost.min(entry.amount);
        entry.amount -= back;
        if entry.amount == 0 {
            log.entries.remove(at);
        }
        log.total -= u128::from(back);
        log.reserved_until = log.reserved_until.min(log.last());
    }

    fn spent(&self, log: &Log, now: Moment) -> u64 {
        u64::try_from(self.taken(&log.0.lock(), now.as_nanos())).unwrap_or(u64::MAX)
    }

    fn start_spent(&mut self, now: Moment, spent: u64) -> Log {
        let log = Log::default();
        if spent > 0 {
            log.0.lock().push(now.as_nanos(), spent);
        }
        log
    }

    fn is_fresh(&self, log: &Log, now: Moment) -> bool {
        let log = log.0.lock();
        log.entries.back().is_none_or(|last| {
            now.as_nanos().checked_sub(last.at).is_some_and(|age| age >= self.window)
        })
    }
}
