//! Checks a breaker's settings, each and against each other.

use std::time::Duration;

use crate::setting::{Check, InvalidSettings};

use super::{
    Config, Enforcement, HalfOpenMode, MAX_GROWN, MAX_HALF_OPEN_CALLS, MAX_OPEN_FOR,
    MAX_OPEN_GROWTH, MAX_WINDOW_CALLS, Ramp, Trip, Window,
};

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
    half_open: Option<HalfOpenMode>,
    open_growth: Option<f64>,
    max_open_for: Option<Duration>,
    open_jitter: Option<f64>,
    healthy_after: Option<Duration>,
    ramp_from: Option<f64>,
    ramp_for: Option<Duration>,
    enforcement: Enforcement,
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
    /// Probes out at once while half-open; 1 to 4,000.
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

    /// How a half-open breaker decides.
    #[must_use]
    pub fn half_open(mut self, mode: HalfOpenMode) -> Self {
        self.half_open = Some(mode);
        self
    }
    /// Each opening lasts this many times as long as the one before; 1 to 100.
    #[must_use]
    pub fn open_growth(mut self, factor: f64) -> Self {
        self.open_growth = Some(factor);
        self
    }
    /// No opening lasts longer than this; `open_for` to 30 days.
    #[must_use]
    pub fn max_open_for(mut self, longest: Duration) -> Self {
        self.max_open_for = Some(longest);
        self
    }
    /// Makes each opening up to this share shorter or longer; 0 to 1.
    #[must_use]
    pub fn open_jitter(mut self, share: f64) -> Self {
        self.open_jitter = Some(share);
        self
    }
    /// After being closed for this long the open time no longer remembers that it grew. Only with `open_growth`.
    #[must_use]
    pub fn healthy_after(mut self, spell: Duration) -> Self {
        self.healthy_after = Some(spell);
        self
    }
    /// After closing, lets this share of calls through at first, in `(0, 1)`, and all of them after `over`.
    #[must_use]
    pub fn ramp(self, from: f64, over: Duration) -> Self {
        self.ramp_from(from).ramp_for(over)
    }
    /// The share that a ramp begins with; default 0.1. Only with `ramp_for`.
    #[must_use]
    pub fn ramp_from(mut self, from: f64) -> Self {
        self.ramp_from = Some(from);
        self
    }
    /// How long the slow start after closing lasts; 1 ms to 30 days.
    #[must_use]
    pub fn ramp_for(mut self, over: Duration) -> Self {
        self.ramp_for = Some(over);
        self
    }
    /// Whether it refuses.
    #[must_use]
    pub fn enforcement(mut self, enforcement: Enforcement) -> Self {
        self.enforcement = enforcement;
        self
    }

    /// The checked settings.
    ///
    /// # Errors
    /// Every setting that is out of range or contradicts another.
    pub fn build(self) -> Result<Config, InvalidSettings> {
        let mut check = Check::default();
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
        length(&mut check, "open_for", open_for);
        check.require(
            self.slow_call.is_none_or(|slow| !slow.is_zero()),
            "slow_call",
            self.slow_call.unwrap_or_default(),
            "longer than zero",
        );
        let probe_life = self.probe_life.unwrap_or(Config::default().probe_life);
        length(&mut check, "probe_life", probe_life);
        let (half_open_calls, success_threshold) = self.probes(&mut check);
        let config = Config {
            trip: self.trip(&mut check),
            open_for,
            half_open_calls,
            success_threshold,
            slow_call: self.slow_call,
            probe_life,
            half_open: self.half_open.unwrap_or_default(),
            open_growth: self.open_growth.unwrap_or(1.0),
            max_open_for: self.max_open_for.unwrap_or(MAX_GROWN.max(open_for)),
            open_jitter: self.open_jitter.unwrap_or(0.0),
            healthy_after: self.healthy_after.unwrap_or(open_for),
            ramp: self.slow_start(&mut check),
            enforcement: self.enforcement,
        };
        self.growth(&config, &mut check);
        check.finish(config)
    }

    fn growth(&self, config: &Config, check: &mut Check) {
        check.require(
            (1.0..=MAX_OPEN_GROWTH).contains(&config.open_growth),
            "open_growth",
            config.open_growth,
            format!("from 1 to {MAX_OPEN_GROWTH}"),
        );
        if let Some(longest) = self.max_open_for {
            check.require(
                longest >= config.open_for && longest <= MAX_OPEN_FOR,
                "max_open_for",
                longest,
                "from open_for to 30days",
            );
        }
        check.require(
            (0.0..=1.0).contains(&config.open_jitter),
            "open_jitter",
            config.open_jitter,
            "from 0 to 1",
        );
        if let Some(spell) = self.healthy_after {
            check.require(
                self.open_growth.is_some(),
                "healthy_after",
                spell,
                "left out unless open_growth is given",
            );
            length(check, "healthy_after", spell);
        }
    }

    fn slow_start(&self, check: &mut Check) -> Option<Ramp> {
        let from = self.ramp_from.unwrap_or(0.1);
        check.require(from > 0.0 && from < 1.0, "ramp_from", from, "above 0 and below 1");
        let Some(over) = self.ramp_for else {
            check.require(
                self.ramp_from.is_none(),
                "ramp_from",
                from,
                "left out unless ramp_for is given",
            );
            return None;
        };
        length(check, "ramp_for", over);
        Some(Ramp { from, over })
    }

    /// `half_open_calls` and `success_threshold`, as the mode has them.
    fn probes(&self, check: &mut Check) -> (u32, u32) {
        let mode = self.half_open.unwrap_or_default();
        let usual = Config::default();
        let (calls, threshold) = match mode {
            HalfOpenMode::OneProbe => (1, 1),
            _ => (usual.half_open_calls, usual.success_threshold),
        };
        let calls = self.half_open_calls.unwrap_or(calls);
        let threshold = self.success_threshold.unwrap_or(threshold);
        for (key, value) in [("half_open_calls", calls), ("success_threshold", threshold)] {
            check.require(
                (1..=MAX_HALF_OPEN_CALLS).contains(&value),
                key,
                value,
                format!("from 1 to {MAX_HALF_OPEN_CALLS}"),
            );
            check.require(
                mode != HalfOpenMode::OneProbe || value == 1,
                key,
                value,
                "1, or left out: half_open is one_probe",
            );
        }
        let by_rate = self.failure_rate.is_some();
        if mode.is_by_rate() {
            let name = mode.as_str();
            check.require(
                by_rate,
                "half_open",
                name,
                "given only with a failure_rate to compare with",
            );
            check.require(
                self.success_threshold.is_none(),
                "success_threshold",
                threshold,
                format!("left out: with half_open = {name:?} the share of failures decides"),
            );
        } else {
            check.require(
                !by_rate || threshold <= calls,
                "success_threshold",
                threshold,
                format!("at most half_open_calls ({calls}) in the by-rate mode, which lets no more probes through"),
            );
        }
        (calls, threshold)
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

fn length(check: &mut Check, key: &'static str, length: Duration) {
    check.require(
        length >= Duration::from_millis(1) && length <= MAX_OPEN_FOR,
        key,
        length,
        "from 1ms to 30days",
    );
}
