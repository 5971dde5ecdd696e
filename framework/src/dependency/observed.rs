//! What a method's good answers took of late, for those who must know how long an attempt needs.
//!
//! Nothing is counted for this on a good call: it is read off the latency that the metrics count, at most once a second,
//! and only by calls that wait or that their deadline ends.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::Moment;
use crate::sync::Mutex;

use super::latency::{BUCKETS, Latency};

/// How often the counters are read.
const LOOKED_AT_EVERY: Duration = Duration::from_secs(1);
/// For at least this long answers are counted together.
const OF_LATE: Duration = Duration::from_secs(10);
/// With fewer answers than this, nothing new is known.
const MIN_ANSWERS: u64 = 20;

/// What is known, in nanoseconds; zero while nothing is.
#[derive(Debug, Default)]
pub(super) struct Observed {
    high: AtomicU64,
    typical: AtomicU64,
    /// By the share that hedging goes by, whose bits are beside it; zero if it goes by none.
    hedge: AtomicU64,
    hedge_share: AtomicU64,
    look_again_at: AtomicU64,
    base: Mutex<Option<Base>>,
}

/// The counters as they were when the answers of now began to be counted.
#[derive(Debug)]
struct Base {
    at: Moment,
    buckets: Box<[u64; BUCKETS]>,
}

impl Observed {
    /// Looks again if it is time to. `read` gives the answers so far, by bucket of what they took.
    pub(super) fn look(&self, now: Moment, read: impl FnOnce() -> Box<[u64; BUCKETS]>) {
        let due = self.look_again_at.load(Ordering::Relaxed);
        let next = (now + LOOKED_AT_EVERY).as_nanos();
        let is_first = || {
            let (at, ordering) = (&self.look_again_at, Ordering::Relaxed);
            at.compare_exchange(due, next, ordering, ordering).is_ok()
        };
        if now.as_nanos() < due || !is_first() {
            return;
        }
        let buckets = read();
        let mut base = self.base.lock();
        let mut recent = Latency::default();
        for (at, (recent, total)) in recent.buckets.iter_mut().zip(buckets.iter()).enumerate() {
            let before = base.as_ref().map_or(0, |base| base.buckets[at]);
            *recent = total.saturating_sub(before);
        }
        if recent.count() < MIN_ANSWERS {
            return;
        }
        let hedge_share = f64::from_bits(self.hedge_share.load(Ordering::Relaxed));
        for (place, quantile) in
            [(&self.high, 0.99), (&self.typical, 0.5), (&self.hedge, hedge_share)]
        {
            let nanos = recent.quantile(quantile).map_or(0, crate::clock::nanos);
            place.store(nanos, Ordering::Relaxed);
        }
        if base.as_ref().is_none_or(|base| now.since(base.at) >= OF_LATE) {
            *base = Some(Base { at: now, buckets });
        }
    }

    /// What 99 of 100 did not exceed.
    pub(super) fn high(&self) -> Option<Duration> {
        known(&self.high)
    }

    /// Hedging goes by this share from now on.
    pub(super) fn ask(&self, hedge_share: Option<f64>) {
        let share = hedge_share.unwrap_or_default().to_bits();
        // What is known by the same share stays known over a reload, and when another client comes.
        if self.hedge_share.swap(share, Ordering::Relaxed) != share {
            self.hedge.store(0, Ordering::Relaxed);
            self.look_again_at.store(0, Ordering::Relaxed);
        }
    }

    /// What that share of them did not exceed.
    pub(super) fn hedge(&self) -> Option<Duration> {
        known(&self.hedge)
    }

    /// What half of them did not exceed.
    pub(super) fn typical(&self) -> Option<Duration> {
        known(&self.typical)
    }
}

fn known(nanos: &AtomicU64) -> Option<Duration> {
    let nanos = nanos.load(Ordering::Relaxed);
    (nanos > 0).then(|| Duration::from_nanos(nanos))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dependency::latency::bucket;

    fn at(seconds: u64) -> Moment {
        Moment::ZERO + Duration::from_secs(seconds)
    }

    fn answers(counts: &[(u64, u64)]) -> Box<[u64; BUCKETS]> {
        let mut buckets = Box::new([0; BUCKETS]);
        for &(ms, count) in counts {
            buckets[bucket(ms * 1_000_000)] += count;
        }
        buckets
    }

    fn ms(duration: Option<Duration>) -> Option<u128> {
        duration.map(|duration| duration.as_millis())
    }

    #[test]
    fn few_answers_tell_nothing() {
        let observed = Observed::default();
        observed.look(at(0), || answers(&[(500, 19)]));
        assert_eq!((observed.high(), observed.typical()), (None, None));
        observed.look(at(1), || answers(&[(500, 20)]));
        assert_eq!(ms(observed.high()), Some(499));
        assert_eq!(ms(observed.typical()), Some(450));
    }

    #[test]
    fn what_hedging_goes_by_is_forgotten_with_another_share_and_found_at_once() {
        let observed = Observed::default();
        let look = |observed: &Observed, times: u64| {
            observed.look(at(0), || answers(&[(5, 100 * times), (500, 100 * times)]));
        };
        observed.ask(Some(0.25));
        look(&observed, 1);
        assert_eq!(ms(observed.hedge()), Some(4));
        observed.ask(Some(0.25));
        assert_eq!(ms(observed.hedge()), Some(4), "it is the same");
        observed.ask(Some(0.75));
        assert_eq!(observed.hedge(), None);
        look(&observed, 2);
        assert!(ms(observed.hedge()).is_some_and(|hedge| hedge > 400), "{:?}", observed.hedge());
    }

    #[test]
    fn it_is_read_once_a_second() {
        let observed = Observed::default();
        observed.look(at(5), || answers(&[(500, 20)]));
        let again = Moment::ZERO + Duration::from_millis(5_999);
        observed.look(again, || panic!("read again too early"));
        let mut is_read = false;
        observed.look(at(6), || {
            is_read = true;
            answers(&[])
        });
        assert!(is_read);
    }

    #[test]
    fn a_dependency_that_has_become_slower_is_seen_as_that() {
        let observed = Observed::default();
        observed.look(at(0), || answers(&[(5, 1_000_000)]));
        assert_eq!(ms(observed.high()), Some(4));
        observed.look(at(9), || answers(&[(5, 1_000_000), (1_000, 30)]));
        assert_eq!(ms(observed.typical()), Some(875), "what came before is no part of it");
        // From here on the thirty are old.
        observed.look(at(10), || answers(&[(5, 1_000_000), (1_000, 30)]));
        observed.look(at(11), || answers(&[(5, 1_000_000), (1_000, 30), (200, 20)]));
        assert_eq!(ms(observed.high()), Some(199));
    }
}
