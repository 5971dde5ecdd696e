//! The breaker under the model checker: every interleaving of a few threads, up to three forced
//! switches. How to run it is said in `call/loom.rs`.

#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use loom::thread;

use super::window::{Mark, Window};
use super::{Admission, CircuitBreaker, Config, Window as Over};
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

fn breaker(config: Result<Config, crate::setting::InvalidSettings>) -> Arc<CircuitBreaker> {
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
mod keyed;
mod reload;

/// Ends an admitted call.
fn end(
    breaker: &Arc<CircuitBreaker>,
    call: Admission,
    outcome: Outcome,
    now: Moment,
) -> impl FnOnce() + Send + 'static {
    let breaker = Arc::clone(breaker);
    move || {
        breaker.record(call, outcome, now);
    }
}

#[test]
fn of_two_failures_and_an_admission_at_once_one_failure_opens_it() {
    model("open: 2 failures, 1 admission, consecutive", || {
        let breaker = breaker(Config::builder().failures(2).build());
        let opened = Arc::new(AtomicU32::new(0));
        let fail = |breaker: &Arc<CircuitBreaker>| {
            let (breaker, opened) = (Arc::clone(breaker), Arc::clone(&opened));
            let call = breaker.admit(NOW, &mut None).unwrap();
            move || {
                let moved = breaker.record(call, Outcome::Failure, NOW);
                opened.fetch_add(u32::from(moved.is_some()), Ordering::Relaxed);
            }
        };
        let third = Arc::clone(&breaker);
        race!(fail(&breaker), fail(&breaker), move || {
            let admitted = third.admit(NOW, &mut None);
            assert!(admitted.is_err() || admitted.is_ok_and(|call| !call.is_probe()));
        });
        assert_eq!(opened.load(Ordering::Relaxed), 1);
        assert_eq!(breaker.report().transitions.len(), 1);
        assert!(breaker.admit(NOW, &mut None).is_err());
    });
}

#[test]
fn the_last_of_racing_failures_opens_it_by_count() {
    model("open: 2 failures, window of calls", || {
        let config = Config::builder().failure_rate(1.0).min_calls(3).window(Over::Calls(3));
        let breaker = breaker(config.build());
        let call = breaker.admit(NOW, &mut None).unwrap();
        breaker.record(call, Outcome::Failure, NOW);
        let fail = || end(&breaker, call, Outcome::Failure, NOW);
        race!(fail(), fail());
        assert_eq!(breaker.state(), State::Open);
    });
}

#[test]
fn the_last_of_racing_failures_opens_it_by_time() {
    model("open: 2 failures across a bucket's edge, window of time", || {
        let config = Config::builder().failure_rate(1.0).min_calls(2).window(TIME);
        let breaker = breaker(config.build());
        let call = breaker.admit(NOW, &mut None).unwrap();
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
            let config = Config::builder().failure_rate(1.0).slow_call(Duration::from_secs(1));
            let config = config.slow_call_rate(1.0).min_calls(2).window(Over::Calls(size));
            let window = Arc::new(Window::new(&config.build().unwrap().trip(), NOW));
            for failed in before {
                window.record(0, Mark { failed: *failed, slow: true }, NOW);
            }
            let write = |failed, slow| {
                let window = Arc::clone(&window);
                move || {
                    window.record(0, Mark { failed, slow }, NOW);
                }
            };
            race!(write(true, false), write(false, false), write(true, true));
            let tally = window.tally();
            assert_eq!(window.calls().unwrap().running(), (tally.failures, tally.slow));
            assert_eq!(window.tally().calls, u64::from(size));
        });
    }
}

#[test]
fn no_list_of_the_calls_is_all_failures_so_it_stays_closed() {
    model("spurious trip: window of 2 calls", || {
        // S F S and then F and S in either order: no F ever stands beside another. But the new F is
        // counted while the S before it has not yet displaced the old one.
        let config = Config::builder().failure_rate(1.0).min_calls(1).window(Over::Calls(2));
        let breaker = breaker(config.build());
        let call = breaker.admit(NOW, &mut None).unwrap();
        for outcome in [Outcome::Success, Outcome::Failure, Outcome::Success] {
            breaker.record(call, outcome, NOW);
        }
        let end = |outcome| {
            let breaker = Arc::clone(&breaker);
            move || assert_eq!(breaker.record(call, outcome, NOW), None)
        };
        race!(end(Outcome::Success), end(Outcome::Failure));
    });
}

#[test]
fn buckets_that_are_being_cleared_are_not_seen_by_halves() {
    model("spurious trip: window of time moves on twice", || {
        let config = Config::builder().failure_rate(0.5).min_calls(4).window(TIME);
        let breaker = breaker(config.build());
        let call = breaker.admit(NOW, &mut None).unwrap();
        let end = |outcome, now| {
            let breaker = Arc::clone(&breaker);
            move || assert_eq!(breaker.record(call, outcome, now), None)
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
        let report = breaker.report();
        assert!(report.window_calls >= 4 && report.window_failures <= 1);
    });
}

/// Open, its time up at `ms(1)`, one place.
fn due(success_threshold: u32, life: Duration) -> Arc<CircuitBreaker> {
    let config = Config::builder()
        .failures(1)
        .half_open_calls(1)
        .success_threshold(success_threshold)
        .open_for(Duration::from_millis(1))
        .probe_life(life);
    let breaker = breaker(config.build());
    let call = breaker.admit(NOW, &mut None).unwrap();
    breaker.record(call, Outcome::Failure, NOW);
    breaker
}

/// Comes for a probe's place and, if let in, is out until `outcome`.
fn probe(
    breaker: &Arc<CircuitBreaker>,
    live: &Arc<AtomicU32>,
    outcome: Outcome,
    now: Moment,
) -> impl FnOnce() + Send + 'static {
    let (breaker, live) = (Arc::clone(breaker), Arc::clone(live));
    move || {
        let Ok(admission) = breaker.admit(now, &mut None) else { return };
        if admission.is_probe() {
            assert_eq!(live.fetch_add(1, Ordering::SeqCst), 0, "two probes for one place");
            live.fetch_sub(1, Ordering::SeqCst);
        }
        breaker.record(admission, outcome, now);
    }
}

#[test]
fn three_callers_at_once_are_one_probe_at_a_time() {
    model("half-open: 3 race for 1 place, all cancelled", || {
        let breaker = due(1, Duration::from_secs(30));
        let live = Arc::new(AtomicU32::new(0));
        let cancel = || probe(&breaker, &live, Outcome::Cancelled, ms(1));
        race!(cancel(), cancel(), cancel());
        let report = breaker.report();
        assert_eq!((report.state, report.probes), (State::HalfOpen, 0), "every place came back");
        assert_eq!(report.stale_results, 0);
        assert_eq!(report.transitions.len(), 2);
    });
}

#[test]
fn a_success_closes_it_and_a_failure_opens_it_whoever_is_first() {
    model("half-open: success against failure for 1 place", || {
        let breaker = due(1, Duration::from_secs(30));
        let live = Arc::new(AtomicU32::new(0));
        let (good, bad) = (Outcome::Success, Outcome::Failure);
        race!(probe(&breaker, &live, good, ms(1)), probe(&breaker, &live, bad, ms(1)));
        let report = breaker.report();
        assert_ne!(report.state, State::HalfOpen);
        for pair in report.transitions.windows(2) {
            assert_eq!(pair[0].to, pair[1].from);
        }
    });
}

#[test]
fn two_answers_at_once_make_one_move_and_the_other_is_stale() {
    model("half-open: success and failure of two probes at once", || {
        let config = Config::builder().failures(1).half_open_calls(2).success_threshold(1);
        let breaker = breaker(config.open_for(Duration::from_millis(1)).build());
        let call = breaker.admit(NOW, &mut None).unwrap();
        breaker.record(call, Outcome::Failure, NOW);
        let answers = [Outcome::Success, Outcome::Failure].map(|outcome| {
            let admission = breaker.admit(ms(1), &mut None).unwrap();
            let breaker = Arc::clone(&breaker);
            move || {
                breaker.record(admission, outcome, ms(1));
            }
        });
        let [first, second] = answers;
        race!(first, second);
        let report = breaker.report();
        assert_eq!((report.transitions.len(), report.stale_results), (3, 1));
        assert_eq!(report.probes, 0);
        assert!(report.state == State::Open || report.window_calls == 0);
    });
}

#[test]
fn two_successes_at_once_are_both_counted() {
    model("half-open: two successes of two needed", || {
        let config = Config::builder().failures(1).half_open_calls(2).success_threshold(2);
        let breaker = breaker(config.open_for(Duration::from_millis(1)).build());
        let call = breaker.admit(NOW, &mut None).unwrap();
        breaker.record(call, Outcome::Failure, NOW);
        let answer = || {
            let admission = breaker.admit(ms(1), &mut None).unwrap();
            let breaker = Arc::clone(&breaker);
            move || {
                breaker.record(admission, Outcome::Success, ms(1));
            }
        };
        let (first, second) = (answer(), answer());
        race!(first, second);
        assert_eq!(breaker.state(), State::Closed);
        assert_eq!(breaker.report().stale_results, 0);
    });
}

#[test]
fn a_fresh_probe_is_not_written_off_with_a_lost_one() {
    model("half-open: a hung probe ends as two come for its place", || {
        let breaker = due(1, Duration::from_millis(5));
        let hung = breaker.admit(ms(1), &mut None).unwrap();
        let let_in = Arc::new(AtomicU32::new(0));
        let come = || {
            let (breaker, let_in) = (Arc::clone(&breaker), Arc::clone(&let_in));
            move || {
                if breaker.admit(ms(6), &mut None).is_ok() {
                    let_in.fetch_add(1, Ordering::Relaxed);
                }
            }
        };
        let ended = Arc::clone(&breaker);
        race!(come(), come(), move || {
            ended.record(hung, Outcome::Cancelled, ms(6));
        });
        assert_eq!(let_in.load(Ordering::Relaxed), 1, "one place, and it is taken");
        assert_eq!(breaker.report().probes, 1);
    });
}

/// Two places: one probe hangs and comes to the end of its life, the other has long to live. The hung one's answer
/// comes late, or at the last moment by its own clock, as a third asks for a place and the actor looks.
#[test]
fn a_place_whose_life_is_over_comes_back_once() {
    for (answered, name) in [(ms(6), "late"), (ms(5), "just in time")] {
        model(&format!("half-open: a life ends, its answer is {name}, a third comes"), move || {
            let config = Config::builder().failures(1).half_open_calls(2).success_threshold(2);
            let config = config.open_for(Duration::from_millis(1));
            let breaker = breaker(config.probe_life(Duration::from_millis(5)).build());
            let call = breaker.admit(NOW, &mut None).unwrap();
            breaker.record(call, Outcome::Failure, NOW);
            let hung = breaker.admit(ms(1), &mut None).unwrap();
            let young = breaker.admit(ms(4), &mut None).unwrap();
            let let_in = Arc::new(AtomicU32::new(0));
            let come = || {
                let (breaker, let_in) = (Arc::clone(&breaker), Arc::clone(&let_in));
                move || {
                    if breaker.admit(ms(6), &mut None).is_ok() {
                        let_in.fetch_add(1, Ordering::Relaxed);
                    }
                    breaker.poll(ms(6));
                }
            };
            race!(come(), come(), end(&breaker, hung, Outcome::Success, answered));
            let (report, let_in) = (breaker.report(), let_in.load(Ordering::Relaxed));
            assert_eq!(report.state, State::HalfOpen);
            assert_eq!((let_in, report.probes), (1, 2), "one place came back, once");
            // It was heard, or it was stale: then two more successes are needed.
            let was_heard = report.stale_results == 0;
            assert!(was_heard || report.stale_results == 1);
            assert!(!was_heard || answered < ms(6));
            let moved = breaker.record(young, Outcome::Success, ms(6));
            assert_eq!(moved.is_some(), was_heard);
        });
    }
}

/// A reload keeps those that are out: one is answered, and one comes for the only place.
#[test]
fn a_reload_gives_no_place_twice() {
    model("half-open: a reload, an answer and an admission for 1 place", || {
        let breaker = due(2, Duration::from_secs(30));
        let out = breaker.admit(ms(1), &mut None).unwrap();
        let live = Arc::new(AtomicU32::new(1));
        let (ending, coming, reloading) = (live.clone(), live.clone(), Arc::clone(&breaker));
        let (first, second) = (Arc::clone(&breaker), Arc::clone(&breaker));
        let other = Config::builder().failures(1).half_open_calls(1).success_threshold(3).build();
        race!(
            move || {
                ending.fetch_sub(1, Ordering::SeqCst);
                first.record(out, Outcome::Success, ms(1));
            },
            move || {
                if second.admit(ms(1), &mut None).is_ok() {
                    assert_eq!(coming.fetch_add(1, Ordering::SeqCst), 0, "one more than its place");
                }
            },
            move || {
                reloading.reconfigure(other.unwrap(), ms(1));
            },
        );
        let report = breaker.report();
        assert_eq!(report.probes, live.load(Ordering::SeqCst));
        assert_eq!((report.state, report.stale_results), (State::HalfOpen, 0));
    });
}

/// Admission, answer, transition, expiry and cancellation at once: a hung probe has outlived its probe
/// life, the actor looks, one caller gives up, another is answered.
#[test]
fn whatever_happens_at_once_no_place_is_lost_none_is_given_twice_and_it_is_never_stuck() {
    for answer in [Outcome::Success, Outcome::Failure] {
        model(&format!("all at once: 3 threads, {answer:?}"), move || {
            let breaker = due(1, Duration::from_millis(5));
            let hung = breaker.admit(ms(1), &mut None).unwrap();
            let live = Arc::new(AtomicU32::new(0));
            let come = |outcome| probe(&breaker, &live, outcome, ms(6));
            let actor = Arc::clone(&breaker);
            race!(come(answer), come(Outcome::Cancelled), move || {
                actor.poll(ms(6));
                // The hung one's answer comes at last: it counts unless its place was given away.
                actor.record(hung, Outcome::Ignored, ms(6));
            });
            assert_eq!(breaker.report().probes, 0, "every place came back");
            for pair in breaker.report().transitions.windows(2) {
                assert_eq!(pair[0].to, pair[1].from);
            }
            // Whatever has become of it, it can be brought to close.
            breaker.poll(ms(20));
            let last = breaker.admit(ms(20), &mut None).expect("it is not stuck");
            breaker.record(last, Outcome::Success, ms(20));
            assert_eq!(breaker.state(), State::Closed);
        });
    }
}

/// The same from closed: two failures trip it as a third call is admitted and its caller gives up, and
/// the actor looks once the open time is over.
#[test]
fn a_trip_an_admission_a_cancellation_and_the_actor_leave_it_whole() {
    model("all at once: 3 threads, from closed", || {
        let config = Config::builder().failures(2).half_open_calls(1).success_threshold(1);
        let breaker = breaker(config.open_for(Duration::from_millis(1)).build());
        let fail = || {
            let call = breaker.admit(NOW, &mut None).unwrap();
            end(&breaker, call, Outcome::Failure, NOW)
        };
        let (first, second) = (fail(), fail());
        let actor = Arc::clone(&breaker);
        race!(first, second, move || {
            actor.poll(ms(2));
            if let Ok(call) = actor.admit(ms(2), &mut None) {
                actor.record(call, Outcome::Cancelled, ms(2));
            }
        });
        let report = breaker.report();
        assert_ne!(report.state, State::Closed, "two failures have opened it");
        assert_eq!(report.probes, 0);
        breaker.poll(ms(20));
        let probe = breaker.admit(ms(20), &mut None).expect("it is not stuck");
        assert!(probe.is_probe());
        breaker.record(probe, Outcome::Success, ms(20));
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
            let call = breaker.admit(NOW, &mut None).unwrap();
            // Allocates the ring, as above, and is in the window that the reset forgets.
            breaker.record(call, Outcome::Success, NOW);
            let (late, by_hand) = (Arc::clone(&breaker), Arc::clone(&breaker));
            race!(
                move || {
                    late.record(call, Outcome::Failure, ms(10));
                },
                move || {
                    by_hand.reset(ms(10));
                },
            );
            let report = breaker.report();
            assert_eq!((report.state, report.window_calls), (State::Closed, 0));
            let call = breaker.admit(ms(10), &mut None).unwrap();
            assert!(breaker.record(call, Outcome::Failure, ms(10)).is_some(), "the new one counts");
        });
    }
}
