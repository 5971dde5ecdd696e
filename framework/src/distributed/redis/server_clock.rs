//! What the server's clock shows, as far as its answers tell.

use std::sync::atomic::{AtomicI64, Ordering};

use crate::clock::Moment;

/// Nothing is known.
const UNKNOWN: i64 = i64::MIN;
/// A clock that seems to be this far behind what was known, in microseconds, was set back.
const SET_BACK: i64 = 1_000_000;

/// How far the server's clock is ahead of ours, at least: by the answer that came back fastest.
///
/// A request is given the last moment, by the server's clock, at which it may still be done. As that is reckoned from a bound
/// below, it is never later than our own deadline. Our clock may be off by any amount: only differences count.
#[derive(Debug)]
pub(super) struct ServerClock {
    ahead: AtomicI64,
}

impl ServerClock {
    pub(super) fn new() -> Self {
        Self { ahead: AtomicI64::new(UNKNOWN) }
    }

    /// An answer that came at `now` says that it was `server` microseconds when it was made.
    pub(super) fn heard(&self, server: i64, now: Moment) {
        let sample = server.saturating_sub(micros(now));
        // Whatever is written was true of some answer, so threads may overwrite one another.
        let known = self.ahead.load(Ordering::Relaxed);
        let better = if known == UNKNOWN || sample > known || known - sample > SET_BACK {
            sample
        } else {
            // Clocks drift: what was best once is forgotten.
            known - (known - sample) / 8
        };
        self.ahead.store(better, Ordering::Relaxed);
    }

    /// Forgets all of it: what answers next is another server, maybe.
    pub(super) fn forget(&self) {
        self.ahead.store(UNKNOWN, Ordering::Relaxed);
    }

    /// What is known now.
    pub(super) fn known(&self) -> Known {
        let ahead = self.ahead.load(Ordering::Relaxed);
        Known((ahead != UNKNOWN).then_some(ahead))
    }
}

/// What was known of a server's clock when a request was made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known(Option<i64>);

impl Known {
    pub(super) fn is_something(self) -> bool {
        self.0.is_some()
    }

    /// Our `moment` by the server's clock, or earlier, as a script is told it. Of a clock that is not known everything is over: the
    /// answer makes it known, and has done nothing. For ever is no moment.
    pub(super) fn tell(self, moment: Moment) -> String {
        if moment == Moment::MAX {
            return String::new();
        }
        self.0.map_or(0, |ahead| micros(moment).saturating_add(ahead).max(0)).to_string()
    }
}

fn micros(moment: Moment) -> i64 {
    i64::try_from(moment.as_nanos() / 1_000).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(clock: &ServerClock, moment: Moment) -> i64 {
        clock.known().tell(moment).parse().unwrap_or(-1)
    }

    fn ms(ms: u64) -> Moment {
        Moment::from_nanos(ms * 1_000_000)
    }

    #[test]
    fn the_fastest_answer_tells_most() {
        let clock = ServerClock::new();
        assert!(!clock.known().is_something());
        assert_eq!(at(&clock, ms(5)), 0);
        assert_eq!(clock.known().tell(Moment::MAX), "");
        // Made at 1,000,000 and 3 ms on its way; then at 1,010,000 and 1 ms on its way.
        clock.heard(1_000_000, ms(3));
        assert_eq!(at(&clock, ms(3)), 1_000_000);
        clock.heard(1_010_000, ms(11));
        assert_eq!(at(&clock, ms(11)), 1_010_000);
        // A slow one takes little of that away.
        clock.heard(1_020_000, ms(29));
        assert_eq!(at(&clock, ms(29)), 1_027_000);
    }

    #[test]
    fn a_clock_that_was_set_back_or_forgotten_is_learnt_anew() {
        let clock = ServerClock::new();
        clock.heard(10_000_000, ms(0));
        clock.heard(5_000_000, ms(1));
        assert_eq!(at(&clock, ms(1)), 5_000_000);
        clock.forget();
        assert!(!clock.known().is_something());
    }
}
