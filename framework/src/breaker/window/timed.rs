//! The last stretch of time: ten buckets, the current one partly full.
//!
//! Moving on to a new bucket clears those in between, under a lock, once a bucket length. Everybody
//! else adds to the current bucket with one CAS. Each bucket carries a tag, so that a writer which
//! slept until its bucket was somebody else's adds nothing to it.

use std::time::Duration;

use crate::clock::{Moment, nanos};
use crate::sync::{AtomicU64, CachePadded, Mutex, Ordering};

use super::Tally;

/// How finely the window slides. The model checker would take for ever over ten.
pub(super) const BUCKETS: u64 = if cfg!(seawall_loom) { 3 } else { 10 };

const COUNT_MASK: u64 = (1 << 40) - 1;
const INDEX_MASK: u64 = (1 << 48) - 1;

#[derive(Debug)]
pub(in crate::breaker) struct Timed {
    bucket_nanos: u64,
    /// Generation (16 bits) and the current bucket's number since the clock's origin (48).
    current: AtomicU64,
    /// A failure was last counted in the bucket of this number, plus one; zero for never.
    last_failure: AtomicU64,
    buckets: CachePadded<[Bucket; BUCKETS as usize]>,
    moving: Mutex<()>,
}

/// Tag (24 bits) and count (40), twice.
#[derive(Debug)]
struct Bucket {
    calls: AtomicU64,
    failures: AtomicU64,
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
            last_failure: AtomicU64::new(0),
            buckets: CachePadded(std::array::from_fn(|_| Bucket {
                calls: AtomicU64::new(0),
                failures: AtomicU64::new(0),
            })),
            moving: Mutex::new(()),
        };
        window.start(0, now);
        window
    }

    fn index(&self, now: Moment) -> u64 {
        (now.as_nanos() / self.bucket_nanos) & INDEX_MASK
    }

    /// What the window holds with this outcome in it; `None` for another generation's.
    #[inline]
    pub(super) fn record(&self, generation: u32, failed: bool, now: Moment) -> Option<Tally> {
        let index = self.index(now);
        loop {
            let current = self.current.load(Ordering::Acquire);
            if current >> 48 != u64::from(generation & 0xFFFF) {
                return None;
            }
            // A clock behind the others counts into the current bucket.
            if index > current & INDEX_MASK {
                self.advance(current, index);
                continue;
            }
            let at = current & INDEX_MASK;
            // In bounds: a remainder by the number of buckets.
            let bucket = &self.buckets.0[(at % BUCKETS) as usize];
            let tag = tag(current);
            if !bump(&bucket.calls, tag) {
                // Somebody is moving on: wait for them rather than spin while they are not running.
                drop(self.moving.lock());
                continue;
            }
            if failed {
                bump(&bucket.failures, tag);
                self.last_failure.fetch_max(at + 1, Ordering::AcqRel);
            } else if self.last_failure.load(Ordering::Acquire) + BUCKETS <= at + 1 {
                // No failure in the window: a success cannot open anything.
                return Some(Tally::default());
            }
            return Some(self.sum());
        }
    }

    /// Clears the buckets between the current one and `index`, which becomes current.
    fn advance(&self, seen: u64, index: u64) {
        let _moving = self.moving.lock();
        let current = self.current.load(Ordering::Acquire);
        if current != seen {
            return;
        }
        let from = current & INDEX_MASK;
        let generation = current & !INDEX_MASK;
        for at in from.max(index.saturating_sub(BUCKETS)) + 1..=index {
            self.clear(generation | at);
        }
        self.current.store(generation | index, Ordering::Release);
    }

    fn clear(&self, current: u64) {
        let bucket = &self.buckets.0[((current & INDEX_MASK) % BUCKETS) as usize];
        bucket.failures.swap(tag(current), Ordering::AcqRel);
        bucket.calls.swap(tag(current), Ordering::AcqRel);
    }

    /// Counts with nobody moving on. While a bucket is cleared its failures could be seen without
    /// its calls, and a healthy breaker tripped.
    pub(super) fn recount(&self) -> Tally {
        let _moving = self.moving.lock();
        self.sum()
    }

    fn sum(&self) -> Tally {
        let mut tally = Tally::default();
        for bucket in &self.buckets.0 {
            // Failures first: a failure is counted among the calls before it is counted itself.
            tally.failures += bucket.failures.load(Ordering::Acquire) & COUNT_MASK;
            tally.calls += bucket.calls.load(Ordering::Acquire) & COUNT_MASK;
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
        self.last_failure.swap(0, Ordering::AcqRel);
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
