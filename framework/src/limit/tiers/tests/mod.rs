//! Tiers under one cap: what each user gets, by simulation with the time told.

#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod answers;
mod fair;
mod moves;
mod waits;

use std::time::Duration;

use crate::clock::Moment;
use crate::limit::{MAX_TIERS, Rate, TierConfig, TierLimit, Tiers, TiersConfig};

fn ms(millis: u64) -> Moment {
    Moment::ZERO + Duration::from_millis(millis)
}

fn quota(capacity: u64, per_second: f64) -> Rate {
    Rate::new(capacity, per_second).unwrap()
}

fn two_tiers(max_users: usize) -> Tiers<u64> {
    let config = TiersConfig::builder(quota(1_000_000, 1_000.0))
        .tier("free", quota(10, 1.0))
        .tier("premium", TierConfig::new(quota(100, 10.0)).weighing(3))
        .max_users(max_users)
        .build();
    Tiers::new(config.unwrap(), ms(0))
}

/// How many of `tries` are allowed.
fn burst(tiers: &Tiers<u64>, user: u64, tier: &str, at_ms: u64, tries: u64) -> u64 {
    (0..tries).filter(|_| tiers.try_take(&user, tier, ms(at_ms), 1).is_ok()).count() as u64
}

#[test]
fn settings_that_make_no_sense_are_told_at_once() {
    let own = quota(1, 1.0);
    let none = TiersConfig::builder(own).max_users(0).build().unwrap_err();
    let keys: Vec<_> = none.as_slice().iter().map(|mistake| mistake.key).collect();
    assert_eq!(keys, ["cap.capacity", "tiers", "max_users"]);
    assert!(none.to_string().contains("at least 2, to be shared"));
    let twice = TiersConfig::builder(quota(2, 1.0))
        .tier("a", own)
        .tier("a", TierConfig::new(own).weighing(0));
    assert_eq!(twice.build().unwrap_err().as_slice().len(), 2);
    let tiers = two_tiers(10);
    assert!(tiers.set_tier("", own).is_err());
    assert!(tiers.set_tier("free", TierConfig::new(own).weighing(101)).is_err());
    assert_eq!(tiers.tier("free").unwrap().quota(), quota(10, 1.0), "nothing was changed");
    for n in 2..MAX_TIERS {
        tiers.set_tier(format!("tier {n}"), own).unwrap();
    }
    let mistake = tiers.set_tier("one more", own).unwrap_err();
    assert_eq!(mistake.to_string(), "tiers = 65: must be at most 64 tiers");
}

#[test]
fn each_user_has_the_limit_of_his_tier_and_an_unknown_tier_is_the_first() {
    let tiers = two_tiers(10);
    assert_eq!(burst(&tiers, 1, "free", 0, 200), 10);
    assert_eq!(burst(&tiers, 2, "premium", 0, 200), 100);
    assert_eq!(burst(&tiers, 3, "platinum", 0, 200), 10);
    assert_eq!(burst(&tiers, 2, "premium", 1_000, 200), 10);
    assert_eq!(tiers.remaining(&4, "premium", ms(0)), 100);
    assert_eq!((tiers.len(), tiers.cap_remaining(ms(1_000))), (3, 1_000_000 - 10));
    assert!(format!("{tiers:?}").contains("users: 3"));
}

#[test]
fn the_answer_says_what_refused_and_nothing_else_was_taken() {
    let config = TiersConfig::builder(quota(10, 1.0)).tier("free", quota(8, 1.0)).build();
    let tiers: Tiers<u64> = Tiers::new(config.unwrap(), ms(0));
    assert_eq!(tiers.try_take(&1, "free", ms(0), 9).unwrap_err().retry_after, None);
    tiers.try_take(&1, "free", ms(0), 8).unwrap();
    let refused = tiers.try_take(&1, "free", ms(0), 2).unwrap_err();
    // Its own two are there in two seconds; but then it would be told to wait for its share.
    let three = Some(Duration::from_secs(3));
    assert_eq!((refused.by, refused.retry_after), (TierLimit::User, three));
    assert_eq!(refused.to_string(), "the user's own limit: rate limit reached, retry after 3s");
    let two = Some(Duration::from_secs(2));
    // Two are left of the cap, and the other has had none of it.
    let refused = tiers.try_take(&2, "free", ms(0), 4).unwrap_err();
    assert_eq!((refused.by, refused.retry_after), (TierLimit::Cap, two));
    assert_eq!((tiers.remaining(&2, "free", ms(0)), tiers.cap_remaining(ms(0))), (8, 2));
    tiers.try_take(&2, "free", ms(0), 1).unwrap();
    // Below half of the cap, the one that has had the most waits, at most until half of it is there.
    let refused = tiers.try_take(&1, "free", ms(1_000), 1).unwrap_err();
    assert_eq!(refused.by, TierLimit::FairShare);
    let after = refused.retry_after.unwrap();
    assert!(
        tiers.try_take(&1, "free", ms(1_000 + after.as_millis() as u64), 1).is_ok(),
        "{after:?}"
    );
    tiers.refund(&1, ms(1_000), 1, ms(1_000));
    assert!(tiers.try_take(&1, "free", ms(0), 0).is_ok());
}

#[test]
fn memory_is_bounded_and_nobody_is_forgotten_who_has_spent_anything() {
    let tiers = two_tiers(4);
    for user in 0..4 {
        assert_eq!(burst(&tiers, user, "premium", 0, 50), 50);
    }
    assert_eq!(burst(&tiers, 5, "premium", 0, 50), 10, "all that find no room share a default one");
    assert_eq!(burst(&tiers, 6, "premium", 0, 50), 0);
    assert_eq!((tiers.len(), tiers.overflowed_total()), (4, 100));
    // Full again after 5 s, but a tier may take 10 to fill up: until then they may move.
    assert_eq!(tiers.sweep(ms(14_000)), 0);
    assert_eq!(tiers.sweep(ms(15_000)), 4);
    assert_eq!((tiers.len(), tiers.evicted_total()), (0, 4));
    assert_eq!(burst(&tiers, 5, "premium", 25_000, 200), 100);
}

#[test]
fn racing_threads_take_nothing_twice() {
    let config = TiersConfig::builder(quota(2_000, 0.001)).tier("free", quota(700, 0.001)).build();
    let tiers: Tiers<u64> = Tiers::new(config.unwrap(), ms(0));
    let got = std::thread::scope(|scope| {
        let tiers = &tiers;
        let threads: Vec<_> =
            (0..4).map(|n| scope.spawn(move || burst(tiers, n % 2, "free", 0, 1_000))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum::<u64>()
    });
    let left = [0, 1].map(|user| tiers.remaining(&user, "free", ms(0)));
    assert_eq!(1_400 - left.iter().sum::<u64>(), got);
    assert_eq!(2_000 - tiers.cap_remaining(ms(0)), got);
}

#[test]
fn a_look_says_what_a_take_would_and_takes_nothing() {
    let config = TiersConfig::builder(quota(60, 20.0))
        .tier("free", quota(20, 10.0))
        .tier("premium", TierConfig::new(quota(60, 40.0)).weighing(3))
        .max_users(3)
        .build();
    let tiers: Tiers<u64> = Tiers::new(config.unwrap(), ms(0));
    let mut random = fastrand::Rng::with_seed(6);
    let (mut at, mut refused) = (1_000, [0_u32; 3]);
    for _ in 0..20_000 {
        // Now and then everybody has time to fill up.
        at += if random.u8(..) == 0 { 8_000 } else { random.u64(0..40) };
        let (user, cost) = (random.u64(0..3), random.u64(0..10));
        let tier = ["free", "premium"][random.usize(0..2)];
        let before = (tiers.remaining(&user, tier, ms(at)), tiers.cap_remaining(ms(at)));
        let seen = tiers.peek(&user, tier, ms(at), cost);
        let after = (tiers.remaining(&user, tier, ms(at)), tiers.cap_remaining(ms(at)));
        assert_eq!(before, after);
        assert_eq!(seen, tiers.try_take(&user, tier, ms(at), cost));
        if let Err(refusal) = seen {
            refused[refusal.by as usize] += 1;
        }
    }
    assert!(refused.iter().all(|count| *count > 50), "of each limit: {refused:?}");
    let users = tiers.len();
    assert!(tiers.peek(&9, "free", ms(at + 60_000), 8).is_ok());
    assert_eq!((tiers.len(), tiers.overflowed_total()), (users, 0), "a look makes no user");
}
