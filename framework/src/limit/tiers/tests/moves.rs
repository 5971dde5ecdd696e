//! Users who move, and tiers that change.

use proptest::prelude::*;

use super::{burst, ms, quota, two_tiers};
use crate::limit::{TierConfig, Tiers, TiersConfig};

#[test]
fn moving_up_gives_no_free_burst_and_moving_down_forgives_nothing() {
    let tiers = two_tiers(10);
    assert_eq!(burst(&tiers, 1, "free", 0, 7), 7);
    assert_eq!(tiers.remaining(&1, "premium", ms(0)), 3, "asking moves nobody");
    assert_eq!(burst(&tiers, 1, "premium", 0, 50), 3, "what it had left");
    assert_eq!(burst(&tiers, 1, "premium", 2_000, 50), 20, "and premium's rate from then on");
    assert_eq!(burst(&tiers, 1, "premium", 12_000, 40), 40);
    assert_eq!(burst(&tiers, 1, "free", 12_000, 50), 10, "60 left, of which ten fit");
    for _ in 0..10 {
        assert_eq!(burst(&tiers, 1, "premium", 12_000, 50), 0, "going up and down brings nothing");
        assert_eq!(burst(&tiers, 1, "free", 12_000, 50), 0);
    }
}

#[test]
fn passing_through_a_small_tier_does_not_make_a_user_new() {
    let tiers = two_tiers(10);
    assert_eq!(burst(&tiers, 1, "premium", 1, 80), 80);
    assert!(tiers.try_take(&1, "free", ms(1), 11).is_err());
    assert_eq!(tiers.remaining(&1, "free", ms(1)), 10, "20 left, of which ten fit");
    assert_eq!(burst(&tiers, 1, "premium", 1, 80), 10);
}

#[test]
fn who_has_spent_nothing_for_long_moves_up_with_a_whole_burst_forgotten_or_not() {
    for sweep in [false, true] {
        let tiers = two_tiers(10);
        assert_eq!(burst(&tiers, 1, "free", 0, 10), 10);
        if sweep {
            assert_eq!((tiers.sweep(ms(19_999)), tiers.sweep(ms(20_000))), (0, 1));
        }
        assert_eq!(burst(&tiers, 1, "premium", 20_000, 200), 100);
    }
}

#[test]
fn a_tiers_own_limit_changes_for_its_users_too() {
    let tiers = two_tiers(10);
    assert_eq!(burst(&tiers, 1, "free", 0, 4), 4);
    tiers.set_tier("free", quota(20, 5.0)).unwrap();
    assert_eq!(tiers.tier("free").unwrap().quota().capacity(), 20);
    assert_eq!(burst(&tiers, 1, "free", 0, 50), 6, "what was left");
    assert_eq!(burst(&tiers, 1, "free", 2_000, 50), 10, "five a second");
    tiers.set_tier("free", quota(3, 1.0)).unwrap();
    assert_eq!(burst(&tiers, 1, "free", 60_000, 50), 3);
    tiers.set_tier("gold", TierConfig::new(quota(500, 1.0)).weighing(9)).unwrap();
    assert_eq!(burst(&tiers, 2, "gold", 60_000, 600), 500);
}

#[test]
fn settings_of_long_ago_leave_nothing_and_lock_nobody_out() {
    let tiers = two_tiers(10);
    assert_eq!(burst(&tiers, 1, "free", 0, 4), 4);
    for n in 0..1_000 {
        tiers.set_tier("free", quota(20 + n, 5.0)).unwrap();
    }
    assert_eq!(burst(&tiers, 1, "free", 0, 50), 0);
    assert_eq!(burst(&tiers, 1, "free", 2_000, 50), 10);
}

#[test]
fn plans_may_change_while_everybody_calls() {
    let tiers = two_tiers(1_000);
    let got = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..3)
            .map(|thread| {
                let tiers = &tiers;
                scope.spawn(move || {
                    let tier = ["free", "premium", "gone"][thread];
                    (0..3_000).map(|n| burst(tiers, n % 100, tier, 0, 1)).sum::<u64>()
                })
            })
            .collect();
        scope.spawn(|| {
            for n in 0..200 {
                tiers.set_tier("free", quota(5 + n % 5, 1.0)).unwrap();
                tiers.set_tier("premium", quota(50 + n % 50, 1.0)).unwrap();
            }
        });
        callers.into_iter().map(|caller| caller.join().unwrap()).sum::<u64>()
    });
    // However often they were moved: each at most the largest burst there was.
    assert!(got <= 100 * 100, "{got}");
    assert_eq!(1_000_000 - tiers.cap_remaining(ms(0)), got);
}

struct Model {
    left: f64,
    at_ms: u64,
    tier: usize,
    /// Since when it has been full, or when it will be, by what it took or by moving.
    full_at_ms: f64,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// However a user moves about, it gets what a plain number gives that is carried over and cut.
    #[test]
    fn a_user_who_moves_gets_what_a_number_that_is_carried_over_gives(
        steps in prop::collection::vec((0..3_usize, 0..3_000_u64, 0..8_u64, any::<bool>()), 1..100),
    ) {
        let kinds = [(10_u64, 1.0), (100, 10.0), (4, 2.0)];
        let names = ["free", "premium", "tiny"];
        let builder = TiersConfig::builder(quota(1_000_000, 1_000_000.0));
        let builder = names.iter().zip(kinds).fold(builder, |builder, (name, kind)| {
            builder.tier(*name, quota(kind.0, kind.1))
        });
        let tiers: Tiers<u64> = Tiers::new(builder.build().unwrap(), ms(0));
        let mut model: Option<Model> = None;
        let mut now = 100_000;
        for (tier, pause, cost, sweep) in steps {
            now += pause;
            let (capacity, rate) = kinds[tier];
            // Full for ten seconds, as long as the slowest takes to fill up, it is as good as new.
            let old = model.take().filter(|user| (now as f64) < user.full_at_ms + 10_000.0 - 1e-6);
            let mut user = old.unwrap_or(Model {
                left: capacity as f64,
                at_ms: now,
                tier,
                full_at_ms: f64::NEG_INFINITY,
            });
            let (old_capacity, old_rate) = kinds[user.tier];
            user.left += (now - user.at_ms) as f64 / 1_000.0 * old_rate;
            user.left = user.left.min(old_capacity as f64);
            user.at_ms = now;
            let enough = if user.tier == tier { user.left } else { (user.left + 1e-6).floor() };
            let enough = enough.min(capacity as f64) + 1e-6 >= cost as f64;
            let has_moved = user.tier != tier;
            if has_moved {
                user.left = (user.left + 1e-6).floor().min(capacity as f64);
                user.tier = tier;
            }
            prop_assert_eq!(
                tiers.try_take(&1, names[tier], ms(now), cost).is_ok(), enough, "{} left", user.left
            );
            if enough {
                user.left -= cost as f64;
            }
            if has_moved || enough && cost > 0 {
                user.full_at_ms = now as f64 + (capacity as f64 - user.left) / rate * 1_000.0;
            }
            let left = (user.left + 1e-6).floor() as u64;
            prop_assert_eq!(tiers.remaining(&1, names[tier], ms(now)), left);
            if sweep {
                tiers.sweep(ms(now));
            }
            model = Some(user);
        }
    }
}
