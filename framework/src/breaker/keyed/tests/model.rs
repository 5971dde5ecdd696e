//! Against a plain list of breakers, each step of which looks at all of them.

use std::time::Duration;

use proptest::prelude::*;

use super::secs;
use crate::breaker::{CircuitBreaker, Config, Keyed, KeyedAdmission, KeyedConfig, Leave};
use crate::clock::Moment;
use crate::event::{State, Transition};
use crate::outcome::Outcome;

const KEYS: u8 = 12;

#[derive(Clone, Copy, Debug)]
enum Step {
    Admit(u8),
    Finish(usize, Outcome),
    Drop(usize),
    Poll,
    Reset(u8),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let outcome = prop_oneof![
        3 => Just(Outcome::Failure),
        1 => Just(Outcome::Success),
        1 => Just(Outcome::TimedOut),
        1 => Just(Outcome::Cancelled),
    ];
    prop_oneof![
        8 => (0..KEYS).prop_map(Step::Admit),
        8 => (any::<usize>(), outcome).prop_map(|(which, outcome)| Step::Finish(which, outcome)),
        1 => any::<usize>().prop_map(Step::Drop),
        1 => Just(Step::Poll),
        1 => (0..KEYS).prop_map(Step::Reset),
        1 => (1..40u64).prop_map(Step::Wait),
    ]
}

struct Slot {
    key: u8,
    id: u64,
    breaker: CircuitBreaker,
    last_used: Moment,
    open_until: Moment,
    leases: u32,
}

impl Slot {
    fn idle_since(&self) -> Moment {
        self.last_used.max(self.open_until)
    }
}

struct Model {
    config: KeyedConfig,
    slots: Vec<Slot>,
    overflow: CircuitBreaker,
    ids: u64,
    evicted: u64,
    overflowed: u64,
}

/// The slot's id, `None` for the overflow breaker.
type Lease = (Option<u64>, Leave);

impl Model {
    fn new(config: KeyedConfig) -> Self {
        let overflow = CircuitBreaker::new(config.breaker().clone(), Moment::ZERO);
        Self { config, slots: Vec::new(), overflow, ids: 0, evicted: 0, overflowed: 0 }
    }

    fn is_idle(&self, slot: &Slot, now: Moment) -> bool {
        slot.leases == 0 && now.since(slot.idle_since()) >= self.config.idle_after()
    }

    /// The least recently used closed one, else the longest idle.
    fn who_may_go(&self, now: Moment) -> Option<u64> {
        let oldest = |may: &dyn Fn(&Slot) -> bool| {
            let slots = self.slots.iter().filter(|slot| may(slot));
            slots.min_by_key(|slot| slot.idle_since()).map(|slot| slot.id)
        };
        oldest(&|slot| slot.leases == 0 && slot.breaker.state() == State::Closed)
            .or_else(|| oldest(&|slot| self.is_idle(slot, now)))
    }

    fn admit(&mut self, key: u8, now: Moment, moved: &mut Option<Transition>) -> Option<Lease> {
        if !self.slots.iter().any(|slot| slot.key == key) {
            if self.slots.len() == self.config.max_keys() {
                let Some(gone) = self.who_may_go(now) else {
                    self.overflowed += 1;
                    return Some((None, self.overflow.let_in(now, moved).ok()?));
                };
                self.slots.retain(|slot| slot.id != gone);
                self.evicted += 1;
            }
            self.ids += 1;
            self.slots.push(Slot {
                key,
                id: self.ids,
                breaker: CircuitBreaker::new(self.config.breaker().clone(), now),
                last_used: now,
                open_until: Moment::ZERO,
                leases: 0,
            });
        }
        let slot = self.slots.iter_mut().find(|slot| slot.key == key).unwrap();
        slot.last_used = now;
        let admission = slot.breaker.let_in(now, moved).ok()?;
        slot.leases += 1;
        Some((Some(slot.id), admission))
    }

    fn end(&mut self, lease: Lease, outcome: Option<Outcome>, now: Moment) -> Option<Transition> {
        let Some(id) = lease.0 else {
            return self.overflow.note(lease.1, outcome?, now);
        };
        let slot = self.slots.iter_mut().find(|slot| slot.id == id).expect("in use, so not gone");
        slot.leases -= 1;
        slot.last_used = if outcome.is_some() { now } else { slot.last_used };
        let moved = slot.breaker.note(lease.1, outcome?, now)?;
        if moved.to == State::Open {
            slot.open_until = in_whole_ms(now + self.config.breaker().open_for());
        }
        Some(moved)
    }

    fn poll(&mut self, now: Moment) -> (Vec<Option<u8>>, usize) {
        let before = self.slots.len();
        let (gone, kept) =
            std::mem::take(&mut self.slots).into_iter().partition(|slot| self.is_idle(slot, now));
        let _: Vec<Slot> = gone;
        self.slots = kept;
        let evicted = before - self.slots.len();
        self.evicted += evicted as u64;
        let slots = self.slots.iter().map(|slot| (Some(slot.key), &slot.breaker));
        let all = slots.chain([(None, &self.overflow)]);
        let moved = all.filter(|(_, breaker)| breaker.poll(now).0.is_some());
        let mut moved: Vec<_> = moved.map(|(key, _)| key).collect();
        moved.sort_unstable();
        (moved, evicted)
    }

    fn reset(&mut self, key: u8, now: Moment) -> Option<Transition> {
        let slot = self.slots.iter_mut().find(|slot| slot.key == key)?;
        let moved = slot.breaker.reset(now)?;
        slot.open_until = Moment::ZERO;
        Some(moved)
    }

    fn of(&self, key: u8) -> Option<&Slot> {
        self.slots.iter().find(|slot| slot.key == key)
    }
}

/// Until when a breaker is open is kept in whole milliseconds, rounded up.
fn in_whole_ms(at: Moment) -> Moment {
    Moment::from_nanos(at.as_nanos().next_multiple_of(1_000_000))
}

fn check_same(keyed: &Keyed<u8>, model: &Model) -> Result<(), TestCaseError> {
    for key in 0..KEYS {
        let (ours, theirs) = (
            keyed.report(&key, Moment::ZERO),
            model.of(key).map(|slot| slot.breaker.report(Moment::ZERO)),
        );
        prop_assert_eq!(format!("{ours:?}"), format!("{theirs:?}"), "key {}", key);
        prop_assert_eq!(keyed.state(&key), model.of(key).map(|slot| slot.breaker.state()));
    }
    let (ours, theirs) = (keyed.overflow_report(Moment::ZERO), model.overflow.report(Moment::ZERO));
    prop_assert_eq!(format!("{ours:?}"), format!("{theirs:?}"));
    let tripped = model.slots.iter().filter(|slot| slot.breaker.state() != State::Closed);
    let mut open: Vec<_> = keyed.open_keys(usize::MAX).into_iter().map(|(key, _)| key).collect();
    let mut expected: Vec<_> = tripped.map(|slot| slot.key).collect();
    open.sort_unstable();
    expected.sort_unstable();
    prop_assert_eq!(open, expected);
    prop_assert_eq!(keyed.len(), model.slots.len());
    prop_assert!(keyed.len() <= keyed.config().max_keys());
    prop_assert_eq!(keyed.evicted_total(), model.evicted);
    prop_assert_eq!(keyed.overflowed_total(), model.overflowed);
    Ok(())
}

fn breakers() -> impl Strategy<Value = Config> {
    let consecutive = (1..3u32).prop_map(|failures| {
        Config::builder().failures(failures).success_threshold(1).first_open_for(secs(30))
    });
    let by_rate = Just(
        Config::builder()
            .without_failures()
            .first_open_for(secs(60))
            .failure_rate(0.5)
            .min_calls(2)
            .half_open_calls(2),
    );
    prop_oneof![consecutive.boxed(), by_rate.boxed()].prop_map(|builder| builder.build().unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn it_does_what_a_plain_list_of_breakers_does(
        breaker in breakers(),
        max_keys in 1..=16usize,
        idle_after in prop_oneof![Just(secs(45)), Just(secs(30 * 24 * 3600))],
        steps in prop::collection::vec((step(), 1..1_000_000_000u64), 1..150),
    ) {
        let builder = KeyedConfig::builder(breaker).max_keys(max_keys).idle_after(idle_after);
        let config = builder.build().unwrap();
        let keyed = Keyed::new(config.clone(), Moment::ZERO);
        let mut model = Model::new(config);
        let mut leases: Vec<(KeyedAdmission<u8>, Lease)> = Vec::new();
        let mut now = Moment::ZERO;
        for (step, pause) in steps {
            now = now + Duration::from_nanos(pause);
            match step {
                Step::Admit(key) => {
                    let (mut ours, mut theirs) = (None, None);
                    let admitted = keyed.let_in(&key, now, &mut ours);
                    let lease = model.admit(key, now, &mut theirs);
                    prop_assert_eq!(ours, theirs);
                    prop_assert_eq!(admitted.is_ok(), lease.is_some());
                    if let (Ok(admission), Some(lease)) = (admitted, lease) {
                        prop_assert_eq!(admission.key(), lease.0.map(|_| &key));
                        prop_assert_eq!(admission.is_probe(), lease.1.is_probe());
                        leases.push((admission, lease));
                    }
                }
                Step::Finish(which, outcome) if !leases.is_empty() => {
                    let (admission, lease) = leases.swap_remove(which % leases.len());
                    let theirs = model.end(lease, Some(outcome), now);
                    prop_assert_eq!(keyed.record(admission, outcome, now), theirs);
                }
                Step::Drop(which) if !leases.is_empty() => {
                    let (admission, lease) = leases.swap_remove(which % leases.len());
                    drop(admission);
                    model.end(lease, None, now);
                }
                Step::Finish(..) | Step::Drop(_) => {}
                Step::Poll => {
                    let polled = keyed.poll(now);
                    let mut moved: Vec<_> = polled.moved.iter().map(|moved| moved.key).collect();
                    moved.sort_unstable();
                    prop_assert_eq!((moved, polled.evicted), model.poll(now));
                }
                Step::Reset(key) => {
                    let theirs = model.reset(key, now);
                    prop_assert_eq!(keyed.reset(&key, now), theirs);
                }
                Step::Wait(seconds) => now = now + secs(seconds),
            }
            check_same(&keyed, &model)?;
        }
        if max_keys >= usize::from(KEYS) && idle_after > secs(45) {
            prop_assert_eq!((model.evicted, model.overflowed), (0, 0), "all keys fit");
        }
        drop(leases);
        keyed.assert_whole();
    }
}
