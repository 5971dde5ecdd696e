//! The whole breaker against a plain one that keeps every outcome in a list.

use std::time::Duration;

use proptest::prelude::*;

use super::{at, millis, secs};
use crate::breaker::{Admission, CircuitBreaker, Config, Mode, Refusal, Trip, Window as Over};
use crate::clock::Moment;
use crate::event::{State, Transition};
use crate::outcome::{Class, Outcome};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Is {
    Closed,
    Open { until: Moment },
    HalfOpen { live: u32, successes: u32 },
    ForcedOpen,
    ForcedClosed,
}

impl Is {
    fn state(self) -> State {
        match self {
            Self::Closed | Self::ForcedClosed => State::Closed,
            Self::Open { .. } | Self::ForcedOpen => State::Open,
            Self::HalfOpen { .. } => State::HalfOpen,
        }
    }
}

/// An admitted attempt, as the model sees it.
#[derive(Clone, Copy, Debug)]
struct Lease {
    generation: u64,
    probe: bool,
}

struct Model {
    config: Config,
    is: Is,
    generation: u64,
    /// Outcomes of this generation, each in the bucket of its time.
    list: Vec<(u64, bool)>,
    bucket: u64,
    last_probe: Moment,
    stale: u64,
    transitions: Vec<Transition>,
}

impl Model {
    fn new(config: Config) -> Self {
        Self {
            config,
            is: Is::Closed,
            generation: 0,
            list: Vec::new(),
            bucket: 0,
            last_probe: Moment::ZERO,
            stale: 0,
            transitions: Vec::new(),
        }
    }

    fn go(&mut self, to: Is, now: Moment) -> Option<Transition> {
        let from = self.is.state();
        self.is = to;
        self.generation += 1;
        if to == Is::Closed {
            self.list.clear();
            self.bucket = self.bucket.max(self.bucket_of(now));
        }
        let transition = Transition { at: now, from, to: to.state() };
        (from != to.state()).then(|| {
            self.transitions.push(transition);
            transition
        })
    }

    fn bucket_of(&self, now: Moment) -> u64 {
        match self.config.trip() {
            Trip::Rate { window: Over::Time(length), .. } => {
                now.as_nanos() / (length.as_nanos() as u64).div_ceil(10)
            }
            _ => 0,
        }
    }

    fn open(&mut self, now: Moment) -> Option<Transition> {
        let until = (now + self.config.open_for()).as_nanos().next_multiple_of(1_000_000);
        self.go(Is::Open { until: Moment::from_nanos(until) }, now)
    }

    fn free(&self, live: u32, successes: u32) -> bool {
        let by_rate = matches!(self.config.trip(), Trip::Rate { .. });
        live + if by_rate { successes } else { 0 } < self.config.half_open_calls()
    }

    fn lost(&self, now: Moment) -> bool {
        now.since(self.last_probe) >= self.config.probe_life()
    }

    fn check(&self, now: Moment) -> Result<(), Refusal> {
        match self.is {
            Is::Closed | Is::ForcedClosed => Ok(()),
            Is::Open { until } if now >= until => Ok(()),
            Is::Open { until } => Err(Refusal { retry_after: Some(until.since(now)) }),
            Is::HalfOpen { live, successes } if self.free(live, successes) || self.lost(now) => {
                Ok(())
            }
            Is::HalfOpen { .. } | Is::ForcedOpen => Err(Refusal { retry_after: None }),
        }
    }

    fn admit(&mut self, now: Moment) -> (Result<Lease, Refusal>, Option<Transition>) {
        if let Err(refusal) = self.check(now) {
            return (Err(refusal), None);
        }
        let moved = self.poll(now);
        let mut probe = false;
        if let Is::HalfOpen { live, successes } = self.is {
            let mut live = live;
            if !self.free(live, successes) {
                self.generation += 1;
                live = 0;
            }
            self.is = Is::HalfOpen { live: live + 1, successes };
            self.last_probe = self.last_probe.max(now);
            probe = true;
        }
        (Ok(Lease { generation: self.generation, probe }), moved)
    }

    fn poll(&mut self, now: Moment) -> Option<Transition> {
        match self.is {
            Is::Open { until } if now >= until => {
                self.go(Is::HalfOpen { live: 0, successes: 0 }, now)
            }
            _ => None,
        }
    }

    fn record(&mut self, lease: Lease, outcome: Outcome, now: Moment) -> Option<Transition> {
        let class = outcome.class();
        if !lease.probe && class == Class::Ignored {
            return None;
        }
        if lease.generation != self.generation {
            self.stale += 1;
            return None;
        }
        match (self.is, class) {
            (Is::Closed, _) => {
                self.bucket = self.bucket.max(self.bucket_of(now));
                self.list.push((self.bucket, class == Class::Failure));
                if self.is_too_much() { self.open(now) } else { None }
            }
            (Is::HalfOpen { .. }, Class::Failure) => self.open(now),
            (Is::HalfOpen { live, successes }, Class::Success)
                if successes + 1 >= self.config.success_threshold() =>
            {
                assert!(live > 0);
                self.go(Is::Closed, now)
            }
            (Is::HalfOpen { live, successes }, class) => {
                let successes = successes + u32::from(class == Class::Success);
                self.is = Is::HalfOpen { live: live - 1, successes };
                None
            }
            (Is::ForcedClosed, _) => None,
            (Is::Open { .. } | Is::ForcedOpen, _) => unreachable!("admits nobody"),
        }
    }

    fn run(&self) -> u64 {
        self.list.iter().rev().take_while(|(_, failed)| *failed).count() as u64
    }

    /// Calls and failures in the window.
    fn counts(&self) -> (u64, u64) {
        let inside: Vec<bool> = match self.config.trip() {
            Trip::Consecutive { .. } => return (self.run(), self.run()),
            Trip::Rate { window: Over::Calls(size), .. } => {
                self.list.iter().rev().take(size as usize).map(|(_, failed)| *failed).collect()
            }
            Trip::Rate { window: Over::Time(_), .. } => {
                let inside = self.list.iter().filter(|(bucket, _)| bucket + 10 > self.bucket);
                inside.map(|(_, failed)| *failed).collect()
            }
        };
        (inside.len() as u64, inside.iter().filter(|failed| **failed).count() as u64)
    }

    fn is_too_much(&self) -> bool {
        let (calls, failures) = self.counts();
        match self.config.trip() {
            Trip::Consecutive { failures: most } => failures >= u64::from(most),
            Trip::Rate { failure_rate, min_calls, .. } => {
                calls >= u64::from(min_calls) && failures as f64 / calls as f64 >= failure_rate
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Admit,
    /// Ends any lease that is out, a late one too.
    Record(prop::sample::Index, Outcome),
    Advance(Duration),
    Poll,
    ForceOpen,
    ForceClosed,
    Reset,
}

fn outcomes() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        4 => Just(Outcome::Success),
        6 => Just(Outcome::Failure),
        1 => prop::sample::select(&Outcome::ALL[..]),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        40 => Just(Step::Admit),
        36 => (any::<prop::sample::Index>(), outcomes()).prop_map(|(at, end)| Step::Record(at, end)),
        8 => (0u64..30_000_000).prop_map(|n| Step::Advance(Duration::from_nanos(n))),
        6 => (0u64..3_000).prop_map(|ms| Step::Advance(millis(ms))),
        1 => Just(Step::Advance(secs(365 * 24 * 3600))),
        4 => Just(Step::Poll),
        1 => Just(Step::ForceOpen),
        1 => Just(Step::ForceClosed),
        2 => Just(Step::Reset),
    ];
    prop::collection::vec(step, 0..400)
}

fn configs() -> impl Strategy<Value = Config> {
    let trip = prop_oneof![
        (1u32..6).prop_map(|failures| Trip::Consecutive { failures }),
        (1u32..30, 1u32..=10, 0.0f64..=1.0).prop_map(|(size, rate, min)| Trip::Rate {
            failure_rate: f64::from(rate) / 10.0,
            min_calls: ((f64::from(size) * min) as u32).max(1),
            window: Over::Calls(size),
        }),
        (10u64..2_000, 1u32..=10, 1u32..10).prop_map(|(ms, rate, min_calls)| Trip::Rate {
            failure_rate: f64::from(rate) / 10.0,
            min_calls,
            window: Over::Time(millis(ms)),
        }),
    ];
    let open_for = (1_000_000u64..2_000_000_000).prop_map(Duration::from_nanos);
    let life = (1u64..3_000).prop_map(millis);
    (trip, open_for, 1u32..5, 1u32..5, life).prop_map(
        |(trip, open_for, half_open_calls, successes, life)| {
            let mut builder = Config::builder()
                .open_for(open_for)
                .half_open_calls(half_open_calls)
                .probe_life(life);
            builder = match trip {
                Trip::Consecutive { failures } => {
                    builder.failures(failures).success_threshold(successes)
                }
                Trip::Rate { failure_rate, min_calls, window } => builder
                    .failure_rate(failure_rate)
                    .min_calls(min_calls)
                    .window(window)
                    .success_threshold(successes.min(half_open_calls)),
            };
            builder.build().unwrap()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_breaker_does_what_the_plain_one_does(config in configs(), steps in steps()) {
        let mut now = Moment::ZERO + secs(3);
        let breaker = CircuitBreaker::new(config.clone(), now);
        let mut model = Model::new(config);
        model.bucket = model.bucket_of(now);
        let mut out: Vec<(Admission, Lease)> = Vec::new();
        for step in steps {
            match step {
                Step::Admit => {
                    prop_assert_eq!(breaker.check(now), model.check(now));
                    let mut moved = None;
                    let admitted = breaker.admit(now, &mut moved);
                    let (expected, move_expected) = model.admit(now);
                    prop_assert_eq!(moved, move_expected);
                    match (admitted, expected) {
                        (Ok(admission), Ok(lease)) => {
                            prop_assert_eq!(admission.is_probe(), lease.probe);
                            out.push((admission, lease));
                        }
                        (admitted, expected) => prop_assert_eq!(admitted.err(), expected.err()),
                    }
                }
                Step::Record(index, outcome) if !out.is_empty() => {
                    let (admission, lease) = out.swap_remove(index.index(out.len()));
                    let moved = breaker.record(admission, outcome, now);
                    prop_assert_eq!(moved, model.record(lease, outcome, now));
                }
                Step::Record(..) => {}
                Step::Advance(by) => now = now + by,
                Step::Poll => {
                    let (moved, next) = breaker.poll(now);
                    prop_assert_eq!(moved, model.poll(now));
                    let until = match model.is { Is::Open { until } => Some(until), _ => None };
                    prop_assert_eq!(next, until);
                }
                Step::ForceOpen => {
                    prop_assert_eq!(breaker.force_open(now), model.go(Is::ForcedOpen, now));
                }
                Step::ForceClosed => {
                    prop_assert_eq!(breaker.force_closed(now), model.go(Is::ForcedClosed, now));
                }
                Step::Reset => prop_assert_eq!(breaker.reset(now), model.go(Is::Closed, now)),
            }
            let report = breaker.report();
            prop_assert_eq!(report.state, model.is.state());
            prop_assert_eq!(report.state, breaker.state());
            prop_assert_eq!(u64::from(report.generation), model.generation);
            prop_assert_eq!(report.mode, match model.is {
                Is::ForcedOpen => Mode::ForcedOpen,
                Is::ForcedClosed => Mode::ForcedClosed,
                _ => Mode::Automatic,
            });
            let live = if let Is::HalfOpen { live, .. } = model.is { live } else { 0 };
            prop_assert_eq!(report.probes, live);
            prop_assert!(live <= breaker.config().half_open_calls());
            prop_assert_eq!(report.stale_results, model.stale);
            if model.is == Is::Closed {
                prop_assert_eq!((report.window_calls, report.window_failures), model.counts());
            }
            let latest = model.transitions.len().saturating_sub(256);
            prop_assert_eq!(&report.transitions[..], &model.transitions[latest..]);
            let made: u64 = report.transition_counts.iter().flatten().sum();
            prop_assert_eq!(made, model.transitions.len() as u64);
        }
    }
}

/// The founding text's numbers: 5 failures in a row, 30 s open, 2 successes.
#[test]
fn five_failures_open_it_thirty_seconds_pass_and_two_successes_close_it() {
    let breaker = CircuitBreaker::new(Config::default(), Moment::ZERO);
    let mut moved = None;
    for n in 1..=5 {
        let call = breaker.admit(at(secs(n)), &mut moved).unwrap();
        assert!(!call.is_probe());
        let opened = breaker.record(call, Outcome::Failure, at(secs(n)));
        assert_eq!(opened.map(|opened| opened.to), (n == 5).then_some(State::Open));
    }
    let refused = breaker.admit(at(secs(15)), &mut moved);
    assert_eq!(refused, Err(Refusal { retry_after: Some(secs(20)) }));
    assert_eq!(moved, None);

    let first = breaker.admit(at(secs(35)), &mut moved).unwrap();
    assert!(first.is_probe());
    assert_eq!(moved.map(|moved| moved.to), Some(State::HalfOpen));
    let second = breaker.admit(at(secs(35)), &mut moved).unwrap();
    assert_eq!(breaker.record(first, Outcome::Success, at(secs(36))), None);
    let closed = breaker.record(second, Outcome::Success, at(secs(37)));
    assert_eq!(closed.map(|closed| closed.to), Some(State::Closed));

    let report = breaker.report();
    let tos: Vec<State> = report.transitions.iter().map(|moved| moved.to).collect();
    assert_eq!(tos, [State::Open, State::HalfOpen, State::Closed]);
    assert_eq!((report.window_calls, report.stale_results), (0, 0));
}

/// The failure-rate mode's: half of at least 20 calls, 60 s open, 5 probes.
#[test]
fn half_of_twenty_failing_open_it_for_sixty_seconds_and_five_probes_find_out() {
    let config = Config::builder().failure_rate(0.5).build().unwrap();
    let breaker = CircuitBreaker::new(config, Moment::ZERO);
    let now = at(secs(1));
    let mut moved = None;
    for n in 1..=20 {
        let call = breaker.admit(now, &mut moved).unwrap();
        // Ten failures first: nine more calls are needed before they mean anything, then a success
        // completes the twenty.
        let outcome = if n <= 10 { Outcome::Failure } else { Outcome::Success };
        assert_eq!(breaker.record(call, outcome, now).is_some(), n == 20);
    }
    assert_eq!(breaker.poll(now), (None, Some(at(secs(61)))));
    let (moved, next) = breaker.poll(at(secs(61)));
    assert_eq!((moved.map(|moved| moved.to), next), (Some(State::HalfOpen), None));
    let mut moved = None;
    for _ in 0..5 {
        assert!(breaker.admit(at(secs(61)), &mut moved).unwrap().is_probe());
    }
    let sixth = breaker.admit(at(secs(61)), &mut moved);
    assert_eq!(sixth, Err(Refusal { retry_after: None }));
}

#[test]
fn what_is_ignored_is_not_in_the_window() {
    let config = Config::builder().failure_rate(0.5).min_calls(2).window(Over::Calls(4));
    let breaker = CircuitBreaker::new(config.build().unwrap(), Moment::ZERO);
    let mut moved = None;
    let mut end = |outcome| {
        let call = breaker.admit(Moment::ZERO, &mut moved).unwrap();
        breaker.record(call, outcome, Moment::ZERO).is_some()
    };
    assert!(!end(Outcome::Failure));
    for _ in 0..100 {
        assert!(!end(Outcome::Ignored) && !end(Outcome::Cancelled) && !end(Outcome::Expired));
    }
    assert!(end(Outcome::TimedOut), "the second failure of two, not of three hundred and two");
}

#[test]
fn probes_are_not_in_the_closed_window() {
    let config = Config::builder().failures(2).success_threshold(1).build().unwrap();
    let breaker = CircuitBreaker::new(config, Moment::ZERO);
    let mut moved = None;
    for _ in 0..3 {
        let mut now = breaker.report().transitions.last().map_or(Moment::ZERO, |last| last.at);
        for _ in 0..2 {
            let call = breaker.admit(now, &mut moved).unwrap();
            breaker.record(call, Outcome::Failure, now);
        }
        now = now + secs(30);
        let (lost, probe) = (breaker.admit(now, &mut moved), breaker.admit(now, &mut moved));
        breaker.record(probe.unwrap(), Outcome::Success, now);
        breaker.record(lost.unwrap(), Outcome::Failure, now);
        assert_eq!(breaker.state(), State::Closed);
        assert_eq!(breaker.report().window_calls, 0, "it starts with nothing against it");
    }
}
