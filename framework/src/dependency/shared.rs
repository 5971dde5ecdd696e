//! A dependency: its name, its policy, its gate, and what has come of it all.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::sync::futures::Notified;

use crate::blocking::{BlockingPool, PoolBuildError};
use crate::clock::{Clock, Moment};
use crate::entropy::Entropy;
use crate::error::DependencyName;
use crate::event::{self, Event, Observer, Transition};
use crate::listeners::Listeners;
use crate::policy::Policy;
use crate::retry::KnownSlice;
use crate::sync::Mutex;

use super::by_hand::ByHand;
use super::examples::Examples;
use super::gate::Gate;
use super::queues::Queues;
use super::retried::Retried;
use super::retry_budget::RetryBudget;
use super::signals::Signals;
use super::threads::Threads;
use super::traits::Trait;
use super::waiter::WaitError;
use crate::time::Time;

/// Calls are taken.
const SERVING: u8 = 0;
/// No new calls are taken; those in flight go on.
const DRAINING: u8 = 1;
/// Calls in flight are told to end.
const CANCELLED: u8 = 2;

/// A call that was accepted, and waits for its beginning.
const TO_BEGIN: u64 = 1 << 32;

/// Everything that a dependency's calls share. The root makes it; the actor looks after it; the calls
/// use it without asking either.
///
/// Where it is in no cache, each line of the cache costs a good call as much as all of its work. So the fields that such a call needs
/// come first and lie together: those that are only read in two lines, those that are written in two others.
#[repr(C, align(64))]
pub struct Dependency {
    /// What its calls know of the retry budget.
    pub(super) known: KnownSlice,
    /// Its clock, which every call reads.
    clock: Clock,
    life: AtomicU8,
    pub(super) unattended: AtomicBool,
    pub(super) restarts: AtomicU32,
    entropy: Entropy,
    policy: ArcSwap<Policy>,
    gate: Gate,
    // The rest is for those who look, wait or fail.
    name: DependencyName,
    time: Time,
    budget: RetryBudget,
    signals: Signals,
    observer: Arc<dyn Observer>,
    /// Calls that have ever had to wait for something and have not ended yet; in the upper half those that are still to begin.
    pending: AtomicU64,
    emptied: Listeners,
    pub(super) examples: Examples,
    retried: Retried,
    /// The order by hand that its breaker stands under.
    pub(super) by_hand: ArcSwapOption<ByHand>,
    threads: Threads,
    queues: Queues,
    /// What it is called by; locked while the policy changes.
    pub(super) traits: Mutex<Vec<Trait>>,
}

impl Dependency {
    /// A dependency with everything closed, free and at zero.
    #[must_use]
    pub fn new(
        name: DependencyName,
        policy: impl Into<Arc<Policy>>,
        time: Time,
        entropy: Entropy,
        observer: Arc<dyn Observer>,
    ) -> Self {
        let (policy, now) = (policy.into(), time.now());
        let gate = Gate::new(&policy, now, entropy.fork(0));
        if gate.breaker().is_adaptive() {
            let (now, since_epoch) = time.clock().both();
            gate.breaker().tend(now, since_epoch);
        }
        Self {
            known: KnownSlice::unknown(),
            gate,
            budget: RetryBudget::new(&policy),
            name,
            clock: time.clock().clone(),
            time,
            policy: ArcSwap::new(policy),
            entropy,
            signals: Signals::default(),
            observer,
            life: AtomicU8::new(SERVING),
            restarts: AtomicU32::new(0),
            pending: AtomicU64::new(0),
            emptied: Listeners::default(),
            examples: Examples::default(),
            retried: Retried::default(),
            unattended: AtomicBool::new(false),
            by_hand: ArcSwapOption::empty(),
            threads: Threads::default(),
            queues: Queues::default(),
            traits: Mutex::default(),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &DependencyName {
        &self.name
    }
    /// Its settings, as they are now.
    #[must_use]
    pub fn policy(&self) -> Arc<Policy> {
        self.policy.load_full()
    }
    /// Its guards.
    #[must_use]
    pub fn gate(&self) -> &Gate {
        &self.gate
    }
    /// What the data plane has to tell its actor.
    #[must_use]
    pub fn signals(&self) -> &Signals {
        &self.signals
    }
    /// Where it gets the time from.
    #[must_use]
    pub fn time(&self) -> &Time {
        &self.time
    }
    #[inline]
    pub(crate) fn now(&self) -> Moment {
        self.clock.now()
    }
    #[inline]
    pub(crate) fn budget(&self) -> &RetryBudget {
        &self.budget
    }
    pub(crate) fn entropy(&self) -> &Entropy {
        &self.entropy
    }

    /// Tells everybody of a move of the breaker.
    #[cold]
    pub(crate) fn moved(&self, transition: Transition) {
        self.tell(&Event::Transition { dependency: self.name.clone(), transition });
        self.signals.raise();
        self.gate.waiting_room().upstream().tell();
    }

    /// Tells the observer. Its panics are its own.
    pub(crate) fn tell(&self, event: &Event) {
        event::tell(&*self.observer, event);
    }

    // Control: what the actor and the root do to it.

    /// Looks after everything that callers normally do for themselves; returns when to do it again.
    pub fn tick(&self) -> Option<Moment> {
        let now = self.now();
        self.end_graces(now);
        let (moved, next) = self.gate.tick(now);
        if let Some(transition) = moved {
            self.moved(transition);
        }
        next.into_iter().chain(self.tend_keys(now)).chain(self.learn()).min()
    }

    /// Has an adaptive breaker learn what is over, by the clock on the wall; when to do so again.
    fn learn(&self) -> Option<Moment> {
        let breaker = self.gate.breaker();
        if !breaker.is_adaptive() {
            return None;
        }
        let (now, since_epoch) = self.time.clock().both();
        breaker.tend(now, since_epoch)
    }

    /// Goes by another policy from now on, in every client. Breaker state and counts, orders by hand, permits that are out and
    /// calls that wait are kept. Calls under way go on by what they began with, but for a timeout that has not begun to run.
    /// Of a rate limit that changes, what was spent stays spent; a retry budget that changes begins anew.
    ///
    /// False: it is the policy that it had.
    pub fn reload(&self, policy: impl Into<Arc<Policy>>) -> bool {
        let policy = policy.into();
        let traits = self.traits.lock();
        let before = self.policy.load_full();
        if Arc::ptr_eq(&before, &policy) || before == policy {
            return false;
        }
        self.policy.store(Arc::clone(&policy));
        self.budget.reload(&before, &policy, &self.known);
        traits.iter().for_each(|it| it.replan(&policy));
        let (moved, wakers) = self.gate.reconfigure(&before, &policy, self.now());
        drop(traits);
        // It may be adaptive from now on, and does not know the hour yet.
        self.learn();
        wakers.wake();
        moved.into_iter().for_each(|transition| self.moved(transition));
        let (dependency, changes) = (self.name.clone(), before.changes(&policy).into());
        self.tell(&Event::Reloaded { at: self.now(), dependency, changes });
        // Its actor may have to look at another time.
        self.signals.raise();
        true
    }

    /// Its threads for methods that block, if there is such a method.
    #[must_use]
    pub fn pool(&self) -> Option<&BlockingPool> {
        self.threads.pool()
    }

    /// Starts its threads for methods that block, as many as its policy says now, unless it has them.
    ///
    /// # Errors
    /// A thread that the system does not start.
    pub fn start_pool(&self) -> Result<&BlockingPool, PoolBuildError> {
        let threads = self.policy.load().bulkhead().threads();
        self.threads.start(&self.name, threads, &self.time)
    }

    /// The queues of its one-way methods.
    pub(crate) fn queues(&self) -> &Queues {
        &self.queues
    }

    /// Has one permit from now on, whatever its policies say: a client needs the service for itself.
    pub(crate) fn allow_one_at_a_time(&self) {
        let _no_reload = self.traits.lock();
        self.gate.allow_one_at_a_time(self.now()).wake();
    }

    /// Shows the policy and the chance, with no reload coming in between.
    pub(super) fn with_policy<R>(&self, show: impl FnOnce(&Policy, &Entropy) -> R) -> R {
        let _no_reload = self.traits.lock();
        show(&self.policy.load(), &self.entropy)
    }

    /// Takes no new calls from now on; those in flight, waiting and backing off go on.
    pub fn drain(&self) {
        let _ = self.life.compare_exchange(SERVING, DRAINING, Ordering::SeqCst, Ordering::SeqCst);
        // A caller that holds a permit by now is seen by `in_flight`. One that takes a permit later sees DRAINING.
        self.gate.waiting_room().permits().active_and_fence();
        self.gate.waiting_room().upstream().tell();
    }

    /// Ends every call in flight: it is woken, and answers that Seawall is shutting down.
    pub fn cancel(&self) {
        self.life.store(CANCELLED, Ordering::SeqCst);
        self.gate.waiting_room().flush(WaitError::ShutDown);
        self.time.nudge();
    }

    /// Its last client is gone, so there are no calls and will be none.
    pub(crate) fn retire(&self) {
        self.life.store(CANCELLED, Ordering::SeqCst);
        self.gate.waiting_room().upstream().tell();
    }

    /// Calls that are waiting for something: a permit, an answer, the end of a backoff.
    #[must_use]
    pub fn pending(&self) -> u64 {
        let pending = self.pending.load(Ordering::SeqCst);
        pending % TO_BEGIN + pending / TO_BEGIN
    }

    /// Those of them that have begun.
    pub(super) fn begun_and_pending(&self) -> u64 {
        self.pending.load(Ordering::SeqCst) % TO_BEGIN
    }

    /// Calls that have not ended, those too that have not had to wait. Of both kinds it may count too few, but never none.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.pending().max(u64::from(self.gate.attempts_and_fence()))
    }

    /// Ends when a draining dependency may have nothing in flight any more, after this call.
    pub fn emptied(&self) -> Notified<'_> {
        self.emptied.next()
    }

    // What calls do to it.

    #[inline]
    pub(crate) fn is_serving(&self) -> bool {
        self.life.load(Ordering::SeqCst) == SERVING
    }

    #[inline]
    pub(crate) fn is_cancelled(&self) -> bool {
        self.life.load(Ordering::SeqCst) == CANCELLED
    }

    /// A call begins to wait. Another one does not, though it is accepted: its beginning is still to come.
    pub(crate) fn pend(&self, has_begun: bool) {
        self.pending.fetch_add(if has_begun { 1 } else { TO_BEGIN }, Ordering::SeqCst);
    }

    pub(crate) fn unpend(&self, has_begun: bool) {
        let one = if has_begun { 1 } else { TO_BEGIN };
        if self.pending.fetch_sub(one, Ordering::SeqCst) == one {
            self.left();
        }
    }

    /// Gives back the permits whose grace is over. Whether there were any.
    #[inline]
    pub(crate) fn end_graces(&self, now: Moment) -> bool {
        let ended = self.gate.end_graces(now);
        if ended {
            // For a moment one of them looked like an attempt that holds its permit.
            self.left();
        }
        ended
    }

    /// A call ended, or gave its permit back: a shutdown may be waiting for it.
    #[inline]
    pub(crate) fn left(&self) {
        if !self.is_serving() {
            self.emptied.tell();
        }
    }

    /// What it was sent beyond one attempt a call.
    pub(crate) fn retried(&self) -> &Retried {
        &self.retried
    }
}

impl fmt::Debug for Dependency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dependency")
            .field("name", &self.name)
            .field("state", &self.gate.breaker().state())
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(seawall_loom)))]
#[allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::breaker;
    use crate::dependency::{MethodSpec, MethodTable};
    use crate::event::Silent;

    /// On a Monday, at five in the morning.
    fn dependency(policy: Policy) -> Dependency {
        let manual = Time::manual();
        manual.set_epoch(Duration::from_secs(1_767_571_200 + 5 * 3_600));
        let (time, seed) = (Time::from(manual), Entropy::seeded(0));
        Dependency::new("bank".into(), policy, time, seed, Arc::new(Silent))
    }

    #[test]
    fn what_a_good_call_needs_lies_in_few_lines_of_the_cache() {
        use std::mem::offset_of;
        let line = |offset: usize| offset / 64;
        let read = Gate::read_by_each_call().map(|at| offset_of!(Dependency, gate) + at);
        assert_eq!((offset_of!(Dependency, known), line(offset_of!(Dependency, life))), (0, 0));
        assert_eq!(
            read.map(line),
            [1; 5],
            "the breaker's word, its runs, what is bad, whether its settings were replaced, what counts"
        );
        let written = Gate::written_by_each_call().map(|at| offset_of!(Dependency, gate) + at);
        let first = line(written[0]);
        assert_eq!(written.map(line), [first, first + 1, first + 2]);
        assert!(size_of::<Dependency>() <= 832);
    }

    #[test]
    fn clients_that_are_gone_take_no_room() {
        let dependency = Arc::new(dependency(Policy::default()));
        let client = || {
            let spec = MethodSpec { name: "balance", ..MethodSpec::NONE };
            MethodTable::new(Arc::clone(&dependency), vec![spec], Arc::new(()))
        };
        let kept = client();
        let name = |table: &MethodTable| std::ptr::from_ref(table.method(0));
        (0..100)
            .for_each(|_| assert_eq!(name(&client()), name(&kept), "they share what they count"));
        assert_eq!(dependency.traits.lock().len(), 1);
    }

    #[test]
    fn an_adaptive_breaker_knows_the_hour_before_its_first_call_and_after_a_reload() {
        let adaptive = breaker::adaptive::Config::default();
        let adaptive = || {
            let breaker = breaker::Config::builder().adaptive(adaptive);
            Policy::builder().breaker(breaker).build().unwrap()
        };
        let hour = |dependency: &Dependency| {
            let breaker = dependency.gate().breaker();
            breaker.reading(dependency.now()).map(|reading| reading.hour)
        };
        assert_eq!(hour(&dependency(adaptive())), Some(5));
        let dependency = dependency(Policy::default());
        assert_eq!(hour(&dependency), None);
        assert!(dependency.reload(adaptive()));
        assert_eq!(hour(&dependency), Some(5));
    }
}
