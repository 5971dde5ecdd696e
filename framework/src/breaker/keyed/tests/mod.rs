//! A breaker for each key against a plain list of them; under floods of keys; on real threads; and
//! what it is for: nine healthy shards beside a broken one.

#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod model;
mod shards;
mod threads;

use std::time::Duration;

use super::order::{LOOKS, POLL_LOOKS};
use crate::breaker::{
    Config, Enforcement, Keyed, KeyedAdmission, KeyedConfig, Keys, MAX_IDLE_AFTER, MAX_KEYS,
};
use crate::clock::Moment;
use crate::constraint::wrong_keys;
use crate::entropy::Entropy;
use crate::event::State;
use crate::outcome::{AttemptEnd, Outcome};

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn at(seconds: u64) -> Moment {
    Moment::ZERO + secs(seconds)
}

/// One failure opens a key, one success closes it.
fn touchy(max_keys: usize) -> Keyed<u64> {
    let open_for = secs(30);
    let breaker = Config::builder().failures(1).success_threshold(1).first_open_for(open_for);
    let breaker = breaker.build().unwrap();
    Keyed::new(KeyedConfig::builder(breaker).max_keys(max_keys).build().unwrap(), Moment::ZERO)
}

fn call(keyed: &Keyed<u64>, key: u64, outcome: Outcome, now: Moment) -> bool {
    let Ok(admission) = keyed.let_in(&key, now, &mut None) else { return false };
    keyed.record(admission, outcome, now);
    true
}

#[test]
fn every_mistake_in_the_settings_is_named() {
    let builder = KeyedConfig::builder(Config::default());
    for keys in [0, MAX_KEYS + 1] {
        let mistakes = builder.clone().max_keys(keys).idle_after(Duration::ZERO).build();
        assert_eq!(wrong_keys(mistakes), ["max_keys", "idle_after"]);
    }
    assert!(builder.clone().idle_after(MAX_IDLE_AFTER + secs(1)).build().is_err());
    assert!(builder.clone().idle_after(Duration::from_millis(1)).build().is_ok());
    let config = builder.max_keys(MAX_KEYS).idle_after(MAX_IDLE_AFTER).build().unwrap();
    assert_eq!((config.max_keys(), config.idle_after()), (MAX_KEYS, MAX_IDLE_AFTER));
    let default = KeyedConfig::from(Config::default());
    assert_eq!((default.max_keys(), default.idle_after()), (10_000, secs(600)));
    let default = Keys::default();
    assert_eq!((default.max_keys(), default.idle_after()), (10_000, secs(600)));
    let adaptive = crate::breaker::adaptive::Config::default();
    let adaptive = Config::builder().adaptive(adaptive).build().unwrap();
    assert_eq!(wrong_keys(KeyedConfig::builder(adaptive).build()), ["adaptive"]);
}

#[test]
fn a_key_is_found_by_what_it_borrows_as() {
    let hosts: Keyed<String> = Keyed::new(Config::default(), Moment::ZERO);
    let admission = hosts.let_in("db-1", Moment::ZERO, &mut None).unwrap();
    assert_eq!(admission.key().map(String::as_str), Some("db-1"));
    assert!(!admission.is_probe());
    assert_eq!(hosts.record(admission, Outcome::Success, Moment::ZERO), None);
    assert_eq!(hosts.state("db-1"), Some(State::Closed));
    assert_eq!(hosts.state("db-2"), None, "asking about a key does not make it");
    assert!(hosts.report("db-2", Moment::ZERO).is_none());
    assert_eq!(hosts.len(), 1);
    assert!(format!("{hosts:?}").contains("keys: 1"));
}

#[test]
fn one_key_fails_and_only_its_calls_are_refused() {
    let keyed = touchy(10);
    assert!(call(&keyed, 1, Outcome::Failure, at(0)));
    assert!(!call(&keyed, 1, Outcome::Success, at(29)));
    assert!(call(&keyed, 2, Outcome::Success, at(29)));
    assert_eq!(keyed.open_keys(10), [(1, State::Open)]);
    assert!(call(&keyed, 1, Outcome::Success, at(30)), "a probe, which closes it");
    assert_eq!(keyed.state(&1), Some(State::Closed));
    assert_eq!(keyed.open_keys(10), []);
    assert_eq!(keyed.report(&1, Moment::ZERO).unwrap().transitions.len(), 3);
}

#[test]
fn memory_is_bounded_under_any_stream_of_keys() {
    let keyed = touchy(100);
    let mut random = fastrand::Rng::with_seed(1);
    for n in 0..100_000 {
        let outcome = if random.u8(..) < 3 { Outcome::Failure } else { Outcome::Success };
        call(&keyed, random.u64(..), outcome, Moment::from_nanos(n * 1_000_000));
        assert!(keyed.len() <= 100 && keyed.keys.len() <= 100);
    }
    assert_eq!(keyed.len(), 100);
    keyed.assert_whole();
}

#[test]
fn an_open_key_survives_a_flood_of_random_keys() {
    let keyed = touchy(1_000);
    // All but one are open: what may go is still found at the first look.
    for key in 0..999 {
        call(&keyed, key, Outcome::Failure, at(0));
    }
    for key in 1_000..101_000 {
        assert!(call(&keyed, key, Outcome::Success, at(1)));
    }
    for key in 0..999 {
        assert_eq!(keyed.state(&key), Some(State::Open));
        assert!(!call(&keyed, key, Outcome::Success, at(1)));
    }
    assert_eq!((keyed.evicted_total(), keyed.overflowed_total()), (99_999, 0));
}

#[test]
fn a_key_in_use_every_second_outlives_a_flood_of_keys_used_once() {
    let keyed = touchy(100);
    for second in 0..1_000 {
        for key in 0..50 {
            call(&keyed, key, Outcome::Success, at(second));
        }
        for key in 0..30 {
            call(&keyed, 1_000 + second * 30 + key, Outcome::Success, at(second));
        }
    }
    for key in 0..50 {
        let report = keyed.report(&key, Moment::ZERO).expect("still there");
        assert_eq!(report.generation, 0);
    }
}

#[test]
fn when_every_key_is_open_new_keys_share_one_breaker() {
    let keyed = touchy(4);
    for key in 0..4 {
        call(&keyed, key, Outcome::Failure, at(0));
    }
    let fifth = keyed.let_in(&5, at(1), &mut None).unwrap();
    assert_eq!(fifth.key(), None);
    assert!(keyed.record(fifth, Outcome::Failure, at(1)).is_some());
    assert!(!call(&keyed, 6, Outcome::Success, at(1)), "it shares the fate of the fifth");
    assert_eq!(keyed.state(&6), None);
    assert_eq!(keyed.overflow_state(), State::Open);
    assert_eq!((keyed.len(), keyed.evicted_total(), keyed.overflowed_total()), (4, 0, 2));
    for key in 0..4 {
        assert_eq!(keyed.state(&key), Some(State::Open), "nobody's open state is flushed");
    }
    // One recovers, and the next new key has room.
    assert!(call(&keyed, 0, Outcome::Success, at(30)));
    assert!(call(&keyed, 7, Outcome::Success, at(30)));
    assert_eq!((keyed.state(&0), keyed.state(&7)), (None, Some(State::Closed)));
    let polled = keyed.poll(at(31));
    let moved: Vec<_> = polled.moved.iter().map(|moved| moved.key).collect();
    assert_eq!(moved.len(), 4, "three keys and the overflow breaker");
    assert!(moved.contains(&None));
}

#[test]
fn a_key_with_a_call_in_flight_is_not_evicted_and_its_late_failure_counts() {
    let keyed = touchy(2);
    let slow: Vec<KeyedAdmission<u64>> =
        (0..2).map(|key| keyed.let_in(&key, at(0), &mut None).unwrap()).collect();
    assert_eq!(keyed.let_in(&9, at(1), &mut None).unwrap().key(), None, "all in use");
    assert_eq!(keyed.poll(at(10_000)).evicted, 0, "idle or not");
    for admission in slow {
        assert!(keyed.record(admission, Outcome::TimedOut, at(10_000)).is_some());
    }
    assert_eq!(keyed.open_keys(1).len(), 1, "no more than asked for");
    assert_eq!(keyed.open_keys(9).len(), 2);
    keyed.assert_whole();
}

#[test]
fn a_call_that_is_dropped_lets_go_of_its_key() {
    let keyed = touchy(1);
    drop(keyed.let_in(&1, at(0), &mut None));
    assert!(call(&keyed, 2, Outcome::Success, at(1)));
    assert_eq!((keyed.state(&1), keyed.evicted_total()), (None, 1));
}

#[test]
fn an_idle_key_is_forgotten_and_one_in_use_is_not() {
    let keyed = touchy(1_000);
    for key in 0..POLL_LOOKS as u64 * 2 {
        call(&keyed, key, Outcome::Success, at(0));
    }
    call(&keyed, 7, Outcome::Success, at(1));
    assert_eq!(keyed.poll(at(599)).evicted, 0);
    let evicted: Vec<_> = (0..3).map(|_| keyed.poll(at(600)).evicted).collect();
    assert!(evicted.iter().all(|&evicted| evicted <= POLL_LOOKS), "{evicted:?}");
    assert_eq!(evicted.iter().sum::<usize>(), POLL_LOOKS * 2 - 1);
    assert_eq!((keyed.len(), keyed.state(&7)), (1, Some(State::Closed)));
    assert_eq!(keyed.poll(at(601)).evicted, 1);
    assert!(keyed.is_empty());
}

/// Hosts come and go: each dies failing, and nobody ever calls it again.
#[test]
fn the_dead_do_not_fill_the_map_for_ever() {
    for polls in [false, true] {
        let keyed = touchy(2 * LOOKS);
        for host in 0..10_000 {
            // Each is open for 30 s and idle after 600 s more: 16 of them at any time.
            let now = at(host * 40);
            call(&keyed, host, Outcome::Failure, now);
            if polls {
                keyed.poll(now);
            }
            assert_eq!(keyed.state(&host), Some(State::Open), "host {host}, polls {polls}");
        }
        assert_eq!(keyed.overflowed_total(), 0);
        assert_eq!(keyed.len(), if polls { LOOKS } else { 2 * LOOKS });
    }
}

#[test]
fn a_key_that_refuses_for_longer_than_it_may_idle_is_not_forgotten() {
    let breaker = Config::builder()
        .failures(1)
        .first_open_for(secs(3_600))
        .open_for(secs(3_600))
        .build()
        .unwrap();
    let config = KeyedConfig::builder(breaker).max_keys(1).idle_after(secs(1)).build().unwrap();
    let keyed = Keyed::new(config, Moment::ZERO);
    call(&keyed, 1, Outcome::Failure, at(0));
    for now in [2, 60, 3_599] {
        assert_eq!(keyed.poll(at(now)).evicted, 0);
        assert_eq!(keyed.let_in(&2, at(now), &mut None).unwrap().key(), None);
        assert_eq!(keyed.state(&1), Some(State::Open));
    }
    assert_eq!(keyed.poll(at(3_600)).moved.len(), 1);
    assert_eq!(keyed.poll(at(3_601)).evicted, 1);
}

#[test]
fn a_key_that_the_server_asked_more_time_for_is_idle_only_after_that() {
    let breaker = Config::builder().failures(1).open_for(secs(10)).build().unwrap();
    let config = KeyedConfig::builder(breaker).max_keys(1).idle_after(secs(60)).build().unwrap();
    let keyed = Keyed::new(config, Moment::ZERO);
    let admission = keyed.let_in(&1, at(1), &mut None).unwrap();
    let attempt_end =
        AttemptEnd { outcome: Outcome::Failure, slow: false, retry_after: Some(secs(500)) };
    assert!(keyed.record(admission, attempt_end, at(1)).is_some());
    for now in [75, 500, 502, 560] {
        assert_eq!(keyed.poll(at(now)).evicted, 0, "at {now} s");
        assert!(keyed.state(&1).is_some(), "open until 501 s, and kept for 60 s more");
    }
    assert_eq!(keyed.poll(at(561)).evicted, 1);
}

#[test]
fn a_key_whose_traffic_comes_back_slowly_is_not_forgotten_before_all_of_it_has() {
    let breaker = Config::builder().failures(1).success_threshold(1).ramp(0.5, secs(100));
    let config = KeyedConfig::builder(breaker.build().unwrap()).max_keys(2).idle_after(secs(1));
    let keyed = Keyed::new(config.build().unwrap(), Moment::ZERO);
    call(&keyed, 1, Outcome::Failure, at(0));
    call(&keyed, 1, Outcome::Success, at(30));
    // A flood of keys, each used later than the one that ramps.
    for key in 1_000..2_000 {
        assert!(call(&keyed, key, Outcome::Success, at(31)));
        assert_eq!(keyed.state(&1), Some(State::Closed), "key {key}");
    }
    let served = (0..100).filter(|_| call(&keyed, 1, Outcome::Success, at(80))).count();
    assert_eq!(served, 75, "half-way from half to all");
    assert_eq!(keyed.poll(at(129)).evicted, 1, "the last of the flood");
    assert_eq!(keyed.poll(at(130)).evicted, 0);
    assert_eq!(keyed.poll(at(131)).evicted, 1);
}

#[test]
fn a_key_whose_traffic_comes_back_slowly_makes_no_room_for_another_before_all_of_it_has() {
    let breaker = Config::builder().failures(1).success_threshold(1).first_open_for(secs(30));
    let breaker = breaker.ramp(0.5, secs(100)).build().unwrap();
    let config = KeyedConfig::builder(breaker).max_keys(1).build().unwrap();
    let keyed: Keyed<u64> = Keyed::new(config, Moment::ZERO);
    call(&keyed, 1, Outcome::Failure, at(0));
    call(&keyed, 1, Outcome::Success, at(30));
    call(&keyed, 2, Outcome::Success, at(31));
    assert_eq!((keyed.state(&1), keyed.state(&2)), (Some(State::Closed), None));
    call(&keyed, 2, Outcome::Success, at(131));
    assert_eq!((keyed.state(&1), keyed.state(&2)), (None, Some(State::Closed)));
}

#[test]
fn refusals_that_were_only_observed_are_counted_for_keys_without_room_too() {
    let breaker = Config::builder().failures(1).enforcement(Enforcement::Observe);
    let config = KeyedConfig::builder(breaker.build().unwrap()).max_keys(1).build().unwrap();
    let keyed: Keyed<u64> = Keyed::new(config, Moment::ZERO);
    // The first fills the map, the second opens what the others share.
    call(&keyed, 1, Outcome::Failure, at(0));
    call(&keyed, 2, Outcome::Failure, at(0));
    assert_eq!((keyed.overflow_state(), keyed.refusals_withheld_total()), (State::Open, 0));
    assert!(call(&keyed, 3, Outcome::Success, at(0)));
    assert_eq!(keyed.refusals_withheld_total(), 1);
}

#[test]
fn what_keys_have_counted_outlives_them() {
    let breaker = Config::builder().failures(1).enforcement(Enforcement::Observe).build().unwrap();
    let config = KeyedConfig::builder(breaker).max_keys(2).idle_after(secs(1)).build().unwrap();
    let keyed = Keyed::new(config, Moment::ZERO);
    for key in 0..10 {
        let late = keyed.let_in(&key, at(key * 100), &mut None).unwrap();
        for _ in 0..4 {
            assert!(call(&keyed, key, Outcome::Failure, at(key * 100)));
        }
        keyed.record(late, Outcome::Failure, at(key * 100));
        keyed.poll(at(key * 100 + 99));
        assert_eq!(keyed.state(&key), None, "forgotten");
    }
    assert_eq!((keyed.refusals_withheld_total(), keyed.stale_results_total()), (30, 10));
}

#[test]
fn a_reset_by_hand_closes_the_key() {
    let keyed = touchy(2);
    call(&keyed, 1, Outcome::Failure, at(0));
    assert!(keyed.reset(&1, at(1)).is_some());
    assert_eq!(keyed.reset(&2, at(1)), None);
    assert!(call(&keyed, 1, Outcome::Success, at(1)));
    assert_eq!(keyed.open_keys(2), []);
    keyed.assert_whole();
}

/// Handing an admission to the wrong `Keyed` is a mistake, but must not break either.
#[test]
fn an_admission_of_another_map_breaks_nothing() {
    let (ours, theirs) = (touchy(2), touchy(2));
    call(&ours, 1, Outcome::Success, at(0));
    let foreign = theirs.let_in(&1, at(0), &mut None).unwrap();
    ours.record(foreign, Outcome::Failure, at(0));
    ours.assert_whole();
    assert_eq!((ours.state(&1), theirs.state(&1)), (Some(State::Closed), Some(State::Open)));
}

#[test]
fn the_keys_of_an_adaptive_breaker_go_by_the_highest_it_could_come_to() {
    let adaptive = crate::breaker::adaptive::Config::builder().max(0.4).min_calls(12).build();
    let config = Config::builder().adaptive(adaptive.ok()).build().unwrap();
    let rates = config.for_key().trip().rates.unwrap();
    assert_eq!((rates.failure_rate, rates.min_calls), (Some(0.4), 12));
    assert_eq!(rates.time, Some(config.trip().adaptive.unwrap().window()));
    assert_eq!(config.for_key().trip().adaptive, None);
    let with_run =
        Config::builder().adaptive(config.trip().adaptive).failures(1_000).build().unwrap();
    assert_eq!(with_run.for_key().trip().rates, Some(rates), "a long run alone guards nothing");
    assert_eq!(with_run.for_key().trip().failures, Some(1_000));
}

#[test]
fn a_rate_that_is_set_stays_beside_the_highest_of_an_adaptive_threshold() {
    let adaptive = || Config::builder().adaptive(crate::breaker::adaptive::Config::default());
    let slow = adaptive()
        .without_failures()
        .slow_call(secs(1))
        .slow_call_rate(0.5)
        .min_calls(10)
        .build()
        .unwrap();
    let rates = slow.for_key().trip().rates.unwrap();
    assert_eq!((rates.failure_rate, rates.slow_call_rate), (Some(0.6), Some(0.5)));
    assert_eq!((rates.min_calls, rates.calls, rates.time), (10, Some(100), None), "the user's");
    let fixed = adaptive().failure_rate(0.9).build().unwrap();
    assert_eq!(fixed.for_key().trip().rates, fixed.trip().rates, "was asked for");

    // What a user saw: every one of ten thousand failing calls on a key reached the dead shard.
    let keyed = Keyed::new(KeyedConfig::from((slow.for_key(), Keys::default())), Moment::ZERO);
    let reached = (0..10_000).filter(|_| call(&keyed, 1, Outcome::Failure, at(1))).count();
    assert_eq!(reached, 10);
}

#[test]
fn a_key_that_is_held_is_used() {
    let keyed = touchy(10);
    let mut is_new = false;
    drop(keyed.hold(&1, at(0), &mut is_new));
    assert!(is_new && !keyed.is_empty() && !keyed.is_at_rest());
    is_new = false;
    drop(keyed.hold(&1, at(599), &mut is_new));
    assert!(!is_new);
    assert_eq!(keyed.poll(at(600)).evicted, 0, "it was used a second ago");
    assert_eq!(keyed.poll(at(1_199)).evicted, 1);
    assert!(keyed.is_empty() && keyed.is_at_rest());
}

#[test]
fn an_overflow_that_is_open_is_not_at_rest() {
    let keyed = touchy(1);
    let held = keyed.let_in(&1, at(0), &mut None).unwrap();
    assert!(call(&keyed, 2, Outcome::Failure, at(0)), "no room: it shares");
    assert_eq!(keyed.overflow_state(), State::Open);
    drop(held);
    keyed.poll(at(600));
    assert!(keyed.is_empty());
    assert_eq!(keyed.is_at_rest(), keyed.overflow_state() == State::Closed);
    assert!(!keyed.is_at_rest());
}

#[test]
fn settings_that_switch_the_breakers_off_close_every_key() {
    let keyed = touchy(10);
    call(&keyed, 1, Outcome::Failure, at(0));
    assert_eq!((keyed.census().keys, keyed.census().tripped), (1, 1));
    let off = Config::builder().enforcement(Enforcement::Disabled).build().unwrap();
    keyed.reconfigure(KeyedConfig::from(off), at(1));
    assert_eq!((keyed.census().keys, keyed.census().tripped), (1, 0));
    assert!(call(&keyed, 1, Outcome::Success, at(1)));
}

#[test]
fn open_times_of_keys_without_room_jitter_by_their_own_chance() {
    let breaker = Config::builder().failures(1).open_jitter(0.5);
    let config = KeyedConfig::builder(breaker.build().unwrap()).max_keys(1).build().unwrap();
    let open_for = |seed| {
        let keyed: Keyed<u64> =
            Keyed::new(config.clone(), at(0)).with_entropy(Entropy::seeded(seed));
        let _held = keyed.let_in(&1, at(0), &mut None).unwrap();
        let shared = keyed.let_in(&2, at(0), &mut None).unwrap();
        keyed.record(shared, Outcome::Failure, at(0)).unwrap().open_for
    };
    assert_eq!(open_for(1), open_for(1));
    assert_ne!(open_for(1), open_for(2));
}
