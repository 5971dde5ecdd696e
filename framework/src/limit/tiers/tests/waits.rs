//! What a refused user is told.

use std::time::Duration;

use proptest::prelude::*;

use super::{ms, quota};
use crate::clock::Moment;
use crate::limit::{TierConfig, TierLimit, Tiers, TiersConfig};

fn tiers(cap: (u64, f64), own: (u64, f64)) -> Tiers<u64> {
    let builder = TiersConfig::builder(quota(cap.0, cap.1)).tier("free", quota(own.0, own.1));
    Tiers::new(builder.build().unwrap(), ms(0))
}

/// It is told to wait, waits, and passes.
fn waits(tiers: &Tiers<u64>, user: u64, at: Moment, cost: u64) -> TierLimit {
    let refused = tiers.try_take(&user, "free", at, cost).unwrap_err();
    let then = at + refused.retry_after.unwrap();
    assert_eq!(tiers.try_take(&user, "free", then, cost), Ok(()), "told {refused:?}");
    refused.by
}

#[test]
fn whose_own_limit_refuses_is_told_of_a_cap_that_takes_longer() {
    let tiers = tiers((10, 0.1), (9, 1.0));
    tiers.try_take(&1, "free", ms(0), 9).unwrap();
    assert_eq!(waits(&tiers, 1, ms(0), 1), TierLimit::User);
}

#[test]
fn whose_share_refuses_a_large_cost_is_told_when_all_of_it_is_there() {
    let tiers = tiers((100, 10.0), (80, 100.0));
    tiers.try_take(&1, "free", ms(0), 80).unwrap();
    assert_eq!(waits(&tiers, 1, ms(1_000), 80), TierLimit::FairShare);
}

#[test]
fn more_than_the_cap_ever_holds_is_never_to_be_had() {
    let tiers = tiers((10, 1.0), (100, 100.0));
    let never = |user| tiers.try_take(&user, "free", ms(0), 50).unwrap_err().retry_after;
    assert_eq!(never(1), None);
    tiers.try_take(&2, "free", ms(0), 8).unwrap();
    tiers.try_take(&1, "free", ms(0), 2).unwrap();
    assert_eq!([never(1), never(2), never(3)], [None; 3]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whatever refused: never what cannot be, and else it passes who waits as it was told.
    #[test]
    fn who_waits_as_long_as_he_is_told_alone_passes(
        cap in (2..40_u64, -2..4_i32),
        own in prop::array::uniform2((1..60_u64, -2..4_i32)),
        steps in prop::collection::vec((0..4_u64, 0..2_usize, 0..30_u64, 0..2_000_u64, any::<bool>()), 1..80),
    ) {
        let rate = |(capacity, power)| quota(capacity, 10.0_f64.powi(power));
        let builder = TiersConfig::builder(rate(cap))
            .tier("free", rate(own[0]))
            .tier("premium", TierConfig::new(rate(own[1])).weighing(3));
        let tiers: Tiers<u64> = Tiers::new(builder.build().unwrap(), ms(0));
        let mut now = ms(0);
        for (user, tier, cost, pause, waits) in steps {
            let name = ["free", "premium"][tier];
            if let Err(refused) = tiers.try_take(&user, name, now, cost) {
                prop_assert_eq!(refused.retry_after.is_none(), cost > cap.0.min(own[tier].0));
                if let Some(after) = refused.retry_after.filter(|_| waits) {
                    now = now + after;
                    let then = tiers.try_take(&user, name, now, cost);
                    prop_assert!(then.is_ok(), "{} of {}: told {:?}, then {:?}", cost, user, refused, then);
                }
            }
            now = now + Duration::from_millis(pause);
        }
    }
}
