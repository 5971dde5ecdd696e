//! What was probably meant by a key that is unknown.

/// Keys of a policy, which are not written in code, with all that they stand in.
const IN_POLICY: [&str; 27] = [
    "deadline",
    "fallback_timeout",
    "breaker",
    "breaker.failures",
    "breaker.failure_rate",
    "breaker.slow_call_rate",
    "breaker.min_calls",
    "breaker.window",
    "breaker.open_for",
    "breaker.half_open_calls",
    "breaker.success_threshold",
    "breaker.adaptive",
    "breaker.keyed",
    "bulkhead",
    "bulkhead.max_concurrent",
    "bulkhead.max_wait",
    "mailbox",
    "mailbox.capacity",
    "mailbox.on_full",
    "rate_limit",
    "retry.max_attempts",
    "retry.base_delay",
    "retry.max_delay",
    "retry.backoff",
    "retry.factor",
    "retry.jitter",
    "retry.budget",
];

/// What to write instead of `key`, if that can be guessed. `known`: the keys of this attribute; `elsewhere`: those of the
/// other one.
pub(super) fn meant(
    key: &str,
    known: &[&'static str],
    (attribute, elsewhere): (&str, &[&'static str]),
) -> Option<String> {
    if elsewhere.contains(&key) {
        return Some(format!("`{key}` is a key of `#[{attribute}]`"));
    }
    let is_of_policy = |path: &&&str| path.rsplit('.').next() == Some(key);
    if let Some(path) = IN_POLICY.iter().find(is_of_policy) {
        return Some(format!("`{path}` is set in the policy, under the dependency's name"));
    }
    let close = known.iter().map(|known| (strsim::osa_distance(key, known), known));
    let close = close.filter(|(distance, known)| *distance <= (known.len() / 3).max(1));
    close.min().map(|(_, known)| format!("did you mean `{known}`?"))
}

#[cfg(test)]
mod tests {
    use super::meant;

    #[test]
    fn a_slip_of_the_finger_a_key_of_the_other_attribute_and_one_of_the_policy_are_told() {
        let call = |key| meant(key, &["timeout", "idempotent"], ("resilient", &["client"]));
        assert_eq!(call("time_out").as_deref(), Some("did you mean `timeout`?"));
        assert_eq!(call("idempotnet").as_deref(), Some("did you mean `idempotent`?"));
        assert_eq!(call("client").as_deref(), Some("`client` is a key of `#[resilient]`"));
        let told = "`breaker.failures` is set in the policy, under the dependency's name";
        assert_eq!(call("failures").as_deref(), Some(told));
        assert_eq!(call("colour"), None);
        assert_eq!(call(""), None);
    }
}
