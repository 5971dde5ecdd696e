//! Token bucket: bursts up to its capacity, a sustained rate behind them.

use std::time::Duration;

use super::algorithm::{Algorithm, Decision, MAX_RESERVATION, Refusal};
use super::quota::Rate;
use super::refill::Refill;
use crate::clock::Moment;
use crate::sync::{AtomicU64, Ordering};

/// A token bucket (J. Turner, "New Directions in Communications", 1986; in this form the Generic Cell
/// Rate Algorithm, ITU-T I.371): starts full, refills continuously, never holds more than its capacity.
///
/// | mechanism | bursts | memory | best for | time | space | accuracy | distributed |
/// | --- | --- | --- | --- | --- | --- | --- | --- |
/// | tokens refill at a fixed rate | excellent: up to the capacity | O(1) | APIs with burst tolerance | O(1) | two values in one word | exact to the clock's grain, see below | medium (compare and swap) |
///
/// Time is told in *units* of `2^-unit_bits` tokens, the time in which that much flows in, so costs
/// and capacity are whole numbers of units, and only the reading of the clock is rounded: down, to a
/// unit, which is 2 to 4 ns unless the capacity is so large (above `2^33` tokens at 1 a second)
/// that a coarser unit is needed for it to fit. No rounding adds up. The word is the moment at which
/// the bucket would be full again.
///
/// Given back, a token is worth what cannot have come back by itself since it was taken: all of it at once,
/// nothing when as much has flowed in meanwhile. The word does not say whether the bucket was full in between,
/// and if it was, there would be more than the capacity. Of reservations ahead of their time the last in
/// line is worth all of it; from the middle of the line nothing is to be had, and that turn goes by unused.
///
/// A clock that goes back refills nothing: the bucket is as full as it would have been then, or
/// emptier. Set back by more than an hour and 10 s beyond that, the bucket is empty and refills from
/// there on, instead of refusing until the old time comes round.
#[derive(Clone, Copy, Debug)]
pub struct TokenBucket {
    flow: Refill,
    capacity: u64,
}

/// How full a [`TokenBucket`] is: when it would be full again.
#[derive(Debug, Default)]
pub struct Bucket {
    full_at: AtomicU64,
}

impl TokenBucket {
    /// What these settings ask for.
    #[must_use]
    pub fn new(rate: &Rate) -> Self {
        Self { flow: Refill::new(rate.capacity(), rate.per_second(), 0), capacity: rate.capacity() }
    }

    /// Moves `full_at` on by `cost` units, unless that would be beyond what `allow` allows. What it was before.
    #[inline]
    fn advance(
        &self,
        bucket: &Bucket,
        now: Moment,
        cost: u64,
        allow: impl Fn(u64) -> Result<Duration, Refusal>,
    ) -> (u64, Result<Duration, Refusal>) {
        let present = self.flow.units(now);
        let mut full_at = bucket.full_at.load(Ordering::Relaxed);
        if cost == 0 {
            return (full_at, Ok(Duration::ZERO));
        }
        loop {
            let missing = full_at.saturating_sub(present);
            let wait = match missing.checked_add(cost) {
                Some(after) if after <= self.flow.span => Duration::ZERO,
                _ if missing > self.flow.farthest => {
                    full_at = self.set_back(bucket, full_at, present);
                    continue;
                }
                _ => match allow(full_at) {
                    Ok(wait) => wait,
                    refused => return (full_at, refused),
                },
            };
            // The word stands for itself and publishes nothing else, so relaxed will do.
            match bucket.full_at.compare_exchange_weak(
                full_at,
                // Saturates only for capacities of about 2^63 tokens or after 292 years.
                full_at.max(present).saturating_add(cost),
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return (full_at, Ok(wait)),
                Err(seen) => full_at = seen,
            }
        }
    }

    /// Takes one, if it is there and nobody interferes. False says nothing. A leaf, for where a frame costs more than the taking.
    #[inline]
    pub(super) fn take_one_at_once(&self, bucket: &Bucket, now: Moment) -> bool {
        let (present, one) = (self.flow.units(now), 1 << self.flow.unit_bits);
        let full_at = bucket.full_at.load(Ordering::Relaxed);
        let missing = full_at.saturating_sub(present);
        if self.flow.span.checked_sub(one).is_none_or(|most| missing > most) {
            return false;
        }
        let next = full_at.max(present).saturating_add(one);
        let (before, after) = (Ordering::Relaxed, Ordering::Relaxed);
        bucket.full_at.compare_exchange(full_at, next, before, after).is_ok()
    }

    /// How things are with a bucket that will be full at `full_at`.
    fn decision(&self, now: Moment, full_at: u64, retry_after: Option<Duration>) -> Decision {
        let missing = full_at.saturating_sub(self.flow.units(now));
        Decision {
            allowed: true,
            limit: self.capacity,
            remaining: self.flow.span.saturating_sub(missing) >> self.flow.unit_bits,
            reset_after: self.wait(now, full_at, self.flow.span),
            retry_after,
        }
    }

    /// The clock was set back: starts again from an empty bucket. Returns the word as it is now.
    #[cold]
    fn set_back(&self, bucket: &Bucket, full_at: u64, present: u64) -> u64 {
        let empty = present.saturating_add(self.flow.span);
        match bucket.full_at.compare_exchange(full_at, empty, Ordering::Relaxed, Ordering::Relaxed)
        {
            Ok(_) => empty,
            Err(seen) => seen,
        }
    }

    /// The capacity, in units.
    pub(super) fn span(&self) -> u64 {
        self.flow.span
    }

    /// How many units are there.
    #[inline]
    pub(super) fn left(&self, bucket: &Bucket, now: Moment) -> u64 {
        let full_at = bucket.full_at.load(Ordering::Relaxed);
        self.flow.span.saturating_sub(full_at.saturating_sub(self.flow.units(now)))
    }

    /// How long until so many units, at most the capacity, are there.
    pub(super) fn until_left(&self, bucket: &Bucket, now: Moment, units: u64) -> Duration {
        self.wait(now, bucket.full_at.load(Ordering::Relaxed), units)
    }

    /// The exact wait until `cost` units are there.
    fn wait(&self, now: Moment, full_at: u64, cost: u64) -> Duration {
        // Ordered so that nothing overflows: cost <= span.
        self.flow.wait(now, full_at.saturating_sub(self.flow.span - cost))
    }
}

impl Algorithm for TokenBucket {
    type State = Bucket;

    fn start(&self, _: Moment) -> Bucket {
        Bucket::default()
    }

    fn limit(&self) -> u64 {
        self.capacity
    }

    /// One load and one compare-and-swap when nobody interferes.
    #[inline]
    fn try_take(&self, bucket: &Bucket, now: Moment, cost: u64) -> Result<(), Refusal> {
        if cost > self.capacity {
            return Err(Refusal { retry_after: None });
        }
        let cost = cost << self.flow.unit_bits;
        let refuse = |full_at| Err(Refusal { retry_after: Some(self.wait(now, full_at, cost)) });
        self.advance(bucket, now, cost, refuse).1.map(|_| ())
    }

    #[inline]
    fn has_one(&self, bucket: &Bucket, now: Moment) -> bool {
        self.left(bucket, now) >> self.flow.unit_bits > 0
    }

    fn check(&self, bucket: &Bucket, now: Moment, cost: u64) -> Decision {
        if cost > self.capacity {
            return self.peek(bucket, now, cost);
        }
        let units = cost << self.flow.unit_bits;
        let refuse = |full_at| Err(Refusal { retry_after: Some(self.wait(now, full_at, units)) });
        match self.advance(bucket, now, units, refuse) {
            (before, Ok(_)) => {
                let full_at = before.max(self.flow.units(now)).saturating_add(units);
                self.decision(now, full_at, None)
            }
            (full_at, Err(refusal)) => {
                Decision { allowed: false, ..self.decision(now, full_at, refusal.retry_after) }
            }
        }
    }

    fn peek(&self, bucket: &Bucket, now: Moment, cost: u64) -> Decision {
        let full_at = bucket.full_at.load(Ordering::Relaxed);
        if cost > self.capacity {
            return Decision { allowed: false, ..self.decision(now, full_at, None) };
        }
        let wait = if cost == 0 {
            Duration::ZERO
        } else {
            self.wait(now, full_at, cost << self.flow.unit_bits)
        };
        let allowed = wait.is_zero();
        let retry_after = (!allowed).then_some(wait);
        Decision { allowed, ..self.decision(now, full_at, retry_after) }
    }

    fn reserve(
        &self,
        bucket: &Bucket,
        now: Moment,
        cost: u64,
        max_wait: Duration,
    ) -> Result<Duration, Refusal> {
        if cost > self.capacity {
            return Err(Refusal { retry_after: None });
        }
        let cost = cost << self.flow.unit_bits;
        let longest = max_wait.min(MAX_RESERVATION);
        let ahead = |full_at| {
            let wait = self.wait(now, full_at, cost);
            let after = wait.saturating_sub(longest);
            if after.is_zero() { Ok(wait) } else { Err(Refusal { retry_after: Some(after) }) }
        };
        self.advance(bucket, now, cost, ahead).1
    }

    fn refund(&self, bucket: &Bucket, now: Moment, cost: u64, taken_for: Moment) {
        let cost = cost.min(self.capacity) << self.flow.unit_bits;
        let (present, taken_for) = (self.flow.units(now), self.flow.units(taken_for));
        // Not taken, it would have been there until the bucket was full, if it ever was: then as much of it
        // ran over as flowed in from then on. The word cannot say since when, so all that has flowed in counts.
        let kept = cost.saturating_sub(present.saturating_sub(taken_for));
        // The error is of what is worth nothing.
        let _ = bucket.full_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full_at| {
            let last_turn = full_at.saturating_sub(self.flow.span);
            // A caller in line has been told when to go, and until the last has gone it may run over too.
            let is_behind_all = last_turn <= present || taken_for >= last_turn;
            (is_behind_all && kept > 0).then(|| full_at.saturating_sub(kept))
        });
    }

    fn spent(&self, bucket: &Bucket, now: Moment) -> u64 {
        let missing = bucket.full_at.load(Ordering::Relaxed).saturating_sub(self.flow.units(now));
        self.flow.tokens_up(missing)
    }

    fn start_spent(&mut self, now: Moment, spent: u64) -> Bucket {
        let missing = self.flow.units_of(spent);
        // So far ahead from the beginning, and not because the clock was set back.
        self.flow.farthest = self.flow.farthest.saturating_add(missing);
        Bucket { full_at: AtomicU64::new(self.flow.units(now).saturating_add(missing)) }
    }

    fn is_fresh(&self, bucket: &Bucket, now: Moment) -> bool {
        bucket.full_at.load(Ordering::Relaxed) <= self.flow.units(now)
    }
}
