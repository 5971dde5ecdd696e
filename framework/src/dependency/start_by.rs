//! By when an attempt must begin, so that it has a fair share of its timeout left.
//!
//! A call that waits until its deadline is nearly over, and is admitted then, is cut off before it can be answered: the
//! dependency works for nothing, and a permit is busy for nothing. Under overload every call would end like that. So
//! each wait in front of an attempt ends in time, and what is left of the deadline is judged here, for every guard.
//!
//! Waits are for the mailbox and room in it, for a permit, for a token of a limit that shapes, for the dependency's
//! quota, and for the backoff before a retry.

use std::time::Duration;

use crate::clock::Moment;

/// The moments that an attempt must begin by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StartBy {
    /// Every wait ends here at the latest.
    pub(crate) latest: Moment,
    /// A wait for a token, by a limit or a quota, ends here: a tenth of the fair share sooner. No permit may be free
    /// when the token is valid, and a call that cannot wait for one would have wasted its token.
    pub(crate) token_by: Moment,
    /// A wait that was over in time, but was noticed late because its thread was busy, counts until here: half of the
    /// fair share is left then.
    pub(crate) noticed_late: Moment,
}

impl StartBy {
    /// For one that may wait for ever.
    #[cfg(test)]
    pub(super) const NEVER: Self =
        Self { latest: Moment::MAX, token_by: Moment::MAX, noticed_late: Moment::MAX };

    /// For a call that lasts from `started` to `deadline` and whose attempts have this timeout. `observed` is a high
    /// percentile of what the dependency's good answers took of late.
    ///
    /// The fair share is the timeout, but not more than half of the call, so that a timeout as long as the deadline
    /// leaves time to wait at all. Where the dependency is known to need longer than that, it is what it needs.
    pub(crate) fn new(
        started: Moment,
        deadline: Moment,
        timeout: Duration,
        observed: Option<Duration>,
    ) -> Self {
        let whole = deadline.since(started);
        let needed = observed.unwrap_or_default().min(timeout);
        let share = timeout.min(whole / 2).max(needed).min(whole);
        let latest = deadline.before(share);
        let token_by = latest.before(share / 10).max(started);
        Self { latest, token_by, noticed_late: deadline.before(share / 2) }
    }
}

/// Whether an attempt that its call's deadline ended after `given`, before its timeout, says anything about the
/// dependency: it had half of its timeout, or as long as nearly all good answers took of late.
pub(crate) fn had_its_chance(
    given: Duration,
    timeout: Duration,
    observed: Option<Duration>,
) -> bool {
    given >= observed.unwrap_or(Duration::MAX).min(timeout / 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(ms: u64) -> Moment {
        Moment::from_nanos(ms * 1_000_000)
    }
    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// The same, found by trying every millisecond: the last one at which the attempt still has its share.
    fn naive(started: u64, deadline: u64, timeout: u64, observed: Option<u64>) -> u64 {
        let is_fair = |left: u64| {
            let is_half = 2 * left >= deadline - started;
            let is_enough = observed.is_none_or(|observed| left >= observed.min(timeout));
            left >= timeout || (is_half && is_enough)
        };
        (started..=deadline).rev().find(|start| is_fair(deadline - start)).unwrap_or(started)
    }

    proptest! {
        #[test]
        fn waits_end_when_a_naive_search_says_so(
            started in 0u64..100,
            // Even, so that half of it is a whole number of milliseconds.
            half in 0u64..400,
            timeout in 1u64..900,
            observed in proptest::option::of(0u64..1_000),
        ) {
            let deadline = started + 2 * half;
            let start_by = StartBy::new(at(started), at(deadline), ms(timeout), observed.map(ms));
            prop_assert_eq!(start_by.latest, at(naive(started, deadline, timeout, observed)));
            prop_assert!(start_by.latest >= at(started));
            let share = at(deadline).since(start_by.latest);
            prop_assert_eq!(start_by.token_by, start_by.latest.before(share / 10).max(at(started)));
            let late = start_by.noticed_late;
            prop_assert!(start_by.latest <= late && late <= at(deadline));
            prop_assert_eq!(late.since(start_by.latest), share / 2);
        }

        #[test]
        fn an_attempt_with_half_of_its_timeout_had_its_chance(
            given in 0u64..1_000,
            timeout in 1u64..1_000,
            observed in proptest::option::of(0u64..1_000),
        ) {
            let naive = 2 * given >= timeout || observed.is_some_and(|observed| given >= observed);
            prop_assert_eq!(had_its_chance(ms(given), ms(timeout), observed.map(ms)), naive);
        }
    }

    #[test]
    fn the_built_in_policy_waits_for_twenty_seconds() {
        let start_by = StartBy::new(at(0), at(30_000), ms(10_000), None);
        assert_eq!((start_by.latest, start_by.noticed_late), (at(20_000), at(25_000)));
        assert_eq!(start_by.token_by, at(19_000));
    }

    #[test]
    fn a_dependency_known_to_need_more_than_half_of_the_deadline_gets_it() {
        let latest = |observed| StartBy::new(at(0), at(1_000), ms(900), observed).latest;
        assert_eq!(latest(None), at(500));
        assert_eq!(latest(Some(ms(800))), at(200));
        assert_eq!(latest(Some(ms(5_000))), at(100), "never more than the timeout");
    }

    #[test]
    fn an_attempt_that_began_late_says_nothing() {
        assert!(!had_its_chance(ms(100), ms(800), None));
        assert!(had_its_chance(ms(400), ms(800), None));
        assert!(had_its_chance(ms(100), ms(800), Some(ms(5))), "it usually answers in 5 ms");
    }
}
