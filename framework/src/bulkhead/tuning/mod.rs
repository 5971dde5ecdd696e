//! Limits that find themselves: how many calls may be with the dependency at once, by what comes of it.

mod adaptive;
mod aimd;
mod gradient2;
mod sample;
mod vegas;
mod window;

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::clock::Moment;
use crate::sync::Mutex;

use adaptive::Adaptive;
use aimd::Aimd;
use gradient2::Gradient2;
use sample::Range;
use vegas::Vegas;
use window::Window;

/// How the number of permits is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Limit {
    /// It is `max_concurrent`.
    #[default]
    Fixed,
    /// By good answers a second and what they take without a queue, with absolute brakes: it falls when attempts end without an
    /// answer or take half of their timeout, and does not grow while good answers do not. From 5 at first, 1 at least.
    Adaptive,
    /// `Gradient2Limit` of Netflix's concurrency-limits: by latency beside its long average. Where every attempt ends at the same
    /// timeout it grows. From 20, 20 at least.
    Gradient2,
    /// `VegasLimit` of the same: by the queue that latency tells of. From 20, 1 at least.
    Vegas,
    /// `AIMDLimit` of the same: one more while half of it is in use, nine tenths after a drop. From 20, 20 at least.
    Aimd,
}

impl Limit {
    /// Every way.
    pub const ALL: &[Self] = &Self::EVERY;
    pub(crate) const EVERY: [Self; 5] =
        [Self::Fixed, Self::Adaptive, Self::Gradient2, Self::Vegas, Self::Aimd];

    /// The name that policy files use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fixed => "fixed",
            Self::Adaptive => "adaptive",
            Self::Gradient2 => "gradient2",
            Self::Vegas => "vegas",
            Self::Aimd => "aimd",
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Debug)]
enum Algorithm {
    Adaptive(Adaptive),
    Gradient2(Gradient2),
    Vegas(Vegas),
    Aimd(Aimd),
}

/// How an attempt ended, as far as a limit goes by that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// With a good answer, after so many nanoseconds.
    Good(u64),
    /// Without an answer, though it had time for one.
    Dropped,
    /// With what says nothing about load: an error, a call that was dropped at once.
    Otherwise,
}

/// Finds a limit by the ends of attempts. A good end is two counters that its thread has for itself, and a look at the time; one in a
/// window takes a short lock and reckons.
#[derive(Debug)]
pub(crate) struct Tuner {
    window: Window,
    algorithm: Mutex<Algorithm>,
}

/// What Netflix's limits begin with.
const PUBLISHED_INITIAL: u32 = 20;
const ADAPTIVE_INITIAL: u32 = 5;

impl Tuner {
    /// For at most so many, and the limit to begin with. `None`: it is fixed.
    pub(crate) fn new(limit: Limit, max: u32, now: Moment) -> Option<(Self, u32)> {
        let (initial, published) = (PUBLISHED_INITIAL.min(max), Range { min: 20.min(max), max });
        let low = Range { min: 1, max };
        let (algorithm, initial) = match limit {
            Limit::Fixed => return None,
            Limit::Adaptive => {
                let initial = ADAPTIVE_INITIAL.min(max);
                (Algorithm::Adaptive(Adaptive::new(initial, low)), initial)
            }
            Limit::Gradient2 => (Algorithm::Gradient2(Gradient2::new(initial, published)), initial),
            Limit::Vegas => (Algorithm::Vegas(Vegas::new(initial, low)), initial),
            Limit::Aimd => (Algorithm::Aimd(Aimd::new(initial, published)), initial),
        };
        Some((Self { window: Window::new(now), algorithm: Mutex::new(algorithm) }, initial))
    }

    /// An attempt has ended, with so many out at once, itself included. The limit from now on, if a window is over.
    #[inline]
    pub(crate) fn ended(
        &self,
        now: Moment,
        ended: Ended,
        inflight: u32,
        timeout: impl FnOnce() -> Duration,
    ) -> Option<u32> {
        match ended {
            Ended::Good(took_nanos) => self.window.good(took_nanos),
            Ended::Dropped => self.window.dropped(),
            Ended::Otherwise => {}
        }
        self.window.inflight(inflight);
        let length = self.window.end(now)?;
        Some(self.reckon(length, timeout()))
    }

    #[cold]
    fn reckon(&self, length: Duration, timeout: Duration) -> u32 {
        let mut algorithm = self.algorithm.lock();
        let sample = self.window.take(length, timeout);
        match &mut *algorithm {
            Algorithm::Adaptive(adaptive) => adaptive.update(&sample),
            Algorithm::Gradient2(gradient) => gradient.update(sample.latency(), sample.inflight),
            Algorithm::Vegas(vegas) => {
                vegas.update(sample.latency(), sample.inflight, sample.dropped > 0)
            }
            Algorithm::Aimd(aimd) => {
                aimd.update(sample.latency(), sample.inflight, sample.dropped > 0)
            }
        }
    }
}

#[cfg(all(test, not(seawall_loom)))]
#[allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// The limits after windows of 30 attempts of 10 ms, 20 or more at once, of which the last so many get no answer.
    fn limits(limit: Limit, dropped: [u64; 4]) -> Vec<u32> {
        let (tuner, initial) = Tuner::new(limit, 200, Moment::ZERO).unwrap();
        let mut limits = vec![initial];
        for (window, dropped) in (1..).zip(dropped) {
            let now = Moment::ZERO + 100 * window * MS;
            let ended = (1..=30).filter_map(|attempt| {
                let end =
                    if attempt > 30 - dropped { Ended::Dropped } else { Ended::Good(10_000_000) };
                tuner.ended(now, end, 30, || 1_000 * MS)
            });
            limits.extend(ended);
        }
        limits
    }

    #[test]
    fn each_way_is_told_of_what_its_window_came_to() {
        // The first window is the least latency; then there is no queue; then a drop takes log10(26) off.
        assert_eq!(limits(Limit::Vegas, [0, 0, 1, 0]), [20, 20, 26, 25, 31]);
        assert_eq!(limits(Limit::Aimd, [0, 0, 1, 0]), [20, 21, 22, 20, 21]);
        // A fifth of its queue of 4 each time.
        assert_eq!(limits(Limit::Gradient2, [0, 0, 0, 0]), [20, 20, 21, 22, 23]);
        assert!(Tuner::new(Limit::Fixed, 200, Moment::ZERO).is_none());
    }

    #[test]
    fn none_begins_above_the_most_there_may_be() {
        for limit in Limit::ALL.iter().filter(|limit| **limit != Limit::Fixed) {
            assert_eq!(Tuner::new(*limit, 3, Moment::ZERO).unwrap().1, 3, "{limit}");
        }
    }
}
