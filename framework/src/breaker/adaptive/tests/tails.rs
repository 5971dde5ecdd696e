use proptest::prelude::*;

use crate::breaker::adaptive::binomial_tail;
use crate::breaker::adaptive::tail::{bound, is_improbable};

/// Added up from the far end, so that small terms are not lost: each term from the one before.
fn summed(calls: u64, failures: u64, rate: f64) -> f64 {
    if rate <= 0.0 || rate >= 1.0 {
        return if failures == 0 || rate >= 1.0 { 1.0 } else { 0.0 };
    }
    let mut ln_factorials = vec![0.0];
    for k in 1..=calls {
        ln_factorials.push(ln_factorials[k as usize - 1] + (k as f64).ln());
    }
    let ln_factorial = |n: u64| ln_factorials[n as usize];
    let term = |k: u64| {
        let choose = ln_factorial(calls) - ln_factorial(k) - ln_factorial(calls - k);
        (choose + k as f64 * rate.ln() + (calls - k) as f64 * (-rate).ln_1p()).exp()
    };
    (failures..=calls).rev().map(term).sum()
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs()) + 1e-290
}

#[test]
fn tails_that_are_known() {
    assert!(near(binomial_tail(1, 1, 0.3), 0.3));
    assert!(near(binomial_tail(3, 3, 0.02), 8e-6));
    assert!(near(binomial_tail(10, 5, 0.5), 638.0 / 1024.0));
    assert!(near(binomial_tail(20, 1, 0.1), 1.0 - 0.9_f64.powi(20)));
    assert_eq!(binomial_tail(0, 0, 0.5), 1.0);
    assert_eq!(binomial_tail(5, 0, 0.0), 1.0);
    assert_eq!(binomial_tail(5, 1, 0.0), 0.0);
    assert_eq!(binomial_tail(5, 5, 1.0), 1.0);
    assert_eq!(binomial_tail(5, 6, 0.5), 0.0);
    assert_eq!(binomial_tail(5, 0, 0.3), 1.0);
    assert!(
        !is_improbable(5, 6, 0.5, 0.0) && !is_improbable(5, 0, 0.5, 1.0),
        "below, and not at it"
    );
    assert_eq!(binomial_tail(5, 2, f64::NAN), 1.0, "what is not known is not improbable");
}

#[test]
fn a_million_calls_are_no_trouble() {
    // Normal approximation: 3 standard deviations above the mean is 0.135 %.
    let tail = binomial_tail(1_000_000, 500_000 + 1_500, 0.5);
    assert!((tail - 0.00135).abs() < 0.00002, "{tail}");
    let far = binomial_tail(1_000_000, 200_000, 0.01);
    assert!(far < 1e-300, "{far}");
    // Beyond what the fraction is given time for, it is an upper bound.
    let bound = binomial_tail(1 << 40, (1 << 39) + (1 << 22), 0.5);
    assert!((0.0..1e-12).contains(&bound), "{bound}");
}

proptest! {
    #[test]
    fn the_tail_is_what_adding_up_gives(
        (calls, failures) in (1_u64..400).prop_flat_map(|calls| (Just(calls), 0..=calls)),
        rate in 0.0_f64..=1.0,
    ) {
        let (tail, sum) = (binomial_tail(calls, failures, rate), summed(calls, failures, rate));
        // Near one the sum itself is off by more.
        prop_assert!(near(tail, sum) || (tail - sum).abs() < 1e-9, "{tail} {sum}");
    }

    #[test]
    fn far_tails_are_right_to_nine_digits(calls in 20_u64..300, rate in 0.001_f64..0.05) {
        let failures = calls / 2;
        let (tail, sum) = (binomial_tail(calls, failures, rate), summed(calls, failures, rate));
        prop_assert!(near(tail, sum), "{tail} {sum}");
    }

    #[test]
    fn nothing_makes_it_leave_its_bounds(calls in any::<u64>(), failures in any::<u64>(), bits in any::<u64>()) {
        let tail = binomial_tail(calls, failures, f64::from_bits(bits));
        prop_assert!((0.0..=1.0).contains(&tail), "{tail}");
    }

    #[test]
    fn one_more_failure_is_less_probable_and_one_more_success_makes_it_more(
        (calls, failures) in (1_u64..2_000).prop_flat_map(|calls| (Just(calls), 0..calls)),
        rate in 0.0001_f64..0.9999,
    ) {
        let tail = binomial_tail(calls, failures, rate);
        prop_assert!(binomial_tail(calls, failures + 1, rate) <= tail + 1e-12);
        prop_assert!(binomial_tail(calls + 1, failures, rate) >= tail - 1e-12);
    }

    #[test]
    fn the_short_cut_says_what_the_tail_says(
        (calls, failures) in (1_u64..2_000).prop_flat_map(|calls| (Just(calls), 0..=calls)),
        rate in 0.0_f64..=1.0,
        exponent in 2_i32..15,
    ) {
        let alpha = 10_f64.powi(-exponent);
        let tail = binomial_tail(calls, failures, rate);
        prop_assert_eq!(is_improbable(calls, failures, rate, alpha), tail < alpha);
        // If all fail, tail and bound are one number, rounded twice.
        if failures < calls {
            prop_assert!(!is_improbable(calls, failures, rate, tail), "below it, and not at it");
        }
    }

    #[test]
    fn the_bound_is_that_of_chernoff_and_never_below_the_tail(
        (calls, failures) in (1_u64..400).prop_flat_map(|calls| (Just(calls), 0..=calls)),
        rate in 0.0001_f64..0.9999,
    ) {
        let bound = bound(failures as f64, calls as f64, rate);
        let seen = failures as f64 / calls as f64;
        // The same as powers; a share of nothing to the power of nothing is one.
        let power = |of: f64, count: u64| if count == 0 { 1.0 } else { of.powf(count as f64) };
        let expected = power(rate / seen, failures) * power((1.0 - rate) / (1.0 - seen), calls - failures);
        let expected = if seen <= rate { 1.0 } else { expected };
        // Beyond that, one of the powers may be less than a number can be.
        if bound > 1e-250 && expected.is_finite() {
            prop_assert!((bound - expected).abs() <= 1e-9 * expected, "{bound} {expected}");
        }
        prop_assert!(bound >= binomial_tail(calls, failures, rate) * (1.0 - 1e-9) - 1e-290);
    }
}
