//! On real threads. Bounded work, no sleeps.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::thread;

use super::{at, millis, secs};
use crate::breaker::window::{Alone, Mark};
use crate::breaker::{CircuitBreaker, Config, Window as Over};
use crate::clock::Moment;
use crate::event::State;
use crate::outcome::Outcome;

const THREADS: u64 = 4;

fn on_threads(work: impl Fn(u64) + Sync) {
    thread::scope(|scope| {
        for n in 0..THREADS {
            let work = &work;
            scope.spawn(move || work(n));
        }
    });
}

fn by_rate(window: Over) -> Config {
    Config::builder().failure_rate(0.5).window(window).build().unwrap()
}

#[test]
fn the_count_that_writers_keep_is_the_count_of_the_slots() {
    for size in [1, 2, 7, 100] {
        let config = Config::builder().failure_rate(1.0).slow_call(secs(1)).slow_call_rate(1.0);
        let config = config.min_calls(1).window(Over::Calls(size)).build().unwrap();
        let window = Alone::new(&config.trip(), Moment::ZERO);
        for generation in 0..20 {
            on_threads(|thread| {
                let mut random = fastrand::Rng::with_seed(thread << 32 | u64::from(generation));
                for _ in 0..2_000 {
                    let mark =
                        Mark { failed: random.bool(), slow: random.bool(), timed_out: false };
                    window.record(generation, mark, Moment::ZERO);
                }
            });
            let tally = window.tally(Moment::ZERO);
            assert_eq!(tally.calls, u64::from(size));
            let running = window.calls().unwrap().running();
            let slots = (tally.failures, tally.slow);
            assert_eq!(running, slots, "size {size}, generation {generation}");
            window.start(generation + 1, Moment::ZERO);
        }
    }
}

#[test]
fn the_last_of_racing_failures_trips_it() {
    for _ in 0..2_000 {
        let config = Config::builder().failure_rate(0.5).min_calls(THREADS as u32);
        let config = config.window(Over::Calls(40)).build().unwrap();
        let breaker = CircuitBreaker::new(config, Moment::ZERO);
        let opened = AtomicU32::new(0);
        on_threads(|_| {
            let call = breaker.let_in(Moment::ZERO, &mut None).unwrap();
            let moved = breaker.note(call, Outcome::Failure, Moment::ZERO);
            opened.fetch_add(u32::from(moved.is_some()), Ordering::Relaxed);
        });
        assert_eq!(opened.into_inner(), 1, "as many failures as it takes, and once");
    }
}

/// Each thread fails one call in ten, so no list of twenty of their calls is half failures.
#[test]
fn a_healthy_breaker_is_not_tripped_by_a_race() {
    for window in [Over::Calls(20), Over::Calls(100), Over::Time(millis(10)), Over::Time(secs(1))] {
        let breaker = CircuitBreaker::new(by_rate(window), Moment::ZERO);
        let clock = AtomicU64::new(0);
        on_threads(|_| {
            for n in 0..100_000 {
                // 20 us a call: a bucket of the short window lives for 50 calls.
                let now = Moment::from_nanos(clock.fetch_add(20_000, Ordering::Relaxed));
                let call = breaker.let_in(now, &mut None).expect("a healthy breaker is closed");
                let outcome = if n % 10 == 9 { Outcome::Failure } else { Outcome::Success };
                assert_eq!(breaker.note(call, outcome, now), None, "{window:?}");
            }
        });
        assert_eq!(breaker.report(Moment::ZERO).stale_results, 0);
    }
}

#[test]
fn without_failures_it_never_trips_though_it_is_reset_all_the_time() {
    for window in [Over::Calls(3), Over::Time(millis(10))] {
        let config = Config::builder().failure_rate(0.001).min_calls(1).window(window);
        let breaker = CircuitBreaker::new(config.build().unwrap(), Moment::ZERO);
        on_threads(|thread| {
            for n in 0..30_000 {
                let now = Moment::from_nanos(n * 10_000);
                if thread == 0 && n % 10 == 0 {
                    assert_eq!(breaker.reset(now), None);
                }
                let call = breaker.let_in(now, &mut None).unwrap();
                assert_eq!(breaker.note(call, Outcome::Success, now), None);
            }
        });
        assert_eq!(breaker.state(), State::Closed);
        assert_eq!(breaker.report(Moment::ZERO).window_failures, 0);
    }
}

fn half_open(places: u32) -> (CircuitBreaker, Moment) {
    let config = Config::builder().failures(1).half_open_calls(places).success_threshold(500);
    let breaker = CircuitBreaker::new(config.probe_life(millis(1)).build().unwrap(), Moment::ZERO);
    let call = breaker.let_in(Moment::ZERO, &mut None).unwrap();
    breaker.note(call, Outcome::Failure, Moment::ZERO);
    (breaker, at(secs(30)))
}

#[test]
fn callers_at_once_are_never_more_probes_than_there_are_places() {
    for places in [1, 3] {
        let (breaker, now) = half_open(places);
        let live = AtomicU32::new(0);
        let answered = AtomicU32::new(0);
        on_threads(|_| {
            for n in 0..50_000 {
                let Ok(probe) = breaker.let_in(now, &mut None) else { continue };
                assert!(live.fetch_add(1, Ordering::SeqCst) < places);
                live.fetch_sub(1, Ordering::SeqCst);
                let answer = n % 100 == 0 && answered.fetch_add(1, Ordering::Relaxed) < 499;
                let outcome = if answer { Outcome::Success } else { Outcome::Ignored };
                assert_eq!(breaker.note(probe, outcome, now), None);
            }
        });
        let report = breaker.report(Moment::ZERO);
        assert_eq!((report.state, report.probes), (State::HalfOpen, 0));
        assert_eq!(report.transition_counts.iter().flatten().sum::<u64>(), 2);
        assert_eq!(report.stale_results, 0);
    }
}

/// Probes hang, others answer, time passes: a fresh probe is never written off with the lost ones.
#[test]
fn a_fresh_probe_is_not_written_off_with_the_lost_ones() {
    let (breaker, start) = half_open(1);
    let clock = AtomicU64::new(start.as_nanos());
    on_threads(|thread| {
        for n in 0..50_000u64 {
            let now = Moment::from_nanos(clock.load(Ordering::SeqCst));
            let Ok(probe) = breaker.let_in(now, &mut None) else {
                if thread == 0 {
                    clock.fetch_add(100_000, Ordering::SeqCst);
                }
                continue;
            };
            assert!(probe.is_probe());
            if !n.is_multiple_of(7) {
                breaker.note(probe, Outcome::Ignored, now);
            }
            assert!(breaker.report(Moment::ZERO).probes <= 1);
        }
    });
    assert_eq!(breaker.state(), State::HalfOpen);
}

/// A reader that hears of moves in any order ends on the state that the breaker is in.
#[test]
fn moves_told_in_any_order_can_be_put_in_theirs() {
    let breaker = CircuitBreaker::new(Config::builder().failures(1).build().unwrap(), Moment::ZERO);
    let told = Mutex::new(Vec::new());
    on_threads(|thread| {
        for n in 0..5_000 {
            let now = at(millis(n));
            let moved = match (thread + n) % 4 {
                0 => breaker.force_open(now),
                1 => breaker.force_closed(now),
                _ => breaker.reset(now),
            };
            told.lock().unwrap().extend(moved);
        }
    });
    let mut told = told.into_inner().unwrap();
    assert!(told.len() > 100, "{}", told.len());
    told.sort_by_key(|moved| moved.sequence);
    let mut state = State::Closed;
    for (n, moved) in (1..).zip(&told) {
        assert_eq!((moved.sequence, moved.from), (n, state));
        state = moved.to;
    }
    assert_eq!(state, breaker.state());
    let kept = breaker.report(Moment::ZERO).transitions;
    assert_eq!(kept.last(), told.last());
}

/// Strictly a failure, a success, a failure, a success, and two failures in a row needed.
#[test]
fn reloads_do_not_trip_a_breaker_that_never_saw_two_failures_in_a_row() {
    let config = |seconds| Config::builder().failures(2).open_for(secs(seconds)).build().unwrap();
    let breaker = CircuitBreaker::new(config(1), Moment::ZERO);
    let is_over = AtomicU32::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            for n in 1.. {
                breaker.reconfigure(config(1 + n % 7), Moment::ZERO);
                if is_over.load(Ordering::Relaxed) != 0 {
                    break;
                }
            }
        });
        for n in 0..200_000 {
            let call = breaker.let_in(Moment::ZERO, &mut None).unwrap();
            let outcome = if n % 2 == 0 { Outcome::Failure } else { Outcome::Success };
            if breaker.note(call, outcome, Moment::ZERO).is_some() {
                break;
            }
        }
        is_over.store(1, Ordering::Relaxed);
    });
    assert_eq!(breaker.state(), State::Closed);
}
