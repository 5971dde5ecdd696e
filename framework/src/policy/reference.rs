//! Every key of a policy file for people: its default, its range, and what it does in both directions.
//!
//! The guide's table and the annotated file are made of this, and a test holds it against `keys.rs`.

/// What there is to say of one key.
pub(super) struct Described {
    /// Its path in a section. `*` stands for the name of a method.
    pub(super) path: &'static str,
    /// A value as the annotated file has it. `None`: it is in a table that another one of that file excludes.
    pub(super) example: Option<&'static str>,
    /// Where nobody says anything.
    pub(super) default: &'static str,
    /// What is allowed.
    pub(super) range: &'static str,
    /// What a higher value does, and a lower one; empty where there is no higher and lower.
    pub(super) higher: &'static str,
    pub(super) lower: &'static str,
}

const fn key(
    path: &'static str,
    example: Option<&'static str>,
    (default, range): (&'static str, &'static str),
    (higher, lower): (&'static str, &'static str),
) -> Described {
    Described { path, example, default, range, higher, lower }
}

/// Every key, in the order of the file.
#[rustfmt::skip]
pub(super) const REFERENCE: &[Described] = &[
    key("deadline", Some(r#""2s""#), ("30 s", "1 ms to 30 days"), ("callers wait longer before they are told", "calls end sooner; waits and retries get less room")),
    key("timeout", Some(r#""800ms""#), ("10 s, or the deadline", "1 ms to the deadline"), ("slow answers are waited for; a hang holds a permit longer, and opens the breaker later", "slow answers count as failures")),
    key("fallback_timeout", Some(r#""50ms""#), ("100 ms, or half of the deadline", "1 ms to 30 days"), ("more of the deadline is kept for a fallback that waits", "attempts have more of it")),
    key("breaker.failures", Some("5"), ("5, more where failures are usual; none with `max_failures` or `adaptive`", "1 and up, or `false`"), ("more failures in a row are tolerated", "opens sooner, and by chance")),
    key("breaker.failures_within", Some(r#""90s""#), ("no bound", "1 ms to 30 days"), ("old failures count towards a run for longer", "a run must come sooner to count")),
    key("breaker.unanswered", Some("12"), ("as many as `failures`, `max_failures` or `min_calls`, at least 10", "1 to 4,000, or `false`"), ("a dependency that hangs is found out later", "callers that give up by chance may open it")),
    key("breaker.max_failures", Some("40"), ("none", "1 to the window"), ("more failures in the window are tolerated", "opens sooner, however many calls succeed")),
    key("breaker.failure_rate", Some("0.5"), ("none", "above 0, at most 1"), ("a larger share of failures is tolerated", "a smaller share opens it")),
    key("breaker.slow_call_rate", Some("0.8"), ("none; needs `slow_call`", "above 0, at most 1"), ("a larger share of slow calls is tolerated", "a smaller share opens it")),
    key("breaker.min_calls", Some("20"), ("20", "1 to the window"), ("rates need more evidence; quiet services may never open", "a handful of calls can open it")),
    key("breaker.window", Some(r#"["30s", 100]"#), ("100 calls", "1 to 1,000,000 calls, 10 ms to 30 days, or one of each"), ("rates are steadier and slower", "rates are quicker and noisier")),
    key("breaker.adaptive.min", Some("0.05"), ("0.05", "above 0, at most `max`"), ("small shares of failures are never too much", "quiet hours are guarded more closely")),
    key("breaker.adaptive.max", Some("0.6"), ("0.6", "above 0, at most 1"), ("hours not yet known are guarded loosely", "hours not yet known are guarded closely")),
    key("breaker.adaptive.spreads", Some("3"), ("3", "0 to 100"), ("only what is far above normal opens it", "what is a little above normal opens it")),
    key("breaker.adaptive.alpha", Some("1e-7"), ("1e-7", "1e-15 to 0.01"), ("opens on weaker evidence", "needs stronger evidence")),
    key("breaker.adaptive.min_calls", Some("10"), ("10", "1 to 1,000,000"), ("needs more calls in the window", "a handful of calls can open it")),
    key("breaker.adaptive.window", Some(r#""30s""#), ("30 s", "100 ms to 1 h"), ("steadier and slower", "quicker and noisier")),
    key("breaker.adaptive.half_life", Some(r#""28days""#), ("28 days", "1 day to 3,650 days"), ("remembers for longer", "follows changes sooner")),
    key("breaker.adaptive.utc_offset", Some(r#""+00:00""#), ("+00:00", "-14:00 to +14:00"), ("local time is further ahead", "local time is further behind")),
    key("breaker.first_open_for", Some(r#""1s""#), ("1 s, or `open_for`", "1 ms to `open_for`"), ("the first opening spares the dependency more", "a short burst costs fewer good calls")),
    key("breaker.open_for", Some(r#""60s""#), ("30 s; 60 s with `failure_rate` or `adaptive`", "1 ms to 30 days"), ("a long outage is probed less often", "recovery is noticed sooner")),
    key("breaker.half_open_calls", Some("5"), ("5; 1 with `one_probe`", "1 to 500"), ("more probes at once", "a weak dependency gets fewer of them")),
    key("breaker.success_threshold", Some("2"), ("2; 1 with `one_probe`", "1 to 500"), ("needs more good probes to close", "closes sooner, perhaps too soon")),
    key("breaker.slow_call", Some(r#""500ms""#), ("the timeout", "above 0, at most the timeout"), ("fewer calls are slow", "more calls are slow, and dropped ones count sooner")),
    key("breaker.probe_life", Some(r#""30s""#), ("30 s", "1 ms to 30 days"), ("a probe that hangs keeps its place longer", "its place is given away sooner")),
    key("breaker.half_open", Some(r#""first_failure""#), ("`first_failure`", "`first_failure`, `one_probe`, `all_probes`, `early`"), ("", "")),
    key("breaker.open_growth", Some("2"), ("1: all the same", "1 to 100"), ("later openings grow faster", "later openings grow more slowly")),
    key("breaker.max_open_for", Some(r#""5m""#), ("10 min, or `open_for`", "`open_for` to 30 days"), ("openings may grow longer", "recovery is noticed sooner")),
    key("breaker.open_jitter", Some("0.1"), ("0", "0 to 1"), ("instances come back further apart", "instances come back together")),
    key("breaker.healthy_after", Some(r#""2m""#), ("`open_for`", "1 ms to 30 days"), ("remembers longer that openings grew", "forgets it sooner")),
    key("breaker.ramp_from", Some("0.2"), ("0.1; needs `ramp_for`", "above 0, below 1"), ("more traffic at once after closing", "less")),
    key("breaker.ramp_for", Some(r#""15s""#), ("no slow start", "1 ms to 30 days"), ("traffic comes back more slowly", "traffic comes back sooner")),
    key("breaker.mode", Some(r#""enforce""#), ("`enforce`", "`enforce`, `observe`, `disabled`"), ("", "")),
    key("breaker.use_retry_after", Some("true"), ("`true`", "`true`, `false`"), ("", "")),
    key("breaker.keyed.max_keys", Some("10_000"), ("10,000", "1 to 1,000,000"), ("more keys have a breaker of their own; more memory", "more keys share one")),
    key("breaker.keyed.idle_after", Some(r#""10m""#), ("10 min", "1 ms to 30 days"), ("keys are remembered longer", "memory is given back sooner")),
    key("breaker.keyed.count_for_dependency", Some("false"), ("`false`", "`true`, `false`"), ("", "")),
    key("retry.max_attempts", Some("3"), ("3; 1 for methods that are not idempotent", "1 to 1,000"), ("more failures are bridged, at the price of load", "less load on a dependency in trouble")),
    key("retry.base_delay", Some(r#""100ms""#), ("1 s", "0 to 30 days"), ("more time to recover between attempts", "the answer comes sooner")),
    key("retry.max_delay", Some(r#""2s""#), ("60 s", "`base_delay` to 30 days"), ("late attempts are further apart", "late attempts are closer together")),
    key("retry.max_elapsed", Some(r#""1500ms""#), ("none: the deadline's", "0 to 30 days"), ("the last retry may begin later", "it begins sooner, or not at all")),
    key("retry.factor", Some("2"), ("2", "1 to 1,000"), ("delays grow faster", "delays grow more slowly")),
    key("retry.backoff", Some(r#""exponential""#), ("`exponential`", "`exponential`, `constant`, `linear`, `fibonacci`"), ("", "")),
    key("retry.jitter", Some(r#""full""#), ("`full`", "`none`, `full`, `equal`, `plus_minus_half`, `plus_minus`, `decorrelated`"), ("", "")),
    key("retry.jitter_share", Some("0.5"), ("0.5; for `plus_minus`", "above 0, at most 1"), ("delays are spread further", "delays are closer to the backoff")),
    key("retry.budget.ratio", Some("0.2"), ("0.2; `budget = \"none\"` for no budget", "0 to 1"), ("retries may add more load", "retries add less")),
    key("retry.budget.min_per_second", Some("10"), ("10", "0 to 1,000,000"), ("quiet services may retry more", "quiet services retry less")),
    key("retry.budget.window", Some(r#""10s""#), ("10 s; 2 min with `accept_ratio`", "100 ms to 1 day"), ("bursts of retries are allowed for longer", "the budget follows the load sooner")),
    key("retry.budget.mode", Some(r#""share""#), ("`share`", "`share`, `tokens`, `accept_ratio`"), ("", "")),
    key("retry.budget.tokens", None, ("500; for `tokens`", "1 to 1,000,000,000"), ("more retries before good answers have to pay for them", "fewer")),
    key("retry.budget.retry_cost", None, ("5; for `tokens`", "1 to `tokens`"), ("fewer retries", "more retries")),
    key("retry.budget.timeout_cost", None, ("10; for `tokens`", "1 to `tokens`"), ("fewer retries of what timed out", "more of them")),
    key("retry.budget.accepts_multiple", None, ("2; for `accept_ratio`", "1 to 1,000"), ("more is sent to a dependency in trouble", "it is spared sooner")),
    key("retry.hedge.after", Some(r#""250ms""#), ("none: this or `percentile`", "1 ms to 30 days"), ("fewer attempts get another beside them", "more do, at the price of load")),
    key("retry.hedge.percentile", Some("0.95"), ("none; `after` while it is not known", "0.5 to 0.999"), ("fewer attempts get another beside them", "more do, at the price of load")),
    key("retry.hedge.max", Some("1"), ("1", "1 to 10"), ("more attempts at once", "fewer")),
    key("retry.retry_rejections", Some("false"), ("`false`", "`true`, `false`"), ("", "")),
    key("bulkhead.max_concurrent", Some("20"), ("25; 1,000 with a `limit` that finds itself", "1 to 1,000,000"), ("more load on the dependency, less waiting", "less load, more waiting and refusals")),
    key("bulkhead.max_wait", Some(r#""250ms""#), ("30 s, cut short by the deadline", "0 to 30 days"), ("calls wait longer for a permit", "calls are refused sooner")),
    key("bulkhead.limit", Some(r#""fixed""#), ("`fixed`", "`fixed`, `adaptive`, `gradient2`, `vegas`, `aimd`"), ("", "")),
    key("bulkhead.grace", Some(r#""0s""#), ("0; 1 s with a `limit` that finds itself", "0 to 30 days"), ("what timed out counts as load for longer", "its permit comes back sooner")),
    key("bulkhead.threads", Some("20"), ("`max_concurrent`, at most 512", "1 to 4,096"), ("more blocking calls at once, more memory", "blocking calls wait for a thread")),
    key("mailbox.capacity", Some("100"), ("100", "1 to 1,000,000"), ("longer bursts are held", "callers are told sooner")),
    key("mailbox.on_full", Some(r#""error""#), ("`block` for up to 30 s", "`block`, `drop_oldest`, `drop_newest`, `error`, `{ block = { timeout } }`"), ("", "")),
    key("mailbox.priorities", Some("false"), ("`false`", "`true`, `false`"), ("", "")),
    key("mailbox.order", Some(r#""fifo""#), ("`fifo`", "`fifo`, `lifo`, `codel`"), ("", "")),
    key("oneway.capacity", Some("1_000"), ("1,000", "1 to 1,000,000"), ("longer bursts are held, more memory", "callers are told sooner")),
    key("oneway.on_full", Some(r#""error""#), ("`error`; a method's `merge`", "`block`, `drop_oldest`, `drop_newest`, `error`, `sample`, `throttle`"), ("", "")),
    key("oneway.max_wait", Some(r#""1s""#), ("30 s; for `block`, `throttle`", "1 ms to 30 days"), ("callers wait longer for room", "callers are refused sooner")),
    key("oneway.sample_every", Some("10"), ("10; for `sample`", "2 and up"), ("fewer calls get in under load", "more")),
    key("oneway.sample_above", Some("0.8"), ("0.8; for `sample`", "0 to 1"), ("sampling begins later", "sampling begins sooner")),
    key("oneway.per_second", None, ("as many as are made; for `throttle`", "0.001 to 1e9"), ("callers are faster", "callers are slower")),
    key("oneway.max_age", Some(r#""5m""#), ("none", "1 ms to 30 days"), ("calls may be made later", "late calls are dropped")),
    key("oneway.concurrency", Some("8"), ("8", "1 to 4,096"), ("more calls of a method at once", "1: in the order in which they came")),
    key("rate_limit.token_bucket.capacity", Some("200"), ("required in the table", "1 and up"), ("larger bursts pass at once", "smaller bursts pass")),
    key("rate_limit.token_bucket.refill_per_second", Some("100"), ("required in the table", "above 0"), ("more attempts in the long run", "fewer")),
    key("rate_limit.leaky_bucket.capacity", None, ("required in the table", "1 and up"), ("more attempts wait or pass at once", "fewer")),
    key("rate_limit.leaky_bucket.leak_per_second", None, ("required in the table", "above 0"), ("more attempts in the long run", "fewer")),
    key("rate_limit.fixed_window.limit", None, ("required in the table", "1 and up"), ("more attempts in each window", "fewer")),
    key("rate_limit.fixed_window.window", None, ("required in the table", "1 ms to 30 days"), ("the limit is for a longer time", "the limit is for a shorter time")),
    key("rate_limit.sliding_window.limit", None, ("required in the table", "1 and up"), ("more attempts in any window", "fewer")),
    key("rate_limit.sliding_window.window", None, ("required in the table", "1 ms to 30 days"), ("the limit is for a longer time", "the limit is for a shorter time")),
    key("rate_limit.sliding_log.limit", None, ("required in the table", "1 and up; memory for each"), ("more attempts in any window", "fewer")),
    key("rate_limit.sliding_log.window", None, ("required in the table", "1 ms to 30 days"), ("the limit is for a longer time", "the limit is for a shorter time")),
    key("rate_limit.max_wait", Some(r#""500ms""#), ("0: refuse", "0 to 1 h"), ("attempts wait longer for their turn", "attempts are refused sooner")),
    key("quota.slow_below", Some("0.5"), ("0.5", "0 to 1"), ("slows down sooner", "uses the quota up faster")),
    key("quota.max_wait", Some(r#""250ms""#), ("250 ms", "0 to 7 days"), ("attempts wait longer before they are refused", "attempts are refused sooner")),
    key("quota.horizon", Some(r#""1h""#), ("1 h", "1 s to 7 days"), ("a server's word is believed for longer", "it is forgotten sooner")),
    key("methods.*.timeout", Some(r#""300ms""#), ("`#[call]`'s, or the dependency's", "1 ms to the deadline"), ("as `timeout`", "as `timeout`")),
    key("methods.*.deadline", Some(r#""1s""#), ("the dependency's", "1 ms to 30 days"), ("as `deadline`", "as `deadline`")),
    key("methods.*.slow_call", Some(r#""200ms""#), ("`#[call]`'s, or the breaker's", "above 0, at most the timeout"), ("as `breaker.slow_call`", "as `breaker.slow_call`")),
    key("methods.*.max_attempts", Some("2"), ("`#[call]`'s, or the retry's", "1 to 1,000"), ("as `retry.max_attempts`", "as `retry.max_attempts`")),
];

/// The table of all keys, as the guide has it.
pub(super) fn table() -> String {
    let mut table = String::from(
        "| key | default | allowed | higher | lower |\n| --- | --- | --- | --- | --- |\n",
    );
    for Described { path, default, range, higher, lower, .. } in REFERENCE {
        table += &format!("| `{path}` | {default} | {range} | {higher} | {lower} |\n");
    }
    table
}

/// A file with every key that can stand beside the others, each with its range and default.
pub(super) fn annotated_file() -> String {
    let mut file = String::from(
        "# Every key of a policy file, with what is allowed and what holds where nobody says anything.\n\
         # Made from the table in src/policy/reference.rs: copy what you need. Of the rate limits there can be one only.\n",
    );
    // Each table once, with the keys that stand in it directly.
    let mut tables: Vec<(String, String)> = Vec::new();
    for Described { path, example, default, range, .. } in REFERENCE {
        let Some(example) = example else { continue };
        let path = path.replace('*', "balance");
        let (table, name) = path.rsplit_once('.').unwrap_or(("", &path));
        let header = if table.is_empty() { "payments".into() } else { format!("payments.{table}") };
        let at = tables.iter().position(|(known, _)| *known == header).unwrap_or_else(|| {
            tables.push((header, String::new()));
            tables.len() - 1
        });
        let plain = |text: &str| text.replace('`', "");
        let said = format!("{name} = {example}");
        tables[at].1 += &format!("{said:<32} # {}; default {}\n", plain(range), plain(default));
    }
    for (header, keys) in tables {
        file += &format!("\n[{header}]\n{keys}");
    }
    file
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;
    use crate::policy::keys;
    use crate::policy::schema::{Field, Kind};
    use crate::policy::{Policy, PolicyFile};

    fn paths(fields: &[Field], within: &str, all: &mut BTreeSet<String>) {
        for field in fields {
            let path = format!("{within}{}", field.name);
            match (field.kind, field.kind.fields()) {
                (Kind::Methods, _) => paths(keys::METHOD, &format!("{path}.*."), all),
                (_, []) => drop(all.insert(path)),
                (_, fields) => paths(fields, &format!("{path}."), all),
            }
        }
    }

    #[test]
    fn every_key_is_described_and_nothing_else_is() {
        let mut known = BTreeSet::new();
        paths(keys::SECTION, "", &mut known);
        let described: BTreeSet<_> = REFERENCE.iter().map(|key| key.path.to_owned()).collect();
        assert_eq!(described.len(), REFERENCE.len(), "each once");
        assert_eq!(described, known);
    }

    /// `SEAWALL_REFERENCE=overwrite` writes them anew.
    #[test]
    fn the_guides_table_and_the_annotated_file_are_made_of_it() {
        let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/guide");
        let page = guide.join("policy_reference.md");
        let before = std::fs::read_to_string(&page).unwrap();
        let (head, _) = before.split_once("| key |").expect("the table");
        for (path, text) in [
            (page.clone(), format!("{head}{}", table())),
            (guide.join("policy.toml"), annotated_file()),
        ] {
            if std::env::var("SEAWALL_REFERENCE").is_ok_and(|it| it == "overwrite") {
                std::fs::write(&path, &text).unwrap();
            }
            let written = std::fs::read_to_string(&path).unwrap();
            assert!(written == text, "{path:?} is out of date: SEAWALL_REFERENCE=overwrite");
        }
    }

    #[test]
    fn the_annotated_file_is_a_policy_without_a_warning() {
        let file = PolicyFile::parse(&annotated_file(), "policy.toml").unwrap();
        let policy = file.policy("payments");
        assert_eq!(policy.warnings(), []);
        assert_ne!(policy, Policy::default());
    }
}
