//! Checks a breaker's settings, each and against each other.

use std::time::Duration;

use crate::breaker::config::{
    Config, DEFAULT_FIRST_OPEN_FOR, HalfOpenMode, MAX_GROWN, MAX_HALF_OPEN_CALLS, MAX_OPEN_FOR,
    MAX_OPEN_GROWTH, MAX_TIMED_FAILURES, MAX_UNANSWERED, MAX_WINDOW_CALLS, MIN_UNANSWERED, Ramp,
    Rates, Trip,
};
use crate::constraint::{Constraints, InvalidSettings};

use super::Builder;

impl Builder {
    /// The checked settings.
    ///
    /// # Errors
    /// Every setting that is out of range or contradicts another.
    pub fn build(self) -> Result<Config, InvalidSettings> {
        let mut check = Constraints::default();
        let by_rate = self.failure_rate.is_some() || self.adaptive.is_some();
        let open_for = self.open_for.unwrap_or(Duration::from_secs(if by_rate { 60 } else { 30 }));
        length(&mut check, "open_for", open_for);
        let first_open_for = self.first_open_for.unwrap_or(DEFAULT_FIRST_OPEN_FOR.min(open_for));
        if let Some(first) = self.first_open_for {
            length(&mut check, "first_open_for", first);
            check.agree(
                first <= open_for,
                ("first_open_for", "open_for"),
                first,
                "from 1ms to open_for",
            );
        }
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
            first_open_for,
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
            use_retry_after: !self.ignore_retry_after,
        };
        self.growth(&config, &mut check);
        check.finish(config)
    }

    fn growth(&self, config: &Config, check: &mut Constraints) {
        check.require(
            (1.0..=MAX_OPEN_GROWTH).contains(&config.open_growth),
            "open_growth",
            config.open_growth,
            format!("from 1 to {MAX_OPEN_GROWTH}"),
        );
        if let Some(longest) = self.max_open_for {
            check.require(longest <= MAX_OPEN_FOR, "max_open_for", longest, "at most 30days");
            check.agree(
                longest >= config.open_for,
                ("max_open_for", "open_for"),
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
            check.agree(
                self.open_growth.is_some() || config.first_open_for < config.open_for,
                ("healthy_after", "open_growth"),
                spell,
                "left out unless openings grow: by open_growth, or from a shorter first_open_for",
            );
            length(check, "healthy_after", spell);
        }
    }

    fn slow_start(&self, check: &mut Constraints) -> Option<Ramp> {
        let from = self.ramp_from.unwrap_or(0.1);
        check.require(from > 0.0 && from < 1.0, "ramp_from", from, "above 0 and below 1");
        let Some(over) = self.ramp_for else {
            check.agree(
                self.ramp_from.is_none(),
                ("ramp_from", "ramp_for"),
                from,
                "left out unless ramp_for is given",
            );
            return None;
        };
        length(check, "ramp_for", over);
        Some(Ramp { from, over })
    }

    /// `half_open_calls` and `success_threshold`, as the mode has them.
    fn probes(&self, check: &mut Constraints) -> (u32, u32) {
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
            check.agree(
                mode != HalfOpenMode::OneProbe || value == 1,
                (key, "half_open"),
                value,
                "1, or left out: half_open is one_probe",
            );
        }
        let is_bounded = self.has_rates();
        if mode.is_by_rate() {
            let name = mode.as_str();
            check.agree(
                self.failure_rate.is_some(),
                ("half_open", "failure_rate"),
                name,
                "given only with a failure_rate to compare with",
            );
            check.agree(
                self.success_threshold.is_none(),
                ("success_threshold", "half_open"),
                threshold,
                format!("left out: with half_open = {name:?} the share of failures decides"),
            );
        } else {
            check.agree(
                !is_bounded || threshold <= calls,
                ("success_threshold", "half_open_calls"),
                threshold,
                format!("at most half_open_calls ({calls}) in the by-rate mode, which lets no more probes through"),
            );
        }
        (calls, threshold)
    }

    fn has_rates(&self) -> bool {
        self.failure_rate.is_some() || self.slow_call_rate.is_some() || self.max_failures.is_some()
    }

    fn trip(&self, check: &mut Constraints) -> Trip {
        let is_said_otherwise = self.max_failures.is_some() || self.adaptive.is_some();
        let is_usual = !self.without_failures && !is_said_otherwise;
        let failures = self.failures.or(is_usual.then_some(5));
        check.require(
            failures.is_some() || self.has_rates() || self.adaptive.is_some(),
            "failures",
            "false",
            "a number, unless failure_rate, slow_call_rate, max_failures or adaptive is given: nothing else would open it",
        );
        check.require(failures != Some(0), "failures", 0, "at least 1");
        if let Some(within) = self.failures_within {
            length(check, "failures_within", within);
            check.require(
                failures.is_some(),
                "failures_within",
                within,
                "left out unless failures in a row count",
            );
            check.require(
                failures.is_none_or(|failures| failures <= MAX_TIMED_FAILURES),
                "failures",
                failures.unwrap_or_default(),
                format!("at most {MAX_TIMED_FAILURES} with failures_within"),
            );
        }
        let (failures_within, adaptive) = (self.failures_within, self.adaptive);
        // What was said is meant.
        let failures_grow = is_usual && self.failures.is_none() && failures_within.is_none();
        let rates = self.rates(check);
        let unanswered = self.most_unanswered(failures, rates.as_ref(), check);
        Trip { failures, failures_grow, failures_within, unanswered, rates, adaptive }
    }

    /// How many attempts in a row without an answer open it.
    fn most_unanswered(
        &self,
        failures: Option<u32>,
        rates: Option<&Rates>,
        check: &mut Constraints,
    ) -> Option<u32> {
        if let Some(unanswered) = self.unanswered {
            check.require(
                (1..=MAX_UNANSWERED).contains(&unanswered),
                "unanswered",
                unanswered,
                format!("from 1 to {MAX_UNANSWERED}"),
            );
            return Some(unanswered);
        }
        let by_rates = || rates.map(|rates| rates.max_failures.unwrap_or(rates.min_calls));
        let usual = failures.or_else(by_rates).or(self.adaptive.map(|it| it.min_calls()));
        (!self.without_unanswered)
            .then(|| usual.unwrap_or_default().clamp(MIN_UNANSWERED, MAX_UNANSWERED))
    }

    fn rates(&self, check: &mut Constraints) -> Option<Rates> {
        for (key, rate) in
            [("failure_rate", self.failure_rate), ("slow_call_rate", self.slow_call_rate)]
        {
            let rate = rate.unwrap_or(1.0);
            check.require(rate > 0.0 && rate <= 1.0, key, rate, "above 0 and at most 1");
        }
        check.agree(
            self.slow_call_rate.is_none() || self.slow_call.is_some(),
            ("slow_call_rate", "slow_call"),
            self.slow_call_rate.unwrap_or_default(),
            "given only with slow_call, which says from when on a call is slow",
        );
        if !self.has_rates() {
            let window = self.calls.is_some() || self.time.is_some();
            for (key, given) in [("min_calls", self.min_calls.is_some()), ("window", window)] {
                let allowed =
                    "left out unless failure_rate, slow_call_rate or max_failures is given";
                check.agree(!given, (key, "failure_rate"), "given", allowed);
            }
            return None;
        }
        let min_calls = self.min_calls.unwrap_or(20);
        check.require(min_calls >= 1, "min_calls", min_calls, "at least 1");
        let usual = self.time.is_none().then_some(100);
        let calls = self.calls.or(usual);
        if let Some(calls) = calls {
            check.require(
                (1..=MAX_WINDOW_CALLS).contains(&calls),
                "window",
                calls,
                format!("from 1 to {MAX_WINDOW_CALLS} calls"),
            );
            let max_failures = self.max_failures.unwrap_or(1);
            check.agree(
                (1..=calls).contains(&max_failures),
                ("max_failures", "window"),
                max_failures,
                format!("from 1 to the window ({calls} calls)"),
            );
            check.require(
                min_calls <= calls || (self.failure_rate, self.slow_call_rate) == (None, None),
                "min_calls",
                min_calls,
                format!("at most the window ({calls} calls), or the breaker could never open"),
            );
        }
        if let Some(length) = self.time {
            check.require(
                length >= Duration::from_millis(10) && length <= MAX_OPEN_FOR,
                "window",
                length,
                "from 10ms to 30days",
            );
        }
        let (failure_rate, slow_call_rate) = (self.failure_rate, self.slow_call_rate);
        let max_failures = self.max_failures;
        check.require(max_failures != Some(0), "max_failures", 0, "at least 1");
        Some(Rates {
            failure_rate,
            slow_call_rate,
            min_calls,
            max_failures,
            calls,
            time: self.time,
        })
    }
}

fn length(check: &mut Constraints, key: &'static str, length: Duration) {
    check.require(
        length >= Duration::from_millis(1) && length <= MAX_OPEN_FOR,
        key,
        length,
        "from 1ms to 30days",
    );
}
