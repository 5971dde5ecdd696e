//! The breaker's keys.

use crate::breaker;
use crate::breaker::adaptive;
use crate::policy::builder::{Builder, PolicyMistake};
use crate::policy::decode::Setting;

use super::{Merged, prefixed};

impl Merged {
    pub(super) fn breaker(&self, wrong: &mut Vec<PolicyMistake>) -> breaker::Builder {
        let mut builder = breaker::Config::builder().adaptive(self.adaptive(wrong));
        if let Some(failures) = self.count("breaker.failures") {
            builder = builder.failures(failures);
        }
        if let Some(rate) = self.number("breaker.failure_rate") {
            builder = builder.failure_rate(rate);
        }
        if let Some(calls) = self.count("breaker.min_calls") {
            builder = builder.min_calls(calls);
        }
        if let Some(rate) = self.number("breaker.slow_call_rate") {
            builder = builder.slow_call_rate(rate);
        }
        if let Some(Setting::Windows(windows)) = self.get("breaker.window") {
            builder = windows.into_iter().flatten().fold(builder, breaker::Builder::window);
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
        if let Some(Setting::Flag(heed)) = self.get("breaker.use_retry_after") {
            builder = builder.use_retry_after(heed);
        }
        self.recovery(builder)
    }

    /// Whether keys have breakers of their own, and how many.
    pub(super) fn keyed(&self, builder: Builder) -> Builder {
        const KEYED: &str = "breaker.keyed";
        if self.get(KEYED) == Some(Setting::Off) {
            return builder.without_keys();
        }
        let mut keys = breaker::Keys::builder();
        if let Some(max) = self.count(&format!("{KEYED}.max_keys")) {
            keys = keys.max_keys(usize::try_from(max).unwrap_or(usize::MAX));
        }
        if let Some(after) = self.duration(&format!("{KEYED}.idle_after")) {
            keys = keys.idle_after(after);
        }
        if let Some(Setting::Flag(count)) = self.get(&format!("{KEYED}.count_for_dependency")) {
            keys = keys.count_for_dependency(count);
        }
        builder.keyed(keys)
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

    /// What an adaptive threshold goes by, if anything is said of it.
    fn adaptive(&self, wrong: &mut Vec<PolicyMistake>) -> Option<adaptive::Config> {
        const PATH: &str = "breaker.adaptive";
        if !self.has_any(PATH) {
            return None;
        }
        let at = |key: &str| format!("{PATH}.{key}");
        let mut builder = adaptive::Config::builder();
        if let Some(share) = self.number(&at("min")) {
            builder = builder.min(share);
        }
        if let Some(share) = self.number(&at("max")) {
            builder = builder.max(share);
        }
        if let Some(spreads) = self.number(&at("spreads")) {
            builder = builder.spreads(spreads);
        }
        if let Some(probability) = self.number(&at("alpha")) {
            builder = builder.alpha(probability);
        }
        if let Some(calls) = self.count(&at("min_calls")) {
            builder = builder.min_calls(calls);
        }
        if let Some(length) = self.duration(&at("window")) {
            builder = builder.window(length);
        }
        if let Some(half_life) = self.duration(&at("half_life")) {
            builder = builder.half_life(half_life);
        }
        if let Some(Setting::UtcOffset(offset)) = self.get(&at("utc_offset")) {
            builder = builder.utc_offset(offset);
        }
        prefixed(PATH, builder.build(), wrong)
    }
}
