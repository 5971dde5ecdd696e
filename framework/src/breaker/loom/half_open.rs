//! A half-open breaker: its places, and the probes that are out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::{NOW, breaker, end, ms, race};
use crate::breaker::{CircuitBreaker, Config};
use crate::clock::Moment;
use crate::event::State;
use crate::outcome::Outcome;
use crate::sync::model;

/// Open, its time up at `ms(1)`, with so many places.
fn due(places: u32, success_threshold: u32, life: Duration) -> Arc<CircuitBreaker> {
    let config = Config::builder()
        .failures(1)
        .half_open_calls(places)
        .success_threshold(success_threshold)
        .open_for(Duration::from_millis(1))
        .probe_life(life);
    let breaker = breaker(config.build());
    let call = breaker.let_in(NOW, &mut None).unwrap();
    breaker.note(call, Outcome::Failure, NOW);
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
        let Ok(admission) = breaker.let_in(now, &mut None) else { return };
        if admission.is_probe() {
            assert_eq!(live.fetch_add(1, Ordering::SeqCst), 0, "two probes for one place");
            live.fetch_sub(1, Ordering::SeqCst);
        }
        breaker.note(admission, outcome, now);
    }
}

#[test]
fn three_callers_at_once_are_one_probe_at_a_time() {
    model("half-open: 3 race for 1 place, none of them says anything", || {
        let breaker = due(1, 1, Duration::from_secs(30));
        let live = Arc::new(AtomicU32::new(0));
        let cancel = || probe(&breaker, &live, Outcome::Ignored, ms(1));
        race!(cancel(), cancel(), cancel());
        let report = breaker.report(Moment::ZERO);
        assert_eq!((report.state, report.probes), (State::HalfOpen, 0), "every place came back");
        assert_eq!(report.stale_results, 0);
        assert_eq!(report.transitions.len(), 2);
    });
}

#[test]
fn a_success_closes_it_and_a_failure_opens_it_whichever_is_first() {
    model("half-open: success against failure for 1 place", || {
        let breaker = due(1, 1, Duration::from_secs(30));
        let live = Arc::new(AtomicU32::new(0));
        let (good, bad) = (Outcome::Success, Outcome::Failure);
        race!(probe(&breaker, &live, good, ms(1)), probe(&breaker, &live, bad, ms(1)));
        let report = breaker.report(Moment::ZERO);
        assert_ne!(report.state, State::HalfOpen);
        for pair in report.transitions.windows(2) {
            assert_eq!(pair[0].to, pair[1].from);
        }
    });
}

#[test]
fn two_answers_at_once_make_one_move_and_the_other_is_stale() {
    model("half-open: success and failure of two probes at once", || {
        let breaker = due(2, 1, Duration::from_secs(30));
        let answers = [Outcome::Success, Outcome::Failure].map(|outcome| {
            let admission = breaker.let_in(ms(1), &mut None).unwrap();
            let breaker = Arc::clone(&breaker);
            move || {
                breaker.note(admission, outcome, ms(1));
            }
        });
        let [first, second] = answers;
        race!(first, second);
        let report = breaker.report(Moment::ZERO);
        assert_eq!((report.transitions.len(), report.stale_results), (3, 1));
        assert_eq!(report.probes, 0);
        assert!(report.state == State::Open || report.window_calls == 0);
    });
}

#[test]
fn two_successes_at_once_are_both_counted() {
    model("half-open: two successes of two needed", || {
        let breaker = due(2, 2, Duration::from_secs(30));
        let answer = || {
            let admission = breaker.let_in(ms(1), &mut None).unwrap();
            let breaker = Arc::clone(&breaker);
            move || {
                breaker.note(admission, Outcome::Success, ms(1));
            }
        };
        let (first, second) = (answer(), answer());
        race!(first, second);
        assert_eq!(breaker.state(), State::Closed);
        assert_eq!(breaker.report(Moment::ZERO).stale_results, 0);
    });
}

#[test]
fn a_fresh_probe_is_not_written_off_with_a_lost_one() {
    model("half-open: a hung probe ends as two come for its place", || {
        let breaker = due(1, 1, Duration::from_millis(5));
        let hung = breaker.let_in(ms(1), &mut None).unwrap();
        let let_in = Arc::new(AtomicU32::new(0));
        let come = || {
            let (breaker, let_in) = (Arc::clone(&breaker), Arc::clone(&let_in));
            move || {
                if breaker.let_in(ms(6), &mut None).is_ok() {
                    let_in.fetch_add(1, Ordering::Relaxed);
                }
            }
        };
        let ended = Arc::clone(&breaker);
        race!(come(), come(), move || {
            ended.note(hung, Outcome::Cancelled, ms(6));
        });
        assert_eq!(let_in.load(Ordering::Relaxed), 1, "one place, and it is taken");
        assert_eq!(breaker.report(Moment::ZERO).probes, 1);
    });
}

/// Two places: one probe hangs and comes to the end of its life, the other has long to live. The hung one's answer
/// comes late, or at the last moment by its own clock, as a third asks for a place and the actor looks.
#[test]
fn a_place_whose_life_is_over_comes_back_once() {
    for (answered, name) in [(ms(6), "late"), (ms(5), "just in time")] {
        model(&format!("half-open: a life ends, its answer is {name}, a third comes"), move || {
            let breaker = due(2, 2, Duration::from_millis(5));
            let hung = breaker.let_in(ms(1), &mut None).unwrap();
            let young = breaker.let_in(ms(4), &mut None).unwrap();
            let let_in = Arc::new(AtomicU32::new(0));
            let come = || {
                let (breaker, let_in) = (Arc::clone(&breaker), Arc::clone(&let_in));
                move || {
                    if breaker.let_in(ms(6), &mut None).is_ok() {
                        let_in.fetch_add(1, Ordering::Relaxed);
                    }
                    breaker.poll(ms(6));
                }
            };
            race!(come(), come(), end(&breaker, hung, Outcome::Success, answered));
            let (report, let_in) = (breaker.report(Moment::ZERO), let_in.load(Ordering::Relaxed));
            assert_eq!(report.state, State::HalfOpen);
            assert_eq!((let_in, report.probes), (1, 2), "one place came back, once");
            // It was heard, or it was stale: then two more successes are needed.
            let was_heard = report.stale_results == 0;
            assert!(was_heard || report.stale_results == 1);
            assert!(!was_heard || answered < ms(6));
            let moved = breaker.note(young, Outcome::Success, ms(6));
            assert_eq!(moved.is_some(), was_heard);
        });
    }
}

/// A reload keeps those that are out: one is answered, and one comes for the only place.
#[test]
fn a_reload_gives_no_place_twice() {
    model("half-open: a reload, an answer and an admission for 1 place", || {
        let breaker = due(1, 2, Duration::from_secs(30));
        let out = breaker.let_in(ms(1), &mut None).unwrap();
        let live = Arc::new(AtomicU32::new(1));
        let (ending, coming, reloading) = (live.clone(), live.clone(), Arc::clone(&breaker));
        let (first, second) = (Arc::clone(&breaker), Arc::clone(&breaker));
        let other = Config::builder().failures(1).half_open_calls(1).success_threshold(3).build();
        race!(
            move || {
                ending.fetch_sub(1, Ordering::SeqCst);
                first.note(out, Outcome::Success, ms(1));
            },
            move || {
                if second.let_in(ms(1), &mut None).is_ok() {
                    assert_eq!(coming.fetch_add(1, Ordering::SeqCst), 0, "one more than its place");
                }
            },
            move || {
                reloading.reconfigure(other.unwrap(), ms(1));
            },
        );
        let report = breaker.report(Moment::ZERO);
        assert_eq!(report.probes, live.load(Ordering::SeqCst));
        assert_eq!((report.state, report.stale_results), (State::HalfOpen, 0));
    });
}

/// Leave, answer, transition, expiry and cancellation at once: a hung probe has outlived its probe
/// life, the actor looks, one caller gives up, another is answered.
#[test]
fn whatever_happens_at_once_no_place_is_lost_none_is_given_twice_and_it_is_never_stuck() {
    for answer in [Outcome::Success, Outcome::Failure] {
        model(&format!("all at once: 3 threads, {answer:?}"), move || {
            let breaker = due(1, 1, Duration::from_millis(5));
            let hung = breaker.let_in(ms(1), &mut None).unwrap();
            let live = Arc::new(AtomicU32::new(0));
            let come = |outcome| probe(&breaker, &live, outcome, ms(6));
            let actor = Arc::clone(&breaker);
            race!(come(answer), come(Outcome::Cancelled), move || {
                actor.poll(ms(6));
                // The hung one's answer comes at last: it counts unless its place was given away.
                actor.note(hung, Outcome::Ignored, ms(6));
            });
            assert_eq!(breaker.report(Moment::ZERO).probes, 0, "every place came back");
            for pair in breaker.report(Moment::ZERO).transitions.windows(2) {
                assert_eq!(pair[0].to, pair[1].from);
            }
            // Whatever has become of it, it can be brought to close.
            breaker.poll(ms(20));
            let last = breaker.let_in(ms(20), &mut None).expect("it is not stuck");
            breaker.note(last, Outcome::Success, ms(20));
            assert_eq!(breaker.state(), State::Closed);
        });
    }
}
