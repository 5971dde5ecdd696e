//! How failures usually follow each other, and how long a run of them must be to mean something.
//!
//! Of a dependency that fails one call in ten and is still wanted, five calls in a row fail now and then by chance: at 20
//! calls a second, 16 times a day. So where no policy says how many failures in a row open a breaker, the number grows with
//! the share of errors seen before. It is the length of a run that comes by chance about once in [`ONCE_IN`] calls, from
//! the geometric distribution: `p ^ n = 1 / ONCE_IN`.
//!
//! `p`, the chance that a failure follows a failure, is read off the runs themselves: of `f` failures in `r` runs, `f - r`
//! came after another. So good calls, which write nothing, need not be counted. What counts is what was seen *before*:
//! between half a minute and four minutes ago, so that the beginning of an outage cannot excuse the rest of it.

use std::time::Duration;

use once_cell::race::OnceBox;

use crate::clock::Moment;
use crate::sync::Mutex;

/// A run by chance as rare as this is not taken for chance: it is one in two months of 20 calls a second.
const ONCE_IN: f64 = 1e8;
/// Failures are counted together for this long.
const SLOT: Duration = Duration::from_secs(30);
/// So many of these times are remembered. Of those the present one and the one before are too young.
const SLOTS: usize = 8;
/// With fewer runs than this nothing is usual.
const MIN_RUNS: u64 = 10;
/// A dependency that fails more often than this is not one that is still wanted, or its failures come in bursts: then the
/// length is not raised at all.
const MAX_SHARE: f64 = 1.0 / 3.0;

/// The runs of failures of the last four minutes. A fixed size, so that no failure allocates.
#[derive(Debug, Default)]
pub(super) struct UsualFailures {
    /// Each at its number, modulo their count. Only failures take the lock.
    slots: Mutex<[FailureBucket; SLOTS]>,
}

/// The same, made by the first failure, if not before.
#[derive(Debug, Default)]
pub(in crate::breaker) struct LateUsual(OnceBox<UsualFailures>);

impl LateUsual {
    pub(super) fn get(&self) -> &UsualFailures {
        self.0.get_or_init(Box::default)
    }

    /// See [`UsualFailures::required`]. Where there has been no failure, nothing is usual.
    pub(super) fn required(&self, least: u32, now: Moment) -> u32 {
        self.0.get().map_or(least, |usual| usual.required(least, now))
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct FailureBucket {
    number: u32,
    failures: u32,
    runs: u32,
}

fn slot_number(now: Moment) -> u32 {
    // 2^32 of them are 4,000 years.
    (now.as_nanos() / SLOT.as_nanos() as u64) as u32
}

impl UsualFailures {
    /// A call has failed; as the first of a run, or after another.
    pub(super) fn note(&self, begins: bool, now: Moment) {
        let number = slot_number(now);
        let mut slots = self.slots.lock();
        // In bounds: modulo their count.
        let slot = &mut slots[number as usize % SLOTS];
        // A clock that jumped back by minutes counts in the slot of a later time.
        if slot.number < number {
            *slot = FailureBucket { number, ..FailureBucket::default() };
        }
        slot.failures = slot.failures.saturating_add(1);
        slot.runs = slot.runs.saturating_add(u32::from(begins));
    }

    /// How many failures in a row open the breaker, at least `least`.
    pub(super) fn required(&self, least: u32, now: Moment) -> u32 {
        let number = slot_number(now);
        let is_before =
            |slot: &&FailureBucket| slot.number + 1 < number && slot.number + SLOTS as u32 > number;
        let (failures, runs) = {
            let slots = self.slots.lock();
            let before = slots.iter().filter(is_before);
            before.fold((0, 0), |sum, slot| {
                (sum.0 + u64::from(slot.failures), sum.1 + u64::from(slot.runs))
            })
        };
        if runs < MIN_RUNS {
            return least;
        }
        required_at((failures - runs) as f64 / failures as f64, least)
    }
}

/// The same where a failure follows a failure with this chance.
fn required_at(chance: f64, least: u32) -> u32 {
    if chance <= 0.0 || chance > MAX_SHARE {
        return least;
    }
    // Less what the logarithms are off by: one in ten to the eighth is one in a hundred million.
    let length = (ONCE_IN.ln() / -chance.ln() - 1e-9).ceil();
    // At most 17, for a chance of one in three.
    (length as u32).max(least)
}

#[cfg(all(test, not(seawall_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: u64) -> Moment {
        Moment::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn the_rarer_errors_are_the_shorter_is_the_run() {
        let lengths = [0.0, 0.01, 0.05, 0.1, 0.2, 0.3, 1.0 / 3.0, 0.34, 1.0];
        let lengths = lengths.map(|chance| required_at(chance, 5));
        assert_eq!(lengths, [5, 5, 7, 8, 12, 16, 17, 5, 5]);
        assert_eq!(required_at(0.1, 20), 20);
    }

    #[test]
    fn what_is_usual_was_seen_before_and_not_just_now() {
        let usual = UsualFailures::default();
        for second in 0..30 {
            // Of ten runs one is of two failures: one failure in eleven follows another.
            (0..10).for_each(|_| usual.note(true, at(second)));
            usual.note(false, at(second));
        }
        assert_eq!(usual.required(5, at(59)), 5, "the slot before is too young");
        assert_eq!(usual.required(5, at(60)), 8);
        assert_eq!(usual.required(5, at(239)), 8);
        assert_eq!(usual.required(5, at(240)), 5, "long ago");
    }

    #[test]
    fn few_runs_are_no_habit_and_bursts_are_none_either() {
        let usual = UsualFailures::default();
        (0..9).for_each(|_| usual.note(true, at(0)));
        usual.note(false, at(0));
        assert_eq!(usual.required(5, at(60)), 5);
        usual.note(true, at(0));
        assert_eq!(usual.required(5, at(60)), 8, "one more run is enough");
        let bursts = UsualFailures::default();
        for second in 0..60 {
            (0..10).for_each(|failure| bursts.note(failure == 0, at(second)));
        }
        assert_eq!(bursts.required(5, at(120)), 5);
    }

    proptest! {
        #[test]
        fn it_does_what_a_list_of_all_failures_does(
            steps in prop::collection::vec((any::<bool>(), 0u64..20), 1..300),
        ) {
            let usual = UsualFailures::default();
            let mut all: Vec<(u64, bool)> = Vec::new();
            let mut now = 0;
            for (begins, pause) in steps {
                now += pause;
                usual.note(begins, at(now));
                all.push((now / 30, begins));
                let before: Vec<bool> = all
                    .iter()
                    .filter(|(slot, _)| now / 30 >= slot + 2 && now / 30 < slot + 8)
                    .map(|(_, begins)| *begins)
                    .collect();
                let runs = before.iter().filter(|begins| **begins).count();
                let expected = if runs < 10 {
                    5
                } else {
                    required_at((before.len() - runs) as f64 / before.len() as f64, 5)
                };
                prop_assert_eq!(usual.required(5, at(now)), expected);
            }
        }
    }
}
