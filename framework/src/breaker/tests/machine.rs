//! The whole breaker against a plain one that keeps every outcome in a list.

use std::time::Duration;

use proptest::prelude::*;

use super::{at, millis, secs};
use crate::breaker::{
    CircuitBreaker, Config, Enforcement, HalfOpenMode, Leave, Mode, NotAdmitted, Window as Over,
};
use crate::clock::Moment;
use crate::event::{State, Transition};
use crate::outcome::{AttemptEnd, Class, Outcome};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Is {
    Closed,
    Open { until: Moment },
    HalfOpen { answers: Answers },
    ForcedOpen,
    ForcedClosed,
    Disabled,
}

/// What the probes that have answered said.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Answers {
    successes: u32,
    failures: u32,
    slow: u32,
}

impl Answers {
    fn all(self) -> u32 {
        self.successes + self.failures
    }
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
    /// Its number, if it is a probe.
    probe: Option<u64>,
    counted: bool,
}

/// A move: when, from where, to where, and which one. Why is not in the model.
type Told = (Moment, State, State, u64);

fn told(moved: impl Into<Option<Transition>>) -> Option<Told> {
    moved.into().map(|moved| (moved.at, moved.from, moved.to, moved.sequence))
}

struct Model {
    config: Config,
    is: Is,
    generation: u64,
    /// Outcomes of this generation, each in the bucket of its time: whether it failed, and was slow.
    list: Vec<(u64, bool, bool)>,
    /// Where in the list the window of calls, the one of time and the run begin.
    since: [usize; 3],
    is_by_hand: bool,
    bucket: u64,
    /// Probes that are out and have their place: their numbers, and since when.
    out: Vec<(u64, Moment)>,
    probes_ever: u64,
    stale: u64,
    /// Answers that a window or a half-open state has counted, and those that say nothing.
    heard: u64,
    withheld: u64,
    /// Attempts without an answer in a row, and probes that were abandoned.
    unanswered: u32,
    abandoned_probes: u32,
    /// When it opened since it was last well for long enough.
    openings: Vec<Moment>,
    closed_at: Option<Moment>,
    /// Until when the server has asked to be left alone.
    asked: Moment,
    observing: bool,
    transitions: Vec<Told>,
}

impl Model {
    fn new(config: Config) -> Self {
        let mut model = Self {
            is: match config.enforcement() {
                Enforcement::Disabled => Is::Disabled,
                _ => Is::Closed,
            },
            generation: 0,
            list: Vec::new(),
            since: [0; 3],
            is_by_hand: false,
            bucket: 0,
            out: Vec::new(),
            probes_ever: 0,
            stale: 0,
            heard: 0,
            withheld: 0,
            unanswered: 0,
            abandoned_probes: 0,
            openings: Vec::new(),
            closed_at: None,
            asked: Moment::ZERO,
            observing: false,
            transitions: Vec::new(),
            config,
        };
        model.observing = model.config.enforcement() == Enforcement::Observe;
        model
    }

    fn go(&mut self, to: Is, now: Moment) -> Option<Told> {
        let from = self.is.state();
        self.is = to;
        self.out.clear();
        self.abandoned_probes = 0;
        self.generation += 1;
        if to == Is::Closed {
            self.list.clear();
            self.unanswered = 0;
            self.since = [0; 3];
            self.closed_at = Some(now);
            self.asked = Moment::ZERO;
            self.bucket = self.bucket.max(self.bucket_of(now));
        }
        let sequence = self.transitions.len() as u64 + 1;
        let transition = (now, from, to.state(), sequence);
        (from != to.state()).then(|| {
            self.transitions.push(transition);
            transition
        })
    }

    fn bucket_of(&self, now: Moment) -> u64 {
        let time = self.config.trip().rates.and_then(|rates| rates.time);
        time.map_or(0, |length| now.as_nanos() / (length.as_nanos() as u64).div_ceil(10))
    }

    fn open(&mut self, now: Moment) -> Option<Told> {
        let spell = self.config.healthy_after();
        let was_well = self.is == Is::Closed
            && self.closed_at.is_some_and(|closed| now.since(closed) >= spell);
        if was_well {
            self.openings.clear();
        }
        let longest = self.config.max_open_for();
        let mut open_for = self.config.first_open_for();
        for _ in &self.openings {
            open_for = if open_for < self.config.open_for() {
                (open_for * 2).min(self.config.open_for())
            } else {
                // Rates of growth in this test are whole.
                open_for.saturating_mul(self.config.open_growth() as u32).min(longest)
            };
        }
        self.openings.push(now);
        let open_for = open_for.max(self.asked.since(now).min(longest));
        let until = (now + open_for).as_nanos().next_multiple_of(1_000_000);
        self.go(Is::Open { until: Moment::from_nanos(until) }, now)
    }

    /// Whether there is a place beside those of the probes that have not outlived their life.
    fn free(&self, answers: Answers, now: Moment) -> bool {
        let by_rate = self.config.trip().rates.is_some();
        let live = self.out.iter().filter(|(_, since)| !self.outlived(*since, now)).count() as u32;
        live + if by_rate { answers.all() } else { 0 } < self.config.half_open_calls()
    }

    /// Whether the probes would open it (`Some(true)`) or close it, all of them having answered.
    fn opens(&self, answers: Answers) -> Option<bool> {
        let rates = self.config.trip().rates?;
        let total = self.config.half_open_calls();
        let reached = |rate: Option<f64>, bad: u32| {
            rate.is_some_and(|rate| f64::from(bad) / f64::from(total) >= rate)
        };
        (answers.all() == total).then(|| {
            reached(rates.failure_rate, answers.failures)
                || reached(rates.slow_call_rate, answers.slow)
        })
    }

    /// `Some(true)`: opens; `Some(false)`: closes.
    fn verdict(&self, answers: Answers) -> Option<bool> {
        match self.config.half_open() {
            HalfOpenMode::AllProbes => self.opens(answers),
            HalfOpenMode::Early => {
                // Whatever the others say: every possible end is looked at.
                let left = self.config.half_open_calls() - answers.all();
                let mut ends = Vec::new();
                for failed in 0..=left {
                    for slow in 0..=left {
                        ends.push(self.opens(Answers {
                            successes: answers.successes + left - failed,
                            failures: answers.failures + failed,
                            slow: answers.slow + slow,
                        }));
                    }
                }
                ends.iter().all(|end| *end == ends[0]).then_some(ends[0])?
            }
            _ if answers.failures > 0 || answers.slow > 0 => Some(true),
            _ => (answers.successes >= self.config.success_threshold()).then_some(false),
        }
    }

    fn outlived(&self, since: Moment, now: Moment) -> bool {
        now.since(since) >= self.config.probe_life()
    }

    /// A life that is over ends when somebody looks, if it has no place otherwise.
    fn end_lives(&mut self, now: Moment) {
        let life = self.config.probe_life();
        self.out.retain(|(_, since)| now.since(*since) < life);
    }

    fn check(&self, now: Moment) -> Result<(), NotAdmitted> {
        match self.is {
            Is::Closed | Is::ForcedClosed | Is::Disabled => Ok(()),
            Is::Open { until } if now >= until => Ok(()),
            Is::Open { until } => Err(NotAdmitted { retry_after: Some(until.since(now)) }),
            Is::HalfOpen { answers } if self.free(answers, now) => Ok(()),
            Is::HalfOpen { .. } | Is::ForcedOpen => Err(NotAdmitted { retry_after: None }),
        }
    }

    fn withholds(&self) -> bool {
        self.observing && self.is != Is::ForcedOpen
    }

    fn says(&self, now: Moment) -> Result<(), NotAdmitted> {
        if self.withholds() { Ok(()) } else { self.check(now) }
    }

    fn admit(&mut self, now: Moment) -> (Result<Lease, NotAdmitted>, Option<Told>) {
        if let Err(refusal) = self.check(now) {
            if matches!(self.is, Is::HalfOpen { .. }) {
                self.end_lives(now);
            }
            if self.withholds() {
                self.withheld += 1;
                let generation = self.generation;
                return (Ok(Lease { generation, probe: None, counted: false }), None);
            }
            return (Err(refusal), None);
        }
        let moved = self.poll(now);
        let mut probe = None;
        if let Is::HalfOpen { .. } = self.is {
            self.end_lives(now);
            self.probes_ever += 1;
            self.out.push((self.probes_ever, now));
            probe = Some(self.probes_ever);
        }
        let counted = !matches!(self.is, Is::ForcedClosed | Is::Disabled);
        (Ok(Lease { generation: self.generation, probe, counted }), moved)
    }

    fn poll(&mut self, now: Moment) -> Option<Told> {
        match self.is {
            Is::Open { until } if now >= until => {
                self.go(Is::HalfOpen { answers: Answers::default() }, now)
            }
            _ => None,
        }
    }

    /// When the breaker is to be looked at again.
    fn next_look(&self) -> Option<Moment> {
        let oldest = self.out.iter().map(|(_, since)| *since).min();
        match self.is {
            Is::Open { until } => Some(until),
            _ => oldest.map(|since| since + self.config.probe_life()),
        }
    }

    fn record(&mut self, lease: Lease, attempt_end: AttemptEnd, now: Moment) -> Option<Told> {
        let class = attempt_end.outcome.class();
        if !lease.counted {
            return None;
        }
        let in_time = match lease.probe {
            None => lease.generation == self.generation,
            Some(number) => {
                let at = self.out.iter().position(|(out, _)| *out == number);
                at.is_some_and(|at| {
                    let (_, since) = self.out.remove(at);
                    !self.outlived(since, now)
                })
            }
        };
        if !in_time {
            self.stale += 1;
            return None;
        }
        self.heard += 1;
        if lease.probe.is_none() {
            let has_no_answer =
                matches!(attempt_end.outcome, Outcome::TimedOut | Outcome::Cancelled);
            self.unanswered = if has_no_answer { self.unanswered + 1 } else { 0 };
            if class == Class::Ignored {
                return if self.is_silent() { self.open(now) } else { None };
            }
        }
        if self.config.use_retry_after() {
            self.asked = self.asked.max(now + attempt_end.retry_after.unwrap_or_default());
        }
        let slow = attempt_end.slow && self.config.minds_slow_calls();
        match (self.is, class) {
            (Is::Closed, _) => {
                self.bucket = self.bucket.max(self.bucket_of(now));
                self.list.push((self.bucket, class == Class::Failure, slow));
                if self.is_too_much() || self.is_silent() { self.open(now) } else { None }
            }
            (Is::HalfOpen { mut answers }, class) => {
                let is_abandoned = attempt_end.outcome == Outcome::Cancelled;
                self.abandoned_probes = if is_abandoned { self.abandoned_probes + 1 } else { 0 };
                let most = self.config.half_open_calls().max(3);
                if self.config.trip().unanswered.is_some() && self.abandoned_probes >= most {
                    return self.open(now);
                }
                answers.successes += u32::from(class == Class::Success);
                answers.failures += u32::from(class == Class::Failure);
                answers.slow += u32::from(slow && class != Class::Ignored);
                match self.verdict(answers) {
                    Some(true) => self.open(now),
                    Some(false) => self.go(Is::Closed, now),
                    None => {
                        self.is = Is::HalfOpen { answers };
                        None
                    }
                }
            }
            (_, _) => unreachable!("what is admitted there is not counted"),
        }
    }

    fn is_silent(&self) -> bool {
        self.config.trip().unanswered.is_some_and(|most| self.unanswered >= most)
    }

    fn run(&self) -> u64 {
        let since = self.list[self.since[2]..].iter().rev();
        since.take_while(|(_, failed, _)| *failed).count() as u64
    }

    fn last(&self, calls: u32) -> [u64; 3] {
        count(self.list[self.since[0]..].iter().rev().take(calls as usize))
    }

    fn latest(&self) -> [u64; 3] {
        let since = self.list[self.since[1]..].iter();
        count(since.filter(|(bucket, ..)| bucket + 10 > self.bucket))
    }

    /// Calls, failures and slow calls in each window.
    fn windows(&self) -> Vec<[u64; 3]> {
        let rates = self.config.trip().rates;
        let calls = rates.and_then(|rates| rates.calls).map(|calls| self.last(calls));
        let time = rates.and_then(|rates| rates.time).map(|_| self.latest());
        calls.into_iter().chain(time).collect()
    }

    fn reconfigure(&mut self, config: Config, now: Moment) -> Option<Told> {
        let old = std::mem::replace(&mut self.config, config);
        let parts = |config: &Config| {
            let trip = config.trip();
            let calls = trip.calls();
            let time = trip.rates.and_then(|rates| rates.time);
            // What is counted in a row: failures, anything.
            let run = (trip.failures.is_some(), trip.failures.or(trip.unanswered).is_some());
            (calls, time.map(|time| time.as_nanos().div_ceil(10)), run)
        };
        let (before, after) = (parts(&old), parts(&self.config));
        if before.0 != after.0 {
            self.since[0] = self.list.len();
        }
        if before.1 != after.1 {
            self.since[1] = self.list.len();
            self.bucket = self.bucket_of(now);
        }
        if before.2 != after.2 {
            self.since[2] = self.list.len();
            self.unanswered = 0;
        }
        if let Is::HalfOpen { answers } = &mut self.is
            && judges(&old) != judges(&self.config)
        {
            *answers = Answers::default();
        }
        if self.is_by_hand {
            return None;
        }
        self.observing = self.config.enforcement() == Enforcement::Observe;
        match (self.is, self.config.enforcement()) {
            (Is::Disabled, Enforcement::Disabled) => None,
            (Is::Disabled, _) => self.go(Is::Closed, now),
            (_, Enforcement::Disabled) => self.go(Is::Disabled, now),
            _ => None,
        }
    }

    fn is_too_much(&self) -> bool {
        let trip = self.config.trip();
        if trip.failures.is_some_and(|most| self.run() >= u64::from(most)) {
            return true;
        }
        let Some(rates) = trip.rates else { return false };
        self.windows().into_iter().any(|[calls, failures, slow]| {
            let reached =
                |rate: Option<f64>, bad| rate.is_some_and(|rate| bad as f64 / calls as f64 >= rate);
            calls >= u64::from(rates.min_calls)
                && (reached(rates.failure_rate, failures) || reached(rates.slow_call_rate, slow))
        })
    }
}

/// By what a breaker judges its probes, spelled out.
fn judges(config: &Config) -> String {
    let rates = config.trip().rates;
    let slow = rates.and_then(|rates| rates.slow_call_rate);
    let shares = match config.half_open() {
        HalfOpenMode::AllProbes | HalfOpenMode::Early => rates.map(|it| (it.failure_rate, slow)),
        HalfOpenMode::FirstFailure | HalfOpenMode::OneProbe => None,
    };
    let (mode, calls, needed) =
        (config.half_open(), config.half_open_calls(), config.success_threshold());
    format!("{mode:?} {calls} {needed} {} {} {shares:?}", rates.is_some(), slow.is_some())
}

fn count<'a>(calls: impl Iterator<Item = &'a (u64, bool, bool)>) -> [u64; 3] {
    calls.fold([0; 3], |[calls, failures, slow], (_, failed, was_slow)| {
        [calls + 1, failures + u64::from(*failed), slow + u64::from(*was_slow)]
    })
}

#[derive(Clone, Debug)]
enum Step {
    Admit,
    /// Ends any lease that is out, a late one too.
    Record(prop::sample::Index, AttemptEnd),
    Advance(Duration),
    Poll,
    ForceOpen,
    ForceClosed,
    Disable,
    Observe,
    Reset,
    /// Other settings, of which windows may be the old ones.
    Reconfigure(Box<Config>),
}

fn lessons() -> impl Strategy<Value = AttemptEnd> {
    let outcome = prop_oneof![
        4 => Just(Outcome::Success),
        6 => Just(Outcome::Failure),
        1 => prop::sample::select(Outcome::ALL),
        1 => prop::sample::select(&[Outcome::Cancelled, Outcome::TimedOut]),
    ];
    let asked = prop_oneof![
        9 => Just(None),
        1 => prop_oneof![(0u64..5_000).prop_map(millis), Just(Duration::MAX)].prop_map(Some),
    ];
    (outcome, prop::bool::weighted(0.3), asked)
        .prop_map(|(outcome, slow, retry_after)| AttemptEnd { outcome, slow, retry_after })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        40 => Just(Step::Admit),
        36 => (any::<prop::sample::Index>(), lessons()).prop_map(|(at, end)| Step::Record(at, end)),
        8 => (0u64..30_000_000).prop_map(|n| Step::Advance(Duration::from_nanos(n))),
        6 => (0u64..3_000).prop_map(|ms| Step::Advance(millis(ms))),
        1 => Just(Step::Advance(secs(365 * 24 * 3600))),
        4 => Just(Step::Poll),
        1 => Just(Step::ForceOpen),
        1 => Just(Step::ForceClosed),
        1 => Just(Step::Disable),
        1 => Just(Step::Observe),
        2 => Just(Step::Reset),
        1 => configs().prop_map(|config| Step::Reconfigure(Box::new(config))),
    ];
    prop::collection::vec(step, 0..400)
}

/// What opens it: any of failures in a row, and shares of failures and slow calls over calls and time.
fn trips() -> impl Strategy<Value = (crate::breaker::Builder, bool, bool)> {
    let rate = || prop::option::of((1u32..=10).prop_map(|rate| f64::from(rate) / 10.0));
    // Some sizes come often, so that a breaker is given the ones that it has.
    let calls = || prop_oneof![1u32..30, Just(7)];
    let time = || prop_oneof![(10u64..2_000).prop_map(millis), Just(millis(100))];
    let windows = prop_oneof![
        calls().prop_map(|calls| (Some(calls), None)),
        time().prop_map(|time| (None, Some(time))),
        (calls(), time()).prop_map(|(calls, time)| (Some(calls), Some(time))),
    ];
    let runs = (prop::option::of(1u32..6), prop::option::of(1u32..6));
    (runs, rate(), rate(), windows, 1u32..10).prop_map(
        |((failures, unanswered), failure_rate, slow_rate, (calls, time), min_calls)| {
            let mut builder = Config::builder().slow_call(secs(1));
            builder = match unanswered {
                Some(attempts) => builder.unanswered(attempts),
                None => builder.without_unanswered(),
            };
            builder = match failures {
                Some(failures) => builder.failures(failures),
                None if failure_rate.or(slow_rate).is_some() => builder.without_failures(),
                None => builder.failures(5),
            };
            if let Some(rate) = failure_rate {
                builder = builder.failure_rate(rate);
            }
            if let Some(rate) = slow_rate {
                builder = builder.slow_call_rate(rate);
            }
            let has_rates = failure_rate.is_some() || slow_rate.is_some();
            if has_rates {
                builder = builder.min_calls(calls.map_or(min_calls, |calls| min_calls.min(calls)));
                let windows = [calls.map(Over::Calls), time.map(Over::Time)];
                builder = windows.into_iter().flatten().fold(builder, |it, over| it.window(over));
            }
            (builder, failure_rate.is_some(), has_rates)
        },
    )
}

fn configs() -> impl Strategy<Value = Config> {
    let open_for = (1_000_000u64..2_000_000_000).prop_map(Duration::from_nanos);
    let life = (1u64..3_000).prop_map(millis);
    let mode = prop::sample::select(HalfOpenMode::ALL);
    let enforcement = prop_oneof![
        6 => Just(Enforcement::Enforce),
        2 => Just(Enforcement::Observe),
        1 => Just(Enforcement::Disabled),
    ];
    let first = (1_000_000u64..2_000_000_000).prop_map(Duration::from_nanos);
    let growth = (first, 1u32..4, 1u32..10, 1u64..3_000, any::<bool>());
    (trips(), open_for, (1u32..5, 1u32..5, mode), life, enforcement, growth).prop_map(
        |(
            (builder, by_rate, has_rates),
            open_for,
            (calls, successes, mode),
            life,
            enforcement,
            (first, growth, most, spell, heed),
        )| {
            let builder = builder
                .first_open_for(first.min(open_for))
                .open_for(open_for)
                .probe_life(life)
                .enforcement(enforcement)
                .open_growth(f64::from(growth))
                .max_open_for(open_for * most)
                .healthy_after(millis(spell))
                .use_retry_after(heed);
            match mode {
                HalfOpenMode::OneProbe => builder.half_open(mode),
                HalfOpenMode::AllProbes | HalfOpenMode::Early if by_rate => {
                    builder.half_open(mode).half_open_calls(calls)
                }
                _ => builder.half_open_calls(calls).success_threshold(if has_rates {
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
        let mut out: Vec<(Leave, Lease)> = Vec::new();
        let mut admitted_ever = 0;
        let mut most_places = breaker.config().half_open_calls();
        for step in steps {
            match step {
                Step::Admit => {
                    prop_assert_eq!(breaker.check(now), model.says(now));
                    let mut moved = None;
                    let admitted = breaker.let_in(now, &mut moved);
                    let (expected, move_expected) = model.admit(now);
                    prop_assert_eq!(told(moved), move_expected);
                    match (admitted, expected) {
                        (Ok(admission), Ok(lease)) => {
                            prop_assert_eq!(admission.is_probe(), lease.probe.is_some());
                            admitted_ever += u64::from(lease.counted);
                            out.push((admission, lease));
                        }
                        (admitted, expected) => prop_assert_eq!(admitted.err(), expected.err()),
                    }
                }
                Step::Record(index, attempt_end) if !out.is_empty() => {
                    let (admission, lease) = out.swap_remove(index.index(out.len()));
                    let moved = breaker.note(admission, attempt_end, now);
                    prop_assert_eq!(told(moved), model.record(lease, attempt_end, now));
                }
                Step::Record(..) => {}
                Step::Advance(by) => now = now + by,
                Step::Poll => {
                    let (moved, next) = breaker.poll(now);
                    model.end_lives(now);
                    prop_assert_eq!(told(moved), model.poll(now));
                    prop_assert_eq!(next, model.next_look());
                }
                Step::ForceOpen => {
                    model.is_by_hand = true;
                    prop_assert_eq!(told(breaker.force_open(now)), model.go(Is::ForcedOpen, now));
                }
                Step::ForceClosed => {
                    model.is_by_hand = true;
                    prop_assert_eq!(told(breaker.force_closed(now)), model.go(Is::ForcedClosed, now));
                }
                Step::Disable => {
                    model.is_by_hand = true;
                    prop_assert_eq!(told(breaker.disable(now)), model.go(Is::Disabled, now));
                }
                Step::Observe => {
                    model.observing = true;
                    model.is_by_hand = true;
                    let held = matches!(model.is, Is::ForcedOpen | Is::ForcedClosed | Is::Disabled);
                    let expected = if held { model.go(Is::Closed, now) } else { None };
                    prop_assert_eq!(told(breaker.observe(now)), expected);
                }
                Step::Reconfigure(config) => {
                    most_places = most_places.max(config.half_open_calls());
                    let moved = breaker.reconfigure((*config).clone(), now);
                    prop_assert_eq!(told(moved), model.reconfigure(*config, now));
                }
                Step::Reset => {
                    model.is_by_hand = false;
                    model.observing = model.config.enforcement() == Enforcement::Observe;
                    let is_disabled = model.config.enforcement() == Enforcement::Disabled;
                    let to = if is_disabled { Is::Disabled } else { Is::Closed };
                    model.openings.clear();
                    prop_assert_eq!(told(breaker.reset(now)), model.go(to, now));
                }
            }
            let report = breaker.report(Moment::ZERO);
            prop_assert_eq!(report.state, model.is.state());
            prop_assert_eq!(report.state, breaker.state());
            prop_assert_eq!(u64::from(report.generation), model.generation);
            prop_assert_eq!(report.mode, match model.is {
                Is::ForcedOpen => Mode::ForcedOpen,
                Is::ForcedClosed => Mode::ForcedClosed,
                Is::Disabled => Mode::Disabled,
                _ if model.observing => Mode::Observing,
                _ => Mode::Automatic,
            });
            prop_assert_eq!(report.probes, model.out.len() as u32);
            // Those that came before there were fewer places may stay.
            prop_assert!(report.probes <= most_places);
            most_places = report.probes.max(breaker.config().half_open_calls());
            prop_assert_eq!(report.stale_results, model.stale);
            prop_assert_eq!(report.refusals_withheld, model.withheld);
            if model.is == Is::Closed {
                let window = [report.window_calls, report.window_failures, report.window_slow];
                let run = model.run();
                let expected = model.windows().first().copied().unwrap_or([run, run, 0]);
                prop_assert_eq!(window, expected);
            }
            let latest = model.transitions.len().saturating_sub(256);
            let made: Vec<_> = report.transitions.iter().filter_map(|&moved| told(moved)).collect();
            prop_assert_eq!(&made[..], &model.transitions[latest..]);
            let made: u64 = report.transition_counts.iter().flatten().sum();
            prop_assert_eq!(made, model.transitions.len() as u64);
        }

        // Every lease ends once: it is heard, or it is stale. Half of them never do, and that is as well.
        let hung = out.split_off(out.len() / 2);
        for (admission, lease) in out {
            let outcome = if lease.probe.is_some() { Outcome::Cancelled } else { Outcome::Success };
            prop_assert_eq!(
                told(breaker.note(admission, outcome, now)),
                model.record(lease, outcome.into(), now)
            );
        }
        let hung_and_counted = hung.iter().filter(|(_, lease)| lease.counted).count() as u64;
        prop_assert_eq!(model.heard + model.stale + hung_and_counted, admitted_ever);
        prop_assert_eq!(breaker.report(Moment::ZERO).stale_results, model.stale);

        // Nothing but an order or a setting keeps it from closing, if all is well and time passes.
        let held = matches!(model.is, Is::ForcedOpen | Is::ForcedClosed | Is::Disabled);
        let before = breaker.state();
        for _ in 0..200 {
            breaker.poll(now);
            if let Ok(admission) = breaker.let_in(now, &mut None) {
                breaker.note(admission, Outcome::Success, now);
            }
            now = now + millis(500);
        }
        breaker.poll(now);
        let report = breaker.report(Moment::ZERO);
        prop_assert_eq!(report.state, if held { before } else { State::Closed });
        prop_assert_eq!(report.probes, 0);
        // The answers of those that hung are too late for anything.
        let is_counted = |(_, lease): &(Leave, Lease)| {
            lease.counted && (lease.probe.is_some() || lease.generation != u64::from(report.generation))
        };
        let late = hung.iter().filter(|it| is_counted(it)).count() as u64;
        for (admission, lease) in hung {
            if lease.probe.is_some() || lease.generation != u64::from(report.generation) {
                prop_assert_eq!(breaker.note(admission, Outcome::Failure, now), None);
            }
        }
        let after = breaker.report(Moment::ZERO);
        prop_assert_eq!((after.state, after.generation), (report.state, report.generation));
        prop_assert_eq!(after.stale_results, report.stale_results + late);
    }
}

/// The default numbers: 5 failures in a row, 30 s open, 2 successes.
#[test]
fn five_failures_open_it_thirty_seconds_pass_and_two_successes_close_it() {
    let config = Config::builder().first_open_for(secs(30)).build().unwrap();
    let breaker = CircuitBreaker::new(config, Moment::ZERO);
    let mut moved = None;
    for n in 1..=5 {
        let call = breaker.let_in(at(secs(n)), &mut moved).unwrap();
        assert!(!call.is_probe());
        let opened = breaker.note(call, Outcome::Failure, at(secs(n)));
        assert_eq!(opened.map(|opened| opened.to), (n == 5).then_some(State::Open));
    }
    let refused = breaker.let_in(at(secs(15)), &mut moved);
    assert_eq!(refused, Err(NotAdmitted { retry_after: Some(secs(20)) }));
    assert_eq!(moved, None);

    let first = breaker.let_in(at(secs(35)), &mut moved).unwrap();
    assert!(first.is_probe());
    assert_eq!(moved.map(|moved| moved.to), Some(State::HalfOpen));
    let second = breaker.let_in(at(secs(35)), &mut moved).unwrap();
    assert_eq!(breaker.note(first, Outcome::Success, at(secs(36))), None);
    let closed = breaker.note(second, Outcome::Success, at(secs(37)));
    assert_eq!(closed.map(|closed| closed.to), Some(State::Closed));

    let report = breaker.report(Moment::ZERO);
    let tos: Vec<State> = report.transitions.iter().map(|moved| moved.to).collect();
    assert_eq!(tos, [State::Open, State::HalfOpen, State::Closed]);
    assert_eq!((report.window_calls, report.stale_results), (0, 0));
}

/// The failure-rate mode's: half of at least 20 calls, 60 s open, 5 probes.
#[test]
fn half_of_twenty_failing_open_it_for_sixty_seconds_and_five_probes_find_out() {
    let config = Config::builder().failure_rate(0.5).without_failures().first_open_for(secs(60));
    let breaker = CircuitBreaker::new(config.build().unwrap(), Moment::ZERO);
    let now = at(secs(1));
    let mut moved = None;
    for n in 1..=20 {
        let call = breaker.let_in(now, &mut moved).unwrap();
        // Ten failures first: nine more calls are needed before they mean anything, then a success
        // completes the twenty.
        let outcome = if n <= 10 { Outcome::Failure } else { Outcome::Success };
        assert_eq!(breaker.note(call, outcome, now).is_some(), n == 20);
    }
    assert_eq!(breaker.poll(now), (None, Some(at(secs(61)))));
    let (moved, next) = breaker.poll(at(secs(61)));
    assert_eq!((moved.map(|moved| moved.to), next), (Some(State::HalfOpen), None));
    let mut moved = None;
    for _ in 0..5 {
        assert!(breaker.let_in(at(secs(61)), &mut moved).unwrap().is_probe());
    }
    let sixth = breaker.let_in(at(secs(61)), &mut moved);
    assert_eq!(sixth, Err(NotAdmitted { retry_after: None }));
}

#[test]
fn what_is_ignored_is_not_in_the_window() {
    let config = Config::builder().failure_rate(0.5).min_calls(2).window(Over::Calls(4));
    let breaker = CircuitBreaker::new(config.build().unwrap(), Moment::ZERO);
    let mut moved = None;
    let mut end = |outcome| {
        let call = breaker.let_in(Moment::ZERO, &mut moved).unwrap();
        breaker.note(call, outcome, Moment::ZERO).is_some()
    };
    assert!(!end(Outcome::Failure));
    for _ in 0..100 {
        assert!(!end(Outcome::Ignored) && !end(Outcome::Cancelled));
    }
    assert!(end(Outcome::TimedOut), "the second failure of two, not of three hundred and two");
}

#[test]
fn probes_are_not_in_the_closed_window() {
    let config = Config::builder().failures(2).success_threshold(1).build().unwrap();
    let breaker = CircuitBreaker::new(config, Moment::ZERO);
    let mut moved = None;
    for _ in 0..3 {
        let mut now =
            breaker.report(Moment::ZERO).transitions.last().map_or(Moment::ZERO, |last| last.at);
        for _ in 0..2 {
            let call = breaker.let_in(now, &mut moved).unwrap();
            breaker.note(call, Outcome::Failure, now);
        }
        now = now + secs(30);
        let (lost, probe) = (breaker.let_in(now, &mut moved), breaker.let_in(now, &mut moved));
        breaker.note(probe.unwrap(), Outcome::Success, now);
        breaker.note(lost.unwrap(), Outcome::Failure, now);
        assert_eq!(breaker.state(), State::Closed);
        assert_eq!(
            breaker.report(Moment::ZERO).window_calls,
            0,
            "it starts with nothing against it"
        );
    }
}
