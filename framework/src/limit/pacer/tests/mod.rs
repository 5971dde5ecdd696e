use std::time::Duration;

use proptest::prelude::*;

use super::*;

mod simulation;

fn at(millis: u64) -> Moment {
    Moment::ZERO + Duration::from_millis(millis)
}

fn report(limit: u64, remaining: u64, reset_after: u64) -> Report {
    Report {
        limit: Some(limit),
        remaining: Some(remaining),
        reset_after: Some(Duration::from_secs(reset_after)),
        ..Report::default()
    }
}

/// A pacer that has heard this of its first request.
fn told(limit: u64, remaining: u64, reset_after: u64) -> Pacer {
    let patient = PacerConfig::builder().max_wait(Duration::from_secs(1)).build().unwrap();
    let pacer = Pacer::new(patient);
    let turn = pacer.pace(at(0)).unwrap();
    pacer.learn(at(0), turn, &report(limit, remaining, reset_after));
    pacer
}

fn wait(pacer: &Pacer, now: Moment) -> Duration {
    pacer.pace(now).unwrap().wait()
}

#[test]
fn settings_that_make_no_sense_are_told_at_once() {
    assert_eq!(PacerConfig::default(), PacerConfig::builder().build().unwrap());
    let long = Duration::from_secs(8 * 24 * 3600);
    let wrong = PacerConfig::builder().slow_below(1.5).max_wait(long).horizon(Duration::ZERO);
    assert_eq!(wrong.build().unwrap_err().as_slice().len(), 3);
    assert!(PacerConfig::builder().slow_below(f64::NAN).build().is_err());
}

#[test]
fn who_knows_nothing_slows_nobody_down() {
    let pacer = Pacer::default();
    for _ in 0..1000 {
        let turn = pacer.pace(at(0)).unwrap();
        assert_eq!(turn.wait(), Duration::ZERO);
        pacer.learn(at(0), turn, &Report::default());
    }
    assert_eq!(pacer.left(at(0)), None);
}

#[test]
fn with_plenty_left_nobody_waits_and_from_half_on_the_rest_is_spread() {
    let pacer = told(100, 52, 50);
    assert_eq!(wait(&pacer, at(0)), Duration::ZERO);
    assert_eq!(wait(&pacer, at(0)), Duration::ZERO);
    let mut before = wait(&pacer, at(0));
    assert_eq!(before, Duration::ZERO);
    for _ in 0..49 {
        let now = Moment::ZERO + before;
        let next = before + wait(&pacer, now);
        assert!(next - before >= Duration::from_millis(999), "{before:?} {next:?}");
        before = next;
    }
    assert!(before < Duration::from_secs(50));
    let none_left = pacer.pace(Moment::ZERO + before).unwrap_err();
    assert_eq!(none_left.retry_after, Some(Duration::from_secs(50) - before));
}

#[test]
fn when_nothing_is_left_it_refuses_until_the_reset_and_then_starts_anew() {
    let pacer = told(10, 0, 30);
    let refusal = pacer.pace(at(10_000)).unwrap_err();
    assert_eq!(refusal.retry_after, Some(Duration::from_secs(20)));
    assert!(pacer.pace(at(29_999)).is_err());
    let free =
        (0..100).take_while(|_| pacer.pace(at(30_000)).is_ok_and(|turn| turn.wait().is_zero()));
    assert_eq!(free.count(), 6, "as many as there were, and no more unless somebody says so");
}

#[test]
fn a_caller_that_would_wait_too_long_is_refused_and_not_counted() {
    let pacer = told(100, 10, 1000);
    assert_eq!(wait(&pacer, at(0)), Duration::ZERO);
    for _ in 0..50 {
        assert_eq!(pacer.pace(at(0)).unwrap_err().retry_after, Some(Duration::from_secs(99)));
    }
    assert_eq!(pacer.left(at(0)), Some(9));
    assert_eq!(wait(&pacer, at(99_000)), Duration::from_secs(1));
}

#[test]
fn an_answer_that_was_overtaken_does_not_raise_what_is_left() {
    let pacer = Pacer::default();
    let [first, second, third] = [(); 3].map(|()| pacer.pace(at(0)).unwrap());
    pacer.learn(at(1), third, &report(10, 1, 10));
    assert_eq!(pacer.left(at(1)), Some(1));
    pacer.learn(at(2), first, &report(10, 9, 10));
    pacer.learn(at(2), second, &report(10, 8, 10));
    assert_eq!(pacer.left(at(2)), Some(1));
}

#[test]
fn requests_on_their_way_are_not_forgotten() {
    let pacer = told(10, 9, 10);
    let turns: Vec<_> = (0..3).map(|_| pacer.pace(at(0)).unwrap()).collect();
    assert_eq!(pacer.left(at(0)), Some(6));
    pacer.learn(at(1), turns[0], &report(10, 8, 10));
    assert_eq!(pacer.left(at(1)), Some(6), "two are still out");
    pacer.learn(at(2), turns[2], &report(10, 4, 10));
    assert_eq!(pacer.left(at(2)), Some(4), "somebody else took two");
}

#[test]
fn retry_after_goes_before_all_else_and_a_mistake_does_not_lock_out_for_years() {
    let pacer = told(100, 90, 10);
    let turn = pacer.pace(at(0)).unwrap();
    let refused = Report { retry_after: Some(Duration::from_secs(3)), ..report(100, 0, 1) };
    pacer.learn(at(0), turn, &refused);
    assert_eq!(pacer.pace(at(1000)).unwrap_err().retry_after, Some(Duration::from_secs(2)));
    let probe = pacer.pace(at(3000)).unwrap();
    assert!(pacer.pace(at(3000)).is_err(), "until it has told, one is enough");
    pacer.learn(at(3001), probe, &report(100, 99, 10));
    assert_eq!(pacer.left(at(3001)), Some(99));
    let absurd = Report { retry_after: Some(Duration::from_secs(u64::MAX)), ..Report::default() };
    pacer.learn(at(3001), probe, &absurd);
    assert!(pacer.pace(at(3001)).is_err());
    assert!(pacer.pace(at(3001 + 3_600_000)).is_ok());
}

#[test]
fn an_absurd_reset_is_taken_for_an_hour() {
    let pacer = told(10, 0, u64::MAX);
    assert_eq!(pacer.pace(at(0)).unwrap_err().retry_after, Some(Duration::from_secs(3600)));
    assert!(pacer.pace(at(3_600_000)).is_ok());
}

#[test]
fn a_clock_that_is_put_back_by_a_year_locks_nobody_out_for_longer_than_the_horizon() {
    let hour = Duration::from_secs(3600);
    let (year, back) = (at(365 * 24 * 3_600_000), at(1_000_000));
    let out = report(100, 0, 7);
    let refused = Report { retry_after: Some(Duration::from_secs(7)), ..out };
    for said in [out, report(100, 1, 7), refused] {
        let pacer = Pacer::default();
        let turn = pacer.pace(year).unwrap();
        pacer.learn(year, turn, &said);
        let _ = pacer.pace(year); // the last one there was
        let refusal = pacer.pace(back).unwrap_err();
        assert!(refusal.retry_after.unwrap() <= hour, "{said:?}: {refusal:?}");
        assert!(pacer.pace(back + hour).is_ok(), "{said:?}");
    }
    // What was over by the old clock stays over.
    let pacer = Pacer::default();
    let turn = pacer.pace(year).unwrap();
    pacer.learn(year, turn, &refused);
    let probe = pacer.pace(year + Duration::from_secs(7)).unwrap();
    pacer.learn(year + Duration::from_secs(7), probe, &report(100, 99, 10));
    assert!(pacer.pace(back).is_ok());
}

#[test]
fn a_horizon_that_is_made_nearer_counts_for_what_is_known_already() {
    let pacer = told(10, 0, 3000);
    pacer.reconfigure(PacerConfig::builder().horizon(Duration::from_secs(60)).build().unwrap());
    assert_eq!(pacer.pace(at(0)).unwrap_err().retry_after, Some(Duration::from_secs(60)));
    assert!(pacer.pace(at(60_000)).is_ok());
}

#[derive(Clone, Debug)]
enum Step {
    Pace,
    Learn { turn: usize, report: Report },
    Advance(u64),
    PutBack(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let number = || prop::option::of(prop_oneof![0_u64..200, any::<u64>()]);
    let time = move || number().prop_map(|seconds| seconds.map(Duration::from_secs));
    let report = (number(), number(), time(), time(), time()).prop_map(
        |(limit, remaining, reset_after, window, retry_after)| Report {
            limit,
            remaining,
            reset_after,
            window,
            retry_after,
        },
    );
    let learn = (any::<prop::sample::Index>(), report)
        .prop_map(|(turn, report)| Step::Learn { turn: turn.index(1000), report });
    let step = prop_oneof![3 => Just(Step::Pace), 2 => learn, 1 => (0_u64..100_000).prop_map(Step::Advance), 1 => (0_u64..10_000_000).prop_map(Step::PutBack)];
    prop::collection::vec(step, 1..80)
}

proptest! {
    #[test]
    fn whatever_it_is_told_its_waits_are_bounded_and_its_refusals_end(steps in steps()) {
        let pacer = Pacer::default();
        let mut now = at(0);
        let mut turns = Vec::new();
        for step in steps {
            match step {
                Step::Pace => match pacer.pace(now) {
                    Ok(turn) => {
                        prop_assert!(turn.wait() <= pacer.config().max_wait());
                        turns.push(turn);
                    }
                    Err(refusal) => {
                        let after = refusal.retry_after.unwrap();
                        prop_assert!(after > Duration::ZERO, "it would be asked again at once");
                        prop_assert!(after <= 2 * pacer.config().horizon() + Duration::from_secs(1));
                    }
                },
                Step::Learn { turn, report } if !turns.is_empty() => {
                    pacer.learn(now, turns[turn % turns.len()], &report);
                }
                Step::Learn { .. } => {}
                Step::Advance(millis) => now = now + Duration::from_millis(millis),
                Step::PutBack(millis) => now = now.before(Duration::from_millis(millis)),
            }
        }
        // However confused it is, silence heals it.
        prop_assert!(pacer.pace(now + Duration::from_secs(3 * 3600)).is_ok());
    }
}

#[test]
fn a_turn_given_back_is_somebody_elses_and_so_is_its_place() {
    let pacer = told(100, 2, 20);
    let first = pacer.pace(at(0)).unwrap();
    assert!(pacer.pace(at(0)).is_err(), "ten seconds are too long");
    pacer.refund(first);
    assert_eq!((pacer.left(at(0)), wait(&pacer, at(0))), (Some(2), Duration::ZERO));
    // The only one that goes to see whether there is any more.
    let pacer = told(100, 2, 20);
    let turn = pacer.pace(at(0)).unwrap();
    let after = Some(Duration::from_secs(5));
    pacer.learn(at(0), turn, &Report { retry_after: after, ..report(100, 0, 5) });
    let probe = pacer.pace(at(5_000)).unwrap();
    assert!(pacer.pace(at(5_000)).is_err());
    pacer.refund(probe);
    assert!(pacer.pace(at(5_000)).is_ok());
}

#[test]
fn a_request_that_can_wait_for_less_than_others_may_is_told_by_how_much_it_is_too_much() {
    let pacer = told(100, 40, 20);
    assert_eq!(wait(&pacer, at(0)), Duration::ZERO);
    let short = Duration::from_millis(100);
    let refusal = pacer.pace_within(at(0), short).unwrap_err();
    assert_eq!(refusal.retry_after, Some(Duration::from_millis(400)));
    assert_eq!(pacer.pace_within(at(0), Duration::MAX).unwrap().wait(), 5 * short);
}

proptest! {
    /// Whatever is given back, and in whatever order answers come: nothing is lost and nothing is made up, if requests
    /// reach the server in the order of their turns.
    #[test]
    fn what_is_given_back_is_counted_exactly(
        quota in 1u64..40,
        steps in prop::collection::vec((0u8..4, any::<prop::sample::Index>()), 1..60),
    ) {
        let config = PacerConfig::builder().slow_below(0.0).build().unwrap();
        let pacer = Pacer::new(config);
        let first = pacer.pace(at(0)).unwrap();
        pacer.learn(at(0), first, &report(quota, quota, 900));
        let (mut server, mut held, mut flying) = (quota, Vec::new(), Vec::new());
        let mut given_back = 0;
        for (step, index) in steps {
            match step {
                0 => held.extend(pacer.pace(at(0)).ok()),
                1 if !held.is_empty() => {
                    server -= 1;
                    flying.push((held.remove(0), server));
                }
                // The list of those given back is not endless.
                2 if !held.is_empty() && given_back < 16 => {
                    given_back += 1;
                    pacer.refund(held.remove(index.index(held.len())));
                }
                _ if !flying.is_empty() => {
                    let (turn, remaining) = flying.remove(index.index(flying.len()));
                    pacer.learn(at(0), turn, &report(quota, remaining, 900));
                }
                _ => {}
            }
            prop_assert_eq!(pacer.left(at(0)), Some(server - held.len() as u64));
        }
    }
}
