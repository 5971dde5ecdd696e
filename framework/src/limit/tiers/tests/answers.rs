//! A whole answer: what it says of the three limits.

use std::collections::hash_map::DefaultHasher;
use std::hash::BuildHasherDefault;
use std::time::Duration;

use proptest::prelude::*;

use super::{ms, quota};
use crate::limit::{Decision, TierConfig, TierDecision, TierLimit, Tiers, TiersConfig};

/// The same keys in the same places: which users are looked at first, and so forgotten first, depends on the hash, and two
/// limiters that are to answer alike have to forget alike.
type FixedHash = BuildHasherDefault<DefaultHasher>;

fn tiers(cap: u64, per_second: f64) -> Tiers<u64, FixedHash> {
    let config = TiersConfig::builder(quota(cap, per_second))
        .tier("free", quota(8, 1.0))
        .tier("premium", TierConfig::new(quota(40, 10.0)).weighing(3))
        .max_users(2)
        .build();
    Tiers::with_hasher(config.unwrap(), FixedHash::default(), ms(0))
}

fn of(answer: &TierDecision) -> (bool, TierLimit, u64, u64) {
    let Decision { allowed, limit, remaining, .. } = answer.decision;
    (allowed, answer.by, limit, remaining)
}

#[test]
fn it_speaks_of_what_has_the_least_left_or_has_refused() {
    let tiers = tiers(100, 1.0);
    let answer = tiers.check(&1, "free", ms(0), 3);
    assert_eq!(of(&answer), (true, TierLimit::User, 8, 5));
    assert_eq!((&*answer.tier, answer.settings.quota()), ("free", quota(8, 1.0)));
    assert_eq!(answer.decision.reset_after, Duration::from_secs(3));
    let answer = tiers.check(&1, "free", ms(0), 6);
    assert_eq!(of(&answer), (false, TierLimit::User, 8, 5));
    assert_eq!(answer.decision.retry_after, Some(Duration::from_secs(1)));
    assert_eq!(tiers.check(&1, "free", ms(0), 9).decision.retry_after, None, "never");
    assert_eq!(&*tiers.check(&1, "platinum", ms(0), 0).tier, "free");
    assert_eq!(of(&tiers.check(&2, "premium", ms(0), 40)), (true, TierLimit::User, 40, 0));
    // No room for a third: it is in the default tier, whatever is said.
    let answer = tiers.check(&3, "premium", ms(0), 1);
    assert_eq!((&*answer.tier, of(&answer)), ("free", (true, TierLimit::User, 8, 7)));
}

#[test]
fn below_half_of_the_cap_it_speaks_of_the_users_share_and_without_any_of_the_cap() {
    let tiers = tiers(100, 1.0);
    assert_eq!(of(&tiers.check(&1, "free", ms(0), 8)), (true, TierLimit::User, 8, 0));
    assert_eq!(of(&tiers.check(&2, "premium", ms(0), 40)), (true, TierLimit::User, 40, 0));
    assert_eq!(
        of(&tiers.check(&2, "premium", ms(4_000), 40)),
        (true, TierLimit::FairShare, 100, 0)
    );
    // All of its own is there again, and of the 20 that the cap has it is owed as much.
    let answer = tiers.check(&1, "free", ms(8_000), 1);
    assert_eq!(of(&answer), (true, TierLimit::FairShare, 100, 7), "{answer:?}");
    // The other one has had more than that, and all of it.
    let refused = tiers.check(&2, "premium", ms(8_000), 4);
    assert_eq!((of(&refused).0, of(&refused).1), (false, TierLimit::FairShare), "{refused:?}");
    let left = refused.decision.remaining;
    assert!(left < 4, "{refused:?}");
    assert_eq!(tiers.peek(&2, "premium", ms(8_000), left), Ok(()));
    assert!(tiers.peek(&2, "premium", ms(8_000), left + 1).is_err());
    let after = refused.decision.retry_after.unwrap();
    assert!(tiers.check(&2, "premium", ms(8_000) + after, 4).decision.allowed);

    let tiers = self::tiers(10, 1.0);
    assert_eq!(of(&tiers.check(&1, "free", ms(0), 8)), (true, TierLimit::User, 8, 0));
    assert_eq!(of(&tiers.check(&2, "premium", ms(0), 5)), (false, TierLimit::Cap, 10, 2));
    let after = tiers.check(&2, "premium", ms(0), 5).decision.retry_after;
    assert_eq!(after, Some(Duration::from_secs(3)));
    assert!(tiers.check(&2, "premium", ms(3_000), 5).decision.allowed);
}

#[test]
fn a_wait_is_for_all_limits_and_not_only_for_the_first_that_refuses() {
    let tiers = tiers(20, 0.5);
    assert!(tiers.check(&1, "free", ms(0), 8).decision.allowed);
    assert!(tiers.check(&2, "premium", ms(0), 10).decision.allowed);
    // Its own eight are there again after 8 s; the cap has eight only after 12.
    let refused = tiers.check(&1, "free", ms(0), 8);
    assert_eq!(refused.by, TierLimit::User);
    let after = refused.decision.retry_after.unwrap();
    assert!(after >= Duration::from_secs(12), "{after:?}");
    assert!(tiers.check(&1, "free", ms(after.as_millis() as u64), 8).decision.allowed);
}

proptest! {
    #[test]
    fn it_does_what_a_take_does_and_what_is_left_can_be_had(
        steps in prop::collection::vec((1..3_u64, any::<bool>(), 0..12_u64, 0..900_u64), 1..150),
    ) {
        let (checked, taken) = (tiers(30, 6.0), tiers(30, 6.0));
        let mut at = 0;
        for (user, is_premium, cost, pause) in steps {
            at += pause;
            let tier = if is_premium { "premium" } else { "free" };
            // The share's time passes when somebody looks, and both are to have looked as often.
            let before = [&checked, &taken].map(|both| both.peek(&user, tier, ms(at), cost).is_ok());
            prop_assert_eq!(before[0], before[1]);
            let answer = checked.check(&user, tier, ms(at), cost);
            let theirs = taken.try_take(&user, tier, ms(at), cost);
            prop_assert_eq!(answer.decision.allowed, theirs.is_ok());
            let left = answer.decision.remaining;
            if let Err(refusal) = theirs {
                prop_assert_eq!(answer.by, refusal.by);
                let all = answer.decision.retry_after.unwrap_or(Duration::MAX);
                prop_assert!(all >= refusal.retry_after.unwrap_or(Duration::MAX));
                prop_assert!(left < cost, "{:?}", answer);
            } else {
                let told = checked.peek(&user, tier, ms(at), left);
                prop_assert!(told.is_ok(), "{:?} {:?}", answer, told);
                // Of a share, rounding may hide one.
                let more = checked.peek(&user, tier, ms(at), left + 2);
                prop_assert!(more.is_err(), "{:?} and yet more", answer);
            }
        }
    }

    #[test]
    fn a_caller_that_waits_as_long_as_it_is_told_passes(
        steps in prop::collection::vec((1..4_u64, any::<bool>(), 1..12_u64, 0..300_u64), 1..80),
    ) {
        let tiers = tiers(30, 6.0);
        let mut now = ms(0);
        for (user, is_premium, cost, pause) in steps {
            now = now + Duration::from_millis(pause);
            let tier = if is_premium { "premium" } else { "free" };
            if let Some(after) = tiers.check(&user, tier, now, cost).decision.retry_after {
                now = now + after;
                let again = tiers.check(&user, tier, now, cost);
                prop_assert!(again.decision.allowed, "after {:?}: {:?}", after, again);
            }
        }
    }
}
