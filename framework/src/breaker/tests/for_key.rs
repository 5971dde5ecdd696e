//! Whatever settings are valid guard a dependency and each of its keys, and let both come back.

use proptest::prelude::*;

use super::{millis, secs};
use crate::breaker::{CircuitBreaker, Config, HalfOpenMode, Window, adaptive};
use crate::clock::Moment;
use crate::event::State;
use crate::outcome::Outcome;

/// The settings of one case, of which many contradict each other.
#[derive(Clone, Debug)]
struct Said {
    trip: (Option<u32>, Option<u32>, Option<u32>, Option<u32>, bool),
    windows: (Option<u32>, bool),
    probes: (Option<u32>, Option<u32>, Option<HalfOpenMode>),
    ramps: bool,
}

impl Said {
    fn config(&self) -> Option<Config> {
        let (failures, failure_rate, slow_rate, min_calls, is_adaptive) = self.trip;
        let mut builder = Config::builder().slow_call(secs(1)).open_for(secs(1));
        let tenths = |tenths: u32| f64::from(tenths) / 10.0;
        builder = failures.into_iter().fold(builder, |it, failures| it.failures(failures));
        builder = failure_rate.into_iter().fold(builder, |it, rate| it.failure_rate(tenths(rate)));
        builder = slow_rate.into_iter().fold(builder, |it, rate| it.slow_call_rate(tenths(rate)));
        builder = min_calls.into_iter().fold(builder, |it, calls| it.min_calls(calls));
        builder = builder.adaptive(is_adaptive.then(adaptive::Config::default));
        if let Some(calls) = self.windows.0 {
            builder = builder.window(Window::Calls(calls));
        }
        if self.windows.1 {
            builder = builder.window(Window::Time(secs(30)));
        }
        let (calls, successes, mode) = self.probes;
        builder = calls.into_iter().fold(builder, |it, calls| it.half_open_calls(calls));
        builder = successes.into_iter().fold(builder, |it, most| it.success_threshold(most));
        builder = mode.into_iter().fold(builder, |it, mode| it.half_open(mode));
        if self.ramps {
            builder = builder.ramp(0.5, secs(10));
        }
        builder.build().ok()
    }
}

fn configs() -> impl Strategy<Value = Config> {
    let rate = || prop::option::of(1u32..=10);
    let trip = (prop::option::of(1u32..50), rate(), rate(), prop::option::of(1u32..30));
    let windows = (prop::option::of(1u32..50), any::<bool>());
    let mode = prop::option::of(prop::sample::select(HalfOpenMode::ALL));
    let probes = (prop::option::of(1u32..8), prop::option::of(1u32..8), mode);
    (trip, any::<bool>(), windows, probes, any::<bool>())
        .prop_map(|((failures, rate, slow, calls), is_adaptive, windows, probes, ramps)| Said {
            trip: (failures, rate, slow, calls, is_adaptive),
            windows,
            probes,
            ramps,
        })
        .prop_filter_map("settings that contradict each other", |said| said.config())
}

/// How many failures, a millisecond apart, are let through before it opens.
fn failures_until_open(breaker: &CircuitBreaker, now: &mut Moment) -> u32 {
    let mut failures = 0;
    while let Ok(admission) = breaker.let_in(*now, &mut None) {
        breaker.note(admission, Outcome::Failure, *now);
        *now = *now + millis(1);
        failures += 1;
        assert!(failures <= 1_000, "{:?}", breaker.config());
    }
    failures
}

proptest! {
    #![proptest_config(ProptestConfig { max_global_rejects: 100_000, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn what_guards_a_dependency_guards_its_keys_and_either_comes_back(config in configs()) {
        let mut failures = Vec::new();
        for config in [config.for_key(), config.clone()] {
            let mut now = Moment::ZERO + secs(3);
            let breaker = CircuitBreaker::new(config.clone(), now);
            failures.push(failures_until_open(&breaker, &mut now));
            now = now + secs(2);
            // One call at a time: nobody else's probe is in the way, and no life of a probe passes.
            let most = config.half_open_calls().max(config.success_threshold());
            for call in 1..=most {
                let admission = breaker.let_in(now, &mut None);
                prop_assert!(admission.is_ok(), "call {} was refused, {:?}", call, config);
                breaker.note(admission.unwrap(), Outcome::Success, now);
                now = now + millis(1);
                if breaker.state() == State::Closed {
                    break;
                }
            }
            prop_assert_eq!(breaker.state(), State::Closed, "{} successes, {:?}", most, config);
        }
        // A key's rate may need more calls than the adaptive threshold that it stands for.
        let min_calls = config.trip().rates.map_or(0, |rates| rates.min_calls);
        prop_assert!(failures[0] <= failures[1].max(min_calls), "{:?}", failures);
    }
}
