//! From layers of settings to a policy, and from what is wrong with it back to the key to blame.

mod breaker;
mod limit;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

use super::builder::{Builder, PolicyMistake};
use super::decode::{Entry, Layer, Setting};
use super::diagnostic::{MAX_MISTAKES, Mistake};
use super::settings::{MethodPolicy, Policy};
use super::source::Source;
use crate::constraint::InvalidSettings;
use crate::{backpressure, bulkhead, retry};

/// Keys that exclude others set in an earlier layer: whoever names the one has changed their mind
/// about the rest.
const REPLACES: &[(&str, &[&str])] = &[
    (
        "breaker.failures",
        &[
            "breaker.failure_rate",
            "breaker.slow_call_rate",
            "breaker.min_calls",
            "breaker.window",
            "breaker.adaptive",
        ],
    ),
    ("breaker.failure_rate", &["breaker.failures"]),
    ("breaker.adaptive", &["breaker.failures"]),
];

/// Keys that can contradict each other. What a builder says about the first names the second.
const RIVALS: &[(&str, &str)] = &[
    ("timeout", "deadline"),
    ("fallback_timeout", "deadline"),
    ("bulkhead.max_wait", "deadline"),
    ("rate_limit.max_wait", "deadline"),
    ("quota.max_wait", "deadline"),
    ("mailbox.on_full.block.timeout", "deadline"),
    ("breaker.slow_call", "timeout"),
    ("breaker.slow_call_rate", "breaker.slow_call"),
    ("breaker.min_calls", "breaker.window"),
    ("breaker.min_calls", "breaker.failure_rate"),
    ("breaker.window", "breaker.failure_rate"),
    ("breaker.adaptive.min", "breaker.adaptive.max"),
    ("breaker.success_threshold", "breaker.half_open_calls"),
    ("breaker.success_threshold", "breaker.half_open"),
    ("breaker.half_open_calls", "breaker.half_open"),
    ("breaker.half_open", "breaker.failure_rate"),
    ("breaker.max_open_for", "breaker.open_for"),
    ("breaker.healthy_after", "breaker.open_growth"),
    ("breaker.ramp_from", "breaker.ramp_for"),
    ("retry.base_delay", "retry.max_delay"),
    ("retry.budget.ratio", "retry.budget.min_per_second"),
];

/// What the layers say together, the later over the earlier.
#[derive(Clone, Debug, Default)]
pub(super) struct Merged {
    entries: BTreeMap<String, Entry>,
    broken: BTreeSet<String>,
}

impl Merged {
    /// `upper` laid over what is there.
    pub(super) fn over(mut self, upper: &Layer) -> Self {
        self.replace_algorithm(upper);
        for (path, entry) in &upper.entries {
            // Whoever puts something out asks for nothing in its place.
            let is_named = |by: &str| entry.setting != Setting::Off && is_within(path, by);
            for (_, replaced) in REPLACES.iter().filter(|(by, _)| is_named(by)) {
                let is_replaced =
                    |path: &String| replaced.iter().any(|replaced| is_within(path, replaced));
                self.entries.retain(|path, _| !is_replaced(path));
            }
            // `false` puts out what is below it, and is put out by it.
            self.entries.retain(|lower, below| match (entry.setting, below.setting) {
                (Setting::Off, _) => !is_within(lower, path),
                (_, Setting::Off) => !is_within(path, lower),
                _ => true,
            });
        }
        self.entries.retain(|path, _| !upper.broken.contains(path));
        self.entries.extend(upper.entries.clone());
        self.broken.extend(upper.broken.iter().cloned());
        self
    }

    /// The policy that the settings make; without those that make no sense, each of which is noted.
    /// `span` is blamed where no key is: the section itself.
    pub(super) fn policy(
        &self,
        section: &str,
        span: &Range<usize>,
        source: &Source<'_>,
        mistakes: &mut Vec<Mistake>,
    ) -> Policy {
        let mut wrong = Vec::new();
        let policy = self.builder(&mut wrong).build().unwrap_or_else(|invalid| {
            wrong.extend(invalid.as_slice().iter().cloned());
            Policy::default()
        });
        for mistake in wrong.iter().take(MAX_MISTAKES.saturating_sub(mistakes.len())) {
            mistakes.extend(self.blame(mistake, section, span, source));
        }
        policy
    }

    /// The mistake as one of the file: at the key that was set last of those that contradict each other.
    fn blame(
        &self,
        mistake: &PolicyMistake,
        section: &str,
        span: &Range<usize>,
        source: &Source<'_>,
    ) -> Option<Mistake> {
        let rival = self.rival(&mistake.key, &mistake.allowed);
        if rival.as_ref().is_some_and(|rival| self.broken.contains(rival)) {
            return None;
        }
        let own = self.entry(&mistake.key);
        let other = rival.as_ref().and_then(|rival| Some((rival.as_str(), self.entry(rival)?.1)));
        let message = format!("must be {}", mistake.allowed);
        let Some((path, entry)) = own else {
            let key = format!("{section}.{}", mistake.key);
            let mistake = source.mistake(span, key, &(0..0), message);
            return Some(mistake);
        };
        Some(match other {
            // The later layer brought the contradiction in.
            Some((rival, later)) if later.section == section && entry.section != section => {
                let message = format!("contradicts {path}, which {message}");
                let line = source.line_number(entry.span.start) + 1;
                let help = format!("{path} is set in [{}], line {line}", entry.section);
                let key = format!("{section}.{rival}");
                source.mistake(&later.span, key, &later.span, message).with_help(Some(help))
            }
            _ => {
                let help = other.map(|(rival, other)| {
                    let line = source.line_number(other.span.start) + 1;
                    format!("{rival} is set in [{}], line {line}", other.section)
                });
                let key = format!("{}.{path}", entry.section);
                source.mistake(&entry.span, key, &entry.span, message).with_help(help)
            }
        })
    }

    /// The key that `key` contradicts, if it is that what is wrong with it.
    fn rival(&self, key: &str, allowed: &str) -> Option<String> {
        let named = |rival: &str| allowed.contains(rival.rsplit('.').next().unwrap_or(rival));
        // A method's key contradicts the method's own other key, or else the dependency's.
        let of_method = key.strip_prefix("methods.").and_then(|key| key.rsplit_once('.'));
        if let Some((method, last)) = of_method {
            let rival = match last {
                "timeout" => "deadline",
                "slow_call" => "timeout",
                _ => return None,
            };
            let own = format!("methods.{method}.{rival}");
            let said = self.entries.contains_key(&own) || self.broken.contains(&own);
            return named(rival).then(|| if said { own } else { rival.to_owned() });
        }
        let mut rivals = RIVALS.iter().filter(|(one, _)| *one == key).map(|(_, rival)| *rival);
        rivals.find(|rival| named(rival)).map(str::to_owned)
    }

    /// The entry for `key`, or for what it is a part of.
    fn entry<'k>(&self, key: &'k str) -> Option<(&'k str, &Entry)> {
        let mut key = key;
        loop {
            if let Some(entry) = self.entries.get(key) {
                return Some((key, entry));
            }
            key = key.rsplit_once('.')?.0;
        }
    }

    fn builder(&self, wrong: &mut Vec<PolicyMistake>) -> Builder {
        let mut builder = Policy::builder()
            .breaker(self.breaker(wrong))
            .retry(self.retry(wrong))
            .bulkhead(self.bulkhead())
            .mailbox(self.mailbox());
        if let Some(deadline) = self.duration("deadline") {
            builder = builder.deadline(deadline);
        }
        if let Some(timeout) = self.duration("timeout") {
            builder = builder.timeout(timeout);
        }
        if let Some(timeout) = self.duration("fallback_timeout") {
            builder = builder.fallback_timeout(timeout);
        }
        if let Some(limit) = self.rate_limit(wrong) {
            builder = builder.rate_limit(limit);
        }
        if let Some(wait) = self.duration("rate_limit.max_wait") {
            builder = builder.rate_limit_max_wait(wait);
        }
        if let Some(pacer) = self.quota(wrong) {
            builder = builder.quota(pacer);
        }
        builder = self.keyed(builder);
        for (name, method) in self.methods() {
            builder = builder.method(name, method);
        }
        builder
    }

    fn retry(&self, wrong: &mut Vec<PolicyMistake>) -> retry::Builder {
        let mut builder = retry::Config::builder().budget(self.budget(wrong));
        if let Some(attempts) = self.count("retry.max_attempts") {
            builder = builder.max_attempts(attempts);
        }
        if let Some(delay) = self.duration("retry.base_delay") {
            builder = builder.base_delay(delay);
        }
        if let Some(delay) = self.duration("retry.max_delay") {
            builder = builder.max_delay(delay);
        }
        if let Some(factor) = self.number("retry.factor") {
            builder = builder.factor(factor);
        }
        if let Some(Setting::Backoff(backoff)) = self.get("retry.backoff") {
            builder = builder.backoff(backoff);
        }
        if let Some(Setting::Jitter(jitter)) = self.get("retry.jitter") {
            builder = builder.jitter(jitter);
        }
        if let Some(Setting::Flag(retry)) = self.get("retry.retry_rejections") {
            builder = builder.retry_rejections(retry);
        }
        builder
    }

    fn budget(&self, wrong: &mut Vec<PolicyMistake>) -> Option<retry::BudgetConfig> {
        if !self.has_any("retry.budget") {
            return None;
        }
        let mut builder = retry::BudgetConfig::builder();
        if let Some(ratio) = self.number("retry.budget.ratio") {
            builder = builder.ratio(ratio);
        }
        if let Some(retries) = self.number("retry.budget.min_per_second") {
            builder = builder.min_per_second(retries);
        }
        if let Some(window) = self.duration("retry.budget.window") {
            builder = builder.window(window);
        }
        prefixed("retry.budget", builder.build(), wrong)
    }

    fn bulkhead(&self) -> bulkhead::Builder {
        let mut builder = bulkhead::Config::builder();
        if let Some(calls) = self.count("bulkhead.max_concurrent") {
            builder = builder.max_concurrent(calls);
        }
        if let Some(wait) = self.duration("bulkhead.max_wait") {
            builder = builder.max_wait(wait);
        }
        builder
    }

    fn mailbox(&self) -> backpressure::Builder {
        let mut builder = backpressure::Config::builder();
        if let Some(entries) = self.count("mailbox.capacity") {
            builder = builder.capacity(entries);
        }
        if let Some(Setting::OnFull(strategy)) = self.get("mailbox.on_full") {
            builder = builder.on_full(strategy);
        }
        builder
    }

    fn methods(&self) -> BTreeMap<String, MethodPolicy> {
        let mut methods: BTreeMap<String, MethodPolicy> = BTreeMap::new();
        for (path, entry) in &self.entries {
            let Some((name, key)) =
                path.strip_prefix("methods.").and_then(|path| path.rsplit_once('.'))
            else {
                continue;
            };
            let method = methods.entry(name.to_owned()).or_default();
            *method = match (key, entry.setting) {
                ("timeout", Setting::Duration(timeout)) => method.with_timeout(timeout),
                ("deadline", Setting::Duration(deadline)) => method.with_deadline(deadline),
                ("slow_call", Setting::Duration(after)) => method.with_slow_call(after),
                ("max_attempts", Setting::Count(attempts)) => method.with_max_attempts(attempts),
                _ => *method,
            };
        }
        methods
    }

    /// Whether anything within `path` was said, other than `false`.
    fn has_any(&self, path: &str) -> bool {
        self.entries
            .iter()
            .any(|(key, entry)| is_within(key, path) && entry.setting != Setting::Off)
    }

    fn get(&self, path: &str) -> Option<Setting> {
        self.entries.get(path).map(|entry| entry.setting)
    }

    fn duration(&self, path: &str) -> Option<Duration> {
        match self.get(path) {
            Some(Setting::Duration(duration)) => Some(duration),
            _ => None,
        }
    }

    fn count(&self, path: &str) -> Option<u32> {
        match self.get(path) {
            Some(Setting::Count(count)) => Some(count),
            _ => None,
        }
    }

    fn number(&self, path: &str) -> Option<f64> {
        match self.get(path) {
            Some(Setting::Number(number)) => Some(number),
            _ => None,
        }
    }
}

/// Whether `path` is `whole` or lies in it.
fn is_within(path: &str, whole: &str) -> bool {
    path.strip_prefix(whole).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn prefixed<C>(
    section: &str,
    result: Result<C, InvalidSettings>,
    wrong: &mut Vec<PolicyMistake>,
) -> Option<C> {
    match result {
        Ok(config) => Some(config),
        Err(invalid) => {
            wrong.extend(invalid.into_iter().map(|setting| PolicyMistake {
                key: format!("{section}.{}", setting.key),
                value: setting.value,
                allowed: setting.allowed,
            }));
            None
        }
    }
}
