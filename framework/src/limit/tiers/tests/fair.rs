//! Who gets how much of the cap.

use super::{ms, quota};
use crate::limit::{Rate, TierConfig, Tiers, TiersConfig};

/// A user's demand, in requests a millisecond, and what became of it.
struct Demand {
    tier: &'static str,
    per_ms: f64,
    from_ms: u64,
    until_ms: u64,
    due: f64,
    asked: u64,
    got: u64,
}

fn demand(tier: &'static str, per_second: f64) -> Demand {
    let per_ms = per_second / 1_000.0;
    Demand { tier, per_ms, from_ms: 0, until_ms: u64::MAX, due: 0.0, asked: 0, got: 0 }
}

/// Everybody asks, a millisecond at a time, each first in turn; counted from `count_from` on.
fn simulate(tiers: &Tiers<usize>, users: &mut [Demand], count_from: u64, until: u64) -> u64 {
    let mut random = fastrand::Rng::with_seed(7);
    // Nobody keeps step with anybody.
    users.iter_mut().for_each(|user| user.due = random.f64());
    let mut total = 0;
    for now in 0..until {
        if now == count_from {
            total = 0;
            users.iter_mut().for_each(|user| (user.asked, user.got) = (0, 0));
        }
        let mut asking = Vec::new();
        for (id, user) in users.iter_mut().enumerate() {
            if now >= user.from_ms && now < user.until_ms {
                user.due += user.per_ms;
                while user.due >= 1.0 {
                    user.due -= 1.0;
                    asking.push(id);
                }
            }
        }
        random.shuffle(&mut asking);
        for id in asking {
            users[id].asked += 1;
            if tiers.try_take(&id, users[id].tier, ms(now), 1).is_ok() {
                users[id].got += 1;
                total += 1;
            }
        }
    }
    total
}

fn tiers(cap: Rate, tiers: &[(&'static str, TierConfig)]) -> Tiers<usize> {
    let builder = TiersConfig::builder(cap);
    let builder = tiers.iter().fold(builder, |builder, (name, tier)| builder.tier(*name, *tier));
    Tiers::new(builder.build().unwrap(), ms(0))
}

#[test]
fn a_greedy_user_takes_nothing_from_a_hundred_modest_ones() {
    for (cap, burst) in [(1_000.0, 1_000), (1_000.0, 100), (10_000.0, 10_000)] {
        let free = TierConfig::new(quota(20, 2.0 * cap));
        let tiers = tiers(quota(burst, cap), &[("free", free)]);
        let mut users = vec![demand("free", 10.0 * cap)];
        // Together half of the cap; a fair share would be a hundred and first of it each.
        users.extend((0..100).map(|_| demand("free", cap / 200.0)));
        let total = simulate(&tiers, &mut users, 2_000, 12_000);
        let worst = users[1..].iter().map(|user| user.got as f64 / user.asked as f64);
        let worst = worst.fold(1.0, f64::min);
        let greedy = users[0].got as f64 / (cap * 10.0);
        eprintln!(
            "cap {cap} burst {burst}: worst modest {worst:.3}, greedy {greedy:.3}, total {total}"
        );
        assert!(worst >= 0.99, "{worst}");
        assert!((greedy - 0.5).abs() < 0.02, "the rest: {greedy}");
        assert!((total as f64 / (cap * 10.0) - 1.0).abs() <= 0.01, "{total}");
    }
}

/// What max-min fairness gives: the rate at which demands and weighted shares fill the cap.
fn water_filling(cap: f64, demands: &[(f64, f64)]) -> Vec<f64> {
    let filled =
        |alpha: f64| demands.iter().map(|(want, weight)| want.min(alpha * weight)).sum::<f64>();
    let (mut low, mut high) = (0.0, cap + demands.iter().map(|(want, _)| want).sum::<f64>());
    for _ in 0..100 {
        let middle = (low + high) / 2.0;
        if filled(middle) < cap { low = middle } else { high = middle }
    }
    demands.iter().map(|(want, weight)| want.min(low * weight)).collect()
}

#[test]
fn everybody_gets_what_max_min_fairness_gives() {
    let mut random = fastrand::Rng::with_seed(11);
    for round in 0..6 {
        let cap = 1_000.0;
        let own = quota(30, 100_000.0);
        let weights = [1, 2, 5];
        let names = ["one", "two", "five"];
        let tiers = tiers(
            quota(1_000, cap),
            &[0, 1, 2].map(|at| (names[at], TierConfig::new(own).weighing(weights[at]))),
        );
        let count = [5, 20, 60][round % 3];
        let mut wants = Vec::new();
        let mut users = Vec::new();
        for id in 0..count {
            // From a tenth of an even share to ten times it.
            let want = cap / count as f64 * 10.0_f64.powf(random.f64() * 2.0 - 1.0);
            wants.push((want, f64::from(weights[id % 3])));
            users.push(demand(names[id % 3], want));
        }
        let total = simulate(&tiers, &mut users, 3_000, 23_000) as f64 / 20.0;
        let fair = water_filling(cap, &wants);
        for (id, (user, fair)) in users.iter().zip(&fair).enumerate() {
            let got = user.got as f64 / 20.0;
            let near = (got - fair).abs() <= 0.05 * fair + 0.5;
            assert!(near, "{round}: user {id} wants {:?}, got {got}, fair is {fair}", wants[id]);
        }
        let expected: f64 = fair.iter().sum();
        assert!((total / expected - 1.0).abs() <= 0.01, "{round}: {total} of {expected}");
    }
}

#[test]
fn weights_of_one_and_three_get_one_and_three_parts() {
    let own = quota(50, 1_000.0);
    let tiers = tiers(
        quota(1_000, 1_000.0),
        &[("free", TierConfig::new(own)), ("premium", TierConfig::new(own).weighing(3))],
    );
    let mut users: Vec<_> = (0..40).map(|id| demand(["free", "premium"][id % 2], 500.0)).collect();
    let total = simulate(&tiers, &mut users, 5_000, 25_000);
    for (id, user) in users.iter().enumerate() {
        // 20 times one part and 20 times three.
        let part = 20_000.0 / 80.0 * [1.0, 3.0][id % 2];
        let share = user.got as f64 / part;
        assert!((share - 1.0).abs() <= 0.05, "{id}: {share}");
    }
    assert!((total as f64 / 20_000.0 - 1.0).abs() <= 0.01, "{total}");
}

#[test]
fn what_some_leave_others_get_at_once_and_give_back_at_once() {
    let own = TierConfig::new(quota(100, 100_000.0));
    let tiers = tiers(quota(1_000, 1_000.0), &[("free", own)]);
    let mut users: Vec<_> = (0..10).map(|_| demand("free", 2_000.0)).collect();
    // Nine of ten pause from second 10 to 20.
    let total = simulate(&tiers, &mut users, 2_000, 10_000);
    assert!((total as f64 / 8_000.0) >= 0.98, "{total}");
    let mut alone = vec![demand("free", 2_000.0)];
    alone.iter_mut().for_each(|user| user.from_ms = 10_000);
    let total = simulate(&tiers, &mut alone, 10_000, 20_000);
    assert!((total as f64 / 10_000.0) >= 0.98, "one gets all of it: {total}");
    users.iter_mut().for_each(|user| user.from_ms = 20_000);
    let total = simulate(&tiers, &mut users, 20_000, 30_000);
    assert!((total as f64 / 10_000.0) >= 0.98, "{total}");
    // It had all of it while nobody else wanted any, and is not punished for it.
    assert!(users[0].got >= 800, "{}", users[0].got);
    assert!(users[1..].iter().all(|user| user.got >= 800));
}

#[test]
fn while_the_cap_does_not_bind_only_a_users_own_limit_does() {
    let tiers = tiers(quota(1_000, 1_000.0), &[("free", quota(40, 400.0).into())]);
    // Two want all they may have, others a little: 900 of 1,000 a second.
    let mut users = vec![demand("free", 400.0), demand("free", 400.0)];
    users.extend((0..50).map(|_| demand("free", 2.0)));
    simulate(&tiers, &mut users, 0, 20_000);
    for (id, user) in users.iter().enumerate() {
        assert_eq!(user.got, user.asked, "user {id}");
    }
}

#[test]
fn a_premium_burst_passes_while_the_cap_has_room_and_a_free_one_only_its_own() {
    let tiers = tiers(
        quota(1_000, 1_000.0),
        &[
            ("free", quota(10, 1.0).into()),
            ("premium", TierConfig::new(quota(300, 50.0)).weighing(5)),
        ],
    );
    // Half of the cap is in use all the time.
    let mut users: Vec<_> = (0..500).map(|_| demand("free", 1.0)).collect();
    simulate(&tiers, &mut users, 0, 5_000);
    let burst = |user: usize, tier| {
        (0..400).filter(|_| tiers.try_take(&user, tier, ms(5_000), 1).is_ok()).count()
    };
    assert_eq!(burst(1_000, "premium"), 300);
    assert_eq!(burst(1_001, "free"), 10);
}

#[test]
fn a_burst_after_the_cap_has_been_bound_for_long_comes_before_the_greedy() {
    let tiers = tiers(
        quota(1_000, 1_000.0),
        &[("free", quota(50, 1_000.0).into()), ("premium", quota(100, 50.0).into())],
    );
    let mut users: Vec<_> = (0..20).map(|_| demand("free", 500.0)).collect();
    simulate(&tiers, &mut users, 0, 5_000);
    assert!(tiers.fair_rate(ms(5_000)).is_some_and(|rate| (10.0..1_000.0).contains(&rate)));
    let burst = (0..100).filter(|_| tiers.try_take(&99, "premium", ms(5_000), 1).is_ok()).count();
    assert_eq!(burst, 100, "it has had nothing of it so far");
}

/// What modest users together want of the cap, and get, against a greedy one who wants ten times the cap.
struct Against {
    cap: f64,
    burst: u64,
    /// The burst of each user's own limit.
    own: u64,
    /// How many, and what part of the cap each wants.
    modest: (u64, f64),
}

impl Against {
    /// Each request at a moment of its own. What of it they get, counted once the greedy one has had time to
    /// spend what it had saved up; and what of the cap is used.
    fn play(&self) -> (f64, f64) {
        let own = quota(self.own, 1e6);
        let tiers = tiers(quota(self.burst, self.cap), &[("free", own.into())]);
        let nanos = |per_second: f64| (1e9 / per_second) as u64;
        let until = nanos(self.cap) * 1_000;
        let (count, part) = self.modest;
        let mut asked: Vec<(u64, usize)> = Vec::new();
        let mut ask = |user: usize, every: u64, from: u64| {
            asked.extend(
                (0..).map(|n| from + n * every).take_while(|at| *at < until).map(|at| (at, user)),
            );
        };
        ask(0, nanos(self.cap * 10.0), 370_000);
        (1..=count).for_each(|user| {
            ask(user as usize, nanos(self.cap * part), 910_000 * user);
        });
        asked.sort_unstable();
        let (mut got, mut wanted, mut used) = (0.0, 0.0, 0.0);
        for (at, user) in asked {
            let is_had =
                tiers.try_take(&user, "free", crate::clock::Moment::from_nanos(at), 1).is_ok();
            if at > until / 2 {
                used += f64::from(u32::from(is_had));
                if user > 0 {
                    wanted += 1.0;
                    got += f64::from(u32::from(is_had));
                }
            }
        }
        (got / wanted, used / 500.0)
    }
}

#[test]
fn a_small_cap_is_shared_fairly_too() {
    for burst in [2, 3, 4, 5, 7, 8, 10, 12, 20, 30, 50, 70] {
        for cap in [2.0, 10.0, 100.0, 1_000.0] {
            // With a burst of a thousand of its own, the greedy one has saved up more than the cap holds.
            for own in [5, 1_000] {
                for modest in [(1, 0.25), (1, 0.45), (3, 0.2), (5, 0.09)] {
                    let (got, used) = Against { cap, burst, own, modest }.play();
                    let what = format!("cap {cap} burst {burst} own {own} modest {modest:?}");
                    eprintln!("{what}: {got:.2}, used {used:.2}");
                    // They ask nearly at the same instant, and all of them must find something.
                    if modest.0 == 1 || burst >= 2 * modest.0 + 2 {
                        assert!(got >= 0.99, "{what}: {got}");
                    }
                    assert!(used >= 0.98, "{what}: {used}");
                }
            }
        }
    }
}
