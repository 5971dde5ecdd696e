//! From layers of settings to a policy, and from what is wrong with it back to the key to blame.

mod limit;

pub(super) use limit::config_of;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

use super::builder::Builder;
use super::decode::{FoundSetting, Layer, Setting};
use super::diagnostic::{MAX_MISTAKES, Mistake};
use super::keys::{self, PolicyKey};
use super::mistakes::PolicyMistake;
use super::settings::{MethodPolicy, Policy};
use super::source::Source;
use crate::backpressure::OneWayConfig;
use crate::breaker::adaptive;
use crate::constraint::InvalidSettings;
use crate::{backpressure, breaker, bulkhead, retry};

/// Keys that replace others set in an earlier layer.
const REPLACES: &[(&str, &[&str])] = &[
    (
        "breaker.failures",
        &[
            "breaker.failure_rate",
            "breaker.max_failures",
            "breaker.slow_call_rate",
            "breaker.min_calls",
            "breaker.window",
            "breaker.adaptive",
        ],
    ),
    ("breaker.max_failures", &["breaker.failures"]),
    ("breaker.adaptive", &["breaker.failures"]),
];

/// What the layers say together, the later over the earlier.
#[derive(Clone, Debug, Default)]
pub(super) struct Merged {
    entries: BTreeMap<String, FoundSetting>,
    broken: BTreeSet<String>,
}

impl Merged {
    /// `upper` laid over what is there.
    pub(super) fn over(mut self, upper: &Layer) -> Self {
        self.replace_algorithm(upper);
        for (path, entry) in &upper.entries {
            // A setting that switches something off replaces nothing else.
            let is_named = |by: &str| entry.setting != Setting::Off && is_within(path, by);
            for (_, replaced) in REPLACES.iter().filter(|(by, _)| is_named(by)) {
                let is_replaced =
                    |path: &String| replaced.iter().any(|replaced| is_within(path, replaced));
                self.entries.retain(|path, _| !is_replaced(path));
            }
            // `false` replaces what is below it, and is replaced by it.
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
        let rival = mistake.contradicts.as_deref();
        // A method's own value that makes no sense stands for nothing: nor does what is inherited in its place.
        let of_method = |rival| Some(format!("{}.{rival}", mistake.key.rsplit_once('.')?.0));
        let is_broken = |key: &str| self.broken.contains(key);
        if rival.is_some_and(is_broken)
            || rival.and_then(of_method).is_some_and(|it| is_broken(&it))
        {
            return None;
        }
        let own = self.entry(&mistake.key);
        let other = rival.and_then(|rival| Some((rival, self.entry(rival)?.1)));
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

    /// The entry for `key`, or for what it is a part of.
    fn entry<'k>(&self, key: &'k str) -> Option<(&'k str, &FoundSetting)> {
        let mut key = key;
        loop {
            if let Some(entry) = self.entries.get(key) {
                return Some((key, entry));
            }
            key = key.rsplit_once('.')?.0;
        }
    }

    /// Gives every value within `path` to a part's builder.
    fn apply<B>(&self, path: &str, keys: &[PolicyKey<B>], builder: B) -> B {
        PolicyKey::apply(keys, builder, |name| {
            if path.is_empty() { self.get(name) } else { self.get(&format!("{path}.{name}")) }
        })
    }

    fn builder(&self, wrong: &mut Vec<PolicyMistake>) -> Builder {
        let breaker = breaker::Config::builder().adaptive(self.adaptive(wrong));
        let retry = retry::Config::builder().budget(self.budget(wrong)).hedge(self.hedge(wrong));
        // `retry = false`: a single attempt.
        let retry = match self.get("retry") {
            Some(Setting::Off) => retry.max_attempts(1),
            _ => retry,
        };
        let mut builder = Policy::builder()
            .breaker(self.apply("breaker", &keys::BREAKER_KEYS, breaker))
            .retry(self.apply("retry", &keys::RETRY_KEYS, retry))
            .bulkhead(self.apply("bulkhead", &keys::BULKHEAD_KEYS, bulkhead::Config::builder()))
            .mailbox(self.apply("mailbox", &keys::MAILBOX_KEYS, backpressure::Config::builder()))
            .oneway(self.apply("oneway", &keys::ONEWAY_KEYS, OneWayConfig::builder()));
        builder = self.apply("", &keys::SECTION_KEYS, builder);
        if let Some(limit) = self.rate_limit(wrong) {
            builder = builder.rate_limit(limit);
        }
        if let Some(wait) = self.duration("rate_limit.max_wait") {
            builder = builder.rate_limit_max_wait(wait);
        }
        if let Some(pacer) = self.quota(wrong) {
            builder = builder.quota(pacer);
        }
        builder = match self.get("breaker.keyed") {
            Some(Setting::Off) => builder.without_keys(),
            _ if !self.has_any("breaker.keyed") => builder,
            _ => {
                let keys = breaker::Keys::builder();
                builder.keyed(self.apply("breaker.keyed", &keys::KEYED_KEYS, keys))
            }
        };
        for name in self.method_names() {
            let method = MethodPolicy::default();
            let method = self.apply(&format!("methods.{name}"), &keys::METHOD_KEYS, method);
            builder = builder.method(name, method);
        }
        builder
    }

    /// What an adaptive threshold is built by, if anything is said of it.
    fn adaptive(&self, wrong: &mut Vec<PolicyMistake>) -> Option<adaptive::Config> {
        const PATH: &str = "breaker.adaptive";
        let builder = adaptive::Config::builder();
        let build = || self.apply(PATH, &keys::ADAPTIVE_KEYS, builder).build();
        self.has_any(PATH).then(build).and_then(|built| prefixed(PATH, built, wrong))
    }

    fn budget(&self, wrong: &mut Vec<PolicyMistake>) -> Option<retry::BudgetConfig> {
        const PATH: &str = "retry.budget";
        let builder = retry::BudgetConfig::builder();
        let build = || self.apply(PATH, &keys::BUDGET_KEYS, builder).build();
        if self.get(PATH) == Some(Setting::Off) {
            return None;
        }
        prefixed(PATH, build(), wrong)
    }

    fn hedge(&self, wrong: &mut Vec<PolicyMistake>) -> Option<retry::HedgeConfig> {
        const PATH: &str = "retry.hedge";
        let builder = retry::HedgeConfig::builder();
        let build = || self.apply(PATH, &keys::HEDGE_KEYS, builder).build();
        self.has_any(PATH).then(build).and_then(|built| prefixed(PATH, built, wrong))
    }

    /// The methods that anything is said of.
    fn method_names(&self) -> BTreeSet<String> {
        let name = |path: &String| {
            let (name, _) = path.strip_prefix("methods.")?.rsplit_once('.')?;
            Some(name.to_owned())
        };
        self.entries.keys().filter_map(name).collect()
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
            wrong.extend(invalid.into_iter().map(|it| PolicyMistake::within(section, it)));
            None
        }
    }
}
