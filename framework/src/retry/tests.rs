use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::clock::Moment;
use crate::constraint::wrong_keys;
use crate::entropy::Entropy;
use crate::outcome::Outcome;

const SECOND: Duration = Duration::from_secs(1);

fn config(jitter: Jitter) -> Config {
    Config::builder().jitter(jitter).build().unwrap()
}

/// The textbook formula in plain words, before jitter.
fn capped(attempt: i32) -> f64 {
    (1.0 * 2.0_f64.powi(attempt)).min(60.0)
}

#[test]
fn the_defaults_are_as_documented_with_full_jitter() {
    let config = Config::default();
    assert_eq!(config.max_attempts(), 3);
    assert_eq!((config.base_delay(), config.max_delay()), (SECOND, 60 * SECOND));
    assert_eq!((config.factor(), config.backoff()), (2.0, Backoff::Exponential));
    assert_eq!((config.jitter(), config.jitter_share()), (Jitter::Full, 0.5));
    assert_eq!(config.budget(), Some(&BudgetConfig::default()));
    assert!(!config.retry_rejections());
    assert_eq!(Config::builder().build().unwrap(), config);
}

#[test]
fn a_short_max_delay_needs_no_base_delay_beside_it() {
    let short = Config::builder().max_delay(SECOND / 2).build().unwrap();
    assert_eq!(short.base_delay(), SECOND / 2);
}

#[test]
fn without_jitter_delays_double_from_one_second_to_sixty() {
    let config = config(Jitter::None);
    let delays: Vec<u64> = (0..8).map(|n| config.delay(n, SECOND, 0.5).as_secs()).collect();
    assert_eq!(delays, [1, 2, 4, 8, 16, 32, 60, 60]);
    let constant =
        Config::builder().jitter(Jitter::None).backoff(Backoff::Constant).build().unwrap();
    assert_eq!(constant.delay(1000, SECOND, 0.5), SECOND);
}

#[test]
fn linear_and_fibonacci_delays_are_as_their_names_say_and_capped() {
    let seconds = |backoff: Backoff| -> Vec<u64> {
        let config =
            Config::builder().jitter(Jitter::None).backoff(backoff).max_attempts(13).build();
        let entropy = Entropy::seeded(0);
        config.unwrap().delays(&entropy).map(|delay| delay.as_secs()).collect()
    };
    assert_eq!(seconds(Backoff::Linear), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    assert_eq!(seconds(Backoff::Fibonacci), [1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 60, 60]);
    assert_eq!(seconds(Backoff::Constant), [1; 12]);
}

#[test]
fn delays_are_one_fewer_than_attempts_and_each_call_draws_its_own() {
    let entropy = Entropy::seeded(7);
    let config = Config::builder().max_attempts(5).build().unwrap();
    let delays = config.delays(&entropy);
    assert_eq!(delays.len(), 4);
    let (one, other): (Vec<_>, Vec<_>) = (delays.collect(), config.delays(&entropy).collect());
    assert_eq!((one.len(), other.len()), (4, 4));
    assert_ne!(one, other);
    let single = Config::builder().max_attempts(1).build().unwrap();
    assert_eq!(single.delays(&entropy).next(), None);
    let mut asked = config.delays(&entropy);
    let after = asked.next_after(Some(90 * SECOND)).unwrap();
    assert!(after >= 90 * SECOND && after <= 91 * SECOND, "{after:?}");
    assert_eq!(asked.len(), 3);
    assert!(asked.next().unwrap() <= 2 * SECOND, "what was asked for is no part of the next");
}

/// The distance of Kolmogorov and Smirnov between draws and an even spread from `low` to `high`.
fn distance(mut draws: Vec<f64>, low: f64, high: f64) -> f64 {
    draws.sort_by(f64::total_cmp);
    let count = draws.len() as f64;
    let gap = |(at, draw): (usize, &f64)| {
        let even = (draw - low) / (high - low);
        (even - at as f64 / count).abs().max((even - (at + 1) as f64 / count).abs())
    };
    draws.iter().enumerate().map(gap).fold(0.0, f64::max)
}

#[test]
fn ten_thousand_draws_of_each_jitter_are_spread_as_its_formula_says() {
    const DRAWS: usize = 10_000;
    // The distance that even draws exceed once in a hundred times.
    let bound = 1.628 / (DRAWS as f64).sqrt();
    let entropy = Entropy::seeded(42);
    for (jitter, low, high) in [
        (Jitter::Full, 0.0, 8.0),
        (Jitter::Equal, 4.0, 8.0),
        (Jitter::PlusMinusHalf, 4.0, 12.0),
        (Jitter::PlusMinus, 6.0, 10.0),
        (Jitter::Decorrelated, 1.0, 24.0),
    ] {
        let config = Config::builder().jitter(jitter).jitter_share(0.25).build().unwrap();
        let draws: Vec<f64> =
            (0..DRAWS).map(|_| config.delay(3, 8 * SECOND, entropy.unit()).as_secs_f64()).collect();
        assert!(draws.iter().all(|draw| (low..=high).contains(draw)), "{jitter}");
        let mean = draws.iter().sum::<f64>() / DRAWS as f64;
        assert!((mean / ((low + high) / 2.0) - 1.0).abs() < 0.02, "{jitter}: {mean}");
        let distance = distance(draws, low, high);
        assert!(distance < bound, "{jitter}: {distance}");
    }
}

#[test]
fn each_jitter_follows_its_formula_over_its_whole_range() {
    // A delay of 8 s: the lowest, the middle and the highest draw.
    let at = |jitter, unit| config(jitter).delay(3, 8 * SECOND, unit).as_secs_f64();
    for (jitter, low, mid, high) in [
        (Jitter::None, 8.0, 8.0, 8.0),
        (Jitter::Full, 0.0, 4.0, 8.0),
        (Jitter::Equal, 4.0, 6.0, 8.0),
        (Jitter::PlusMinusHalf, 4.0, 8.0, 12.0),
        (Jitter::PlusMinus, 4.0, 8.0, 12.0),
        (Jitter::Decorrelated, 1.0, 12.5, 24.0),
    ] {
        assert_eq!(at(jitter, 0.0), low, "{jitter}");
        assert_eq!(at(jitter, 0.5), mid, "{jitter}");
        assert!((at(jitter, 1.0 - f64::EPSILON) - high).abs() < 1e-6, "{jitter}");
    }
}

#[test]
fn decorrelated_spreads_the_first_delay_too_and_never_passes_the_cap() {
    let config = config(Jitter::Decorrelated);
    assert_eq!(
        config.delay(0, Duration::ZERO, 0.5),
        2 * SECOND,
        "between base and three times base"
    );
    assert_eq!(config.delay(9, 60 * SECOND, 0.99), 60 * SECOND);
    assert_eq!(config.delay(9, Duration::MAX, 0.0), SECOND);
}

#[test]
fn plus_minus_half_is_clamped_after_jitter() {
    assert_eq!(config(Jitter::PlusMinusHalf).delay(30, SECOND, 0.99), 60 * SECOND);
}

#[test]
fn seeded_draws_spread_evenly() {
    let entropy = Entropy::seeded(42);
    for (jitter, low, high) in
        [(Jitter::Full, 0.0, 4.0), (Jitter::Equal, 2.0, 4.0), (Jitter::PlusMinusHalf, 2.0, 6.0)]
    {
        let config = config(jitter);
        let mut quarters = [0_u32; 4];
        for _ in 0..8_000 {
            let delay = config.delay(2, SECOND, entropy.unit()).as_secs_f64();
            let share = (delay - low) / (high - low);
            assert!((0.0..=1.0).contains(&share), "{jitter}: {delay}");
            quarters[((share * 4.0) as usize).min(3)] += 1;
        }
        assert!(quarters.iter().all(|n| (1_850..2_150).contains(n)), "{jitter}: {quarters:?}");
    }
}

#[test]
fn every_mistake_is_told_at_once() {
    let wrong = Config::builder().max_attempts(0).base_delay(61 * SECOND).factor(f64::NAN);
    assert_eq!(wrong_keys(wrong.build()), ["max_attempts", "base_delay", "factor"]);
    for factor in [0.5, f64::INFINITY, -1.0] {
        assert!(Config::builder().factor(factor).build().is_err(), "{factor}");
    }
    let wrong = BudgetConfig::builder()
        .ratio(1.5)
        .min_per_second(f64::NAN)
        .window(Duration::ZERO)
        .build()
        .unwrap_err();
    assert_eq!(wrong.as_slice().len(), 3);
    assert!(BudgetConfig::builder().ratio(0.0).min_per_second(0.0).build().is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn delays_are_finite_and_capped_for_every_attempt(
        attempt in prop_oneof![0_u32..100, any::<u32>(), Just(u32::MAX)],
        base in 0_u64..=60_000,
        factor in 1.0_f64..=1000.0,
        curve in 0_usize..4,
        which in 0_usize..6,
        previous in any::<u64>(),
        unit in prop_oneof![0.0_f64..1.0, Just(f64::NAN), Just(f64::INFINITY), Just(-1.0)],
    ) {
        let config = Config::builder()
            .base_delay(Duration::from_millis(base))
            .factor(factor)
            .backoff(Backoff::ALL[curve])
            .jitter(Jitter::ALL[which])
            .build()
            .unwrap();
        prop_assert!(config.delay(attempt, Duration::from_nanos(previous), unit) <= 60 * SECOND);
    }

    #[test]
    fn delays_are_as_the_formula_says(attempt in 0_i32..1000, unit in 0.0_f64..1.0) {
        let naive = |jitter| {
            let d = capped(attempt);
            match jitter {
                Jitter::None => d,
                Jitter::Full => unit * d,
                Jitter::Equal => d / 2.0 + unit * d / 2.0,
                Jitter::PlusMinusHalf | Jitter::PlusMinus => (d - d * 0.5 + unit * d).min(60.0),
                Jitter::Decorrelated => (1.0 + unit * (7.0 * 3.0 - 1.0)).min(60.0),
            }
        };
        for jitter in Jitter::EVERY {
            let ours = config(jitter).delay(attempt as u32, 7 * SECOND, unit).as_secs_f64();
            prop_assert!((ours - naive(jitter)).abs() < 2e-9, "{jitter}: {ours} {}", naive(jitter));
        }
    }
}

fn at(millis: u64) -> Moment {
    Moment::from_nanos(millis * 1_000_000)
}

fn budget(ratio: f64, min_per_second: f64, window: Duration) -> Budget {
    let config =
        BudgetConfig::builder().ratio(ratio).min_per_second(min_per_second).window(window).build();
    Budget::new(&config.unwrap())
}

fn retries(budget: &Budget, now: Moment) -> usize {
    (0..10_000).take_while(|_| budget.try_retry(now, Outcome::Failure, 0.0)).count()
}

/// Calls and retries in the window.
fn used(budget: &Budget, now: Moment) -> (u64, u64) {
    match budget.usage(now) {
        BudgetUse::Share { calls, retries, .. } => (calls, retries),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_budget_is_a_share_of_the_calls_and_slides() {
    let budget = budget(0.2, 0.0, 10 * SECOND);
    (0..100).for_each(|_| assert!(!budget.call(at(500))));
    assert_eq!(retries(&budget, at(500)), 20);
    (0..50).for_each(|_| assert!(!budget.call(at(5_000))));
    assert_eq!(retries(&budget, at(9_999)), 10, "waiting retries count, in their own slice");
    assert_eq!(
        retries(&budget, at(10_000)),
        0,
        "20 calls' worth slid out, and the 20 retries with it"
    );
    assert_eq!(used(&budget, at(10_000)).0, 50);
    assert_eq!(used(&budget, at(1_000_000)).0, 0);
}

#[test]
fn a_ratio_is_not_truncated() {
    for (ratio, allowed) in [(0.6, 60), (0.07, 7), (0.29, 29), (0.01, 1), (1.0, 100)] {
        let budget = budget(ratio, 0.0, 10 * SECOND);
        (0..100).for_each(|_| assert!(!budget.call(at(0))));
        assert_eq!(retries(&budget, at(0)), allowed, "{ratio}");
    }
}

#[test]
fn the_floor_lets_a_quiet_caller_retry_and_clones_share_it() {
    let budget = budget(0.0, 0.5, 10 * SECOND);
    let clone = budget.clone();
    assert_eq!(retries(&budget, at(0)), 5);
    assert_eq!(retries(&clone, at(0)), 0);
}

#[test]
fn a_clock_that_goes_back_far_does_not_freeze_the_budget() {
    let budget = budget(0.0, 1.0, 10 * SECOND);
    let year = 365 * 24 * 3600 * 1000;
    assert_eq!(retries(&budget, at(year)), 10);
    assert_eq!(retries(&budget, at(year - 5_000)), 0, "a little back is standing still");
    assert_eq!(retries(&budget, at(0)), 10, "far back starts afresh");
    assert_eq!(retries(&budget, at(10_000)), 10);
}

#[test]
fn racing_threads_never_reserve_one_too_many() {
    let budget = budget(0.5, 0.0, 10 * SECOND);
    (0..1_000).for_each(|_| assert!(!budget.call(at(0))));
    let granted: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| retries(&budget, at(0)))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(granted, 500);
}

#[test]
fn racing_threads_lose_no_call() {
    let budget = budget(0.5, 0.0, 10 * SECOND);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..5_000).for_each(|n| assert!(!budget.call(at(n)))));
        }
    });
    assert_eq!(used(&budget, at(5_000)).0, 20_000);
}

/// Every call and retry in a list, each with the slice it fell in.
#[derive(Default)]
struct Model {
    latest: u64,
    calls: Vec<u64>,
    retries: Vec<u64>,
}

impl Model {
    fn advance(&mut self, millis: u64) {
        let slice = millis / 1000;
        if slice + 10 < self.latest {
            *self = Self::default();
            self.latest = slice;
        }
        self.latest = self.latest.max(slice);
        let latest = self.latest;
        self.calls.retain(|slice| slice + 10 > latest);
        self.retries.retain(|slice| slice + 10 > latest);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn a_list_of_everything_allows_the_same(
        percent in 0_u64..=100,
        floor in 0_u64..5,
        steps in prop::collection::vec((0_u8..12, any::<u16>()), 0..300),
    ) {
        prop_assume!(percent + floor > 0);
        // In a window of 10 s, floor / 10 a second makes `floor` retries.
        let budget = budget(percent as f64 / 100.0, floor as f64 / 10.0, 10 * SECOND);
        let mut model = Model::default();
        let mut now: u64 = 0;
        for (kind, by) in steps {
            let by = u64::from(by);
            match kind {
                0..=4 => {
                    model.advance(now);
                    model.calls.push(model.latest);
                    assert!(!budget.call(at(now)));
                }
                5..=8 => {
                    model.advance(now);
                    let allowed = 100 * (model.retries.len() as u64 + 1)
                        <= percent * model.calls.len() as u64 + 100 * floor;
                    if allowed {
                        model.retries.push(model.latest);
                    }
                    prop_assert_eq!(budget.try_retry(at(now), Outcome::Failure, 0.0), allowed);
                }
                9 => now += by % 3_000,
                10 => now = now.saturating_sub(by % 20_000),
                _ => now += by * u64::from(by % 7 == 0) * 1_000,
            }
        }
        model.advance(now);
        prop_assert_eq!(used(&budget, at(now)), (model.calls.len() as u64, model.retries.len() as u64));
    }
}

fn of(builder: BudgetBuilder) -> Budget {
    Budget::new(&builder.build().unwrap())
}

fn left(budget: &Budget) -> u64 {
    match budget.usage(at(0)) {
        BudgetUse::Tokens { left, .. } => left,
        other => panic!("{other:?}"),
    }
}

#[test]
fn tokens_are_taken_by_retries_and_given_back_by_good_answers_as_the_aws_sdks_do() {
    let budget = of(BudgetConfig::builder().mode(BudgetMode::Tokens));
    assert_eq!(left(&budget), 500);
    assert!(budget.try_retry(at(0), Outcome::Failure, 0.0));
    assert!(budget.try_retry(at(0), Outcome::TimedOut, 0.0));
    assert_eq!(left(&budget), 485);
    budget.ended(at(0), Outcome::Failure, Some(Outcome::TimedOut));
    budget.ended(at(0), Outcome::Ignored, None);
    assert_eq!(left(&budget), 485, "only good answers give back");
    budget.ended(at(0), Outcome::Success, Some(Outcome::TimedOut));
    assert_eq!(left(&budget), 495, "what the retry has cost");
    budget.ended(at(0), Outcome::Success, None);
    assert_eq!(left(&budget), 496, "one, where none was needed");
    budget.ended(at(0), Outcome::Success, Some(Outcome::Failure));
    assert_eq!(left(&budget), 500, "no more than there were");
    assert_eq!((retries(&budget, at(0)), left(&budget)), (100, 0));
    (0..4).for_each(|_| budget.ended(at(0), Outcome::Success, None));
    assert!(!budget.try_retry(at(0), Outcome::Failure, 0.0), "4 of 5");
    budget.ended(at(0), Outcome::Success, None);
    assert!(!budget.try_retry(at(0), Outcome::TimedOut, 0.0), "5 of 10");
    assert!(budget.try_retry(at(0), Outcome::Failure, 0.0));
}

#[test]
fn racing_threads_never_take_a_token_too_many() {
    let budget = of(BudgetConfig::builder().mode(BudgetMode::Tokens).tokens(1_000).retry_cost(1));
    let granted: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| retries(&budget, at(0)))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(granted, 1_000);
}

fn refusing(budget: &Budget, now: Moment) -> f64 {
    match budget.usage(now) {
        BudgetUse::AcceptRatio { refusing, .. } => refusing,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_throttle_refuses_by_the_formula_of_the_sre_book() {
    let budget = of(BudgetConfig::builder().mode(BudgetMode::AcceptRatio));
    for _ in 0..100 {
        assert!(budget.admits(at(0), 0.0));
        budget.ended(at(0), Outcome::Success, None);
    }
    // Twice what is accepted may be sent: 100 failures more change nothing.
    (0..100).for_each(|_| budget.ended(at(1), Outcome::Failure, None));
    assert!(budget.admits(at(1), 0.0));
    (0..100).for_each(|_| budget.ended(at(2), Outcome::TimedOut, None));
    let chance = (300.0 - 200.0) / 301.0;
    assert_eq!(refusing(&budget, at(2)), chance);
    assert!(budget.admits(at(2), chance));
    assert!(!budget.try_retry(at(2), Outcome::Failure, chance - 0.01), "of retries too");
    assert_eq!(refusing(&budget, at(2)), 101.0 / 302.0, "what is refused here is a request too");
    assert_eq!(refusing(&budget, at(121_000)), 0.0, "all has slid out of the two minutes");
    assert!(budget.admits(at(121_000), 0.0));
}

#[test]
fn a_throttle_whose_clock_goes_back_far_starts_afresh() {
    let budget = of(BudgetConfig::builder().mode(BudgetMode::AcceptRatio));
    let hour = 3_600_000;
    (0..100).for_each(|_| budget.ended(at(hour), Outcome::Success, None));
    (0..300).for_each(|_| budget.ended(at(hour), Outcome::Failure, None));
    let chance = (400.0 - 200.0) / 401.0;
    assert_eq!(refusing(&budget, at(hour - 60_000)), chance, "a little back is standing still");
    assert_eq!(refusing(&budget, at(0)), 0.0);
    budget.ended(at(0), Outcome::Failure, None);
    assert_eq!(refusing(&budget, at(0)), 0.5, "and counts on from there");
    assert_eq!(refusing(&budget, at(121_000)), 0.0, "where it slides again");
}

#[test]
fn who_goes_by_how_attempts_end_says_so() {
    for (mode, listens) in
        [(BudgetMode::Share, false), (BudgetMode::Tokens, true), (BudgetMode::AcceptRatio, true)]
    {
        let budget = of(BudgetConfig::builder().mode(mode));
        assert_eq!((budget.listens(), budget.call(at(0))), (listens, listens));
    }
}

#[test]
fn a_budget_is_taken_up_to_its_edges() {
    let mistakes = |builder: BudgetBuilder| wrong_keys(builder.build());
    let none: [&str; 0] = [];
    for window in [MIN_BUDGET_WINDOW, MAX_BUDGET_WINDOW] {
        assert_eq!(mistakes(BudgetConfig::builder().window(window)), none);
    }
    let nano = Duration::from_nanos(1);
    for window in [MIN_BUDGET_WINDOW - nano, MAX_BUDGET_WINDOW + nano] {
        assert_eq!(mistakes(BudgetConfig::builder().window(window)), ["window"]);
    }
    let tokens = |tokens| mistakes(BudgetConfig::builder().mode(BudgetMode::Tokens).tokens(tokens));
    assert_eq!(
        (tokens(MAX_BUDGET_TOKENS), tokens(MAX_BUDGET_TOKENS + 1)),
        (vec![], vec!["tokens"])
    );
}

#[test]
fn a_throttle_lets_an_answer_that_says_nothing_count_as_accepted() {
    let budget = of(BudgetConfig::builder().mode(BudgetMode::AcceptRatio).accepts_multiple(1.0));
    (0..10).for_each(|_| budget.ended(at(0), Outcome::Ignored, None));
    assert_eq!(refusing(&budget, at(0)), 0.0);
    budget.ended(at(0), Outcome::Failure, None);
    assert_eq!(refusing(&budget, at(0)), 1.0 / 12.0);
}

proptest! {
    /// Requests and accepts in a list, over whole slices of 12 s.
    #[test]
    fn a_list_throttles_the_same(
        multiple in 1_u32..4,
        steps in prop::collection::vec((0_u8..8, any::<u16>()), 0..200),
    ) {
        let multiple = f64::from(multiple);
        let budget = of(BudgetConfig::builder().mode(BudgetMode::AcceptRatio).accepts_multiple(multiple));
        let (mut requests, mut accepts): (Vec<u64>, Vec<u64>) = (Vec::new(), Vec::new());
        let mut now: u64 = 0;
        for (kind, by) in steps {
            let slice = now / 12_000;
            requests.retain(|it| it + 10 > slice);
            accepts.retain(|it| it + 10 > slice);
            let (sent, accepted) = (requests.len() as f64, accepts.len() as f64);
            let chance = ((sent - multiple * accepted) / (sent + 1.0)).max(0.0);
            match kind {
                0..=2 => {
                    requests.push(slice);
                    accepts.push(slice);
                    budget.ended(at(now), Outcome::Success, None);
                }
                3..=5 => {
                    requests.push(slice);
                    budget.ended(at(now), Outcome::Failure, None);
                }
                6 => {
                    let unit = f64::from(by) / 65_536.0;
                    prop_assert_eq!(budget.admits(at(now), unit), unit >= chance);
                    if unit < chance {
                        requests.push(slice);
                    }
                }
                _ => now += u64::from(by),
            }
        }
    }
}

#[test]
fn a_setting_of_another_mode_is_a_mistake() {
    let wrong = BudgetConfig::builder().mode(BudgetMode::Tokens).ratio(0.1).window(SECOND);
    assert_eq!(
        wrong.build().unwrap_err().to_string(),
        "ratio = \"tokens\": must be left out: it is for the mode \"share\"; \
         window = 1s: must be left out: tokens have no window"
    );
    let costly = BudgetConfig::builder().mode(BudgetMode::Tokens).tokens(4).build();
    let said = costly.unwrap_err().to_string();
    assert!(
        said.starts_with("retry_cost = 5: must be from 1 to tokens (4); timeout_cost = 10"),
        "{said}"
    );
}
