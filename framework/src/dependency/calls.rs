//! How many calls there have been, and what their retries may cost by that.

use crate::clock::Moment;
use crate::outcome::Outcome;

use super::shared::Dependency;
use super::stats::MethodStats;

impl Dependency {
    /// A call begins: the retry budget is to know of it.
    #[inline(always)]
    pub(crate) fn call_begins(&self, now: Moment) {
        if !self.known.holds(now) {
            self.look_at_budget(now);
        }
    }

    #[cold]
    fn look_at_budget(&self, now: Moment) {
        self.budget().look(now, || self.calls(), &self.known);
    }

    /// Whether the retry budget, if there is one, lets another attempt be made, which is counted then. `waits`: the call that asks
    /// is among those that wait. `after`: how the attempt before it has ended, and chance, in `[0, 1)`.
    pub(crate) fn try_retry(&self, now: Moment, waits: bool, after: (Outcome, f64)) -> bool {
        self.budget().try_retry(|| self.calls() + u64::from(!waits), now, after)
    }

    /// What the retry budget has seen, if there is one.
    #[cfg(any(test, feature = "simulation"))]
    pub(crate) fn budget_use(&self) -> Option<crate::retry::BudgetUse> {
        self.budget().usage(|| self.calls(), self.now())
    }

    /// Calls so far: those that have ended, and those that wait for something. One that is being polled for the first time is in
    /// neither, nor is one whose answer has begun and goes on.
    fn calls(&self) -> u64 {
        let ended: u64 = self.all_counted(MethodStats::ended);
        ended + self.begun_and_pending()
    }
}

#[cfg(all(test, not(seawall_loom)))]
#[allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::dependency::{Method, MethodSpec};
    use crate::entropy::Entropy;
    use crate::error::RejectedBy;
    use crate::event::Silent;
    use crate::outcome::CallOutcome;
    use crate::policy::Policy;
    use crate::retry::{self, BudgetConfig, BudgetMode, BudgetUse};
    use crate::time::{ManualTime, Time};

    const SECOND: Duration = Duration::from_secs(1);

    fn policy(budget: Option<BudgetConfig>) -> Policy {
        let retry = retry::Config::builder().budget(budget);
        Policy::builder().retry(retry).build().unwrap()
    }

    /// Every call may be retried once, in a window of 10 s.
    fn share() -> BudgetConfig {
        BudgetConfig::builder().ratio(1.0).min_per_second(0.0).window(10 * SECOND).build().unwrap()
    }

    fn dependency(policy: Policy) -> (ManualTime, Arc<Dependency>) {
        let manual = Time::manual();
        let (time, seed) = (Time::from(manual.clone()), Entropy::seeded(0));
        (manual, Arc::new(Dependency::new("bank".into(), policy, time, seed, Arc::new(Silent))))
    }

    /// A trait with this method only.
    fn methods(dependency: &Dependency, method: &'static str) -> Arc<[Method]> {
        let specs = vec![MethodSpec { name: method, ..MethodSpec::NONE }].into();
        dependency.methods_of(dependency.add_trait(specs))
    }

    /// One call of this method begins, and ends well.
    fn call(dependency: &Dependency, method: &'static str) {
        dependency.call_begins(dependency.now());
        methods(dependency, method)[0].stats.success(1);
    }

    /// Calls and retries in the window.
    fn seen(dependency: &Dependency) -> (u64, u64) {
        match dependency.budget_use() {
            Some(BudgetUse::Share { calls, retries, .. }) => (calls, retries),
            other => panic!("{other:?}"),
        }
    }

    fn retries(dependency: &Dependency, waits: bool) -> usize {
        let ask = || dependency.try_retry(dependency.now(), waits, (Outcome::Failure, 0.0));
        (0..1_000).take_while(|_| ask()).count()
    }

    #[test]
    fn a_call_counts_once_however_it_ends_and_while_it_waits() {
        let (_time, dependency) = dependency(policy(Some(share())));
        call(&dependency, "balance");
        call(&dependency, "transfer");
        let methods = methods(&dependency, "balance");
        let stats = &methods[0].stats;
        stats.rejected(RejectedBy::Bulkhead);
        for outcome in [CallOutcome::Failure, CallOutcome::TimedOut, CallOutcome::Cancelled] {
            stats.other(outcome, 1);
        }
        // Attempts are none, and neither are refusals that do not end a call.
        stats.attempt(Outcome::Failure);
        stats.refused(RejectedBy::Bulkhead);
        assert_eq!(seen(&dependency), (6, 0));
        dependency.pend(true);
        dependency.pend(false);
        assert_eq!((seen(&dependency), dependency.pending()), ((7, 0), 2), "one is to begin");
        assert_eq!(retries(&dependency, true), 7);
        assert_eq!(retries(&dependency, false), 1, "the call that asks");
        dependency.unpend(true);
        assert_eq!((seen(&dependency), dependency.pending()), ((6, 8), 1));
        dependency.unpend(false);
        assert_eq!(dependency.pending(), 0);
    }

    #[test]
    fn the_window_slides_by_the_calls_that_notice_it() {
        let (time, dependency) = dependency(policy(Some(share())));
        time.advance(100 * SECOND);
        (0..3).for_each(|_| call(&dependency, "balance"));
        time.advance(5 * SECOND);
        (0..2).for_each(|_| call(&dependency, "balance"));
        assert_eq!(retries(&dependency, true), 5);
        time.advance(5 * SECOND);
        assert_eq!(seen(&dependency), (2, 5));
        time.advance(5 * SECOND);
        call(&dependency, "balance");
        assert_eq!(seen(&dependency), (1, 0));
        time.advance(1_000 * SECOND);
        assert_eq!(seen(&dependency), (0, 0));
    }

    #[test]
    fn a_budget_that_changes_begins_anew_and_another_change_leaves_it() {
        let (_time, dependency) = dependency(policy(Some(share())));
        (0..4).for_each(|_| call(&dependency, "balance"));
        assert_eq!(retries(&dependency, true), 4);
        let other =
            Policy::builder().retry(retry::Config::builder().budget(share()).max_attempts(2));
        assert!(dependency.reload(other.build().unwrap()));
        assert_eq!(seen(&dependency), (4, 4));
        let half = BudgetConfig::builder().ratio(0.5).min_per_second(0.0).window(20 * SECOND);
        assert!(dependency.reload(policy(Some(half.build().unwrap()))));
        (0..2).for_each(|_| call(&dependency, "balance"));
        assert_eq!(seen(&dependency), (2, 0));
        assert_eq!(retries(&dependency, true), 1);
        assert!(dependency.reload(policy(None)));
        call(&dependency, "balance");
        assert_eq!((dependency.budget_use(), retries(&dependency, true)), (None, 1_000));
        assert!(dependency.reload(policy(Some(share()))));
        call(&dependency, "balance");
        assert_eq!(seen(&dependency), (1, 0));
    }

    #[test]
    fn methods_are_told_whether_a_budget_wants_to_know_how_attempts_end() {
        let watched = |budget: Option<BudgetConfig>| {
            let (_time, dependency) = dependency(policy(budget));
            let spec = MethodSpec { name: "balance", ..MethodSpec::NONE };
            let table = crate::dependency::MethodTable::new(dependency, vec![spec], Arc::new(()));
            table.method(0).plan.is_watched()
        };
        let of = |mode| BudgetConfig::builder().mode(mode).build().ok();
        assert!(!watched(None) && !watched(of(BudgetMode::Share)));
        assert!(watched(of(BudgetMode::Tokens)) && watched(of(BudgetMode::AcceptRatio)));
    }
}
