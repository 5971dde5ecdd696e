//! When calls come.

use std::f64::consts::TAU;
use std::ops::Range;
use std::time::Duration;

use crate::clock::Moment;
use crate::entropy::Entropy;

use super::distribution::unit_exponential;

/// Calls that come whether or not those before have ended, as those of many users do.
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    per_second: f64,
    is_even: bool,
    at_once: u32,
    parts: Vec<(Range<Duration>, f64)>,
    wave: Option<(Duration, f64)>,
}

impl Load {
    /// By chance, so many a second in the mean: a Poisson process. Above 0.
    #[must_use]
    pub fn poisson(per_second: f64) -> Self {
        Self { per_second, is_even: false, at_once: 0, parts: Vec::new(), wave: None }
    }

    /// Each as long after the one before; above 0.
    #[must_use]
    pub fn even(per_second: f64) -> Self {
        Self { is_even: true, ..Self::poisson(per_second) }
    }

    /// So many calls at the beginning, all in one moment, and none afterwards.
    #[must_use]
    pub fn at_once(calls: u32) -> Self {
        Self { at_once: calls, ..Self::poisson(0.0) }
    }

    /// This many calls more in the first moment.
    #[must_use]
    pub fn and_at_once(mut self, calls: u32) -> Self {
        self.at_once = calls;
        self
    }

    /// So many times as many in this part of the run: a spike above 1, none at 0. Parts that overlap multiply.
    #[must_use]
    pub fn times(mut self, factor: f64, during: Range<Duration>) -> Self {
        self.parts.push((during, factor));
        self
    }

    /// Up and down as a sine does, by `depth` of the usual to either side; 0 to 1.
    #[must_use]
    pub fn wave(mut self, period: Duration, depth: f64) -> Self {
        self.wave = Some((period, depth));
        self
    }

    /// What is wrong with it, if anything.
    pub(super) fn mistake(&self) -> Option<&'static str> {
        let is_rate = |rate: f64| rate.is_finite() && rate >= 0.0;
        if !is_rate(self.per_second) || self.per_second > MOST_PER_SECOND {
            return Some("calls a second must be a number from 0 to 1,000,000");
        }
        if self.parts.iter().any(|(_, factor)| !is_rate(*factor) || *factor > MOST_PER_SECOND) {
            return Some("factors of a load must be numbers from 0 to 1,000,000");
        }
        match self.wave {
            Some((period, depth)) if period.is_zero() || !(0.0..=1.0).contains(&depth) => {
                Some("a wave must have a period above 0 and a depth from 0 to 1")
            }
            _ => None,
        }
    }

    /// Calls in the first moment.
    pub(super) fn begins_with(&self) -> u32 {
        self.at_once
    }

    /// Calls a second at this moment, without the wave.
    fn calm_rate(&self, at: Duration) -> f64 {
        let parts = self.parts.iter().filter(|(during, _)| during.contains(&at));
        self.per_second * parts.map(|(_, factor)| factor).product::<f64>()
    }

    /// Calls a second at this moment.
    fn rate(&self, at: Duration) -> f64 {
        let wave = self.wave.map_or(1.0, |(period, depth)| {
            1.0 + depth * (TAU * at.as_secs_f64() / period.as_secs_f64()).sin()
        });
        self.calm_rate(at) * wave
    }

    /// When the next part begins or ends.
    fn next_change(&self, at: Duration) -> Option<Duration> {
        let edges = self.parts.iter().flat_map(|(during, _)| [during.start, during.end]);
        edges.filter(|edge| *edge > at).min()
    }

    /// When the next call comes after this moment; `None` if none does before `end`.
    ///
    /// A Poisson process of changing rate by thinning (Lewis, Shedler, "Simulation of Nonhomogeneous Poisson Processes by
    /// Thinning", 1979): candidates at the highest rate of the part, each taken with the chance of its own rate to that.
    pub(super) fn next(&self, after: Moment, end: Moment, entropy: &Entropy) -> Option<Moment> {
        let mut at = after.since(Moment::ZERO);
        let end = end.since(Moment::ZERO);
        // What is left until a call comes, in mean distances. Even calls keep their distance over changes of the rate.
        let mut left = if self.is_even { 1.0 } else { unit_exponential(entropy) };
        while at < end {
            let until = self.next_change(at).map_or(end, |change| change.min(end));
            let highest = self.highest(at);
            let seconds = if highest > 0.0 { left / highest } else { f64::INFINITY };
            let room = (until - at).as_secs_f64();
            if seconds >= room {
                left -= room * highest;
                at = until;
                continue;
            }
            at += Duration::from_secs_f64(seconds);
            let is_taken = self.wave.is_none() || entropy.unit() * highest < self.rate(at);
            if is_taken {
                return Some(Moment::ZERO + at);
            }
            left = if self.is_even { 1.0 } else { unit_exponential(entropy) };
        }
        None
    }

    /// The highest rate of the part that this moment is in.
    fn highest(&self, at: Duration) -> f64 {
        self.calm_rate(at) * (1.0 + self.wave.map_or(0.0, |(_, depth)| depth))
    }
}

const MOST_PER_SECOND: f64 = 1_000_000.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn calls(load: &Load, lasts: Duration) -> Vec<Duration> {
        let entropy = Entropy::seeded(5);
        let end = Moment::ZERO + lasts;
        let mut at = Moment::ZERO;
        let mut calls = Vec::new();
        while let Some(next) = load.next(at, end, &entropy) {
            calls.push(next.since(Moment::ZERO));
            at = next;
        }
        calls
    }

    fn within(calls: &[Duration], during: Range<u64>) -> f64 {
        let during = secs(during.start)..secs(during.end);
        calls.iter().filter(|at| during.contains(at)).count() as f64
    }

    #[test]
    fn even_calls_keep_their_distance_and_no_call_comes_at_the_end() {
        let calls = calls(&Load::even(4.0), secs(2));
        let quarters: Vec<f64> = calls.iter().map(Duration::as_secs_f64).collect();
        assert_eq!(quarters, [0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75]);
    }

    #[test]
    fn a_poisson_load_has_its_rate_and_the_distances_of_one() {
        let calls = calls(&Load::poisson(100.0), secs(200));
        let count = calls.len() as f64;
        assert!((count - 20_000.0).abs() < 450.0, "3 standard deviations: {count}");
        let long = calls.windows(2).filter(|pair| pair[1] - pair[0] > Duration::from_millis(10));
        assert!((long.count() as f64 / count - (-1.0_f64).exp()).abs() < 0.012);
    }

    #[test]
    fn a_spike_multiplies_and_a_pause_is_empty() {
        for load in [Load::poisson(100.0), Load::even(100.0)] {
            let load = load.times(3.0, secs(10)..secs(20)).times(0.0, secs(30)..secs(40));
            let calls = calls(&load, secs(50));
            assert!((within(&calls, 10..20) - 3000.0).abs() < 170.0);
            assert!((within(&calls, 20..30) - 1000.0).abs() < 100.0);
            assert_eq!(within(&calls, 30..40), 0.0);
            assert!((within(&calls, 40..50) - 1000.0).abs() < 100.0);
        }
    }

    #[test]
    fn a_wave_is_high_in_its_first_half_and_low_in_its_second() {
        let load = Load::poisson(100.0).wave(secs(100), 0.5);
        let calls = calls(&load, secs(100));
        // The mean of a half wave is 2/π.
        let swing = 100.0 * 50.0 * 0.5 * 2.0 / std::f64::consts::PI;
        assert!((within(&calls, 0..50) - (5000.0 + swing)).abs() < 250.0);
        assert!((within(&calls, 50..100) - (5000.0 - swing)).abs() < 250.0);
    }

    #[test]
    fn what_cannot_be_is_named() {
        assert_eq!(Load::poisson(10.0).mistake(), None);
        for wrong in [
            Load::poisson(f64::NAN),
            Load::even(-1.0),
            Load::even(1.0).times(f64::INFINITY, secs(0)..secs(1)),
            Load::even(1.0).wave(Duration::ZERO, 0.5),
            Load::even(1.0).wave(secs(1), 1.5),
        ] {
            assert!(wrong.mistake().is_some(), "{wrong:?}");
        }
    }
}
