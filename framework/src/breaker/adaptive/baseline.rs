//! What is normal for each hour of the week, and the threshold that it makes.

use super::config::Config;
use super::week::HOURS;

/// How many calls of its own an hour must have seen to be half believed.
const TRUST_CALLS: f64 = 200.0;
/// No gap in time costs more than this many half-lives: a wall clock that jumps by years, and back, must
/// not make everything forgotten.
const MAX_HALF_LIVES: f64 = 4.0;
const HOURS_OF_A_DAY: usize = 24;

/// The failure rate of one hour of the week: mean and spread over its periods, each with the weight of its
/// calls, older ones with less.
///
/// Mean and sum of squares are kept the way of D. H. D. West, "Updating Mean and Variance Estimates: An
/// Improved Method" (CACM 22(9), 1979), with all weights scaled down by age before each update.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Hour {
    /// Calls behind it, less what age takes off.
    pub(super) calls: f64,
    pub(super) mean: f64,
    /// Sum of the squared distances from the mean, by weight.
    pub(super) squares: f64,
    /// When it last learned, in seconds since the epoch.
    pub(super) at_s: u64,
}

impl Hour {
    /// As it is at `now_s`: worth less, if it is later.
    fn aged(self, now_s: u64, half_life_s: f64) -> Self {
        let lives = (now_s.saturating_sub(self.at_s) as f64 / half_life_s).min(MAX_HALF_LIVES);
        let left = (-lives).exp2();
        Self { calls: self.calls * left, squares: self.squares * left, ..self }
    }

    fn learn(&mut self, calls: f64, rate: f64, now_s: u64, half_life_s: f64) {
        let old = self.aged(now_s, half_life_s);
        *self = old.joined(Self { calls, mean: rate, squares: 0.0, at_s: now_s });
        self.at_s = now_s;
    }

    /// Both in one: T. F. Chan, G. H. Golub, R. J. LeVeque (1979). With one observation it is West's step.
    fn joined(self, other: Self) -> Self {
        let calls = self.calls + other.calls;
        if calls <= 0.0 {
            return self;
        }
        let apart = other.mean - self.mean;
        Self {
            calls,
            mean: (self.mean + apart * (other.calls / calls)).clamp(0.0, 1.0),
            squares: self.squares
                + other.squares
                + apart * apart * self.calls * (other.calls / calls),
            at_s: self.at_s.max(other.at_s),
        }
    }

    fn variance(self) -> f64 {
        if self.calls > 0.0 { self.squares / self.calls } else { 0.0 }
    }

    /// The mean and variance, drawn towards `(mean, variance)` as if that had been seen in
    /// [`TRUST_CALLS`] calls more.
    fn drawn_to(self, (mean, variance): (f64, f64)) -> (f64, f64) {
        let all = self.calls + TRUST_CALLS;
        let mixed = |own: f64, other: f64| (own * self.calls + other * TRUST_CALLS) / all;
        (mixed(self.mean, mean), mixed(self.variance(), variance))
    }

    /// Whether it could have been learned. `false` for what a damaged file says.
    pub(super) fn is_sound(self) -> bool {
        (0.0..=1e18).contains(&self.calls)
            && (0.0..=1.0).contains(&self.mean)
            && self.squares >= 0.0
            // No spread of numbers in [0, 1] is greater; a little more for rounding.
            && self.squares <= self.calls * 0.26 + 1e-9
    }
}

/// What is normal for an hour, and what is too much.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Estimate {
    pub(super) baseline: f64,
    pub(super) spread: f64,
    pub(super) threshold: f64,
    /// What the failures of a window have to be improbable under: a spread above the baseline, for no two
    /// stretches of time are quite alike; more, where that is a guess.
    pub(super) tested: f64,
    /// Calls of this very hour behind it.
    pub(super) calls: f64,
}

/// What a period came to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) calls: u64,
    /// Of them.
    pub(super) failures: u64,
    /// When it began, in seconds since 1970.
    pub(super) at_s: u64,
}

/// Every hour of the week.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Baseline(pub(super) [Hour; HOURS]);

impl Default for Baseline {
    fn default() -> Self {
        Self([Hour::default(); HOURS])
    }
}

impl Baseline {
    /// Takes in a period of that hour. What is above the
    /// hour's threshold counts as being at it: an incident too slow to open the breaker must not become
    /// normal at one stroke.
    pub(super) fn learn(&mut self, hour: usize, seen: Seen, config: &Config) {
        let Seen { calls, failures, at_s } = seen;
        if calls == 0 {
            return;
        }
        let threshold = self.estimate(hour, at_s, config).threshold;
        let rate = (failures as f64 / calls as f64).min(threshold);
        if let Some(hour) = self.0.get_mut(hour) {
            hour.learn(calls as f64, rate, at_s, half_life_s(config));
        }
    }

    /// What is normal for that hour at `now_s`.
    ///
    /// An hour that has seen little borrows: its mean and spread are drawn towards those of the same hour
    /// on other days, and these towards those of all hours. Its threshold, though, stays near `max` until it
    /// has seen enough itself, and what it is tested against near half of that: what happens every Sunday at
    /// three need not happen on any other night.
    pub(super) fn estimate(&self, hour: usize, now_s: u64, config: &Config) -> Estimate {
        let half_life_s = half_life_s(config);
        let aged = |hour: &Hour| hour.aged(now_s, half_life_s);
        let join = |joined: Hour, hour: &Hour| joined.joined(aged(hour));
        let all = self.0.iter().fold(Hour::default(), join);
        let daily = self.0.iter().skip(hour % HOURS_OF_A_DAY).step_by(HOURS_OF_A_DAY);
        let daily = daily.fold(Hour::default(), join);
        let own = self.0.get(hour).map(aged).unwrap_or_default();

        let overall = all.drawn_to((config.min(), 0.0));
        let (baseline, variance) = own.drawn_to(daily.drawn_to(overall));
        let spread = variance.max(0.0).sqrt();
        let known = own.calls / (own.calls + TRUST_CALLS);
        let learned = baseline + config.spreads() * spread;
        let threshold = known * learned + (1.0 - known) * config.max();
        let baseline = baseline.clamp(0.0, 1.0);
        let usual = (baseline + spread).min(1.0);
        let guess = usual.max(config.max() / 2.0);
        Estimate {
            baseline,
            tested: known * usual + (1.0 - known) * guess,
            spread,
            threshold: threshold.clamp(config.min(), config.max()),
            calls: own.calls,
        }
    }

    /// What another has learned besides.
    pub(super) fn join(&mut self, other: &Self, config: &Config) {
        let half_life_s = half_life_s(config);
        for (own, other) in self.0.iter_mut().zip(other.0) {
            let at_s = own.at_s.max(other.at_s);
            *own = own.aged(at_s, half_life_s).joined(other.aged(at_s, half_life_s));
        }
    }

    /// The same week in a zone that is `minutes` further ahead, by whole hours.
    pub(super) fn shift(&mut self, minutes: i32) {
        let hours = (f64::from(minutes) / 60.0).round() as i32;
        self.0.rotate_right(hours.rem_euclid(HOURS as i32) as usize);
    }
}

fn half_life_s(config: &Config) -> f64 {
    config.half_life().as_secs_f64()
}
