//! Leaky bucket: what comes in bursts goes out evenly, or not at all.

use std::time::Duration;

use super::algorithm::{Algorithm, Decision, MAX_RESERVATION, Refusal};
use super::quota::Rate;
use super::refill::Refill;
use crate::clock::Moment;
use crate::sync::{AtomicU64, Ordering};

/// Set while somebody may be waiting for its turn.
const QUEUED: u64 = 1 << 63;
/// Level and clock stay below this each, so that their sum leaves the flag alone.
const MOST: u64 = (1 << 62) - 1;

/// A leaky bucket (J. Turner, "New Directions in Communications", 1986; as a meter the Generic Cell Rate
/// Algorithm, ITU-T I.371). Everything taken fills it, it leaks at a constant rate, and what would make it
/// run over is refused. Its state is one atomic word.
///
/// | mechanism | bursts | memory | best for | time | space | accuracy | distributed |
/// | --- | --- | --- | --- | --- | --- | --- | --- |
/// | queue with a constant output rate | smooths bursts | O(1) | constant throughput needed | O(1) | two values in one word | exact to the clock's grain | medium (compare and swap) |
///
/// - **A meter that refuses**: [`try_take`](Algorithm::try_take) and [`check`](Algorithm::check) let
///   through at once whatever does not overflow it. That is a token bucket turned upside down.
/// - **A shaper that delays**: [`reserve`](Algorithm::reserve) lets the next one out when everything before
///   it has leaked out: one every `1 / leak_per_second`, however many come at once, and no burst,
///   not even after idling. The capacity is how many may be in the queue, the one whose turn it is included.
///
/// Who asks it as a meter while others wait in the queue has its turn when the queue is empty: nobody passes
/// a call that waits. A reservation is refused when the queue is full or the wait too long, and told when there
/// is both: room, and a short enough wait. Given back, the last in the queue makes room; from the middle of
/// it nothing is to be had, for one that is behind has been told when to go: that turn goes by unused. What
/// was let through and not used is worth what cannot have leaked out since, as of a
/// [`TokenBucket`](super::TokenBucket).
///
/// Time is told as by [`TokenBucket`](super::TokenBucket). A clock that goes back lets nothing leak; set
/// back by more than an hour and 10 s beyond that, the bucket is full and leaks from there on.
/// Capacities above `2^62` count as that; at rates above 250 million a second the clock may say
/// 146 years at most.
#[derive(Clone, Copy, Debug)]
pub struct LeakyBucket {
    flow: Refill,
    capacity: u64,
}

/// How full a [`LeakyBucket`] is: when it would be empty.
#[derive(Debug, Default)]
pub struct Level {
    word: AtomicU64,
}

/// A level as it looks now.
#[derive(Clone, Copy, Debug)]
struct View {
    present: u64,
    /// When it will be empty; not before now.
    empty_at: u64,
    is_queued: bool,
}

impl View {
    fn level(&self) -> u64 {
        self.empty_at - self.present
    }
}

impl LeakyBucket {
    /// What these settings ask for.
    #[must_use]
    pub fn new(rate: &Rate) -> Self {
        let capacity = rate.capacity();
        Self { flow: Refill::new(capacity.min(MOST), rate.per_second(), 1), capacity }
    }

    /// How full it is, and whether the clock was set back since.
    #[inline]
    fn look(&self, word: u64, now: Moment) -> (View, bool) {
        let present = self.flow.units(now).min(MOST);
        let empty_at = word & !QUEUED;
        if empty_at.saturating_sub(present) > self.flow.farthest {
            let empty_at = present + self.flow.span;
            return (View { present, empty_at, is_queued: false }, true);
        }
        let is_queued = word & QUEUED != 0 && empty_at > present;
        (View { present, empty_at: empty_at.max(present), is_queued }, false)
    }

    /// What `cost` takes, in units; `None`: more than it ever holds.
    #[inline]
    fn cost(&self, cost: u64) -> Option<u64> {
        (cost <= self.capacity).then(|| cost.min(MOST) << self.flow.unit_bits)
    }

    /// How long until there is room for so many units.
    #[inline]
    fn until_room(&self, view: &View, now: Moment, units: u64) -> Duration {
        // Ordered so that nothing overflows: units <= span.
        let due = view.empty_at.saturating_sub(self.flow.span - units);
        if due <= view.present { Duration::ZERO } else { self.flow.wait(now, due) }
    }

    fn until_empty(&self, view: &View, now: Moment) -> Duration {
        if view.level() == 0 { Duration::ZERO } else { self.flow.wait(now, view.empty_at) }
    }

    /// As a meter: how long until so many units are let through at once.
    #[inline]
    fn meter(&self, view: &View, now: Moment, units: u64) -> Duration {
        if view.is_queued { self.until_empty(view, now) } else { self.until_room(view, now, units) }
    }

    /// As a meter, takes so many units in the case of nearly all calls: nobody waits. By jumps, which the processor foresees: of a
    /// choice by arithmetic it would have to wait for the outcome. `None`: it is to be asked the long way.
    #[inline(always)]
    fn take_plainly(&self, level: &Level, now: Moment, units: u64) -> Option<Result<(), Refusal>> {
        let word = level.word.load(Ordering::Relaxed);
        let present = self.flow.units(now).min(MOST);
        if units == 0 || word & QUEUED != 0 {
            return None;
        }
        let becomes = if word > present {
            let full = word - present;
            if full > self.flow.farthest {
                return None;
            }
            if full > self.flow.span - units {
                let wait = self.flow.wait(now, word - (self.flow.span - units));
                return Some(Err(Refusal { retry_after: Some(wait) }));
            }
            word + units
        } else {
            present + units
        };
        level
            .word
            .compare_exchange(word, becomes, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
            .then_some(Ok(()))
    }

    /// Takes so many units, if `allow` does; and how full it is after that.
    fn claim(
        &self,
        level: &Level,
        now: Moment,
        units: u64,
        allow: impl Fn(&View) -> Result<Duration, Refusal>,
    ) -> (Result<Duration, Refusal>, View) {
        let mut word = level.word.load(Ordering::Relaxed);
        loop {
            let (view, set_back) = self.look(word, now);
            let allowed = if units == 0 { Ok(Duration::ZERO) } else { allow(&view) };
            let nothing = units == 0 || allowed.is_err();
            if nothing && !set_back {
                return (allowed, view);
            }
            let is_queued = view.is_queued || allowed.is_ok_and(|wait| !wait.is_zero());
            let added = if nothing { 0 } else { units };
            let next = View { empty_at: view.empty_at + added, is_queued, ..view };
            let becomes = next.empty_at | if is_queued { QUEUED } else { 0 };
            // The word stands for itself and publishes nothing else, so relaxed will do.
            match level.word.compare_exchange_weak(
                word,
                becomes,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return (allowed, next),
                Err(seen) => word = seen,
            }
        }
    }

    fn decision(&self, view: &View, now: Moment, refused: Option<Refusal>) -> Decision {
        let room = self.flow.span.saturating_sub(view.level());
        Decision {
            allowed: refused.is_none(),
            limit: self.capacity,
            remaining: match room {
                _ if view.is_queued => 0,
                // A capacity too large for the word is not the span.
                room if room == self.flow.span => self.capacity,
                room => room >> self.flow.unit_bits,
            },
            reset_after: self.until_empty(view, now),
            retry_after: refused.and_then(|refusal| refusal.retry_after),
        }
    }

    fn seen(&self, level: &Level, now: Moment) -> View {
        self.look(level.word.load(Ordering::Relaxed), now).0
    }
}

/// Refused, unless the wait is nothing.
#[inline]
fn at_once(wait: Duration) -> Result<Duration, Refusal> {
    if wait.is_zero() { Ok(wait) } else { Err(Refusal { retry_after: Some(wait) }) }
}

const NEVER: Refusal = Refusal { retry_after: None };

impl Algorithm for LeakyBucket {
    type State = Level;

    fn start(&self, _: Moment) -> Level {
        Level::default()
    }

    fn limit(&self) -> u64 {
        self.capacity
    }

    #[inline(always)]
    fn try_take(&self, level: &Level, now: Moment, cost: u64) -> Result<(), Refusal> {
        let units = self.cost(cost).ok_or(NEVER)?;
        if let Some(taken) = self.take_plainly(level, now, units) {
            return taken;
        }
        let meter = |view: &View| at_once(self.meter(view, now, units));
        self.claim(level, now, units, meter).0.map(|_| ())
    }

    fn check(&self, level: &Level, now: Moment, cost: u64) -> Decision {
        let Some(units) = self.cost(cost) else {
            return self.decision(&self.seen(level, now), now, Some(NEVER));
        };
        let meter = |view: &View| at_once(self.meter(view, now, units));
        let (taken, view) = self.claim(level, now, units, meter);
        self.decision(&view, now, taken.err())
    }

    fn peek(&self, level: &Level, now: Moment, cost: u64) -> Decision {
        let view = self.seen(level, now);
        let refused = match self.cost(cost) {
            None => Some(NEVER),
            Some(0) => None,
            Some(units) => at_once(self.meter(&view, now, units)).err(),
        };
        self.decision(&view, now, refused)
    }

    fn reserve(
        &self,
        level: &Level,
        now: Moment,
        cost: u64,
        max_wait: Duration,
    ) -> Result<Duration, Refusal> {
        let units = self.cost(cost).ok_or(NEVER)?;
        let longest = max_wait.min(MAX_RESERVATION);
        let shape = |view: &View| {
            let (room, wait) = (self.until_room(view, now, units), self.until_empty(view, now));
            // Both must be: room in the queue, and a queue that is short enough.
            let after = room.max(wait.saturating_sub(longest));
            at_once(after).map(|_| wait)
        };
        self.claim(level, now, units, shape).0
    }

    fn refund(&self, level: &Level, now: Moment, cost: u64, taken_for: Moment) {
        let units = self.cost(cost.min(self.capacity)).unwrap_or(self.flow.span);
        let present = self.flow.units(now).min(MOST);
        let taken_for = self.flow.units(taken_for).min(MOST);
        // What cannot have leaked out since then.
        let kept = units.saturating_sub(present.saturating_sub(taken_for));
        // The error is of a turn from the middle of the queue, or of what has leaked out.
        let _ = level.word.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |word| {
            let (empty_at, flag) = (word & !QUEUED, word & QUEUED);
            let is_last = empty_at.saturating_sub(units) <= taken_for;
            let is_had = flag == 0 || is_last;
            (is_had && kept > 0).then(|| empty_at.saturating_sub(kept) | flag)
        });
    }

    fn spent(&self, level: &Level, now: Moment) -> u64 {
        let view = self.look(level.word.load(Ordering::Relaxed), now).0;
        self.flow.tokens_up(view.level())
    }

    fn start_spent(&mut self, now: Moment, spent: u64) -> Level {
        let level = self.flow.units_of(spent);
        // So far ahead from the beginning, and not because the clock was set back.
        self.flow.farthest = self.flow.farthest.saturating_add(level);
        let empty_at = self.flow.units(now).min(MOST).saturating_add(level).min(MOST);
        Level { word: AtomicU64::new(empty_at) }
    }

    fn is_fresh(&self, level: &Level, now: Moment) -> bool {
        self.seen(level, now).level() == 0
    }
}
