//! What must hold of any call, whatever the policy and whatever the server does: checked on whole calls in virtual time.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use proptest::prelude::*;

use super::{Client, TaskContext, World};
use crate::clock::Moment;
use crate::policy::{Policy, PolicyFile};
use crate::retry::BudgetUse;

/// A policy of some shape.
#[derive(Clone, Debug)]
struct Shape {
    timeout_ms: u64,
    deadline_ms: u64,
    attempts: u32,
    base_delay_ms: u64,
    jitter: &'static str,
    hedge_ms: Option<u64>,
    permits: u32,
    ratio: f64,
    floor: f64,
}

impl Shape {
    fn policy(&self) -> Policy {
        let hedge = self.hedge_ms.map(|ms| format!(", hedge = {{ after = '{ms}ms', max = 2 }}"));
        let text = format!(
            "[it]\ntimeout = '{}ms'\ndeadline = '{}ms'\nbulkhead = {{ max_concurrent = {}, max_wait = '{}ms' }}\n\
             mailbox = {{ capacity = 5, on_full = 'error' }}\nbreaker = {{ failures = 8 }}\n\
             retry = {{ max_attempts = {}, base_delay = '{}ms', max_delay = '10s', jitter = '{}'{}, \
             budget = {{ ratio = {}, min_per_second = {} }} }}\n",
            self.timeout_ms.min(self.deadline_ms),
            self.deadline_ms,
            self.permits,
            self.deadline_ms,
            self.attempts,
            self.base_delay_ms,
            self.jitter,
            hedge.unwrap_or_default(),
            self.ratio,
            self.floor
        );
        PolicyFile::parse(&text, "test.toml").unwrap_or_else(|error| panic!("{error}")).policy("it")
    }
}

fn shapes() -> impl Strategy<Value = Shape> {
    let times = (1_u64..2_000, 1_u64..5_000, prop_oneof![Just(0), 0_u64..400]);
    let retries = (1_u32..6, prop::option::of(1_u64..500), 1_u32..4);
    let budget = (0.0_f64..1.0, 0.1_f64..3.0);
    let jitter =
        prop::sample::select(vec!["none", "full", "equal", "plus_minus_half", "decorrelated"]);
    (times, retries, budget, jitter).prop_map(|(times, retries, budget, jitter)| Shape {
        timeout_ms: times.0,
        deadline_ms: times.1,
        base_delay_ms: times.2,
        attempts: retries.0,
        hedge_ms: retries.1,
        permits: retries.2,
        ratio: budget.0,
        floor: budget.1,
        jitter,
    })
}

/// What an attempt finds: how long it takes, and whether it is good. `None`: it never ends.
type Turn = (Option<u64>, bool);

/// Calls under way, and what has been seen of them.
#[derive(Default)]
struct Seen {
    calls: Cell<u64>,
    attempts: Cell<u64>,
    ended: Cell<u64>,
    mistakes: RefCell<Vec<String>>,
}

impl Seen {
    fn check(&self, holds: bool, mistake: impl FnOnce() -> String) {
        if !holds {
            self.mistakes.borrow_mut().push(mistake());
        }
    }
}

/// Notes when an attempt ends, or is ended.
struct Ends(TaskContext, Rc<Cell<Option<Moment>>>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.1.set(Some(self.0.now()));
    }
}

/// One call, that gives up after `patience_ms` if there is any.
async fn call(
    context: TaskContext,
    client: Rc<Client>,
    turns: Rc<RefCell<std::vec::IntoIter<Turn>>>,
    (seen, shape): (Rc<Seen>, Shape),
) {
    let deadline = Duration::from_millis(shape.deadline_ms);
    // Where nothing is waited for, a retry is made in the moment in which the budget has let it through: when the attempt before it
    // has ended. Later, after a wait for a permit say, calls may have slid out of the window.
    let at_once = shape.base_delay_ms == 0 && shape.hedge_ms.is_none();
    let ended_at = Rc::new(Cell::new(None));
    let (began, within) = (context.now(), context.now() + deadline);
    seen.calls.set(seen.calls.get() + 1);
    let attempt = || {
        let (context, turns) = (context.clone(), Rc::clone(&turns));
        seen.attempts.set(seen.attempts.get() + 1);
        seen.check(context.now() < within, || format!("an attempt begins at {:?}", context.now()));
        let spent = client.budget_use();
        let is_within = matches!(spent, Some(BudgetUse::Share { retries, allowed, .. })
            if retries as f64 <= allowed + 1e-6);
        let is_bound = at_once && ended_at.get() == Some(context.now());
        seen.check(!is_bound || is_within, || format!("the budget is overspent: {spent:?}"));
        let ends = Ends(context.clone(), Rc::clone(&ended_at));
        async move {
            let _ends = ends;
            let (takes, is_good) = turns.borrow_mut().next().unwrap_or((Some(1), true));
            match takes {
                Some(ms) => context.sleep(Duration::from_millis(ms)).await,
                None => std::future::pending().await,
            }
            if is_good { Ok(()) } else { Err(()) }
        }
    };
    let _answer: Result<(), _> = client.call_idempotent(attempt).await;
    // Virtual time has no resolution: at the deadline it is over.
    let over = context.now().since(within);
    seen.check(over.is_zero(), || format!("a call from {began:?} ends {over:?} too late"));
    seen.ended.set(seen.ended.get() + 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn no_attempt_begins_after_the_deadline_no_call_outlives_it_and_no_budget_is_overspent(
        shape in shapes(),
        starts in prop::collection::vec(0_u64..10_000, 1..40),
        turns in prop::collection::vec((prop::option::weighted(0.9, 0_u64..3_000), any::<bool>()), 0..200),
        seed in any::<u64>(),
    ) {
        let world = World::new(seed);
        let context = world.context();
        let client = Rc::new(Client::new(&context, "it", shape.policy()));
        let turns = Rc::new(RefCell::new(turns.into_iter()));
        let seen = Rc::new(Seen::default());
        for start in &starts {
            let start = context.sleep_until(Moment::ZERO + Duration::from_millis(*start));
            let one = call(context.clone(), Rc::clone(&client), Rc::clone(&turns), (Rc::clone(&seen), shape.clone()));
            // A call begins when it is first polled.
            let context = context.clone();
            world.spawn(async move {
                start.await;
                context.spawn(one);
            });
        }
        world.run_until(Moment::ZERO + Duration::from_secs(60));
        prop_assert_eq!(&*seen.mistakes.borrow(), &Vec::<String>::new());
        prop_assert_eq!(seen.ended.get(), starts.len() as u64, "every call ends");
        let snapshot = client.snapshot();
        prop_assert_eq!((snapshot.active, snapshot.pending, snapshot.mailbox.waiting), (0, 0, 0));
        // Every attempt was the first of its call, a retry or a hedge; of calls that were refused there is none.
        let more = snapshot.retries + snapshot.hedges;
        prop_assert!(seen.attempts.get() <= seen.calls.get() + more);
        prop_assert!(more as f64 <= shape.ratio * seen.calls.get() as f64 + shape.floor * 10.0 * 2.0 + 1.0);
    }
}
