//! The last stretch of time, against what is normal for the hour of the week.

use std::sync::Arc;
use std::time::Duration;

use crate::breaker::adaptive::{Config, Memory, UtcOffset};
use crate::clock::Moment;
use crate::event::Cause;

use super::rate_threshold::RateThreshold;
use super::tally::{Mark, Tally};
use super::timed::Timed;

/// A window of time whose threshold comes from a memory.
#[derive(Debug)]
pub(super) struct Adaptive {
    // Shared with the window that takes this one's place, as the others are.
    timed: Arc<Timed>,
    memory: Arc<Memory>,
    length: Duration,
    min_calls: u64,
    min: RateThreshold,
    alpha: f64,
    offset: UtcOffset,
}

impl Adaptive {
    pub(super) fn new(config: &Config, memory: &Arc<Memory>, now: Moment) -> Self {
        let length = config.window();
        Self {
            timed: Arc::new(Timed::remembered(length, Arc::clone(memory), now)),
            memory: Arc::clone(memory),
            length,
            min_calls: u64::from(config.min_calls()),
            min: RateThreshold::new(Some(config.min())),
            alpha: config.alpha(),
            offset: config.utc_offset(),
        }
    }

    /// Counts on where `old` was, if it counts the same.
    pub(super) fn follow(&mut self, old: &Self) {
        if self.length == old.length && Arc::ptr_eq(&self.memory, &old.memory) {
            self.timed = Arc::clone(&old.timed);
        }
    }

    /// Where it counts.
    pub(super) fn timed(&self) -> &Timed {
        &self.timed
    }

    /// Counts an outcome. Whether the breaker of that generation may have to open. A success can say so
    /// too: it may make the calls enough, be the first after older ones have left the window, or the
    /// first of an hour with a lower bar.
    pub(super) fn record(&self, generation: u32, failed: bool, now: Moment) -> bool {
        let tally = self.timed.record(generation, Mark { failed, ..Mark::default() }, now);
        tally.is_some_and(|tally| self.is_exceeded(tally, now))
    }

    /// The same for a success that has been counted, among failures.
    pub(super) fn suspects(&self, now: Moment) -> bool {
        self.is_exceeded(self.timed.among_bad(), now)
    }

    /// The same with nobody moving the window on, in numbers.
    pub(super) fn cause(&self, now: Moment) -> Option<Cause> {
        let tally = self.timed.recount();
        let threshold = || self.memory.bar(now, self.offset).threshold();
        let Tally { calls, failures, .. } = tally;
        self.is_exceeded(tally, now).then(|| Cause::Adaptive {
            failures,
            calls,
            threshold: threshold(),
        })
    }

    fn is_exceeded(&self, tally: Tally, now: Moment) -> bool {
        // Calls are counted before their failures are: never fewer.
        tally.calls >= self.min_calls
            // First what costs next to nothing: no bar is lower than this.
            && self.min.is_reached(tally.failures, tally.calls)
            && self.memory.bar(now, self.offset).is_exceeded(
                tally.calls,
                tally.failures,
                self.alpha,
            )
    }

    /// Transitions on what nobody's calls do. What is in the window stays unlearned until it has left it.
    pub(super) fn tend(&self, now: Moment) -> Moment {
        self.timed.slide(now);
        self.memory.tend(now, self.length)
    }

    pub(super) fn start(&self, generation: u32, now: Moment) {
        self.timed.start(generation, now);
    }

    pub(super) fn tally(&self, now: Moment) -> Tally {
        self.timed.tally(now)
    }
}

#[cfg(all(test, not(seawall_loom)))]
#[allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]
mod tests {
    use super::*;

    #[test]
    fn it_counts_on_where_one_of_the_same_length_was_and_no_other() {
        let memory = Arc::new(Memory::new(Config::default()));
        let new = |seconds, memory| {
            let config = Config::builder().window(Duration::from_secs(seconds)).build().unwrap();
            Adaptive::new(&config, memory, Moment::ZERO)
        };
        let old = new(10, &memory);
        let follows = |mut next: Adaptive| {
            next.follow(&old);
            Arc::ptr_eq(&next.timed, &old.timed)
        };
        assert!(follows(new(10, &memory)));
        assert!(!follows(new(20, &memory)));
        assert!(!follows(new(10, &Arc::new(Memory::new(Config::default())))));
    }
}
