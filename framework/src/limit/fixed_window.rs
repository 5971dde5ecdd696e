//! Fixed window: a count that starts again with each window.

use std::time::Duration;

use super::algorithm::{Algorithm, Decision, MAX_RESERVATION, Refusal};
use super::quota::Quota;
use super::window::{WindowState, Windows};
use crate::clock::Moment;
use crate::sync::{AtomicU64, Ordering};

/// A fixed window (a counter that starts again with each window; A. Xu, "System Design Interview",
/// 2020, chapter 4; in Redis: `INCR` and `EXPIRE`). Its state is one atomic word.
///
/// | mechanism | bursts | memory | best for | time | space | accuracy | distributed |
/// | --- | --- | --- | --- | --- | --- | --- | --- |
/// | counts in time windows | poor: twice the limit across a boundary | O(1) | simple use cases, quotas that are told as "so many a minute" | O(1) | O(1): one word | low at boundaries, exact within a window | easy (atomic `INCR`) |
///
/// Windows begin at the multiples of their length on the clock, for all alike, and not with anybody's
/// first request: so everybody's quota is reset at the same moments, and at the end of one window and the
/// beginning of the next twice the limit can be had. That clock is this process's own, which begins when it
/// is first read: a window of a day ends 24 hours after the start, and not at midnight, and a restart
/// begins with a whole quota.
///
/// Up to `2^27` (134 million) a second of the window are counted one by one. A larger limit is counted
/// in coarser units, to which each cost is rounded up: what is refused is too much rather than too little.
///
/// A reservation is for the beginning of a later window, which it opens: what was left of those
/// before is gone, because no newcomer passes one that waits. No window, reserved or not, ever has more than
/// the limit taken in it. Given back, a reservation counts again only in the last window that anybody
/// has reserved; in the middle of the queue its place goes by unused.
///
/// A clock that goes back gains nothing: what is taken counts in the latest window that there was.
/// Set back by more than an hour and 10 s, the present window counts as used up.
#[derive(Clone, Copy, Debug)]
pub struct FixedWindow {
    windows: Windows,
}

/// What was taken in the latest window of a [`FixedWindow`].
#[derive(Debug, Default)]
pub struct WindowCount {
    word: AtomicU64,
}

impl FixedWindow {
    /// What these settings ask for.
    #[must_use]
    pub fn new(quota: &Quota) -> Self {
        Self { windows: Windows::new(quota) }
    }

    /// The latest window as it looks now, and whether the clock was set back since.
    #[inline]
    fn look(&self, word: u64, now: Moment) -> (WindowState, bool) {
        let slot = self.windows.unpack(word);
        let present = self.windows.index(now);
        if slot.index < present || slot.is_vacant() {
            (WindowState::empty(present), false)
        } else if slot.index > present && self.windows.is_set_back(slot.index, now) {
            (WindowState { count: self.windows.units, ..WindowState::empty(present) }, true)
        } else {
            (slot, false)
        }
    }

    /// How the window would be with `units` taken in it, or in the next, and how long until then.
    #[inline]
    fn fit(&self, slot: WindowState, now: Moment, units: u64) -> (WindowState, Duration) {
        let WindowState { index, reserved, count, .. } = slot;
        if units <= self.windows.units.saturating_sub(count) {
            // Reserved, and not begun yet: in line behind the caller that reserved it.
            let wait = if reserved { self.windows.until(index, now) } else { Duration::ZERO };
            (WindowState { count: count + units, reserved: !wait.is_zero(), ..slot }, wait)
        } else {
            let next =
                WindowState { count: units, reserved: true, ..WindowState::empty(index + 1) };
            (next, self.windows.until(index + 1, now))
        }
    }

    /// Takes `cost` in the case of nearly all calls: others have taken something in the present window, and nobody waits for it. One
    /// compare-and-swap, and no division. `None`: it is to be asked the long way.
    #[inline(always)]
    fn take_plainly(
        &self,
        state: &WindowCount,
        now: Moment,
        cost: u64,
    ) -> Option<Result<(), Refusal>> {
        let word = state.word.load(Ordering::Relaxed);
        let is_plain = self.windows.within(word, now).is_some()
            && cost.wrapping_sub(1) < self.windows.limit
            && !self.windows.is_reserved(word);
        if !is_plain {
            return None;
        }
        let units = self.windows.cost(cost);
        if self.windows.count_in(word) + units > self.windows.units {
            let wait = self.windows.until(self.windows.index_in(word) + 1, now);
            return Some(Err(Refusal { retry_after: Some(wait) }));
        }
        // The word stands for itself and publishes nothing else, so relaxed will do.
        state
            .word
            .compare_exchange(word, word + units, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
            .then_some(Ok(()))
    }

    /// Takes `cost` at the latest in `longest`; and how the latest window is after that.
    fn claim(
        &self,
        state: &WindowCount,
        now: Moment,
        cost: u64,
        longest: Duration,
    ) -> (Result<Duration, Refusal>, WindowState) {
        let mut word = state.word.load(Ordering::Relaxed);
        loop {
            let (slot, set_back) = self.look(word, now);
            if cost == 0 {
                return (Ok(Duration::ZERO), slot);
            }
            if cost > self.windows.limit {
                return (Err(Refusal { retry_after: None }), slot);
            }
            let (next, wait) = self.fit(slot, now, self.windows.cost(cost));
            // The beginning of a window stays where it is: so much later, the wait would be short enough.
            let after = wait.saturating_sub(longest);
            let refused = !after.is_zero();
            if refused && !set_back {
                return (Err(Refusal { retry_after: Some(after) }), slot);
            }
            // Of a refusal only that the clock was set back is noted, or it would be for ever.
            let becomes = self.windows.pack(if refused { slot } else { next });
            // The word stands for itself and publishes nothing else, so relaxed will do.
            match state.word.compare_exchange_weak(
                word,
                becomes,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) if refused => return (Err(Refusal { retry_after: Some(after) }), slot),
                Ok(_) => return (Ok(wait), next),
                Err(seen) => word = seen,
            }
        }
    }

    fn decision(&self, slot: WindowState, now: Moment, refused: Option<Refusal>) -> Decision {
        let is_ahead = slot.reserved && self.windows.start(slot.index) > now;
        Decision {
            allowed: refused.is_none(),
            limit: self.windows.limit,
            remaining: if is_ahead { 0 } else { self.windows.rest(slot.count) },
            reset_after: if slot.is_vacant() {
                Duration::ZERO
            } else {
                self.windows.until(slot.index + 1, now)
            },
            retry_after: refused.and_then(|refusal| refusal.retry_after),
        }
    }
}

impl Algorithm for FixedWindow {
    type State = WindowCount;

    fn start(&self, _: Moment) -> WindowCount {
        WindowCount::default()
    }

    fn limit(&self) -> u64 {
        self.windows.limit
    }

    #[inline(always)]
    fn try_take(&self, state: &WindowCount, now: Moment, cost: u64) -> Result<(), Refusal> {
        match self.take_plainly(state, now, cost) {
            Some(taken) => taken,
            None => self.claim(state, now, cost, Duration::ZERO).0.map(|_| ()),
        }
    }

    fn check(&self, state: &WindowCount, now: Moment, cost: u64) -> Decision {
        let (taken, slot) = self.claim(state, now, cost, Duration::ZERO);
        self.decision(slot, now, taken.err())
    }

    fn peek(&self, state: &WindowCount, now: Moment, cost: u64) -> Decision {
        let slot = self.look(state.word.load(Ordering::Relaxed), now).0;
        let refused = if cost == 0 {
            None
        } else if cost > self.windows.limit {
            Some(Refusal { retry_after: None })
        } else {
            let wait = self.fit(slot, now, self.windows.cost(cost)).1;
            (!wait.is_zero()).then_some(Refusal { retry_after: Some(wait) })
        };
        self.decision(slot, now, refused)
    }

    fn reserve(
        &self,
        state: &WindowCount,
        now: Moment,
        cost: u64,
        max_wait: Duration,
    ) -> Result<Duration, Refusal> {
        self.claim(state, now, cost, max_wait.min(MAX_RESERVATION)).0
    }

    fn refund(&self, state: &WindowCount, _: Moment, cost: u64, taken_for: Moment) {
        let index = self.windows.index(taken_for);
        let units = self.windows.cost(cost.min(self.windows.limit));
        // The error is of a window that is over, where it does not count any more.
        let _ = state.word.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |word| {
            let slot = self.windows.unpack(word);
            let left = slot.count.saturating_sub(units);
            (slot.index == index && slot.count > 0).then(|| {
                self.windows.pack(if left == 0 && slot.reserved && index > 0 {
                    // Nobody waits for it any more. The one before counts as used up.
                    WindowState { index: index - 1, count: self.windows.units, ..slot }
                } else {
                    WindowState { count: left, ..slot }
                })
            })
        });
    }

    fn spent(&self, state: &WindowCount, now: Moment) -> u64 {
        let slot = self.look(state.word.load(Ordering::Relaxed), now).0;
        self.windows.amount(slot.count)
    }

    fn start_spent(&mut self, now: Moment, spent: u64) -> WindowCount {
        let count = self.windows.spent_units(spent);
        let slot = WindowState { count, ..WindowState::empty(self.windows.index(now)) };
        WindowCount { word: AtomicU64::new(self.windows.pack(slot)) }
    }

    fn is_fresh(&self, state: &WindowCount, now: Moment) -> bool {
        let slot = self.windows.unpack(state.word.load(Ordering::Relaxed));
        slot.is_vacant() || slot.index < self.windows.index(now)
    }
}
