//! The breaker's keys.

use crate::breaker;
use crate::policy::decode::Setting;

use super::Merged;

impl Merged {
    pub(super) fn breaker(&self) -> breaker::Builder {
        let mut builder = breaker::Config::builder();
        if let Some(failures) = self.count("breaker.failures") {
            builder = builder.failures(failures);
        }
        if let Some(rate) = self.number("breaker.failure_rate") {
            builder = builder.failure_rate(rate);
        }
        if let Some(calls) = self.count("breaker.min_calls") {
            builder = builder.min_calls(calls);
        }
        if let Some(Setting::Window(window)) = self.get("breaker.window") {
            builder = builder.window(window);
        }
        if let Some(open_for) = self.duration("breaker.open_for") {
            builder = builder.open_for(open_for);
        }
        if let Some(calls) = self.count("breaker.half_open_calls") {
            builder = builder.half_open_calls(calls);
        }
        if let Some(successes) = self.count("breaker.success_threshold") {
            builder = builder.success_threshold(successes);
        }
        if let Some(after) = self.duration("breaker.slow_call") {
            builder = builder.slow_call(after);
        }
        if let Some(life) = self.duration("breaker.probe_life") {
            builder = builder.probe_life(life);
        }
        if let Some(Setting::HalfOpen(mode)) = self.get("breaker.half_open") {
            builder = builder.half_open(mode);
        }
        if let Some(Setting::Enforcement(enforcement)) = self.get("breaker.mode") {
            builder = builder.enforcement(enforcement);
        }
        self.recovery(builder)
    }

    /// What happens from one opening to the next, and after the last.
    fn recovery(&self, mut builder: breaker::Builder) -> breaker::Builder {
        if let Some(factor) = self.number("breaker.open_growth") {
            builder = builder.open_growth(factor);
        }
        if let Some(longest) = self.duration("breaker.max_open_for") {
            builder = builder.max_open_for(longest);
        }
        if let Some(share) = self.number("breaker.open_jitter") {
            builder = builder.open_jitter(share);
        }
        if let Some(spell) = self.duration("breaker.healthy_after") {
            builder = builder.healthy_after(spell);
        }
        if let Some(from) = self.number("breaker.ramp_from") {
            builder = builder.ramp_from(from);
        }
        if let Some(over) = self.duration("breaker.ramp_for") {
            builder = builder.ramp_for(over);
        }
        builder
    }
}
