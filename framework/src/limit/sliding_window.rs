//! Sliding window counter: the present window's count, and the last one's share.

use std::time::Duration;

use super::algorithm::{Algorithm, Decision, MAX_RESERVATION, Refusal};
use super::quota::Quota;
use super::window::{WindowState, Windows};
use crate::clock::Moment;
use crate::sync::{AtomicU64, Ordering};

/// A sliding window counter (Cloudflare, "How we built rate limiting capable of scaling to millions of
/// domains", 2017): what was taken in the window that reaches back from now is estimated as the present
/// window's count, plus the last one's weighted by how much of it is still within reach. Its state is
/// two atomic words.
///
/// | mechanism | bursts | memory | best for | time | space | accuracy | distributed |
/// | --- | --- | --- | --- | --- | --- | --- | --- |
/// | weighted overlap of two windows | good | O(1) | most production use | O(1) | two counters, a word each | good: see below | easy (two counters) |
///
/// The estimate takes what came in the last window as spread evenly over it. So it is exact for an even
/// stream, and for no stream off by more than the last window's count: at the worst, a burst at the very end of
/// one window, nearly twice the limit can pass within one window's length; a burst at its very beginning
/// is held against the next for a window too long. Cloudflare counted 0.003 % of 400 million requests
/// judged wrongly.
///
/// Windows begin at the multiples of their length on the process's clock. Large limits are counted in coarser
/// units, as by [`FixedWindow`](super::FixedWindow).
///
/// A reservation counts from its own moment on, and nobody else takes anything before it, unless it is what
/// somebody has given back. Given back, it counts again as long as its window is one of the two latest;
/// what it had kept closed before stays closed.
///
/// A clock that goes back gains nothing: what is taken counts in the latest window that there was.
/// Set back by more than an hour and 10 s, the present window counts as used up.
#[derive(Clone, Copy, Debug)]
pub struct SlidingWindow {
    windows: Windows,
}

/// What was taken in the two latest windows of a [`SlidingWindow`].
///
/// Even windows have the one word, odd ones the other. Nobody counts anything in a window before
/// the one before it is frozen, and nothing is taken in that any more: so the writer that wins the window's word has
/// judged by what is there. A word is left to the window after next only when the one in between is frozen.
#[derive(Debug, Default)]
pub struct WindowCounts {
    words: [AtomicU64; 2],
}

impl WindowCounts {
    #[inline]
    fn look(&self) -> [u64; 2] {
        self.words.each_ref().map(|word| word.load(Ordering::Acquire))
    }
}

/// The two windows that count, as they look now.
#[derive(Clone, Copy, Debug)]
struct View {
    /// Before the other.
    before: WindowState,
    /// In which anything taken now would count: the present one, or a later one that has been begun.
    latest: WindowState,
    /// The moment by which it is judged: now, or the beginning of that later window.
    present: Moment,
    /// Nobody may have anything before that moment, because somebody waits for it.
    is_reserved: bool,
    is_set_back: bool,
}

/// What became of the plain case; `None`: it is not one.
type Plainly = Option<Result<(), Refusal>>;

/// Where and when something fits.
#[derive(Clone, Copy, Debug)]
struct Fit {
    /// The window.
    index: u64,
    wait: Duration,
}

impl SlidingWindow {
    /// What these settings ask for.
    #[must_use]
    pub fn new(quota: &Quota) -> Self {
        Self { windows: Windows::new(quota) }
    }

    #[inline]
    fn view(&self, words: [u64; 2], now: Moment) -> View {
        let present = self.windows.index(now);
        let slots = words.map(|word| self.windows.unpack(word));
        let find = |index| self.windows.unpack_or_empty(words[(index & 1) as usize], index);
        let newest = slots.iter().filter(|slot| !slot.is_vacant()).max_by_key(|slot| slot.index);
        let (mut index, mut is_reserved, mut is_set_back) = (present, false, false);
        if let Some(newest) =
            newest.filter(|newest| newest.index + u64::from(newest.frozen) > present)
        {
            // Frozen, it is about to be followed by another, if it has not been already.
            index = newest.index + u64::from(newest.frozen);
            is_reserved = newest.reserved;
            is_set_back = self.windows.is_set_back(newest.index, now);
        }
        if is_set_back {
            let latest = WindowState { count: self.windows.units, ..WindowState::empty(present) };
            let before = WindowState::empty(present.saturating_sub(1));
            return View { before, latest, present: now, is_reserved: false, is_set_back };
        }
        View {
            before: index.checked_sub(1).map_or(WindowState::empty(0), find),
            latest: find(index),
            present: now.max(self.windows.start(index)),
            is_reserved,
            is_set_back,
        }
    }

    /// What the window before still weighs at this moment of `index`, times a window's length.
    #[inline]
    fn weight(&self, before: u64, index: u64, at: Moment) -> u128 {
        let over = at.nanos_since(self.windows.start(index));
        u128::from(before) * u128::from(self.windows.nanos.saturating_sub(over))
    }

    /// The window, and how far in it, where what was taken `before` has first lost so much weight that only
    /// `room` units of it are left: in window `index`, or at the beginning of the next.
    fn due(&self, before: u64, index: u64, room: u64) -> (u64, u64) {
        let nanos = self.windows.nanos;
        let kept = (u128::from(room) * u128::from(nanos)).checked_div(u128::from(before));
        match kept.map_or(nanos, |kept| u64::try_from(kept).unwrap_or(nanos).min(nanos)) {
            // All of its weight must be gone: the next window begins without it.
            0 => (index + 1, 0),
            kept => (index, nanos - kept),
        }
    }

    /// The earliest moment at which `units`, at most the limit, fit.
    #[inline]
    fn fit(&self, view: &View, now: Moment, units: u64) -> Fit {
        let View { before, latest, present, is_reserved, .. } = *view;
        if let Some(room) = self.windows.units.checked_sub(latest.count + units) {
            let weight = self.weight(before.count, latest.index, present);
            if weight <= u128::from(room) * u128::from(self.windows.nanos) {
                let wait = if is_reserved { present.since(now) } else { Duration::ZERO };
                return Fit { index: latest.index, wait };
            }
        }
        self.fit_later((latest.index, latest.count, before.count), now, units)
    }

    /// The same, of what does not fit at once: in window `index`, in which `taken` units were taken, and before it `before`.
    #[inline]
    fn fit_later(&self, (index, taken, before): (u64, u64, u64), now: Moment, units: u64) -> Fit {
        let (index, within) = match self.windows.units.checked_sub(taken + units) {
            Some(room) => self.due(before, index, room),
            // Not in this window. In the next this one will be the one before.
            None => self.due(taken, index + 1, self.windows.units - units),
        };
        Fit { index, wait: self.windows.until_within(index, within, now) }
    }

    /// Takes `cost` in the case of nearly all calls: others have taken something in the present window, the one before it is frozen, and
    /// nobody waits. One compare-and-swap, and no division but for a refusal. `None`: it is to be asked the long way.
    #[inline(always)]
    fn take_plainly(&self, state: &WindowCounts, now: Moment, cost: u64) -> Plainly {
        let ([even, odd], [in_even, in_odd]) = (&state.words, state.look());
        // The window's number comes first in a word, so the later window is the larger word. A jump, which the processor foresees: of a
        // choice by arithmetic it would have to wait for the outcome.
        if in_odd > in_even {
            self.take_in(odd, (in_odd, in_even), now, cost)
        } else {
            self.take_in(even, (in_even, in_odd), now, cost)
        }
    }

    #[inline(always)]
    fn take_in(
        &self,
        word: &AtomicU64,
        (latest, before): (u64, u64),
        now: Moment,
        cost: u64,
    ) -> Plainly {
        let over = self.windows.within(latest, now)?;
        let is_open = self.windows.is_open_after_frozen(latest, before);
        if !is_open || cost.wrapping_sub(1) >= self.windows.limit {
            return None;
        }
        let (units, weighs) = (self.windows.cost(cost), self.windows.count_in(before));
        let count = self.windows.count_in(latest);
        let taken = count + units;
        // With all of its weight it fits, or with what is left of that.
        let fits = taken + weighs <= self.windows.units
            || self.windows.units.checked_sub(taken).is_some_and(|room| {
                u128::from(weighs) * u128::from(self.windows.nanos - over)
                    <= u128::from(room) * u128::from(self.windows.nanos)
            });
        if !fits {
            let index = self.windows.index_in(latest);
            let wait = self.fit_later((index, count, weighs), now, units).wait;
            return Some(Err(Refusal { retry_after: Some(wait) }));
        }
        // The one before cannot have been replaced meanwhile: for that, this one has to be frozen first.
        swap(word, latest, latest + units).then_some(Ok(()))
    }

    /// Takes `cost` at the latest in `longest`; and how things are after that.
    fn claim(
        &self,
        state: &WindowCounts,
        now: Moment,
        cost: u64,
        longest: Duration,
    ) -> (Result<Duration, Refusal>, View) {
        loop {
            let words = state.look();
            let mut view = self.view(words, now);
            if cost == 0 {
                return (Ok(Duration::ZERO), view);
            }
            if cost > self.windows.limit {
                return (Err(Refusal { retry_after: None }), view);
            }
            if view.is_set_back {
                self.set_back(state, words, view);
                continue;
            }
            let units = self.windows.cost(cost);
            let fit = self.fit(&view, now, units);
            if fit.wait > longest {
                let after = fit.wait.saturating_sub(longest);
                return (Err(Refusal { retry_after: Some(after) }), view);
            }
            let is_ahead = !fit.wait.is_zero();
            if !self.freeze_before(state, words, fit.index, is_ahead) {
                continue;
            }
            let place = (fit.index & 1) as usize;
            let slot = self.windows.unpack_or_empty(words[place], fit.index);
            let reserved = slot.reserved || (is_ahead && self.windows.start(fit.index) > now);
            let taken = WindowState { count: slot.count + units, reserved, ..slot };
            if swap(&state.words[place], words[place], self.windows.pack(taken)) {
                if fit.index == view.latest.index {
                    view.latest = taken;
                }
                return (Ok(fit.wait), view);
            }
        }
    }

    /// Sees to it that nothing is taken in the window before `index` any more. False: look again.
    #[inline]
    fn freeze_before(
        &self,
        state: &WindowCounts,
        words: [u64; 2],
        index: u64,
        is_ahead: bool,
    ) -> bool {
        let Some(before) = index.checked_sub(1) else { return true };
        let place = (before & 1) as usize;
        let slot = self.windows.unpack_or_empty(words[place], before);
        if slot.frozen {
            return true;
        }
        let frozen = WindowState { frozen: true, reserved: slot.reserved || is_ahead, ..slot };
        // Though it is done, what was seen of the other window may be older: so everything is looked at again.
        let _ = swap(&state.words[place], words[place], self.windows.pack(frozen));
        false
    }

    /// The clock was set back: begins again with a window that is used up.
    #[cold]
    fn set_back(&self, state: &WindowCounts, words: [u64; 2], view: View) {
        let WindowState { index, .. } = view.latest;
        let place = (index & 1) as usize;
        let full = self.windows.pack(view.latest);
        // This first, so that the other is not forgotten before it is there.
        let found = self.windows.unpack(words[place]);
        if found.index == index && found.count >= self.windows.units
            || swap(&state.words[place], words[place], full)
        {
            let before = index
                .checked_sub(1)
                .map(|index| WindowState { frozen: true, ..WindowState::empty(index) });
            let before = before.map_or(0, |before| self.windows.pack(before));
            let _ = swap(&state.words[1 - place], words[1 - place], before);
        }
    }

    fn decision(&self, view: &View, now: Moment, refused: Option<Refusal>) -> Decision {
        let View { before, latest, present, is_reserved, .. } = *view;
        let weight = self.weight(before.count, latest.index, present);
        let weight = weight.div_ceil(u128::from(self.windows.nanos));
        let taken = latest.count.saturating_add(u64::try_from(weight).unwrap_or(u64::MAX));
        let last_in = if latest.count > 0 { Some(latest) } else { Some(before) };
        let last_in = last_in.filter(|slot| slot.count > 0);
        Decision {
            allowed: refused.is_none(),
            limit: self.windows.limit,
            remaining: if is_reserved { 0 } else { self.windows.rest(taken) },
            reset_after: last_in
                .map_or(Duration::ZERO, |slot| self.windows.until(slot.index + 2, now)),
            retry_after: refused.and_then(|refusal| refusal.retry_after),
        }
    }
}

#[inline]
fn swap(word: &AtomicU64, from: u64, to: u64) -> bool {
    word.compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed).is_ok()
}

impl Algorithm for SlidingWindow {
    type State = WindowCounts;

    fn start(&self, _: Moment) -> WindowCounts {
        WindowCounts::default()
    }

    fn limit(&self) -> u64 {
        self.windows.limit
    }

    #[inline(always)]
    fn try_take(&self, state: &WindowCounts, now: Moment, cost: u64) -> Result<(), Refusal> {
        let plainly = self.take_plainly(state, now, cost);
        plainly.unwrap_or_else(|| self.claim(state, now, cost, Duration::ZERO).0.map(|_| ()))
    }

    fn check(&self, state: &WindowCounts, now: Moment, cost: u64) -> Decision {
        let (taken, view) = self.claim(state, now, cost, Duration::ZERO);
        self.decision(&view, now, taken.err())
    }

    fn peek(&self, state: &WindowCounts, now: Moment, cost: u64) -> Decision {
        let view = self.view(state.look(), now);
        let refused = if cost == 0 {
            None
        } else if cost > self.windows.limit {
            Some(Refusal { retry_after: None })
        } else {
            let wait = self.fit(&view, now, self.windows.cost(cost)).wait;
            (!wait.is_zero()).then_some(Refusal { retry_after: Some(wait) })
        };
        self.decision(&view, now, refused)
    }

    fn reserve(
        &self,
        state: &WindowCounts,
        now: Moment,
        cost: u64,
        max_wait: Duration,
    ) -> Result<Duration, Refusal> {
        self.claim(state, now, cost, max_wait.min(MAX_RESERVATION)).0
    }

    fn refund(&self, state: &WindowCounts, _: Moment, cost: u64, taken_for: Moment) {
        let index = self.windows.index(taken_for);
        let units = self.windows.cost(cost.min(self.windows.limit));
        let word = &state.words[(index & 1) as usize];
        // The error is of a window that is over, where it does not count any more.
        let _ = word.fetch_update(Ordering::AcqRel, Ordering::Relaxed, |word| {
            let slot = self.windows.unpack(word);
            let count = slot.count.saturating_sub(units);
            (slot.index == index && slot.count > 0)
                .then(|| self.windows.pack(WindowState { count, ..slot }))
        });
    }

    fn spent(&self, state: &WindowCounts, now: Moment) -> u64 {
        let View { before, latest, present, .. } = self.view(state.look(), now);
        let weight = self.weight(before.count, latest.index, present);
        let before = weight.div_ceil(u128::from(self.windows.nanos));
        // No more than the count that it was.
        self.windows.amount(latest.count.saturating_add(before as u64))
    }

    fn start_spent(&mut self, now: Moment, spent: u64) -> WindowCounts {
        let index = self.windows.index(now);
        let slot =
            WindowState { count: self.windows.spent_units(spent), ..WindowState::empty(index) };
        let counts = WindowCounts::default();
        counts.words[(index & 1) as usize].store(self.windows.pack(slot), Ordering::Relaxed);
        counts
    }

    fn is_fresh(&self, state: &WindowCounts, now: Moment) -> bool {
        let present = self.windows.index(now);
        state.words.iter().all(|word| {
            let slot = self.windows.unpack(word.load(Ordering::Acquire));
            slot.is_vacant()
                || slot.index + 1 < present
                || (slot.count == 0 && slot.index + 1 == present)
        })
    }
}
