//! The whole breaker against a plain one that keeps every outcome in a list.

use std::time::Duration;

use proptest::prelude::*;

use super::{at, millis, secs};
use crate::breaker::{
    Admission, CircuitBreaker, Config, Enforcement, HalfOpenMode, Mode, Refusal, Trip,
    Window as Over,
};
use crate::clock::Moment;
use crate::event::{State, Transition};
use crate::outcome::{Class, Outcome};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Is {
    Closed,
    Open { until: Moment },
    HalfOpen { live: u32, successes: u32, failures: u32 },
    ForcedOpen,
    ForcedClosed,
    Disabled,
}

impl Is {
    fn state(self) -> State {
        match self {
            Self::Closed | Self::ForcedClosed | Self::Disabled => State::Closed,
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
    counted: bool,
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
    withheld: u64,
    /// When it opened since it was last well for long enough.
    openings: Vec<Moment>,
    closed_at: Option<Moment>,
    transitions: Vec<Transition>,
}

impl Model {
    fn new(config: Config) -> Self {
        Self {
            is: match config.enforcement() {
                Enforcement::Disabled => Is::Disabled,
                _ => Is::Closed,
            },
            config,
            generation: 0,
            list: Vec::new(),
            bucket: 0,
            last_probe: Moment::ZERO,
            stale: 0,
            withheld: 0,
            openings: Vec::new(),
            closed_at: None,
            transitions: Vec::new(),
        }
    }

    fn go(&mut self, to: Is, now: Moment) -> Option<Transition> {
        let from = self.is.state();
        self.is = to;
        self.generation += 1;
        if to == Is::Closed {
            self.list.clear();
            self.closed_at = Some(now);
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
        let spell = self.config.healthy_after();
        let was_well = self.is == Is::Closed
            && self.closed_at.is_some_and(|closed| now.since(closed) >= spell);
        if was_well {
            self.openings.clear();
        }
        let longest = self.config.max_open_for();
        let mut open_for = self.config.open_for();
        for _ in &self.openings {
            // Rates of growth in this test are whole.
            open_for = open_for.saturating_mul(self.config.open_growth() as u32).min(longest);
        }
        self.openings.push(now);
        let until = (now + open_for).as_nanos().next_multiple_of(1_000_000);
        self.go(Is::Open { until: Moment::from_nanos(until) }, now)
    }

    fn free(&self, live: u32, answered: u32) -> bool {
        let by_rate = matches!(self.config.trip(), Trip::Rate { .. });
        live + if by_rate { answered } else { 0 } < self.config.half_open_calls()
    }

    /// Whether the probes would open it (`Some(true)`) or close it, all of them having answered.
    fn opens(&self, successes: u32, failures: u32) -> Option<bool> {
        let Trip::Rate { failure_rate, .. } = self.config.trip() else { return None };
        let total = self.config.half_open_calls();
        (successes + failures == total)
            .then(|| f64::from(failures) / f64::from(total) >= failure_rate)
    }

    /// `Some(true)`: opens; `Some(false)`: closes.
    fn verdict(&self, successes: u32, failures: u32) -> Option<bool> {
        match self.config.half_open() {
            HalfOpenMode::AllProbes => self.opens(successes, failures),
            HalfOpenMode::Early => {
                // Whatever the others say: every possible end is looked at.
                let left = self.config.half_open_calls() - successes - failures;
                let mut ends = (0..=left)
                    .map(|failed| self.opens(successes + left - failed, failures + failed));
                let first = ends.next().flatten();
                if ends.all(|end| end == first) { first } else { None }
            }
            _ if failures > 0 => Some(true),
            _ => (successes >= self.config.success_threshold()).then_some(false),
        }
    }

    fn lost(&self, now: Moment) -> bool {
        now.since(self.last_probe) >= self.config.probe_life()
    }

    fn check(&self, now: Moment) -> Result<(), Refusal> {
        match self.is {
            Is::Closed | Is::ForcedClosed | Is::Disabled => Ok(()),
            Is::Open { until } if now >= until => Ok(()),
            Is::Open { until } => Err(Refusal { retry_after: Some(until.since(now)) }),
            Is::HalfOpen { live, successes, failures }
                if self.free(live, successes + failures) || self.lost(now) =>
            {
                Ok(())
            }
            Is::HalfOpen { .. } | Is::ForcedOpen => Err(Refusal { retry_after: None }),
        }
    }

    fn withholds(&self) -> bool {
        self.config.enforcement() == Enforcement::Observe && self.is != Is::ForcedOpen
    }

    fn says(&self, now: Moment) -> Result<(), Refusal> {
        if self.withholds() { Ok(()) } else { self.check(now) }
    }

    fn admit(&mut self, now: Moment) -> (Result<Lease, Refusal>, Option<Transition>) {
        if let Err(refusal) = self.check(now) {
            if self.withholds() {
                self.withheld += 1;
                let generation = self.generation;
                return (Ok(Lease { generation, probe: false, counted: false }), None);
            }
            return (Err(refusal), None);
        }
        let moved = self.poll(now);
        let mut probe = false;
        if let Is::HalfOpen { live, successes, failures } = self.is {
            let mut live = live;
            if !self.free(live, successes + failures) {
                self.generation += 1;
                live = 0;
            }
            self.is = Is::HalfOpen { live: live + 1, successes, failures };
            self.last_probe = self.last_probe.max(now);
            probe = true;
        }
        let counted = !matches!(self.is, Is::ForcedClosed | Is::Disabled);
        (Ok(Lease { generation: self.generation, probe, counted }), moved)
    }

    fn poll(&mut self, now: Moment) -> Option<Transition> {
        match self.is {
            Is::Open { until } if now >= until => {
                self.go(Is::HalfOpen { live: 0, successes: 0, failures: 0 }, now)
            }
            _ => None,
        }
    }

    fn record(&mut self, lease: Lease, outcome: Outcome, now: Moment) -> Option<Transition> {
        let class = outcome.class();
        if !lease.counted || (!lease.probe && class == Class::Ignored) {
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
            (Is::HalfOpen { live, successes, failures }, class) => {
                let successes = successes + u32::from(class == Class::Success);
                let failures = failures + u32::from(class == Class::Failure);
                match self.verdict(successes, failures) {
                    Some(true) => self.open(now),
                    Some(false) => self.go(Is::Closed, now),
                    None => {
                        self.is = Is::HalfOpen { live: live - 1, successes, failures };
                        None
                    }
                }
            }
            (_, _) => unreachable!("what is admitted there is not counted"),
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
    Disable,
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
        1 => Just(Step::Disable),
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
    let mode = prop::sample::select(&HalfOpenMode::ALL[..]);
    let enforcement = prop_oneof![
        6 => Just(Enforcement::Enforce),
        2 => Just(Enforcement::Observe),
        1 => Just(Enforcement::Disabled),
    ];
    let growth = (1u32..4, 1u32..10, 1u64..3_000);
    (trip, open_for, (1u32..5, 1u32..5, mode), life, enforcement, growth).prop_map(
        |(trip, open_for, (calls, successes, mode), life, enforcement, (growth, most, spell))| {
            let mut builder = Config::builder()
                .open_for(open_for)
                .probe_life(life)
                .enforcement(enforcement)
                .open_growth(f64::from(growth))
                .max_open_for(open_for * most)
                .healthy_after(millis(spell));
            let mut by_rate = false;
            builder = match trip {
                Trip::Consecutive { failures } => builder.failures(failures),
                Trip::Rate { failure_rate, min_calls, window } => {
                    by_rate = true;
                    builder.failure_rate(failure_rate).min_calls(min_calls).window(window)
                }
            };
            match mode {
                HalfOpenMode::OneProbe => builder.half_open(mode),
                HalfOpenMode::AllProbes | HalfOpenMode::Early if by_rate => {
                    builder.half_open(mode).half_open_calls(calls)
                }
                _ => builder.half_open_calls(calls).success_threshold(if by_rate {
                    successes.min(calls)
                } else {
                    successes
                }),
            }
            .build()
            .unwrap()
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
                    prop_assert_eq!(breaker.check(now), model.says(now));
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
                Step::Disable => {
                    prop_assert_eq!(breaker.disable(now), model.go(Is::Disabled, now));
                }
                Step::Reset => {
                    let is_disabled = model.config.enforcement() == Enforcement::Disabled;
                    let to = if is_disabled { Is::Disabled } else { Is::Closed };
                    model.openings.clear();
                    prop_assert_eq!(breaker.reset(now), model.go(to, now));
                }
            }
            let report = breaker.report();
            prop_assert_eq!(report.state, model.is.state());
            prop_assert_eq!(report.state, breaker.state());
            prop_assert_eq!(u64::from(report.generation), model.generation);
            prop_assert_eq!(report.mode, match model.is {
                Is::ForcedOpen => Mode::ForcedOpen,
                Is::ForcedClosed => Mode::ForcedClosed,
                Is::Disabled => Mode::Disabled,
                _ if model.config.enforcement() == Enforcement::Observe => Mode::Observing,
                _ => Mode::Automatic,
            });
            let live = if let Is::HalfOpen { live, .. } = model.is { live } else { 0 };
            prop_assert_eq!(report.probes, live);
            prop_assert!(live <= breaker.config().half_open_calls());
            prop_assert_eq!(report.stale_results, model.stale);
            prop_assert_eq!(report.refusals_withheld, model.withheld);
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
