//! A breaker's settings.

use std::time::Duration;

use serde::Serialize;

use crate::setting::{Check, InvalidSettings};

/// The longest a breaker may be told to stay open: 30 days.
pub const MAX_OPEN_FOR: Duration = Duration::from_secs(30 * 24 * 3600);
/// The largest count of calls a window holds.
pub const MAX_WINDOW_CALLS: u32 = 1_000_000;
/// The most probes a half-open breaker may let through at once.
pub const MAX_HALF_OPEN_CALLS: u32 = 10_000;

/// What a failure rate is taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// The last N calls.
    Calls(u32),
    /// The last stretch of time, in ten buckets that slide as one.
    Time(Duration),
}

/// What opens a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Trip {
    /// This many failures in a row; any success starts the count again.
    Consecutive {
        /// How many.
        failures: u32,
    },
    /// A share of failures, once there have been enough calls to speak of a share.
    Rate {
        /// At or above this share, in `(0, 1]`, the breaker opens.
        failure_rate: f64,
        /// With fewer calls than this in the window it never does.
        min_calls: u32,
        /// What the share is taken over.
        window: Window,
    },
}

/// A breaker's settings, checked. Built by [`Config::builder`]; the default is the founding text's:
/// 5 consecutive failures, 30 s open, 5 half-open calls, 2 successes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Config {
    trip: Trip,
    open_for: Duration,
    half_open_calls: u32,
    success_threshold: u32,
    slow_call: Option<Duration>,
    probe_life: Duration,
}

impl Config {
    /// Starts from the defaults.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }
    /// What opens the breaker.
    #[must_use]
    pub fn trip(&self) -> Trip {
        self.trip
    }
    /// How long it stays open before probes are let through. Default 30 s; 60 s by failure rate.
    #[must_use]
    pub fn open_for(&self) -> Duration {
        self.open_for
    }
    /// How many probes may be out at once while half-open. Default 5.
    #[must_use]
    pub fn half_open_calls(&self) -> u32 {
        self.half_open_calls
    }
    /// How many probes must succeed before it closes. Default 2.
    #[must_use]
    pub fn success_threshold(&self) -> u32 {
        self.success_threshold
    }
    /// From here on a call counts as slow: dropped after it, it counts as a failure. Default: the attempt's timeout.
    #[must_use]
    pub fn slow_call(&self) -> Option<Duration> {
        self.slow_call
    }
    /// How long a probe may take before its place is given to another. Default 30 s.
    #[must_use]
    pub fn probe_life(&self) -> Duration {
        self.probe_life
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            trip: Trip::Consecutive { failures: 5 },
            open_for: Duration::from_secs(30),
            half_open_calls: 5,
            success_threshold: 2,
            slow_call: None,
            probe_life: Duration::from_secs(30),
        }
    }
}

/// Builds a [`Config`], checking every setting.
#[derive(Clone, Debug, Default)]
pub struct Builder {
    failures: Option<u32>,
    failure_rate: Option<f64>,
    min_calls: Option<u32>,
    window: Option<Window>,
    open_for: Option<Duration>,
    half_open_calls: Option<u32>,
    success_threshold: Option<u32>,
    slow_call: Option<Duration>,
    probe_life: Option<Duration>,
}

impl Builder {
    /// Opens after this many failures in a row; at least 1. Not together with a failure rate.
    #[must_use]
    pub fn failures(mut self, failures: u32) -> Self {
        self.failures = Some(failures);
        self
    }
    /// Opens at this share of failures, in `(0, 1]`.
    #[must_use]
    pub fn failure_rate(mut self, rate: f64) -> Self {
        self.failure_rate = Some(rate);
        self
    }
    /// Calls that a window must hold before its rate counts; default 20. Only with a failure rate.
    #[must_use]
    pub fn min_calls(mut self, calls: u32) -> Self {
        self.min_calls = Some(calls);
        self
    }
    /// What the rate is taken over; default the last 100 calls. Only with a failure rate.
    #[must_use]
    pub fn window(mut self, window: Window) -> Self {
        self.window = Some(window);
        self
    }
    /// How long the breaker stays open; 1 ms to 30 days, kept in whole milliseconds, rounded up.
    #[must_use]
    pub fn open_for(mut self, open_for: Duration) -> Self {
        self.open_for = Some(open_for);
        self
    }
    /// Probes out at once while half-open; 1 to 10,000.
    #[must_use]
    pub fn half_open_calls(mut self, calls: u32) -> Self {
        self.half_open_calls = Some(calls);
        self
    }
    /// Probes that must succeed before the breaker closes; at least 1.
    #[must_use]
    pub fn success_threshold(mut self, successes: u32) -> Self {
        self.success_threshold = Some(successes);
        self
    }
    /// A call that is dropped after this long counts as a failure.
    #[must_use]
    pub fn slow_call(mut self, after: Duration) -> Self {
        self.slow_call = Some(after);
        self
    }
    /// How long a probe may take before its place is given to another.
    #[must_use]
    pub fn probe_life(mut self, life: Duration) -> Self {
        self.probe_life = Some(life);
        self
    }

    /// The checked settings.
    ///
    /// # Errors
    /// Every setting that is out of range or contradicts another.
    pub fn build(self) -> Result<Config, InvalidSettings> {
        let mut check = Check::default();
        let default = Config::default();
        let by_rate = self.failure_rate.is_some();
        check.require(
            !(by_rate && self.failures.is_some()),
            "failures",
            self.failures.unwrap_or_default(),
            "left out when failure_rate is given: a breaker counts one or the other",
        );
        for (key, given) in
            [("min_calls", self.min_calls.is_some()), ("window", self.window.is_some())]
        {
            check.require(by_rate || !given, key, "given", "left out unless failure_rate is given");
        }
        let open_for = self.open_for.unwrap_or(Duration::from_secs(if by_rate { 60 } else { 30 }));
        check.require(
            open_for >= Duration::from_millis(1) && open_for <= MAX_OPEN_FOR,
            "open_for",
            open_for,
            "from 1ms to 30days",
        );
        let half_open_calls = self.half_open_calls.unwrap_or(default.half_open_calls);
        check.require(
            (1..=MAX_HALF_OPEN_CALLS).contains(&half_open_calls),
            "half_open_calls",
            half_open_calls,
            format!("from 1 to {MAX_HALF_OPEN_CALLS}"),
        );
        let success_threshold = self.success_threshold.unwrap_or(default.success_threshold);
        check.require(
            (1..=MAX_HALF_OPEN_CALLS).contains(&success_threshold),
            "success_threshold",
            success_threshold,
            format!("from 1 to {MAX_HALF_OPEN_CALLS}"),
        );
        check.require(
            !by_rate || success_threshold <= half_open_calls,
            "success_threshold",
            success_threshold,
            format!("at most half_open_calls ({half_open_calls}) in the by-rate mode, which lets no more probes through"),
        );
        check.require(
            self.slow_call.is_none_or(|slow| !slow.is_zero()),
            "slow_call",
            self.slow_call.unwrap_or_default(),
            "longer than zero",
        );
        let probe_life = self.probe_life.unwrap_or(default.probe_life);
        check.require(
            probe_life >= Duration::from_millis(1) && probe_life <= MAX_OPEN_FOR,
            "probe_life",
            probe_life,
            "from 1ms to 30days",
        );
        let trip = self.trip(&mut check);
        check.finish(Config {
            trip,
            open_for,
            half_open_calls,
            success_threshold,
            slow_call: self.slow_call,
            probe_life,
        })
    }

    fn trip(&self, check: &mut Check) -> Trip {
        let Some(failure_rate) = self.failure_rate else {
            let failures = self.failures.unwrap_or(5);
            check.require(failures >= 1, "failures", failures, "at least 1");
            return Trip::Consecutive { failures };
        };
        check.require(
            failure_rate > 0.0 && failure_rate <= 1.0,
            "failure_rate",
            failure_rate,
            "above 0 and at most 1",
        );
        let window = self.window.unwrap_or(Window::Calls(100));
        let min_calls = self.min_calls.unwrap_or(20);
        check.require(min_calls >= 1, "min_calls", min_calls, "at least 1");
        match window {
            Window::Calls(calls) => {
                check.require(
                    (1..=MAX_WINDOW_CALLS).contains(&calls),
                    "window",
                    calls,
                    format!("from 1 to {MAX_WINDOW_CALLS} calls"),
                );
                check.require(
                    min_calls <= calls,
                    "min_calls",
                    min_calls,
                    format!("at most the window ({calls} calls), or the breaker could never open"),
                );
            }
            Window::Time(length) => check.require(
                length >= Duration::from_millis(10) && length <= MAX_OPEN_FOR,
                "window",
                length,
                "from 10ms to 30days",
            ),
        }
        Trip::Rate { failure_rate, min_calls, window }
    }
}
