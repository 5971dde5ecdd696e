//! The last stretch of time: ten buckets, the current one partly full.
//!
//! Moving on to a new bucket clears those in between, under a lock, once a bucket length. Everybody
//! else adds to the current bucket with one CAS. Each bucket carries a tag, so that a writer which
//! slept until its bucket was somebody else's adds nothing to it.

use std::sync::Arc;
use std::time::Duration;

use crate::breaker::adaptive::Memory;
use crate::clock::{Moment, nanos};
use crate::sync::{AtomicU64, CachePadded, Mutex, Ordering};

use super::tally::{Mark, Noted, Tally};

/// How finely the window slides. The model checker would take for ever over ten.
pub(super) const BUCKETS: u64 = if cfg!(seawall_loom) { 3 } else { 10 };

const COUNT_MASK: u64 = (1 << 40) - 1;
const INDEX_MASK: u64 = (1 << 48) - 1;

#[derive(Debug)]
pub(in crate::breaker) struct Timed {
    bucket_nanos: u64,
    /// Generation (16 bits) and the current bucket's number since the clock's origin (48).
    current: AtomicU64,
    /// A bad call was last counted in the bucket of this number, plus one; zero for never.
    last_bad: AtomicU64,
    buckets: CachePadded<[Bucket; BUCKETS as usize]>,
    moving: Mutex<()>,
    /// Learns of what leaves the window in peace. What it holds when the breaker moves is forgotten.
    memory: Option<Arc<Memory>>,
}

/// Tag (24 bits) and count (40), three times.
#[derive(Debug)]
struct Bucket {
    calls: AtomicU64,
    failures: AtomicU64,
    slow: AtomicU64,
}

impl Bucket {
    fn add_to(&self, tally: &mut Tally) {
        // The bad first: they are counted among the calls before they are counted themselves.
        tally.failures += self.failures.load(Ordering::Acquire) & COUNT_MASK;
        tally.slow += self.slow.load(Ordering::Acquire) & COUNT_MASK;
        tally.calls += self.calls.load(Ordering::Acquire) & COUNT_MASK;
    }
}

/// Generation (8 bits) and lap (16): what stands in a bucket's upper bits while `current` is this.
fn tag(current: u64) -> u64 {
    let generation = (current >> 48) & 0xFF;
    let lap = ((current & INDEX_MASK) / BUCKETS) & 0xFFFF;
    (generation << 16 | lap) << 40
}

impl Timed {
    pub(super) fn new(length: Duration, now: Moment) -> Self {
        let window = Self {
            bucket_nanos: nanos(length).div_ceil(BUCKETS).max(1),
            current: AtomicU64::new(0),
            last_bad: AtomicU64::new(0),
            buckets: CachePadded(std::array::from_fn(|_| Bucket {
                calls: AtomicU64::new(0),
                failures: AtomicU64::new(0),
                slow: AtomicU64::new(0),
            })),
            moving: Mutex::new(()),
            memory: None,
        };
        window.start(0, now);
        window
    }

    /// One that tells `memory` of what leaves it.
    pub(super) fn remembered(length: Duration, memory: Arc<Memory>, now: Moment) -> Self {
        Self { memory: Some(memory), ..Self::new(length, now) }
    }

    pub(super) fn bucket_nanos(&self) -> u64 {
        self.bucket_nanos
    }

    fn index(&self, now: Moment) -> u64 {
        (now.as_nanos() / self.bucket_nanos) & INDEX_MASK
    }

    /// What the window holds with this outcome in it, if any of that is bad; `None` for another
    /// generation's, too.
    #[inline]
    pub(super) fn record(&self, generation: u32, mark: Mark, now: Moment) -> Option<Tally> {
        if !mark.is_bad() {
            return self.record_good(generation, now);
        }
        let current = self.count(generation, now)?;
        let (at, tag) = (current & INDEX_MASK, tag(current));
        let bucket = self.bucket(at);
        if mark.failed {
            bump(&bucket.failures, tag);
        }
        if mark.slow {
            bump(&bucket.slow, tag);
        }
        self.last_bad.fetch_max(at + 1, Ordering::AcqRel);
        Some(self.sum())
    }

    /// The same for a good one.
    #[inline]
    pub(super) fn record_good(&self, generation: u32, now: Moment) -> Option<Tally> {
        let at = self.count(generation, now)? & INDEX_MASK;
        // One more good call among good ones cannot open anything.
        self.is_among_bad(at).then(|| self.sum())
    }

    /// Counts a good one, if that can be done at once.
    #[inline]
    pub(in crate::breaker) fn note_good(&self, generation: u32, now: Moment) -> Noted {
        let current = self.current.load(Ordering::Acquire);
        let at = current & INDEX_MASK;
        if current >> 48 != u64::from(generation & 0xFFFF)
            || now.as_nanos() >= self.bucket_nanos.saturating_mul(at + 1)
        {
            return Noted::Not;
        }
        let count = &self.bucket(at).calls;
        let word = count.load(Ordering::Acquire);
        if word & !COUNT_MASK != tag(current)
            || count
                .compare_exchange_weak(word, word + 1, Ordering::AcqRel, Ordering::Acquire)
                .is_err()
        {
            return Noted::Not;
        }
        if self.is_among_bad(at) { Noted::AmongBad(at) } else { Noted::Quietly }
    }

    /// What the window holds, for one that is counted among bad ones.
    pub(in crate::breaker) fn among_bad(&self) -> Tally {
        self.sum()
    }

    /// Whether something bad is in the window that ends with the bucket of this number.
    #[inline]
    fn is_among_bad(&self, at: u64) -> bool {
        let last_bad = self.last_bad.load(Ordering::Acquire);
        last_bad != 0 && last_bad + BUCKETS > at + 1
    }

    /// Lets go of what is too old by `now`, though nobody calls.
    pub(super) fn slide(&self, now: Moment) {
        self.advance(self.current.load(Ordering::Acquire), now);
    }

    /// Counts a call in the current bucket, and says which one that was.
    #[inline]
    fn count(&self, generation: u32, now: Moment) -> Option<u64> {
        loop {
            let current = self.current.load(Ordering::Acquire);
            if current >> 48 != u64::from(generation & 0xFFFF) {
                return None;
            }
            let at = current & INDEX_MASK;
            // A clock behind the others counts into the current bucket. Not by index: no division.
            if now.as_nanos() >= self.bucket_nanos.saturating_mul(at + 1)
                && self.advance(current, now)
            {
                continue;
            }
            if bump(&self.bucket(at).calls, tag(current)) {
                return Some(current);
            }
            self.let_them_move();
        }
    }

    #[inline]
    fn bucket(&self, at: u64) -> &Bucket {
        // In bounds: a remainder by the number of buckets.
        &self.buckets.0[(at % BUCKETS) as usize]
    }

    /// Somebody is moving on: waits for them rather than spin while they are not running.
    #[cold]
    fn let_them_move(&self) {
        drop(self.moving.lock());
    }

    /// Clears the buckets between the current one and that of `now`, which becomes current. False: it is
    /// that already.
    #[cold]
    fn advance(&self, seen: u64, now: Moment) -> bool {
        let index = self.index(now);
        if index <= seen & INDEX_MASK {
            return false;
        }
        let _moving = self.moving.lock();
        let current = self.current.load(Ordering::Acquire);
        if current != seen {
            return true;
        }
        let from = current & INDEX_MASK;
        let generation = current & !INDEX_MASK;
        // The oldest first, for the one who learns of it.
        for at in from.max(index.saturating_sub(BUCKETS)) + 1..=index {
            let left = self.clear(generation | at);
            if let Some(memory) = &self.memory {
                // The bucket that stood in this place: one of the last ten up to `from`.
                let back = (from % BUCKETS + BUCKETS - at % BUCKETS) % BUCKETS;
                let began = Moment::from_nanos(from.saturating_sub(back) * self.bucket_nanos);
                memory.take_in(began, left.calls, left.failures);
            }
        }
        self.current.store(generation | index, Ordering::Release);
        true
    }

    /// Makes a bucket that of `current`, and returns what was in it.
    fn clear(&self, current: u64) -> Tally {
        let bucket = self.bucket(current & INDEX_MASK);
        let empty = |count: &AtomicU64| count.swap(tag(current), Ordering::AcqRel) & COUNT_MASK;
        let (failures, slow) = (empty(&bucket.failures), empty(&bucket.slow));
        Tally { calls: empty(&bucket.calls), failures, slow }
    }

    /// Counts with nobody moving on. While a bucket is cleared its failures could be seen without
    /// its calls, and a healthy breaker tripped.
    pub(super) fn recount(&self) -> Tally {
        let _moving = self.moving.lock();
        self.sum()
    }

    /// What the window holds at `now`, for showing: what is too old by then is left out, though no call has moved the
    /// window on.
    pub(super) fn tally(&self, now: Moment) -> Tally {
        let _moving = self.moving.lock();
        let current = self.current.load(Ordering::Acquire) & INDEX_MASK;
        let oldest = (self.index(now).max(current) + 1).saturating_sub(BUCKETS);
        let mut tally = Tally::default();
        for at in oldest..=current {
            self.bucket(at).add_to(&mut tally);
        }
        tally
    }

    fn sum(&self) -> Tally {
        let mut tally = Tally::default();
        for bucket in &self.buckets.0 {
            bucket.add_to(&mut tally);
        }
        tally
    }

    pub(super) fn start(&self, generation: u32, now: Moment) {
        let _moving = self.moving.lock();
        let generation = u64::from(generation & 0xFFFF) << 48;
        // Never back: buckets ahead of a clock that jumped would look current for ever.
        let index = self.index(now).max(self.current.load(Ordering::Acquire) & INDEX_MASK);
        for at in (index + 1).saturating_sub(BUCKETS)..=index {
            self.clear(generation | at);
        }
        self.last_bad.swap(0, Ordering::AcqRel);
        self.current.store(generation | index, Ordering::Release);
    }
}

/// Adds one if the bucket still carries `tag`.
#[inline]
fn bump(count: &AtomicU64, tag: u64) -> bool {
    let mut word = count.load(Ordering::Acquire);
    loop {
        if word & !COUNT_MASK != tag {
            return false;
        }
        match count.compare_exchange_weak(word, word + 1, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => return true,
            Err(seen) => word = seen,
        }
    }
}

#[cfg(all(test, not(seawall_loom)))]
#[allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]
mod tests {
    use super::*;
    use crate::breaker::adaptive::Config;

    const LENGTH: Duration = Duration::from_secs(10);

    fn at(seconds: u64) -> Moment {
        Moment::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn a_good_call_at_the_edge_of_a_bucket_is_counted_in_the_next() {
        let window = Timed::new(LENGTH, Moment::ZERO);
        window.record(0, Mark::default(), Moment::ZERO);
        assert_eq!(window.note_good(0, Moment::from_nanos(999_999_999)), Noted::Quietly);
        assert_eq!(window.note_good(0, at(1)), Noted::Not);
    }

    #[test]
    fn what_leaves_the_window_is_learned_as_of_when_it_began() {
        let memory = Arc::new(Memory::new(Config::default()));
        let window = Timed::remembered(LENGTH, Arc::clone(&memory), Moment::ZERO);
        // The first second of a period; ten seconds earlier it would be the period before.
        window.record(0, Mark::default(), at(301));
        window.slide(at(315));
        memory.tend(at(320), Duration::ZERO);
        assert!(memory.news().is_none(), "its period is not over");
        memory.tend(at(601), Duration::ZERO);
        assert!(memory.news().is_some());
    }
}
