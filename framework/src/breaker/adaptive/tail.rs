//! How improbable a number of failures is, if calls fail independently at a known rate.

/// Terms of the continued fraction at most. It converges in about the root of the number of calls, so
/// this is enough for a hundred million of them.
const MAX_TERMS: u32 = 10_000;
const EPSILON: f64 = 1e-13;
/// Stands for zero where one would divide by it.
const TINY: f64 = 1e-300;

/// The probability that of `calls` calls at least `failures` fail, each with probability `rate`:
/// `P(X ≥ failures)`. Always within `[0, 1]`; 1 if `rate` is not a number.
///
/// It is the regularised incomplete beta function `I(rate; failures, calls − failures + 1)` (DLMF 8.17.5),
/// by its continued fraction (DLMF 8.17.22) in Lentz's way (Press et al., "Numerical Recipes", 3rd ed.,
/// section 6.4). Where that takes too long, above a hundred million calls, an upper bound stands for it.
#[must_use]
pub fn binomial_tail(calls: u64, failures: u64, rate: f64) -> f64 {
    if failures == 0 || rate.is_nan() || rate >= 1.0 {
        return 1.0;
    }
    if failures > calls || rate <= 0.0 {
        return 0.0;
    }
    let (a, b) = (failures as f64, (calls - failures) as f64 + 1.0);
    let log_front =
        ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * rate.ln() + b * (-rate).ln_1p();
    let tail = if rate < (a + 1.0) / (a + b + 2.0) {
        fraction(a, b, rate).map(|fraction| log_front.exp() * fraction / a)
    } else {
        fraction(b, a, 1.0 - rate).map(|fraction| 1.0 - log_front.exp() * fraction / b)
    };
    match tail {
        Some(tail) if tail.is_finite() => tail.clamp(0.0, 1.0),
        _ => bound(a, calls as f64, rate),
    }
}

/// Whether the tail is below `alpha`. Far out, where an incident is, without adding it up.
pub(in crate::breaker) fn is_improbable(calls: u64, failures: u64, rate: f64, alpha: f64) -> bool {
    if failures == 0 || failures > calls || !(rate > 0.0 && rate < 1.0) {
        return binomial_tail(calls, failures, rate) < alpha;
    }
    bound(failures as f64, calls as f64, rate) < alpha
        || binomial_tail(calls, failures, rate) < alpha
}

/// Chernoff's upper bound on the tail: `exp(−n × KL(failures ÷ n ‖ rate))`; 1 at or below the mean.
pub(super) fn bound(failures: f64, calls: f64, rate: f64) -> f64 {
    let seen = failures / calls;
    if seen <= rate {
        return 1.0;
    }
    let rest = if seen < 1.0 { (1.0 - seen) * ((1.0 - seen) / (1.0 - rate)).ln() } else { 0.0 };
    let bound = (-calls * (seen * (seen / rate).ln() + rest)).exp();
    if bound.is_nan() { 1.0 } else { bound.clamp(0.0, 1.0) }
}

/// The continued fraction of the incomplete beta function; `None` if it takes too long.
fn fraction(a: f64, b: f64, x: f64) -> Option<f64> {
    let apart_from_zero = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / apart_from_zero(1.0 - (a + b) * x / (a + 1.0));
    let mut result = d;
    for term in 1..=MAX_TERMS {
        let m = f64::from(term);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / apart_from_zero(1.0 + even * d);
        c = apart_from_zero(1.0 + even / c);
        result *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / apart_from_zero(1.0 + odd * d);
        c = apart_from_zero(1.0 + odd / c);
        let step = d * c;
        result *= step;
        if (step - 1.0).abs() < EPSILON {
            return Some(result);
        }
    }
    None
}

/// The logarithm of the gamma function, for `x ≥ 1`, by Lanczos's approximation with g = 7 and nine terms
/// (C. Lanczos, "A Precision Approximation of the Gamma Function", 1964; P. Godfrey's coefficients).
fn ln_gamma(x: f64) -> f64 {
    const G: f64 = 7.0;
    const TERMS: [f64; 8] = [
        676.520_368_121_885_1,
        -1_259.139_216_722_402_8,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507_343_278_686_905,
        -0.138_571_095_265_720_12,
        9.984_369_578_019_572e-6,
        1.505_632_735_149_311_6e-7,
    ];
    let x = x - 1.0;
    let sum = (1_u32..)
        .zip(TERMS)
        .fold(0.999_999_999_999_809_9, |sum, (at, term)| sum + term / (x + f64::from(at)));
    let t = x + G + 0.5;
    0.5 * std::f64::consts::TAU.ln() + (x + 0.5) * t.ln() - t + sum.ln()
}
