//! The breaker as calls meet it, against the same list: admitted, ended in a hurry or not, over moves and
//! other settings.

use super::super::secs;
use super::*;
use crate::breaker::{Builder, CircuitBreaker, Leave, adaptive};
use crate::event::{State, Transition};
use crate::outcome::{AttemptEnd, Outcome};
use crate::sync::Ordering;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// A call ends so. Successes in good time take the way of a client, or that of a lone breaker.
    End(Mark, Way),
    /// So does one that was admitted before the latest reset.
    EndLate(Mark, Way),
    Reset,
    /// The same windows, and a bar of the same height.
    Reload,
    Advance(Duration),
    Rewind(Duration),
}

#[derive(Clone, Copy, Debug)]
enum Way {
    Client,
    Lone,
}

/// Each from one number: ten thousand lists of strategies within strategies take a minute to make.
fn steps(length: Duration) -> impl Strategy<Value = Vec<Step>> {
    let nanos = length.as_nanos() as u64;
    let steps = move |numbers: Vec<u64>| {
        numbers.into_iter().map(|number| step(number, nanos)).collect::<Vec<_>>()
    };
    prop::collection::vec(any::<u64>(), 0..60).prop_map(steps)
}

fn step(number: u64, length: u64) -> Step {
    // Two in three are fine anyway.
    let (any, mark) = (number & 0b11_0000 == 0, number >> 6);
    let mark = Mark { failed: any && mark & 1 != 0, slow: any && mark & 2 != 0, timed_out: false };
    let mark = if number & 0b1100_0000_0000 == 0 { FAILED } else { mark };
    let way = if number & 0b1_0000_0000 == 0 { Way::Client } else { Way::Lone };
    let part = |most: u64| Duration::from_nanos((number >> 16) % most);
    match number % 75 {
        0..60 => Step::End(mark, way),
        60 | 61 => Step::EndLate(mark, way),
        62 => Step::Reset,
        63 => Step::Reload,
        64..72 => Step::Advance(part(length / 4)),
        72 | 73 => Step::Advance(part(length * 3)),
        _ => Step::Rewind(part(length)),
    }
}

struct Whole {
    builder: Builder,
    config: Config,
    breaker: CircuitBreaker,
    list: List,
    /// Of the generation before.
    late: Option<Leave>,
    stale: u64,
    reloads: u64,
}

impl Whole {
    fn new(builder: Builder, list: List) -> Self {
        let config = builder.clone().build().unwrap();
        let breaker = CircuitBreaker::new(config.clone(), Moment::ZERO);
        Self { builder, config, breaker, list, late: None, stale: 0, reloads: 0 }
    }

    fn admit(&self) -> Leave {
        self.breaker.let_in(self.list.now, &mut None).unwrap()
    }

    fn end(&self, call: Leave, mark: Mark, way: Way) -> Option<Transition> {
        let outcome = if mark.failed { Outcome::Failure } else { Outcome::Success };
        match way {
            Way::Client if mark == FINE => self.breaker.record_good(call, self.list.now),
            _ => {
                let attempt_end = AttemptEnd { slow: mark.slow, ..outcome.into() };
                self.breaker.note(call, attempt_end, self.list.now)
            }
        }
    }

    fn reset(&mut self) {
        self.late = Some(self.admit());
        self.start();
    }

    fn start(&mut self) {
        self.breaker.reset(self.list.now);
        self.list.look();
        self.list.marks.clear();
    }

    /// Whether the breaker opens by what the list then holds, at every outcome.
    fn step(&mut self, step: Step, opens: impl Fn(&List) -> bool) -> Result<(), TestCaseError> {
        match step {
            Step::End(mark, way) => {
                let call = self.admit();
                let moved = self.end(call, mark, way);
                // Without a rate of slow calls nobody minds them.
                let minds = self.config.minds_slow_calls();
                self.list.look();
                let mark = Mark { slow: mark.slow && minds, ..mark };
                self.list.marks.push((self.list.bucket, mark));
                prop_assert_eq!(
                    moved.map(|moved| moved.to),
                    opens(&self.list).then_some(State::Open)
                );
                if moved.is_some() {
                    self.late = Some(call);
                    self.start();
                }
            }
            Step::EndLate(mark, way) => {
                let Some(late) = self.late else { return Ok(()) };
                prop_assert_eq!(self.end(late, mark, way), None);
                self.stale += 1;
            }
            Step::Reset => self.reset(),
            Step::Reload => {
                self.reloads += 1;
                let open_for = Duration::from_secs(self.reloads);
                let other = self.builder.clone().open_for(open_for).build().unwrap();
                prop_assert_eq!(self.breaker.reconfigure(other, self.list.now), None);
            }
            Step::Advance(by) => self.list.now = self.list.now + by,
            Step::Rewind(by) => self.list.now = self.list.now.before(by),
        }
        prop_assert_eq!(self.breaker.stale.load(Ordering::Relaxed), self.stale);
        Ok(())
    }

    /// What it says that it has counted: the window, and the run.
    fn counted(&self) -> (Tally, u64) {
        let (words, now) = (self.breaker.words(), Moment::ZERO);
        let settings = &self.breaker.settings;
        settings.with(|it| (it.window.tally(words, now), it.window.run(words, now)))
    }
}

/// Settings of a rule, and of more.
fn by(rule: Rule) -> Builder {
    let mut builder = Config::builder().failures(5).min_calls(rule.min_calls).slow_call(millis(1));
    if let Some(share) = rule.failures {
        builder = builder.failure_rate(share.rate());
    }
    if let Some(share) = rule.slow {
        builder = builder.slow_call_rate(share.rate());
    }
    builder
}

/// Failures in a row count beside slow calls, unless told otherwise.
fn is_run(config: &Config, list: &List) -> bool {
    config.trip().failures.is_some_and(|failures| list.run() >= u64::from(failures))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn it_opens_by_the_last_n_calls_of_the_list(
        (size, rule) in (1u32..=50).prop_flat_map(|size| (Just(size), rules(1..=size))),
        steps in steps(millis(10)),
    ) {
        let mut whole = Whole::new(by(rule).window(Over::Calls(size)), List::new(YEAR));
        let config = whole.config.clone();
        for step in steps {
            whole.step(step, |list| is_run(&config, list) || rule.is_reached(list.last(size)))?;
            prop_assert_eq!(whole.counted().0, whole.list.last(size));
            // The count that is kept is that of the slots, always.
            let words = whole.breaker.words();
            let running = whole
                .breaker
                .settings
                .with(|it| it.window.calls(words).map(|calls| calls.running()));
            let seen = whole.list.last(size);
            prop_assert_eq!(running, Some((seen.failures, seen.slow)));
        }
    }

    #[test]
    fn it_opens_by_the_ten_buckets_of_the_list(
        length in (10u64..5_000).prop_map(millis),
        rule in rules(1u32..20),
        steps in steps(millis(500)),
    ) {
        let mut whole = Whole::new(by(rule).window(Over::Time(length)), List::new(length));
        let config = whole.config.clone();
        for step in steps {
            whole.step(step, |list| is_run(&config, list) || rule.is_reached(list.latest()))?;
            if matches!(step, Step::End(..) | Step::Reset) {
                prop_assert_eq!(whole.counted().0, whole.list.latest());
            }
        }
    }

    #[test]
    fn it_opens_by_the_end_of_the_list(failures in 1u32..8, steps in steps(millis(10))) {
        let mut whole = Whole::new(Config::builder().failures(failures), List::new(YEAR));
        let config = whole.config.clone();
        for step in steps {
            whole.step(step, |list| is_run(&config, list))?;
            prop_assert_eq!(whole.counted().1, whole.list.run());
        }
    }

    #[test]
    fn it_opens_by_any_of_them(
        failures in 1u32..8,
        rule in rules(1u32..10),
        size in 10u32..30,
        length in (10u64..5_000).prop_map(millis),
        steps in steps(millis(500)),
    ) {
        let builder = by(rule).failures(failures).window(Over::Calls(size)).window(Over::Time(length));
        let mut whole = Whole::new(builder, List::new(length));
        let config = whole.config.clone();
        for step in steps {
            whole.step(step, |list| {
                is_run(&config, list)
                    || rule.is_reached(list.last(size))
                    || rule.is_reached(list.latest())
            })?;
            prop_assert_eq!(whole.counted(), (whole.list.last(size), whole.list.run()));
        }
    }

    /// By a bar that is the breaker's own: what it does with it, and when it looks, is the list's.
    #[test]
    fn it_opens_by_what_is_normal_at_every_outcome_of_the_list(
        min_calls in 1u32..20,
        steps in steps(secs(2)),
    ) {
        let normal = adaptive::Config::builder().min_calls(min_calls).window(secs(5)).alpha(0.01);
        let normal = normal.build().unwrap();
        let builder = Config::builder().adaptive(normal).without_failures();
        let mut whole = Whole::new(builder, List::new(secs(5)));
        let memory = whole.breaker.transitions.lock().memory.clone().unwrap();
        for step in steps {
            whole.step(step, |list| {
                let seen = list.latest();
                let bar = memory.bar(list.now, normal.utc_offset());
                seen.calls >= u64::from(min_calls)
                    && bar.is_exceeded(seen.calls, seen.failures, normal.alpha())
            })?;
        }
    }
}

/// 19 failures and a success, 20 calls needed: the success makes them enough.
#[test]
fn a_success_that_makes_the_calls_enough_opens_it_whatever_the_threshold_goes_by() {
    let normal = adaptive::Config::builder().min_calls(20).build().unwrap();
    let rate = || Config::builder().without_failures().failure_rate(0.6).min_calls(20);
    for builder in [
        Config::builder().adaptive(normal).without_failures(),
        Config::builder().adaptive(normal).failures(100),
        rate().window(Over::Calls(100)),
        rate().window(Over::Time(secs(30))),
    ] {
        for way in [Way::Client, Way::Lone] {
            let whole = Whole::new(builder.clone(), List::new(secs(30)));
            for _ in 0..19 {
                assert_eq!(whole.end(whole.admit(), FAILED, Way::Lone), None);
            }
            let moved = whole.end(whole.admit(), FINE, way);
            assert_eq!(moved.map(|moved| moved.to), Some(State::Open), "{builder:?}");
        }
    }
}

/// It is the first call after many good ones have left the window.
#[test]
fn a_success_after_which_mostly_failures_are_left_opens_it_by_what_is_normal() {
    let normal = adaptive::Config::builder().window(secs(10)).build().unwrap();
    let builder = Config::builder().adaptive(normal).without_failures();
    let mut whole = Whole::new(builder, List::new(YEAR));
    for _ in 0..200 {
        whole.end(whole.admit(), FINE, Way::Client);
    }
    whole.list.now = at(secs(5));
    for _ in 0..40 {
        assert_eq!(whole.end(whole.admit(), FAILED, Way::Client), None);
    }
    whole.list.now = at(secs(10));
    let moved = whole.end(whole.admit(), FINE, Way::Client);
    assert_eq!(moved.map(|moved| moved.to), Some(State::Open));
}
