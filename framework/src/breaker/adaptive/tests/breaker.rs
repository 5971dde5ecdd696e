//! A breaker whose threshold follows the hour.

use std::time::Duration;

use crate::breaker::adaptive::{Config, Memory, PERIOD, UtcOffset};
use crate::breaker::{self, CircuitBreaker, Mode};
use crate::clock::Moment;
use crate::entropy::Entropy;
use crate::event::State;
use crate::outcome::Outcome;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// The clock's origin: 2026-01-05T00:00Z, a Monday.
const MONDAY: Duration = Duration::from_secs(1_767_571_200);

fn at(time: Duration) -> Moment {
    Moment::ZERO + time
}

fn config(adaptive: Config) -> breaker::Config {
    breaker::Config::builder().adaptive(adaptive).build().unwrap()
}

fn breaker(adaptive: Config) -> CircuitBreaker {
    let breaker = CircuitBreaker::new(config(adaptive), Moment::ZERO);
    breaker.tend(Moment::ZERO, MONDAY).unwrap();
    breaker
}

/// One call; the state after it.
fn call(breaker: &CircuitBreaker, failed: bool, now: Moment) -> State {
    let outcome = if failed { Outcome::Failure } else { Outcome::Success };
    if let Ok(admission) = breaker.let_in(now, &mut None) {
        breaker.note(admission, outcome, now);
    }
    breaker.state()
}

/// `per_second` calls a second from `from` for `length`, of which a share fails by chance. When it opened.
fn traffic(
    breaker: &CircuitBreaker,
    entropy: &Entropy,
    (from, length): (Duration, Duration),
    per_second: u64,
    share: f64,
) -> Option<Duration> {
    let calls = length.as_secs() * per_second;
    for n in 0..calls {
        let now = from + Duration::from_nanos(n * 1_000_000_000 / per_second);
        if call(breaker, entropy.unit() < share, at(now)) == State::Open {
            return Some(now - from);
        }
    }
    None
}

/// Three days of quiet hours at 2 %, a noon at 1.5 % and a batch at three in the night at 25 %.
fn practised(adaptive: Config) -> (CircuitBreaker, Duration) {
    let breaker = breaker(adaptive);
    let entropy = Entropy::seeded(11);
    for day in 0..3 {
        let midnight = DAY * day;
        let batch = (midnight + 3 * HOUR, HOUR);
        assert_eq!(traffic(&breaker, &entropy, batch, 2, 0.25), None, "day {day}");
        let noon = (midnight + 12 * HOUR, HOUR);
        assert_eq!(traffic(&breaker, &entropy, noon, 10, 0.015), None, "day {day}");
    }
    (breaker, 3 * DAY)
}

/// The same, a week later, so that the hours have been seen.
fn a_week_later(of: Duration) -> Duration {
    7 * DAY + of
}

#[test]
fn three_failed_calls_of_a_quiet_night_do_not_open_it() {
    let (breaker, _) = practised(Config::default());
    let night = a_week_later(2 * HOUR);
    for n in 0..3 {
        assert_eq!(call(&breaker, true, at(night + Duration::from_secs(n))), State::Closed);
    }
    assert_eq!(breaker.report(Moment::ZERO).window_calls, 3);
}

#[test]
fn not_even_with_no_least_number_of_calls_for_three_in_a_row_are_chance() {
    let (breaker, _) = practised(Config::builder().min_calls(1).build().unwrap());
    let night = a_week_later(12 * HOUR + 59 * Duration::from_secs(60));
    for n in 0..3 {
        let now = at(night + Duration::from_secs(n));
        assert_eq!(call(&breaker, true, now), State::Closed, "0.015 cubed is more than 1e-7");
    }
    call(&breaker, true, at(night + Duration::from_secs(3)));
    assert_eq!(call(&breaker, true, at(night + Duration::from_secs(4))), State::Open);
}

#[test]
fn a_busy_noon_opens_in_seconds_and_the_nightly_batch_does_not() {
    let (breaker, _) = practised(Config::default());
    let entropy = Entropy::seeded(5);
    let batch = (a_week_later(3 * HOUR), HOUR);
    assert_eq!(traffic(&breaker, &entropy, batch, 2, 0.25), None);
    let healthy = (a_week_later(12 * HOUR), Duration::from_secs(600));
    assert_eq!(traffic(&breaker, &entropy, healthy, 10, 0.015), None);
    let incident = (a_week_later(12 * HOUR) + Duration::from_secs(600), HOUR);
    let delay = traffic(&breaker, &entropy, incident, 10, 0.25).unwrap();
    assert!(delay < Duration::from_secs(10), "{delay:?}");
}

#[test]
fn what_an_outage_taught_is_not_learned() {
    let (breaker, _) = practised(Config::default());
    let entropy = Entropy::seeded(6);
    let noon = a_week_later(12 * HOUR);
    let normal = breaker.reading(at(noon)).unwrap();
    assert!(traffic(&breaker, &entropy, (noon, HOUR), 10, 0.9).is_some());
    // Open, half-open, open again: for an hour.
    for second in 0..3_600 {
        call(&breaker, true, at(noon + Duration::from_secs(second)));
    }
    breaker.tend(at(noon + HOUR), MONDAY + noon + HOUR);
    let after = breaker.reading(at(noon)).unwrap();
    assert!((after.baseline - normal.baseline).abs() < 1e-3, "{normal:?} {after:?}");
    assert!((after.threshold - normal.threshold).abs() < 1e-2, "{normal:?} {after:?}");
}

#[test]
fn what_the_breaker_says_is_what_it_goes_by() {
    let (breaker, _) = practised(Config::default());
    let noon = breaker.reading(at(a_week_later(12 * HOUR))).unwrap();
    assert_eq!(noon.hour, 12);
    assert!((noon.baseline - 0.015).abs() < 0.005, "{noon:?}");
    let night = breaker.reading(at(a_week_later(3 * HOUR))).unwrap();
    assert!((0.2..0.3).contains(&night.baseline) && night.threshold > night.baseline, "{night:?}");
    // An hour at 10 a second, a week ago; the last minutes are of the next hour's first call.
    assert!((28_000.0..36_000.0).contains(&noon.learned_calls), "{noon:?}");
    let simple = CircuitBreaker::new(breaker::Config::default(), Moment::ZERO);
    assert_eq!(simple.reading(Moment::ZERO), None);
    assert_eq!(simple.tend(Moment::ZERO, MONDAY), None);
    assert_eq!(simple.history(), None);
}

#[test]
fn it_learns_though_nobody_calls_any_more() {
    let breaker = breaker(Config::default());
    for n in 0..100 {
        call(&breaker, n % 50 == 0, at(Duration::from_secs(n)));
    }
    assert_eq!(breaker.reading(at(HOUR)).unwrap().learned_calls, 0.0);
    // When the last of these five minutes is a whole window ago.
    let later = PERIOD + Duration::from_secs(31);
    assert_eq!(breaker.tend(at(PERIOD), MONDAY + PERIOD), Some(at(later)));
    breaker.tend(at(later), MONDAY + later);
    let reading = breaker.reading(at(later)).unwrap();
    assert!((reading.learned_calls - 100.0).abs() < 0.1, "{reading:?}");
}

#[test]
fn a_restart_and_a_reload_keep_what_was_learned() {
    let (breaker, now) = practised(Config::default());
    let noon = at(a_week_later(12 * HOUR));
    let learned = breaker.reading(noon).unwrap();
    let kept = breaker.history().unwrap().to_bytes();

    let next = self::breaker(Config::default());
    next.restore(&crate::breaker::adaptive::History::from_bytes(&kept).unwrap(), Moment::ZERO);
    assert_eq!(next.reading(noon), Some(learned));

    let other = Config::builder().spreads(6.0).build().unwrap();
    breaker.reconfigure(config(other), at(now));
    let reading = breaker.reading(noon).unwrap();
    assert_eq!(reading.baseline, learned.baseline);
    assert!(reading.threshold >= learned.threshold);
    // Off and on again.
    breaker.reconfigure(breaker::Config::default(), at(now));
    assert_eq!(breaker.reading(noon), None);
    breaker.reconfigure(config(Config::default()), at(now));
    assert_eq!(breaker.reading(noon), Some(learned));
    // Two hours further east, noon is at two.
    let east = UtcOffset::from_minutes(120).unwrap();
    breaker.reconfigure(config(Config::builder().utc_offset(east).build().unwrap()), at(now));
    let there = breaker.reading(noon).unwrap();
    assert_eq!((there.hour, there.baseline), (14, learned.baseline));
}

#[test]
fn a_reload_keeps_the_window_and_goes_by_the_new_threshold_at_once() {
    let (breaker, _) = practised(Config::default());
    let now = at(a_week_later(12 * HOUR));
    for n in 0..60 {
        assert_eq!(call(&breaker, n % 15 == 0, now), State::Closed, "5 of 60 at the most");
    }
    breaker.reconfigure(config(Config::builder().alpha(0.01).build().unwrap()), now);
    assert_eq!(breaker.report(Moment::ZERO).window_calls, 60);
    assert_eq!(call(&breaker, true, now), State::Open);
}

#[test]
fn the_wall_clock_says_which_hour_it_is_wherever_it_jumps() {
    let (breaker, _) = practised(Config::default());
    let now = a_week_later(12 * HOUR);
    let hour_at = |since_epoch: Duration| {
        breaker.tend(at(now), since_epoch).unwrap();
        breaker.reading(at(now)).unwrap().hour
    };
    assert_eq!(hour_at(MONDAY + 12 * HOUR), 12);
    assert_eq!(hour_at(MONDAY + 9 * HOUR), 9);
    assert_eq!(hour_at(Duration::ZERO), 72);
    assert!(hour_at(Duration::MAX) < 168);
    assert_eq!(hour_at(MONDAY + 12 * HOUR), 12);
    let reading = breaker.reading(at(now)).unwrap();
    assert!((reading.baseline - 0.015).abs() < 0.005, "{reading:?}");
    let entropy = Entropy::seeded(8);
    assert!(traffic(&breaker, &entropy, (now, HOUR), 10, 0.5).is_some());
}

#[test]
fn it_works_beside_the_others_and_only_observes_if_told_to() {
    let both = breaker::Config::builder().adaptive(Config::default()).failures(4).build().unwrap();
    let breaker = CircuitBreaker::new(both, Moment::ZERO);
    let now = at(HOUR);
    assert!((0..3).all(|_| call(&breaker, true, now) == State::Closed));
    assert_eq!(call(&breaker, true, now), State::Open, "4 in a row, whatever is normal");

    let config = breaker::Config::builder()
        .adaptive(Config::default())
        .without_failures()
        .enforcement(breaker::Enforcement::Observe)
        .build()
        .unwrap();
    let breaker = CircuitBreaker::new(config, Moment::ZERO);
    assert!((0..9).all(|_| call(&breaker, true, now) == State::Closed), "fewer than min_calls");
    // It knows nothing yet: thirty in a hundred could be normal, but not that often in a row.
    assert!((0..10).any(|_| call(&breaker, true, now) == State::Open));
    assert!(breaker.check(now).is_ok());
    assert_eq!(breaker.report(Moment::ZERO).mode, Mode::Observing);
}

#[test]
fn calls_are_learned_once_whichever_threads_they_come_from() {
    let breaker = breaker(Config::builder().window(Duration::from_millis(100)).build().unwrap());
    std::thread::scope(|scope| {
        for thread in 0..3_u64 {
            let breaker = &breaker;
            scope.spawn(move || {
                for n in 0..6_000 {
                    // Each overtakes the others now and then, by more than a bucket.
                    let now = at(Duration::from_micros(n * 1_000 + thread * 7_000));
                    call(breaker, n % 40 == 0, now);
                }
            });
        }
    });
    let end = Duration::from_secs(700);
    breaker.tend(at(end), MONDAY + end);
    let reading = breaker.reading(at(end)).unwrap();
    // Aged by ten minutes of four weeks.
    assert!((reading.learned_calls - 18_000.0).abs() < 10.0, "{reading:?}");
    assert!(reading.baseline > 0.02 && reading.baseline < 0.026, "{reading:?}");
}

#[test]
fn news_are_told_once_and_again_if_they_were_lost() {
    let memory = Memory::new(Config::default());
    assert!(memory.news().is_none() && !memory.is_restored());
    memory.take_in(Moment::ZERO, 10, 1);
    assert!(memory.news().is_none(), "the period is not over");
    memory.tend(at(2 * PERIOD), Duration::from_secs(30));
    assert!(memory.news().is_some());
    assert!(memory.news().is_none());
    memory.renew_news();
    assert!(memory.news().is_some());
}

#[test]
fn what_has_left_the_window_is_learned_before_the_process_ends() {
    let breaker = breaker(Config::default());
    breaker.has_no_history(Moment::ZERO);
    assert!(!breaker.wants_history(), "it was looked for, and there was none");
    for second in 0..120 {
        call(&breaker, false, at(Duration::from_secs(second)));
    }
    assert!(breaker.news().is_none(), "its five minutes are not over");
    breaker.round_off();
    assert!(breaker.news().is_some());
}

/// A memory of one settled hour, midnight in UTC, and the moment it is that hour again.
fn settled(config: Config) -> (Memory, Moment) {
    let memory = Memory::new(config);
    let week = 7 * DAY;
    for minute in 0..50 {
        memory.take_in(at(Duration::from_secs(60 * minute)), 10_000, 100);
    }
    memory.tend(at(2 * HOUR), Duration::ZERO);
    (memory, at(week))
}

#[test]
fn other_settings_and_an_earlier_history_hold_within_the_same_hour() {
    let utc = UtcOffset::UTC;
    let (memory, now) = settled(Config::default());
    let before = memory.bar(now, utc).threshold();
    memory.adopt(Config::builder().min(0.3).build().unwrap(), now);
    let after = memory.bar(now, utc).threshold();
    assert!(before < 0.1 && (after - 0.3).abs() < 1e-6, "{before} {after}");

    let next = Memory::new(Config::default());
    let unknown = next.bar(now, utc).threshold();
    next.restore(Some(&settled(Config::default()).0.history()), now);
    assert!(next.bar(now, utc).threshold() < unknown, "at once");
}

#[test]
fn a_zone_is_left_for_another_by_the_difference() {
    let east = |minutes| {
        let offset = UtcOffset::from_minutes(minutes).unwrap();
        Config::builder().utc_offset(offset).build().unwrap()
    };
    let (memory, now) = settled(east(60));
    let learned = memory.reading(now);
    memory.adopt(east(180), now);
    let there = memory.reading(now);
    assert_eq!((there.hour, there.baseline), (learned.hour + 2, learned.baseline));

    let restored = Memory::new(east(180));
    restored.restore(Some(&settled(east(60)).0.history()), now);
    assert_eq!(restored.reading(now).baseline, learned.baseline);
}

#[test]
fn a_period_that_is_over_shows_in_the_bar_of_its_hour() {
    let memory = Memory::new(Config::default());
    let unknown = memory.bar(Moment::ZERO, UtcOffset::UTC).threshold();
    memory.take_in(Moment::ZERO, 100_000, 1_000);
    assert_eq!(memory.bar(Moment::ZERO, UtcOffset::UTC).threshold(), unknown);
    // By the first calls of the next period, within the hour.
    memory.take_in(at(PERIOD), 1, 0);
    assert!(memory.bar(at(PERIOD), UtcOffset::UTC).threshold() < unknown / 2.0);
}

#[test]
fn a_period_that_nobodys_calls_end_shows_in_the_bar_of_its_hour_too() {
    let memory = Memory::new(Config::default());
    memory.take_in(Moment::ZERO, 100_000, 1_000);
    let next = at(PERIOD);
    let unknown = memory.bar(next, UtcOffset::UTC).threshold();
    memory.tend(next + Duration::from_secs(1), Duration::ZERO);
    assert!(memory.bar(next, UtcOffset::UTC).threshold() < unknown / 2.0);
}

#[test]
fn a_window_that_reaches_back_into_the_period_before_does_not_end_the_present_one() {
    let memory = Memory::new(Config::default());
    memory.take_in(at(PERIOD), 1_000, 10);
    memory.tend(at(PERIOD + Duration::from_secs(1)), Duration::from_secs(30));
    assert!(memory.news().is_none());
}

#[test]
fn periods_end_by_local_time() {
    let offset = UtcOffset::from_minutes(1).unwrap();
    let memory = Memory::new(Config::builder().utc_offset(offset).build().unwrap());
    assert_eq!(memory.tend(Moment::ZERO, Duration::ZERO), at(PERIOD - Duration::from_secs(60)));
}

#[test]
fn a_reload_keeps_what_the_present_period_has_seen_unless_the_zone_is_another() {
    let learned = |minutes| {
        let memory = Memory::new(Config::default());
        memory.take_in(Moment::ZERO, 1_000, 10);
        let offset = UtcOffset::from_minutes(minutes).unwrap();
        memory.adopt(Config::builder().utc_offset(offset).build().unwrap(), Moment::ZERO);
        memory.tend(at(2 * PERIOD), Duration::ZERO);
        memory.news().is_some()
    };
    assert!(learned(0), "another reload, and nothing is lost");
    assert!(!learned(60), "it had another hour's name");
}
