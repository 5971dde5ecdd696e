//! What is different between two policies, setting by setting.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value};

use super::settings::Policy;

/// Where a policy as data has another name than the policy file.
const NAMES: [(&str, &str); 10] = [
    ("breaker.trip.failures_grow", "breaker.failures (grow where failures are usual)"),
    ("breaker.trip.rates.calls", "breaker.window (calls)"),
    ("breaker.trip.rates.time", "breaker.window (time)"),
    ("breaker.trip.rates.", "breaker."),
    ("breaker.trip.", "breaker."),
    ("breaker.enforcement", "breaker.mode"),
    ("breaker.ramp.from", "breaker.ramp_from"),
    ("breaker.ramp.over", "breaker.ramp_for"),
    ("keyed.", "breaker.keyed."),
    ("rate_limit_max_wait", "rate_limit.max_wait"),
];

impl Policy {
    /// Each setting that `next` has another value of: `breaker.open_for: 30s -> 1m`, in the order of their names. A setting
    /// that one of the two does not have is `none` there.
    ///
    /// ```
    /// use std::time::Duration;
    /// use seawall::Policy;
    ///
    /// let before = Policy::default();
    /// let next = Policy::builder().deadline(Duration::from_secs(90)).build()?;
    /// assert_eq!(before.changes(&next), ["deadline: 30s -> 1m 30s"]);
    /// # Ok::<(), seawall::policy::InvalidPolicy>(())
    /// ```
    #[must_use]
    pub fn changes(&self, next: &Self) -> Vec<String> {
        let (before, next) = (settings(self), settings(next));
        let mut names: Vec<&String> = before.keys().chain(next.keys()).collect();
        names.sort_unstable();
        names.dedup();
        let value = |of: &BTreeMap<String, String>, name: &String| {
            of.get(name).map_or_else(|| "none".to_owned(), String::clone)
        };
        let changed = names.into_iter().filter(|name| before.get(*name) != next.get(*name));
        changed
            .map(|name| format!("{name}: {} -> {}", value(&before, name), value(&next, name)))
            .collect()
    }
}

/// Every setting that has a value, by its name in the policy file.
fn settings(policy: &Policy) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    // A policy is plain data under names, so it is an object.
    if let Ok(Value::Object(object)) = serde_json::to_value(policy) {
        flatten("", &object, &mut found);
    }
    found
}

fn flatten(within: &str, object: &Map<String, Value>, found: &mut BTreeMap<String, String>) {
    for (key, value) in object {
        let path = if within.is_empty() { key.clone() } else { format!("{within}.{key}") };
        let text = match value {
            Value::Null => continue,
            Value::Object(inner) => match duration(inner) {
                Some(time) => time,
                None => {
                    flatten(&path, inner, found);
                    continue;
                }
            },
            Value::String(text) => text.clone(),
            // As people write them: `1`, and not `1.0` or `1e-7`.
            Value::Number(number) if number.is_f64() => {
                number.as_f64().unwrap_or_default().to_string()
            }
            other => other.to_string(),
        };
        found.insert(name_of(&path), text);
    }
}

fn duration(object: &Map<String, Value>) -> Option<String> {
    let number = |key| object.get(key).and_then(Value::as_u64);
    let (secs, nanos) = (number("secs")?, number("nanos")?);
    let time = Duration::new(secs, nanos.try_into().ok()?);
    Some(humantime::format_duration(time).to_string())
}

fn name_of(path: &str) -> String {
    let renamed = NAMES
        .iter()
        .find_map(|(from, to)| path.strip_prefix(from).map(|rest| format!("{to}{rest}")));
    renamed.unwrap_or_else(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use crate::policy::{Policy, PolicyFile};

    fn policy(text: &str) -> Policy {
        PolicyFile::parse(text, "test.toml").unwrap().policy("pay")
    }

    fn changes(before: &str, next: &str) -> Vec<String> {
        policy(&format!("[pay]\n{before}\n")).changes(&policy(&format!("[pay]\n{next}\n")))
    }

    #[test]
    fn what_is_the_same_is_no_change() {
        assert!(changes("", "").is_empty());
        assert!(changes("timeout = '10s'", "").is_empty(), "the default, said or not");
    }

    #[test]
    fn each_setting_is_told_by_its_name_in_the_file_with_both_values() {
        const GROW: &str = "breaker.failures (grow where failures are usual)";
        let grow = |change: &str| format!("{GROW}: {change}");
        let told = |before: &str, next: &str, expected: &[&str]| {
            let expected: Vec<_> = expected.iter().map(|&line| line.to_owned()).collect();
            assert_eq!(changes(before, next), expected, "{before} to {next}");
        };
        let (two, three) =
            ("timeout = '1s'\ndeadline = '2s'", "timeout = '1s'\ndeadline = '3s 500ms'");
        told(two, three, &["deadline: 2s -> 3s 500ms"]);
        told("deadline = '2s'", "deadline = '3s'", &["deadline: 2s -> 3s", "timeout: 2s -> 3s"]);
        let failures = ["breaker.failures: 5 -> 9", &grow("true -> false")];
        told("", "breaker.failures = 9", &failures);
        told("", "breaker.failures = 5", &failures[1..]);
        let by_rate = [
            "breaker.failure_rate: none -> 0.5",
            "breaker.failures: 5 -> none",
            &grow("true -> false"),
            "breaker.healthy_after: 30s -> 1m",
            "breaker.min_calls: none -> 20",
            "breaker.open_for: 30s -> 1m",
            "breaker.unanswered: 10 -> 20",
            "breaker.window (calls): none -> 100",
        ];
        told("", "breaker = { failures = false, failure_rate = 0.5 }", &by_rate);
        told("", "breaker.mode = 'observe'", &["breaker.mode: enforce -> observe"]);
        let ramp = ["breaker.ramp_for: none -> 10s", "breaker.ramp_from: none -> 0.1"];
        told("", "breaker.ramp_for = '10s'", &ramp);
        told("", "breaker.keyed.max_keys = 5", &["breaker.keyed.max_keys: 10000 -> 5"]);
        told("", "retry.jitter = 'none'", &["retry.jitter: full -> none"]);
        let on_full =
            ["mailbox.on_full: none -> error", "mailbox.on_full.block.timeout: 30s -> none"];
        told("", "mailbox.on_full = 'error'", &on_full);
        let limit = "token_bucket = { capacity = 5, refill_per_second = 1 }";
        let limits = [
            "rate_limit.max_wait: 1s -> 0s",
            "rate_limit.token_bucket.capacity: 5 -> none",
            "rate_limit.token_bucket.per_second: 1 -> none",
        ];
        told(&format!("rate_limit = {{ {limit}, max_wait = '1s' }}"), "", &limits);
        told("", "methods.balance.timeout = '1s'", &["methods.balance.timeout: none -> 1s"]);
    }

    #[test]
    fn a_number_of_any_size_is_told_and_hides_no_other_change() {
        let limit = crate::limit::Config::token_bucket(u64::MAX, 1.0);
        let next = Policy::builder().deadline(std::time::Duration::from_secs(90)).rate_limit(limit);
        assert_eq!(
            Policy::default().changes(&next.build().unwrap()),
            [
                "deadline: 30s -> 1m 30s",
                "rate_limit.token_bucket.capacity: none -> 18446744073709551615",
                "rate_limit.token_bucket.per_second: none -> 1",
            ]
        );
    }
}
