//! The breaker under the model checker: every interleaving of a few threads, up to three forced
//! switches. How to run it is said in `call/loom.rs`.

#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use loom::thread;

use super::window::{Alone, Mark};
use super::{CircuitBreaker, Config, Leave, Window as Over};
use crate::clock::Moment;
use crate::event::State;
use crate::outcome::Outcome;
use crate::sync::model;

const NOW: Moment = Moment::from_nanos(1_000_000_000);

/// Three buckets of 10 ms.
const TIME: Over = Over::Time(Duration::from_millis(30));

fn ms(ms: u64) -> Moment {
    NOW + Duration::from_millis(ms)
}

fn breaker(config: Result<Config, crate::constraint::InvalidSettings>) -> Arc<CircuitBreaker> {
    Arc::new(CircuitBreaker::new(config.unwrap(), NOW))
}

/// Runs each piece of work on a thread of its own, the last on this one.
fn race(works: Vec<Box<dyn FnOnce() + Send>>) {
    let mut works = works;
    let here = works.pop();
    let others: Vec<_> = works.into_iter().map(|work| thread::spawn(work)).collect();
    if let Some(here) = here {
        here();
    }
    for other in others {
        other.join().unwrap();
    }
}

macro_rules! race {
    ($($work:expr),+ $(,)?) => { race(vec![$(Box::new($work)),+]) };
}

mod adaptive;
mod half_open;
mod keyed;
mod reload;

/// Ends an admitted call.
fn end(
    breaker: &Arc<CircuitBreaker>,
    call: Leave,
    outcome: Outcome,
    now: Moment,
) -> impl FnOnce() + Send + 'static {
    let breaker = Arc::clone(breaker);
    move || {
        breaker.note(call, outcome, now);
    }
}

#[test]
fn of_two_failures_and_an_admission_at_once_one_failure_opens_it() {
    model("open: 2 failures, 1 admission, consecutive", || {
        let breaker = breaker(Config::builder().failures(2).build());
        let opened = Arc::new(AtomicU32::new(0));
        let fail = |breaker: &Arc<CircuitBreaker>| {
            let (breaker, opened) = (Arc::clone(breaker), Arc::clone(&opened));
            let call = breaker.let_in(NOW, &mut None).unwrap();
            move || {
                let moved = breaker.note(call, Outcome::Failure, NOW);
                opened.fetch_add(u32::from(moved.is_some()), Ordering::Relaxed);
            }
        };
        let third = Arc::clone(&breaker);
        race!(fail(&breaker), fail(&breaker), move || {
            let admitted = third.let_in(NOW, &mut None);
            assert!(admitted.is_err() || admitted.is_ok_and(|call| !call.is_probe()));
        });
        assert_eq!(opened.load(Ordering::Relaxed), 1);
        assert_eq!(breaker.report(Moment::ZERO).transitions.len(), 1);
        assert!(breaker.let_in(NOW, &mut None).is_err());
    });
}

#[test]
fn of_abandoned_attempts_and_an_answer_at_once_none_is_lost() {
    for answered in [false, true] {
        let third = if answered { Outcome::Ignored } else { Outcome::Cancelled };
        model(
            &format!("open: 3 abandoned in a row, the third of 3 at once {third:?}"),
            move || {
                let config = Config::builder().without_failures().failure_rate(1.0);
                let breaker = breaker(config.unanswered(3).build());
                let call = breaker.let_in(NOW, &mut None).unwrap();
                let end = |outcome| end(&breaker, call, outcome, NOW);
                race!(end(Outcome::Cancelled), end(Outcome::Cancelled), end(third));
                let report = breaker.report(NOW);
                if answered {
                    assert_eq!(report.state, State::Closed);
                    assert!(report.unanswered <= 2);
                } else {
                    assert_eq!((report.state, report.transitions.len()), (State::Open, 1));
                }
            },
        );
    }
}

#[test]
fn the_last_of_racing_failures_opens_it_by_count() {
    model("open: 2 failures, window of calls", || {
        let config = Config::builder()
            .without_failures()
            .without_unanswered()
            .failure_rate(1.0)
            .min_calls(3)
            .window(Over::Calls(3));
        let breaker = breaker(config.build());
        let call = breaker.let_in(NOW, &mut None).unwrap();
        breaker.note(call, Outcome::Failure, NOW);
        let fail = || end(&breaker, call, Outcome::Failure, NOW);
        race!(fail(), fail());
        assert_eq!(breaker.state(), State::Open);
    });
}

#[test]
fn the_last_of_racing_failures_opens_it_by_time() {
    model("open: 2 failures across a bucket's edge, window of time", || {
        let config = Config::builder()
            .without_failures()
            .without_unanswered()
            .failure_rate(1.0)
            .min_calls(2)
            .window(TIME);
        let breaker = breaker(config.build());
        let call = breaker.let_in(NOW, &mut None).unwrap();
        let fail = |now| end(&breaker, call, Outcome::Failure, now);
        race!(fail(ms(9)), fail(ms(10)));
        assert_eq!(breaker.state(), State::Open);
    });
}

#[test]
fn a_writer_that_is_lapped_does_not_corrupt_the_count() {
    // As many slots as calls, and one slot more.
    for (size, before) in [(2, &[true][..]), (3, &[true, true])] {
        model(&format!("window of {size} calls, 3 writers"), move || {
            let config =
                Config::builder().without_failures().without_unanswered().failure_rate(1.0);
            let config = config
                .slow_call(Duration::from_secs(1))
                .slow_call_rate(1.0)
                .min_calls(2)
                .window(Over::Calls(size));
            let window = Arc::new(Alone::new(&config.build().unwrap().trip(), NOW));
            for failed in before {
                window.record(0, Mark { failed: *failed, slow: true, timed_out: false }, NOW);
            }
            let write = |failed, slow| {
                let window = Arc::clone(&window);
                move || {
                    window.record(0, Mark { failed, slow, timed_out: false }, NOW);
                }
            };
            race!(write(true, false), write(false, false), write(true, true));
            let tally = window.tally(Moment::ZERO);
            assert_eq!(window.calls().unwrap().running(), (tally.failures, tally.slow));
            assert_eq!(window.tally(Moment::ZERO).calls, u64::from(size));
        });
    }
}

/// Wherever the good one comes, two of the last three have failed. It fills the window, finds it full and good and leaves it as it is,
/// or is among bad ones; whichever it finds, no failure is lost, and the calls are enough.
#[test]
fn two_failures_beside_a_good_call_that_may_change_nothing_open_it() {
    for good_before in 0..=3 {
        model(&format!("two failures, window of 3 calls, {good_before} before"), move || {
            let config = Config::builder()
                .without_failures()
                .without_unanswered()
                .failure_rate(0.6)
                .min_calls(3)
                .window(Over::Calls(3));
            let breaker = breaker(config.build());
            let call = breaker.let_in(NOW, &mut None).unwrap();
            for _ in 0..good_before {
                assert_eq!(breaker.note(call, Outcome::Success, NOW), None);
            }
            let other = Arc::clone(&breaker);
            race!(end(&breaker, call, Outcome::Success, NOW), move || {
                other.note(call, Outcome::Failure, NOW);
                other.note(call, Outcome::Failure, NOW);
            });
            assert_eq!(breaker.state(), State::Open);
        });
    }
}

/// A good call that began to count among good ones takes the failure out that it finds in its way, or the failure's writer does.
#[test]
fn a_failure_that_comes_as_the_window_fills_leaves_it_in_time() {
    for good_before in [0, 1] {
        model(
            &format!("a failure and 2 good calls, window of 1 call, {good_before} before"),
            move || {
                let config =
                    Config::builder().without_failures().without_unanswered().failure_rate(1.0);
                let config = config.min_calls(1).window(Over::Calls(1)).build().unwrap();
                let window = Arc::new(Alone::new(&config.trip(), NOW));
                let write = |failed| {
                    let window = Arc::clone(&window);
                    move || {
                        window.record(0, Mark { failed, ..Mark::default() }, NOW);
                    }
                };
                (0..good_before).for_each(|_| write(false)());
                race!(write(true), write(false), write(false));
                let tally = window.tally(Moment::ZERO);
                assert_eq!(
                    (tally.calls, window.calls().unwrap().running()),
                    (1, (tally.failures, 0))
                );
                // Whatever is left of it goes with the next one.
                write(false)();
                assert_eq!(window.calls().unwrap().running(), (0, 0));
            },
        );
    }
}

#[test]
fn no_list_of_the_calls_is_all_failures_so_it_stays_closed() {
    model("spurious trip: window of 2 calls", || {
        // S F S and then F and S in either order: no F ever stands beside another. But the new F is
        // counted while the S before it has not yet displaced the old one.
        let config = Config::builder()
            .without_failures()
            .without_unanswered()
            .failure_rate(1.0)
            .min_calls(1)
            .window(Over::Calls(2));
        let breaker = breaker(config.build());
        let call = breaker.let_in(NOW, &mut None).unwrap();
        for outcome in [Outcome::Success, Outcome::Failure, Outcome::Success] {
            breaker.note(call, outcome, NOW);
        }
        let end = |outcome| {
            let breaker = Arc::clone(&breaker);
            move || assert_eq!(breaker.note(call, outcome, NOW), None)
        };
        race!(end(Outcome::Success), end(Outcome::Failure));
    });
}

#[test]
fn buckets_that_are_being_cleared_are_not_seen_by_halves() {
    model("spurious trip: window of time moves on twice", || {
        let config = Config::builder()
            .without_failures()
            .without_unanswered()
            .failure_rate(0.5)
            .min_calls(4)
            .window(TIME);
        let breaker = breaker(config.build());
        let call = breaker.let_in(NOW, &mut None).unwrap();
        let end = |outcome, now| {
            let breaker = Arc::clone(&breaker);
            move || assert_eq!(breaker.note(call, outcome, now), None)
        };
        // 2 of 5, 2 of 5, 0 of 3: with one more failure 5 of 14, and then fewer. Yet the failures of
        // a bucket without its calls would be 5 of 9, and again 3 of 5.
        for (now, failures, successes) in [(NOW, 2, 3), (ms(10), 2, 3), (ms(20), 0, 3)] {
            (0..successes).for_each(|_| end(Outcome::Success, now)());
            (0..failures).for_each(|_| end(Outcome::Failure, now)());
        }
        let (third, fourth) = (end(Outcome::Success, ms(30)), end(Outcome::Success, ms(40)));
        race!(end(Outcome::Failure, ms(20)), move || {
            third();
            fourth();
        });
        let report = breaker.report(Moment::ZERO);
        assert!(report.window_calls >= 4 && report.window_failures <= 1);
    });
}

/// As in `half_open`, but from closed: two failures trip it as a third call is admitted and its caller gives up, and
/// the actor looks once the open time is over.
#[test]
fn a_trip_an_admission_a_cancellation_and_the_actor_leave_it_whole() {
    model("all at once: 3 threads, from closed", || {
        let config = Config::builder().failures(2).half_open_calls(1).success_threshold(1);
        let breaker = breaker(config.open_for(Duration::from_millis(1)).build());
        let fail = || {
            let call = breaker.let_in(NOW, &mut None).unwrap();
            end(&breaker, call, Outcome::Failure, NOW)
        };
        let (first, second) = (fail(), fail());
        let actor = Arc::clone(&breaker);
        race!(first, second, move || {
            actor.poll(ms(2));
            if let Ok(call) = actor.let_in(ms(2), &mut None) {
                actor.note(call, Outcome::Cancelled, ms(2));
            }
        });
        let report = breaker.report(Moment::ZERO);
        assert_ne!(report.state, State::Closed, "two failures have opened it");
        assert_eq!(report.probes, 0);
        breaker.poll(ms(20));
        let probe = breaker.let_in(ms(20), &mut None).expect("it is not stuck");
        assert!(probe.is_probe());
        breaker.note(probe, Outcome::Success, ms(20));
        assert_eq!(breaker.state(), State::Closed);
    });
}

#[test]
fn what_was_admitted_before_a_reset_is_not_counted_after_it() {
    let by_rate = || Config::builder().failure_rate(0.5).min_calls(1);
    let configs = [
        ("consecutive", Config::builder().failures(1)),
        ("calls", by_rate().window(Over::Calls(2))),
        ("time", by_rate().window(TIME)),
    ];
    for (name, config) in configs {
        let config = config.build();
        model(&format!("stale: a failure against a reset, {name}"), move || {
            let breaker = breaker(config.clone());
            let call = breaker.let_in(NOW, &mut None).unwrap();
            // It is in the window that the reset forgets.
            breaker.note(call, Outcome::Success, NOW);
            let (late, by_hand) = (Arc::clone(&breaker), Arc::clone(&breaker));
            race!(
                move || {
                    late.note(call, Outcome::Failure, ms(10));
                },
                move || {
                    by_hand.reset(ms(10));
                },
            );
            let report = breaker.report(Moment::ZERO);
            assert_eq!((report.state, report.window_calls), (State::Closed, 0));
            let call = breaker.let_in(ms(10), &mut None).unwrap();
            assert!(breaker.note(call, Outcome::Failure, ms(10)).is_some(), "the new one counts");
        });
    }
}

#[test]
fn a_success_and_failures_of_a_bounded_run_leave_no_failure_counted_twice() {
    model("bounded run: 2 failures as 1 success ends the run", || {
        let config = Config::builder().failures(3).failures_within(Duration::from_secs(60));
        let breaker = Arc::new(CircuitBreaker::new(config.build().unwrap(), NOW));
        let end = |breaker: &CircuitBreaker, outcome| {
            let admission = breaker.let_in(NOW, &mut None).unwrap();
            breaker.note(admission, outcome, NOW);
        };
        end(&breaker, Outcome::Failure);
        let other = Arc::clone(&breaker);
        let failing = thread::spawn(move || end(&other, Outcome::Failure));
        end(&breaker, Outcome::Success);
        failing.join().unwrap();
        // Before the success, in it, or after it.
        assert!(breaker.report(NOW).failures_in_a_row <= 2);
        assert_eq!(breaker.state(), State::Closed);
    });
}
