//! How long things take.

use std::f64::consts::TAU;
use std::time::Duration;

use crate::entropy::Entropy;

/// A length of time that chance has a say in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Distribution(Shape);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Shape {
    Constant(f64),
    Uniform { from: f64, width: f64 },
    Exponential { mean: f64 },
    Normal { mean: f64, deviation: f64 },
    LogNormal { median: f64, sigma: f64 },
}

/// What a clock can tell, in seconds: 570 years.
const LONGEST: f64 = 1.8e10;

/// The 99th percentile of the standard normal distribution.
const Z_99: f64 = 2.326_347_874_040_841;

impl Distribution {
    /// Always this long.
    #[must_use]
    pub fn constant(length: Duration) -> Self {
        Self(Shape::Constant(length.as_secs_f64()))
    }

    /// Anything between the two, each as likely.
    #[must_use]
    pub fn uniform(from: Duration, to: Duration) -> Self {
        let (low, high) = (from.min(to).as_secs_f64(), from.max(to).as_secs_f64());
        Self(Shape::Uniform { from: low, width: high - low })
    }

    /// Without memory, as the service times of an M/M/1 queue.
    #[must_use]
    pub fn exponential(mean: Duration) -> Self {
        Self(Shape::Exponential { mean: mean.as_secs_f64() })
    }

    /// The absolute value of a normal distribution.
    #[must_use]
    pub fn normal(mean: Duration, deviation: Duration) -> Self {
        Self(Shape::Normal { mean: mean.as_secs_f64(), deviation: deviation.as_secs_f64() })
    }

    /// Log-normal, as most latencies that are measured: half are shorter than `median`, one in a hundred is longer than `p99`.
    /// A `p99` below the median is taken for the median.
    #[must_use]
    pub fn log_normal(median: Duration, p99: Duration) -> Self {
        let median = median.as_secs_f64();
        let spread = if median > 0.0 { (p99.as_secs_f64() / median).max(1.0) } else { 1.0 };
        Self(Shape::LogNormal { median, sigma: spread.ln() / Z_99 })
    }

    /// One length.
    #[must_use]
    pub fn draw(&self, entropy: &Entropy) -> Duration {
        let seconds = match self.0 {
            Shape::Constant(length) => length,
            Shape::Uniform { from, width } => from + width * entropy.unit(),
            Shape::Exponential { mean } => mean * unit_exponential(entropy),
            Shape::Normal { mean, deviation } => {
                (mean + deviation * standard_normal(entropy)).abs()
            }
            Shape::LogNormal { median, sigma } => median * (sigma * standard_normal(entropy)).exp(),
        };
        Duration::from_secs_f64(seconds.clamp(0.0, LONGEST))
    }
}

/// Exponential with mean 1, by inversion.
pub(super) fn unit_exponential(entropy: &Entropy) -> f64 {
    // `unit` is below 1, so the logarithm is finite.
    -(1.0 - entropy.unit()).ln()
}

/// By the transform of Box and Muller ("A Note on the Generation of Random Normal Deviates", 1958). Of its two numbers one is
/// used, so that a draw depends on nothing before it.
fn standard_normal(entropy: &Entropy) -> f64 {
    let radius = (2.0 * unit_exponential(entropy)).sqrt();
    radius * (TAU * entropy.unit()).cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    /// Mean and deviation in milliseconds, and the share below the given length.
    fn figures(distribution: Distribution, below: Duration) -> (f64, f64, f64) {
        let entropy = Entropy::seeded(11);
        let draws: Vec<f64> =
            (0..20_000).map(|_| distribution.draw(&entropy).as_secs_f64() * 1e3).collect();
        let count = draws.len() as f64;
        let mean = draws.iter().sum::<f64>() / count;
        let variance = draws.iter().map(|draw| (draw - mean).powi(2)).sum::<f64>() / count;
        let limit = below.as_secs_f64() * 1e3;
        let share = draws.iter().filter(|&&draw| draw < limit).count() as f64 / count;
        (mean, variance.sqrt(), share)
    }

    fn about(found: f64, expected: f64, within: f64) {
        assert!((found - expected).abs() <= within, "{found}, not {expected} ± {within}");
    }

    #[test]
    fn each_has_the_moments_that_it_says() {
        let (mean, deviation, below) = figures(Distribution::exponential(ms(10)), ms(10));
        about(mean, 10.0, 0.3);
        about(deviation, 10.0, 0.3);
        about(below, 1.0 - (-1.0_f64).exp(), 0.01);
        let (mean, deviation, below) = figures(Distribution::normal(ms(10), ms(2)), ms(10));
        about(mean, 10.0, 0.1);
        about(deviation, 2.0, 0.05);
        about(below, 0.5, 0.01);
        let (mean, deviation, _) = figures(Distribution::uniform(ms(30), ms(10)), ms(10));
        about(mean, 20.0, 0.2);
        about(deviation, 20.0 / 12.0_f64.sqrt(), 0.1);
        let (mean, deviation, _) = figures(Distribution::constant(ms(7)), ms(7));
        about(mean, 7.0, 1e-9);
        about(deviation, 0.0, 1e-9);
    }

    #[test]
    fn a_log_normal_one_has_its_median_and_its_99th_percentile() {
        let latency = Distribution::log_normal(ms(10), ms(100));
        about(figures(latency, ms(10)).2, 0.5, 0.01);
        about(figures(latency, ms(100)).2, 0.99, 0.003);
        let entropy = Entropy::seeded(1);
        assert_eq!(Distribution::log_normal(ms(10), ms(1)).draw(&entropy), ms(10));
        assert_eq!(Distribution::log_normal(ms(0), ms(1)).draw(&entropy), ms(0));
    }

    #[test]
    fn no_draw_is_longer_than_the_clock() {
        let entropy = Entropy::seeded(3);
        let endless = Distribution::exponential(Duration::MAX);
        assert!(
            (0..100).all(|_| endless.draw(&entropy) <= Duration::from_secs(584 * 366 * 86_400))
        );
    }
}
