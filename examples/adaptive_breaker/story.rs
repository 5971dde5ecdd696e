//! Four weeks of a service: who calls, and what fails when all is well. Drawn from a seed, the same for
//! every breaker.
//!
//! - **By day**, up to `noon` calls a second, of which 1 to 2 % fail; at weekends two in five of that.
//! - **By night** a few calls a minute, of which 2 % fail.
//! - **Every night** at 03:05 a batch runs for 45 minutes, and a fifth to three tenths of its calls fail: they
//!   find rows locked, and come again by themselves.
//! - **Every Sunday** at 02:05 the index is rebuilt, for 45 minutes in which 35 to 40 % fail.
//! - **Two incidents**: Wednesday noon of the third week, 12 % fail for a quarter of an hour; Friday evening
//!   of the fourth, 15 %.

use std::ops::Range;
use std::time::Duration;

use seawall::entropy::Entropy;

/// 2026-01-05T00:00Z, a Monday: when the story begins, after the epoch.
pub(crate) const BEGINS: Duration = Duration::from_secs(1_767_571_200);

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
pub(crate) const DAY: u64 = 24 * HOUR;
pub(crate) const WEEK: u64 = 7 * DAY;
pub(crate) const LENGTH: u64 = 4 * WEEK;

/// Traffic at each hour of a day, as a share of noon's; between them it changes evenly.
const TRAFFIC: [f64; 24] = [
    0.006, 0.004, 0.003, 0.003, 0.004, 0.01, 0.05, 0.2, 0.45, 0.7, 0.85, 0.95, 1.0, 0.95, 0.85,
    0.8, 0.75, 0.72, 0.68, 0.6, 0.45, 0.25, 0.08, 0.02,
];
const AT_WEEKENDS: f64 = 0.4;
/// What a night's job calls, as a share of noon's traffic.
const JOB: f64 = 0.08;

/// A time when the service really is in trouble.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Incident {
    pub(crate) name: &'static str,
    pub(crate) from_s: u64,
    pub(crate) until_s: u64,
    /// The share of calls that fail.
    pub(crate) share: f64,
}

pub(crate) const INCIDENTS: [Incident; 2] = [
    Incident {
        name: "Wednesday noon",
        from_s: 2 * WEEK + 2 * DAY + 12 * HOUR + 20 * MINUTE,
        until_s: 2 * WEEK + 2 * DAY + 12 * HOUR + 35 * MINUTE,
        share: 0.12,
    },
    Incident {
        name: "Friday evening",
        from_s: 3 * WEEK + 4 * DAY + 18 * HOUR,
        until_s: 3 * WEEK + 4 * DAY + 18 * HOUR + 15 * MINUTE,
        share: 0.15,
    },
];

/// A call: nanoseconds since the story began, and whether it fails.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub(crate) at: Duration,
    pub(crate) fails: bool,
}

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Story {
    seed: u64,
    noon: f64,
}

impl Story {
    pub(crate) fn new(seed: u64, noon: f64) -> Self {
        Self { seed, noon }
    }

    /// Tells the calls of each second to `listener`, in order.
    pub(crate) fn tell(&self, seconds: Range<u64>, mut listener: impl FnMut(u64, &[Call])) {
        let mut calls = Vec::new();
        for second in seconds {
            // A stream for each second: all parts hear the same.
            let chance = Entropy::seeded(self.seed).fork(second);
            let (rate, share) = (self.rate(second), self.share(second));
            let count = poisson(rate, &chance);
            calls.clear();
            calls.extend((0..count).map(|n| Call {
                at: Duration::from_secs(second) + Duration::from_secs(1) * n / count,
                fails: chance.unit() < share,
            }));
            listener(second, &calls);
        }
    }

    /// Calls a second.
    fn rate(&self, second: u64) -> f64 {
        let (hour, into) = ((second % DAY / HOUR) as usize, (second % HOUR) as f64 / HOUR as f64);
        let (this, next) = (TRAFFIC[hour], TRAFFIC[(hour + 1) % TRAFFIC.len()]);
        let is_weekend = second % WEEK >= 5 * DAY;
        let people = (this + (next - this) * into) * if is_weekend { AT_WEEKENDS } else { 1.0 };
        let job = if Self::job(second).is_some() { JOB } else { 0.0 };
        self.noon * (people + job)
    }

    /// The share of calls that fail.
    fn share(&self, second: u64) -> f64 {
        let now = |incident: &&Incident| (incident.from_s..incident.until_s).contains(&second);
        if let Some(incident) = INCIDENTS.iter().find(now) {
            return incident.share;
        }
        // No two five minutes are alike, and no two nights.
        let luck = |every: u64| Entropy::seeded(!self.seed).fork(second / every).unit();
        match Self::job(second) {
            Some((least, most)) => least + (most - least) * luck(DAY),
            None if (7..22).contains(&(second % DAY / HOUR)) => 0.01 + 0.01 * luck(5 * MINUTE),
            None => 0.02,
        }
    }

    /// A night's job, if one is running: from what to what share of calls it makes fail.
    fn job(second: u64) -> Option<(f64, f64)> {
        let is_running = |hour: u64| {
            let begins = hour * HOUR + 5 * MINUTE;
            (begins..begins + 45 * MINUTE).contains(&(second % DAY))
        };
        let is_sunday = second % WEEK >= 6 * DAY;
        if is_sunday && is_running(2) {
            Some((0.35, 0.4))
        } else {
            is_running(3).then_some((0.2, 0.3))
        }
    }
}

/// How many come in a second, of `mean` on average: D. Knuth's method.
fn poisson(mean: f64, chance: &Entropy) -> u32 {
    // In parts, for `exp` of a large number has nothing left to multiply.
    let (mut left, mut count) = (mean, 0);
    while left > 0.0 {
        let limit = (-left.min(30.0)).exp();
        left -= 30.0;
        let mut product = chance.unit();
        while product > limit {
            product *= chance.unit();
            count += 1;
        }
    }
    count
}
