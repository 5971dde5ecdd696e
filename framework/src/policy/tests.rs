use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::backpressure::Strategy as OnFull;
use crate::breaker::{Enforcement, Trip, Window, adaptive};
use crate::retry::{Backoff, Jitter};
use crate::{backpressure, breaker, bulkhead, limit, retry};

const SECOND: Duration = Duration::from_secs(1);
const MILLI: Duration = Duration::from_millis(1);

/// Every key there is.
const FULL: &str = r#"# Policies of the shop.
[defaults]
deadline = "5s"
retry = { max_attempts = 2, budget = 0.1 }

[payments]
deadline = "2s"                       # the whole call
timeout  = "800ms"
fallback_timeout = "50ms"
breaker   = { failures = 9, failures_within = "90s", unanswered = 12, max_failures = 40, failure_rate = 0.5, slow_call_rate = 0.8, min_calls = 20, window = ["30s", 50], use_retry_after = false, first_open_for = "3s", open_for = "60s", half_open_calls = 5, success_threshold = 2, slow_call = "500ms", adaptive = { min = 0.1, max = 0.7, spreads = 4, alpha = 1e-5, min_calls = 30, window = "20s", half_life = "14days", utc_offset = "+02:00" }, probe_life = "10s", open_growth = 2, max_open_for = "5m", open_jitter = 0.1, healthy_after = "2m", ramp_from = 0.2, ramp_for = "15s", mode = "observe", keyed = { max_keys = 1000, idle_after = "1h", count_for_dependency = true } }
retry     = { max_attempts = 3, base_delay = "100ms", max_delay = "2s", factor = 1.5, backoff = "constant", jitter = "equal", jitter_share = 0.25, max_elapsed = "1500ms", hedge = { after = "40ms", percentile = 0.9, max = 2 }, retry_rejections = true }
bulkhead  = { max_concurrent = 20, max_wait = "250ms", limit = "adaptive", grace = "750ms", threads = 12 }
mailbox   = { capacity = 50, on_full = { block = { timeout = "1s" } }, priorities = true, order = "codel" }
oneway    = { capacity = 7, on_full = "sample", max_wait = "3s", sample_every = 4, sample_above = 0.5, per_second = 2.5, max_age = "1m", concurrency = 3 }
rate_limit = { token_bucket = { capacity = 200, refill_per_second = 100 }, max_wait = "1500ms" }
quota = { slow_below = 0.25, max_wait = "400ms", horizon = "10m" }

[payments.methods.balance]
timeout = "300ms"
slow_call = "200ms"
max_attempts = 5

[payments.methods."get history"]
deadline = "10s"
timeout = "9s"

[inventory.breaker]
failures = 7
[inventory.retry.budget]
ratio = 0.6
min_per_second = 1.5
window = "1m"
"#;

fn parse(text: &str) -> PolicyFile {
    PolicyFile::parse(text, "seawall.toml").unwrap_or_else(|error| panic!("{error}"))
}

fn mistakes(text: &str) -> Vec<Mistake> {
    match PolicyFile::parse(text, "seawall.toml") {
        Ok(_) => panic!("accepted: {text}"),
        Err(error) => error.mistakes().to_vec(),
    }
}

fn one(text: &str) -> Mistake {
    let mistakes = mistakes(text);
    assert_eq!(mistakes.len(), 1, "{mistakes:#?}");
    mistakes.into_iter().next().unwrap()
}

/// A setting of `[a]` that must be refused, at its own value, for a reason that says `reason`.
fn refused(line: &str, reason: &str) {
    let mistake = one(&format!("[a]\n{line}\n"));
    assert_eq!(mistake.line(), 2, "{line}");
    assert!(mistake.message().contains(reason), "{line}: {}", mistake.message());
    assert!(line.contains(mistake.value()), "{line}: {}", mistake.value());
}

#[test]
fn the_built_in_policy_is_what_the_builder_gives() {
    let policy = Policy::builder().build().unwrap();
    assert_eq!(policy, Policy::default());
    assert_eq!(policy, PolicyFile::default().policy("anything"));
    assert_eq!(policy, parse("").policy("anything"));
    assert_eq!((policy.deadline(), policy.timeout()), (30 * SECOND, 10 * SECOND));
    assert_eq!(policy.fallback_timeout(), 100 * MILLI);
    assert_eq!(policy.rate_limit(), None);
}

#[test]
fn every_key_of_a_breaker_is_in_its_guide() {
    let guide = include_str!("../breaker/guide.md");
    for field in super::keys::BREAKER {
        let row = format!("\n| `{}` |", field.name);
        assert!(guide.contains(&row), "{} has no row under \"Every setting\"", field.name);
        for inner in field.kind.fields() {
            let row = format!("\n| `{}.{}` |", field.name, inner.name);
            assert!(guide.contains(&row), "{} has no row: {row}", inner.name);
        }
    }
}

#[test]
fn every_key_of_a_rate_limit_is_in_its_guide() {
    fn each(fields: &[schema::Field], guide: &str) {
        for field in fields {
            let row = format!("\n| `{}` |", field.name);
            assert!(guide.contains(&row), "{} has no row under \"Every setting\"", field.name);
            each(field.kind.fields(), guide);
        }
    }
    let guide = include_str!("../limit/guide.md");
    each(keys::RATE_LIMIT, guide);
    for field in keys::PACER {
        let row = format!("\n| `quota.{}` |", field.name);
        assert!(guide.contains(&row), "{} has no row: {row}", field.name);
    }
}

#[test]
fn a_quota_is_gone_by_when_it_is_named_and_any_layer_can_say_otherwise() {
    let file = parse(
        "[defaults]\nquota = { max_wait = \"1s\", slow_below = 1 }\n[a]\nquota.slow_below = 0.1\n\
         [b]\nquota = false\n[c]\nquota = true\n",
    );
    let quota = |name: &str| file.policy(name).quota();
    let pacer = limit::PacerConfig::builder().max_wait(SECOND);
    assert_eq!(quota("a"), Some(pacer.clone().slow_below(0.1).build().unwrap()));
    assert_eq!((quota("b"), Policy::default().quota()), (None, None));
    let by_defaults = Some(pacer.slow_below(1.0).build().unwrap());
    assert_eq!((quota("c"), quota("d")), (by_defaults, by_defaults));
    let switched_on = parse("[defaults]\nquota = false\n[a]\nquota = true\n").policy("a");
    assert_eq!(switched_on.quota(), Some(limit::PacerConfig::default()));
    let mistake = one("[a]\ndeadline = \"2s\"\n[a.quota]\nmax_wait = \"3s\"\n");
    assert_eq!((mistake.key(), mistake.line()), ("a.quota.max_wait", 4));
    assert!(parse("[a]\ndeadline = \"100ms\"\nquota = true\n").policy("a").quota().is_some());
}

#[test]
fn every_algorithm_of_a_rate_limit_arrives() {
    let limit = |line: &str| {
        *parse(&format!("[a]\nrate_limit = {{ {line} }}\n")).policy("a").rate_limit().unwrap()
    };
    let minute = 60 * SECOND;
    for (line, expected) in [
        (
            "fixed_window = { limit = 100, window = \"1m\" }",
            limit::Config::fixed_window(100, minute),
        ),
        ("sliding_log = { limit = 100, window = \"1m\" }", limit::Config::sliding_log(100, minute)),
        (
            "sliding_window = { limit = 9, window = \"1m\" }",
            limit::Config::sliding_window(9, minute),
        ),
        (
            "token_bucket = { capacity = 20, refill_per_second = 1.5 }",
            limit::Config::token_bucket(20, 1.5),
        ),
        (
            "leaky_bucket = { capacity = 10, leak_per_second = 5 }",
            limit::Config::leaky_bucket(10, 5.0),
        ),
    ] {
        assert_eq!(limit(line), expected.unwrap(), "{line}");
        assert_eq!(line.split_once(' ').unwrap().0, limit(line).name());
    }
}

#[test]
fn two_algorithms_are_a_mistake_that_names_both_and_another_section_replaces_the_first() {
    let mistake = one("[a.rate_limit]\nfixed_window = { limit = 1, window = \"1s\" }\n\
         leaky_bucket = { capacity = 1, leak_per_second = 1 }");
    assert_eq!(mistake.line(), 3);
    assert!(mistake.key().starts_with("a.rate_limit.leaky_bucket"), "{}", mistake.key());
    for named in ["`fixed_window`", "`leaky_bucket`", "one algorithm"] {
        assert!(mistake.message().contains(named), "{}", mistake.message());
    }
    let file = parse(
        "[defaults]\n\
         rate_limit = { fixed_window = { limit = 1, window = \"1s\" }, max_wait = \"1s\" }\n\
         [a]\nrate_limit = { leaky_bucket = { capacity = 1, leak_per_second = 1 } }\n[b]\n\
         [c]\nrate_limit = { fixed_window = { limit = 7 } }\n",
    );
    let a = file.policy("a");
    assert_eq!(*a.rate_limit().unwrap(), limit::Config::leaky_bucket(1, 1.0).unwrap());
    assert_eq!(a.rate_limit_max_wait(), SECOND, "how long to wait is another matter");
    assert_eq!(
        *file.policy("b").rate_limit().unwrap(),
        limit::Config::fixed_window(1, SECOND).unwrap()
    );
    assert_eq!(
        *file.policy("c").rate_limit().unwrap(),
        limit::Config::fixed_window(7, SECOND).unwrap()
    );
}

#[test]
fn half_of_any_algorithm_and_a_wait_without_one_are_mistakes() {
    for (line, missing) in [
        ("fixed_window = { limit = 1 }", "fixed_window.window"),
        ("sliding_log = { window = \"1s\" }", "sliding_log.limit"),
        ("sliding_window = { limit = 1 }", "sliding_window.window"),
        ("leaky_bucket = { capacity = 1 }", "leaky_bucket.leak_per_second"),
        ("max_wait = \"1s\"", "max_wait"),
    ] {
        let mistake = one(&format!("[a]\nrate_limit = {{ {line} }}\n"));
        assert_eq!(mistake.key(), format!("a.rate_limit.{missing}"), "{line}");
    }
}

#[test]
fn every_key_of_a_file_arrives() {
    let file = parse(FULL);
    assert_eq!(file.names().collect::<Vec<_>>(), ["inventory", "payments"]);
    let expected = Policy::builder()
        .deadline(2 * SECOND)
        .timeout(800 * MILLI)
        .fallback_timeout(50 * MILLI)
        .breaker(
            breaker::Config::builder()
                .failures(9)
                .failures_within(90 * SECOND)
                .unanswered(12)
                .max_failures(40)
                .failure_rate(0.5)
                .slow_call_rate(0.8)
                .min_calls(20)
                .window(Window::Time(30 * SECOND))
                .window(Window::Calls(50))
                .use_retry_after(false)
                .adaptive(
                    adaptive::Config::builder()
                        .min(0.1)
                        .max(0.7)
                        .spreads(4.0)
                        .alpha(1e-5)
                        .min_calls(30)
                        .window(20 * SECOND)
                        .half_life(14 * 24 * 3600 * SECOND)
                        .utc_offset("+02:00".parse().unwrap())
                        .build()
                        .unwrap(),
                )
                .first_open_for(3 * SECOND)
                .open_for(60 * SECOND)
                .half_open_calls(5)
                .success_threshold(2)
                .slow_call(500 * MILLI)
                .probe_life(10 * SECOND)
                .open_growth(2.0)
                .max_open_for(300 * SECOND)
                .open_jitter(0.1)
                .healthy_after(120 * SECOND)
                .ramp(0.2, 15 * SECOND)
                .enforcement(Enforcement::Observe),
        )
        .keyed(
            breaker::Keys::builder()
                .max_keys(1_000)
                .idle_after(3_600 * SECOND)
                .count_for_dependency(true),
        )
        .retry(
            retry::Config::builder()
                .max_attempts(3)
                .base_delay(100 * MILLI)
                .max_delay(2 * SECOND)
                .factor(1.5)
                .max_elapsed(1500 * MILLI)
                .hedge(
                    retry::HedgeConfig::builder()
                        .after(40 * MILLI)
                        .percentile(0.9)
                        .max(2)
                        .build()
                        .unwrap(),
                )
                .backoff(Backoff::Constant)
                .jitter(Jitter::Equal)
                .jitter_share(0.25)
                .retry_rejections(true)
                .budget(retry::BudgetConfig::builder().ratio(0.1).build().unwrap()),
        )
        .bulkhead(
            bulkhead::Config::builder()
                .max_concurrent(20)
                .max_wait(250 * MILLI)
                .limit(bulkhead::Limit::Adaptive)
                .grace(750 * MILLI)
                .threads(12),
        )
        .mailbox(
            backpressure::Config::builder()
                .capacity(50)
                .on_full(OnFull::Block { timeout: SECOND })
                .priorities(true)
                .order(backpressure::MailboxOrder::Codel)
                .priorities(true),
        )
        .oneway(
            backpressure::OneWayConfig::builder()
                .capacity(7)
                .on_full(backpressure::OneWayStrategy::Sample)
                .max_wait(3 * SECOND)
                .sample_every(4)
                .sample_above(0.5)
                .per_second(2.5)
                .max_age(60 * SECOND)
                .concurrency(3),
        )
        .rate_limit(limit::Config::token_bucket(200, 100.0))
        .rate_limit_max_wait(1500 * MILLI)
        .quota(
            limit::PacerConfig::builder()
                .slow_below(0.25)
                .max_wait(400 * MILLI)
                .horizon(600 * SECOND),
        )
        .method(
            "balance",
            MethodPolicy::default()
                .with_timeout(300 * MILLI)
                .with_slow_call(200 * MILLI)
                .with_max_attempts(5),
        )
        .method(
            "get history",
            MethodPolicy::default().with_deadline(10 * SECOND).with_timeout(9 * SECOND),
        )
        .build()
        .unwrap();
    assert_eq!(file.policy("payments"), expected);
    let inventory = file.policy("inventory");
    assert_eq!(inventory.deadline(), 5 * SECOND);
    assert_eq!(
        inventory.breaker().trip(),
        Trip {
            failures: Some(7),
            failures_grow: false,
            failures_within: None,
            unanswered: Some(10),
            rates: None,
            adaptive: None
        }
    );
    let budget = inventory.retry().budget().unwrap();
    assert_eq!((budget.ratio(), budget.min_per_second(), budget.window()), (0.6, 1.5, 60 * SECOND));
    assert_eq!(file.policy("nobody").retry().max_attempts(), 2);
    assert_eq!(file.policy("payments").method("charge"), MethodPolicy::default());
}

#[test]
fn retry_is_written_as_in_call_too() {
    let attempts = |text: &str| parse(text).policy("a").retry().max_attempts();
    assert_eq!(attempts("[a]\nretry = 5\n"), 5);
    assert_eq!(attempts("[a]\nretry = false\n"), 1);
    assert_eq!(attempts("[a.retry]\n"), 3, "a header without a key says nothing");
    assert_eq!(attempts("[defaults]\nretry = false\n[a]\nretry = { max_attempts = 4 }\n"), 4);
    assert_eq!(attempts("[defaults]\nretry.max_attempts = 4\n[a]\nretry = false\n"), 1);
    let mistake = one("[a]\nretry = \"3\"\n");
    assert!(mistake.message().contains("a number (its max_attempts)"), "{mistake:?}");
}

#[test]
fn a_budget_has_the_settings_of_its_mode() {
    let budget = |text: &str| {
        *parse(&format!("[a.retry.budget]\n{text}")).policy("a").retry().budget().unwrap()
    };
    let tokens = budget("mode = 'tokens'\ntokens = 100\nretry_cost = 2\ntimeout_cost = 3\n");
    assert_eq!(tokens.mode(), retry::BudgetMode::Tokens);
    assert_eq!((tokens.tokens(), tokens.retry_cost(), tokens.timeout_cost()), (100, 2, 3));
    let throttle = budget("mode = 'accept_ratio'\naccepts_multiple = 1.5\n");
    assert_eq!(throttle.mode(), retry::BudgetMode::AcceptRatio);
    assert_eq!((throttle.accepts_multiple(), throttle.window()), (1.5, 120 * SECOND));
    assert_eq!(budget("mode = 'share'\nwindow = '5s'").window(), 5 * SECOND);
}

#[test]
fn the_full_file_leaves_no_known_key_out() {
    let others = [
        "fixed_window",
        "sliding_log",
        "sliding_window",
        "leaky_bucket",
        "mode",
        "tokens",
        "retry_cost",
        "timeout_cost",
        "accepts_multiple",
    ];
    fn each(fields: &[schema::Field], others: &[&str]) {
        // Of the algorithms, and of a budget's modes, there can be one only: tests of their own try the others.
        for field in fields.iter().filter(|field| !others.contains(&field.name)) {
            let written = [" ", ".", "\n"]
                .iter()
                .any(|before| FULL.contains(&format!("{before}{}", field.name)));
            assert!(written, "`{}` is known but not tried", field.name);
            each(field.kind.fields(), others);
        }
    }
    each(keys::SECTION, &others);
    each(keys::METHOD, &others);
}

#[test]
fn a_section_goes_over_the_defaults_key_by_key() {
    let file = parse(
        r#"
        [defaults]
        breaker = { failure_rate = 0.5, window = 50, open_for = "5s" }
        mailbox = { capacity = 7, on_full = "drop_oldest" }
        rate_limit = { token_bucket = { capacity = 5, refill_per_second = 1 } }
        retry = { budget = { window = "1s", ratio = 0.5 } }
        [a]
        breaker = { failures = 3 }
        mailbox = { on_full = "block" }
        rate_limit = false
        retry = { budget = 0.3 }
        [b]
        rate_limit = { token_bucket = { capacity = 9 } }
        retry = { budget = "none" }
        "#,
    );
    let (a, b) = (file.policy("a"), file.policy("b"));
    assert_eq!(
        a.breaker().trip(),
        Trip {
            failures: Some(3),
            failures_grow: false,
            failures_within: None,
            unanswered: Some(10),
            rates: None,
            adaptive: None
        },
        "one mode replaces the other"
    );
    assert_eq!(a.breaker().open_for(), 5 * SECOND);
    assert_eq!((a.mailbox().capacity(), a.mailbox().on_full()), (7, OnFull::default()));
    assert_eq!(a.rate_limit(), None);
    let budget = a.retry().budget().unwrap();
    assert_eq!((budget.ratio(), budget.window()), (0.3, SECOND));
    let limit = b.rate_limit().unwrap();
    assert_eq!(*limit, limit::Config::token_bucket(9, 1.0).unwrap());
    assert_eq!(b.retry().budget(), None);
    assert_eq!(b.mailbox().on_full(), OnFull::DropOldest);
    let switched_on = parse(
        "[defaults]\nretry.budget = false\n[a]\nretry.budget.ratio = 0.4\nrate_limit = false",
    );
    assert_eq!(switched_on.policy("a").retry().budget().unwrap().ratio(), 0.4);
}

#[test]
fn an_adaptive_threshold_takes_the_place_of_failures_in_a_row_and_a_rate_stands_beside_them() {
    let file = parse(
        r#"
        [defaults]
        breaker = { adaptive = { min = 0.1, max = 0.5 } }
        [a]
        breaker = { adaptive = { max = 0.4 } }
        [b]
        breaker = { adaptive = false }
        [c]
        breaker = { failures = 3 }
        [d]
        breaker = { failures = 3, adaptive = true }
        [e]
        breaker = { failure_rate = 0.8 }
        "#,
    );
    let trip = |name: &str| file.policy(name).breaker().trip();
    let a = trip("a").adaptive.unwrap();
    assert_eq!((a.min(), a.max(), trip("a").failures), (0.1, 0.4, None));
    assert_eq!((trip("b").adaptive, trip("b").failures), (None, Some(5)));
    assert_eq!((trip("c").adaptive, trip("c").failures), (None, Some(3)));
    let d = trip("d");
    let named_anew = (Some(adaptive::Config::default()), Some(3));
    assert_eq!((d.adaptive, d.failures), named_anew, "both, and nothing of the defaults'");
    let e = trip("e");
    assert!(e.rates.is_some() && e.adaptive.is_some(), "either can open it");
    let other_way = parse("[defaults]\nbreaker.failures = 3\n[a]\nbreaker.adaptive.min = 0.1\n");
    assert_eq!(other_way.policy("a").breaker().trip().failures, None);
    let beside = parse("[defaults]\nbreaker.failures = 3\n[a]\nbreaker.failure_rate = 0.1\n");
    assert_eq!(beside.policy("a").breaker().trip().failures, Some(3));
    let off = parse(
        "[defaults]\nbreaker.failures = 3\n[a]\nbreaker = { failures = false, failure_rate = 0.5 }\n",
    );
    assert_eq!(off.policy("a").breaker().trip().failures, None, "switched off by name");
    assert_eq!(off.policy("b").breaker().trip().failures, Some(3));
    let on = parse(
        "[defaults]\nbreaker = { failures = false, failure_rate = 0.5 }\n[a]\nbreaker.failures = 3\n",
    );
    assert_eq!(on.policy("a").breaker().trip().failures, Some(3), "and on again");
    assert_eq!(on.policy("b").breaker().trip().failures, None);
    let said = |text: &str| parse(text).policy("a").breaker().trip().failures_grow;
    assert!(
        said("[a]\nbreaker.failure_rate = 0.5") && !said("[a]\nbreaker.failures = 5"),
        "five means five"
    );
    assert_eq!(file.policy("a").breaker().open_for(), 60 * SECOND, "as by any rate");
    let out =
        parse("[defaults]\nbreaker.failures = 3\n[a]\nbreaker.adaptive = false\n").policy("a");
    let kept = (out.breaker().trip().failures, out.breaker().trip().adaptive);
    assert_eq!(kept, (Some(3), None), "putting out names nothing in its place");
    let plain = parse("[a]\nbreaker.adaptive = true").policy("a");
    assert_eq!(plain.breaker().trip().adaptive, Some(adaptive::Config::default()));
    let mistake = one("[defaults]\nbreaker.adaptive.min = 0.3\n[a]\nbreaker.adaptive.max = 0.2\n");
    assert_eq!((mistake.key(), mistake.line()), ("a.breaker.adaptive.max", 4));
}

#[test]
fn what_nobody_asked_for_gives_way_to_a_shorter_deadline() {
    let policy = parse("[a]\ndeadline = \"80ms\"").policy("a");
    assert_eq!((policy.timeout(), policy.fallback_timeout()), (80 * MILLI, 40 * MILLI));
}

#[test]
fn a_mistake_reads_like_a_compilers() {
    let error = PolicyFile::parse("[payments]\nretry = { max_atempts = 3 }\n", "seawall.toml");
    let expected = "\
error: payments.retry.max_atempts: unknown key; known here: `max_attempts`, `base_delay`, `max_delay`, `max_elapsed`, `factor`, `backoff`, `jitter`, `jitter_share`, `budget`, `hedge`, `retry_rejections`
 --> seawall.toml:2:11
  |
2 | retry = { max_atempts = 3 }
  |           ^^^^^^^^^^^
  = help: did you mean `max_attempts`?";
    assert_eq!(error.unwrap_err().to_string(), expected);
    let error = PolicyFile::parse("[payments]\n\tdeadline = \"0s\" # none\n", "seawall.toml");
    let expected = "\
error: payments.deadline = \"0s\": must be from 1ms to 30days
 --> seawall.toml:2:13
  |
2 |  deadline = \"0s\" # none
  |             ^^^^";
    assert_eq!(error.unwrap_err().to_string(), expected);
}

#[test]
fn values_that_make_no_sense_are_refused_where_they_stand() {
    for (line, reason) in [
        ("timeout = \"0s\"", "from 1ms to 30days"),
        ("timeout = 5", "a duration with its unit"),
        ("timeout = \"5\"", "time unit needed"),
        ("timeout = \"-5s\"", "a duration"),
        ("timeout = \"31s\"", "at most deadline (30s)"),
        ("deadline = \"1000years\"", "from 1ms to 30days"),
        ("deadline = \"99999999999999999999s\"", "a duration"),
        ("breaker = { failures = 0 }", "at least 1"),
        ("breaker = { failures = -1 }", "a whole number from 0"),
        ("breaker = { failures = 5000000000 }", "a whole number from 0 to 4294967295"),
        ("breaker = { failures = 1.5 }", "a whole number"),
        ("breaker = { failure_rate = 50 }", "above 0 and at most 1"),
        ("breaker = { failure_rate = nan }", "above 0 and at most 1"),
        ("breaker = { failure_rate = 0.5, window = true }", "a number of calls"),
        ("breaker = { failure_rate = 0.5, window = 10 , min_calls = 11 }", "at most the window"),
        ("breaker = { min_calls = 5 }", "unless failure_rate"),
        ("breaker = { slow_call_rate = 0.5 }", "given only with slow_call"),
        ("breaker = { slow_call_rate = 1.5, slow_call = \"1s\" }", "above 0 and at most 1"),
        ("breaker = { failure_rate = 0.5, window = [10, 20] }", "one of each"),
        ("breaker = { failure_rate = 0.5, window = [10] }", "one of each"),
        ("breaker = { failure_rate = 0.5, window = [10, \"20\"] }", "time unit needed"),
        ("breaker = { slow_call = \"11s\" }", "at most timeout"),
        ("breaker = { half_open = \"some\" }", "\"all_probes\""),
        ("breaker = { half_open = \"early\" }", "only with a failure_rate"),
        (
            "breaker = { failure_rate = 0.5, half_open = \"early\", success_threshold = 2 }",
            "the share of failures decides",
        ),
        ("breaker = { half_open = \"one_probe\", half_open_calls = 2 }", "half_open is one_probe"),
        ("breaker = { half_open_calls = 501 }", "from 1 to 500"),
        ("breaker = { open_growth = 0.5 }", "from 1 to 100"),
        ("breaker = { open_growth = nan }", "from 1 to 100"),
        ("breaker = { max_open_for = \"29s\" }", "from open_for to 30days"),
        ("breaker = { open_jitter = 1.1 }", "from 0 to 1"),
        ("breaker = { healthy_after = \"5s\", open_for = \"1s\" }", "unless openings grow"),
        ("breaker = { first_open_for = \"31s\" }", "from 1ms to open_for"),
        ("breaker = { failures = false }", "nothing else would open it"),
        ("breaker = { failures = true }", "or false for none"),
        ("breaker = { ramp_from = 0.1 }", "unless ramp_for"),
        ("breaker = { ramp_from = 1, ramp_for = \"5s\" }", "above 0 and below 1"),
        ("breaker = { ramp_for = \"0s\" }", "from 1ms to 30days"),
        ("breaker = { adaptive = {} }", "true for the defaults"),
        ("quota = {}", "true for the defaults"),
        ("quota = { slow_below = 2 }", "from 0 to 1"),
        ("quota = { max_wait = \"8days\" }", "7 days"),
        ("quota = { horizon = \"1ms\" }", "from 1 s to 7 days"),
        ("quota = { slow = 1 }", "unknown key"),
        ("breaker = { adaptive = 0.5 }", "true for the defaults"),
        ("breaker = { adaptive = { min = 0 } }", "above 0 and at most 1"),
        ("breaker = { adaptive = { max = nan } }", "above 0 and at most 1"),
        ("breaker = { adaptive = { min = 0.7 } }", "at most max (0.6)"),
        ("breaker = { adaptive = { spreads = -1 } }", "from 0 to 100"),
        ("breaker = { adaptive = { alpha = 0.5 } }", "from 1e-15 to 0.01"),
        ("breaker = { adaptive = { min_calls = 0 } }", "from 1 to 1000000"),
        ("breaker = { adaptive = { window = \"2h\" } }", "from 100ms to 1h"),
        ("breaker = { adaptive = { window = 30 } }", "a duration"),
        ("breaker = { adaptive = { half_life = \"1h\" } }", "from 1day to 3650days"),
        ("breaker = { adaptive = { utc_offset = \"02:00\" } }", "like \"+02:00\""),
        ("breaker = { adaptive = { utc_offset = 2 } }", "like \"+02:00\""),
        ("breaker = { adaptive = { minimum = 2 } }", "unknown key"),
        ("breaker = { mode = \"off\" }", "\"observe\""),
        ("breaker = 5", "a table of `failures`"),
        ("retry = { max_attempts = 1001 }", "from 1 to 1000"),
        ("retry = { base_delay = \"2m\" }", "at most max_delay"),
        ("retry = { factor = inf }", "from 1 to 1000"),
        ("retry = { jitter = \"some\" }", "\"plus_minus_half\""),
        ("retry = { backoff = \"liner\" }", "\"linear\""),
        ("retry = { jitter_share = 1.5 }", "above 0, at most 1"),
        ("retry = { budget = 1.5 }", "from 0 to 1"),
        ("retry = { budget = \"20%\" }", "a number (its ratio)"),
        ("bulkhead = { limit = \"bbr\" }", "one of \"fixed\", \"adaptive\""),
        ("retry = { hedge = { after = \"0s\" } }", "from 1ms"),
        ("retry = { hedge = { percentile = 1.5 } }", "from 0.5 to 0.999"),
        ("retry = { hedge = { after = \"5ms\", max = 11 } }", "from 1 to 10"),
        (
            "retry = { budget = { mode = \"quota\" } }",
            "one of \"share\", \"tokens\", \"accept_ratio\"",
        ),
        ("retry = { budget = { mode = \"tokens\", ratio = 0.1 } }", "left out: it is for the mode"),
        (
            "retry = { budget = { mode = \"tokens\", tokens = 3, retry_cost = 4, timeout_cost = 3 } }",
            "from 1 to tokens (3)",
        ),
        (
            "retry = { budget = { mode = \"accept_ratio\", accepts_multiple = 0.5 } }",
            "from 1 to 1000",
        ),
        ("retry = { budget = { window = \"1ms\" } }", "from 100ms"),
        ("retry = { retry_rejections = \"yes\" }", "true or false"),
        ("bulkhead = { max_concurrent = 0 }", "from 1 to 1000000"),
        ("bulkhead = { max_wait = \"31s\" }", "at most deadline"),
        ("mailbox = { capacity = 0 }", "from 1 to 1000000"),
        ("mailbox = { on_full = \"panic\" }", "\"drop_oldest\""),
        ("mailbox = { on_full = { block = { timeout = 5 } } }", "one of"),
        ("mailbox = { on_full = { block = { timeout = \"0s\" } } }", "from 1ms"),
        ("mailbox = { on_full = { block = { timeout = \"5s\", more = 1 } } }", "one of"),
        ("rate_limit = true", "or false for none"),
        ("rate_limit = { fixed_window = { limit = 0, window = \"1s\" } }", "at least 1"),
        ("rate_limit = { sliding_log = { limit = 1, window = \"31days\" } }", "30days"),
        ("rate_limit = { leaky_bucket = { capacity = 1, leak_per_second = 0 } }", "from 0.0000001"),
        (
            "rate_limit = { leaky_bucket = { capacity = 1, leak_per_second = 1 }, max_wait = \"2h\" }",
            "at most 1h",
        ),
        (
            "rate_limit = { leaky_bucket = { capacity = 1, leak_per_second = 1 }, max_wait = \"31s\" }",
            "at most deadline (30s)",
        ),
        ("rate_limit = {}", "a table of `fixed_window`"),
        ("rate_limit = { token_bucket = {} }", "a table of `capacity`"),
        ("rate_limit = { token_bucket = { capacity = 0, refill_per_second = 1 } }", "at least 1"),
        (
            "rate_limit = { token_bucket = { capacity = 99999999999999999999, refill_per_second = 1 } }",
            "a whole number",
        ),
        (
            "rate_limit = { token_bucket = { capacity = 1, refill_per_second = 0 } }",
            "from 0.0000001",
        ),
        ("methods = 5", "a table for each method"),
        ("methods.get = 5", "a table of `timeout`"),
        ("methods.get.timeout = \"40s\"", "at most deadline"),
        ("methods.get = { timeout = \"2s\", deadline = \"1s\" }", "at most deadline"),
        ("methods.get.max_attempts = 0", "from 1 to 1000"),
        ("methods.get.slow_call = \"0s\"", "longer than zero"),
        ("methods.get.slow_call = \"11s\"", "at most timeout (10s)"),
        ("methods.get = { slow_call = \"2s\", timeout = \"1s\" }", "at most timeout (1s)"),
    ] {
        refused(line, reason);
    }
}

#[test]
fn half_a_rate_limit_is_a_mistake_and_defaults_can_be_the_other_half() {
    let mistake = one("[a]\nrate_limit = { token_bucket = { capacity = 5 } }");
    assert_eq!(mistake.key(), "a.rate_limit.token_bucket.refill_per_second");
    assert!(mistake.message().contains("needs both"));
}

#[test]
fn a_key_in_the_wrong_place_is_told_its_own() {
    let mistake = one("[a]\nmax_attempts = 3");
    assert_eq!(mistake.help(), Some("`max_attempts` belongs elsewhere: `retry.max_attempts`"));
    let mistake = one("timeout = \"5s\"");
    assert_eq!((mistake.line(), mistake.column()), (1, 1));
    assert!(mistake.help().unwrap().contains("under [defaults]"));
    let mistake = one("[defaults.methods.get]\ntimeout = \"5s\"");
    assert_eq!(mistake.key(), "defaults.methods");
    assert_eq!(one("[\"\"]\n").key(), "\"\"");
}

#[test]
fn all_mistakes_come_at_once_from_top_to_bottom() {
    let all = mistakes(
        "[b]\nbreaker = { failures = 0, open_for = \"0s\", opne_for = \"1s\" }\ntimeout = 3\n\
         [a]\nmailbox.capacity = 0\nretry = { max_attempts = 0, factor = 0.5, budget = 2 }\n",
    );
    let found: Vec<_> = all.iter().map(|mistake| (mistake.line(), mistake.key())).collect();
    assert_eq!(
        found,
        [
            (2, "b.breaker.failures"),
            (2, "b.breaker.open_for"),
            (2, "b.breaker.opne_for"),
            (3, "b.timeout"),
            (5, "a.mailbox.capacity"),
            (6, "a.retry.max_attempts"),
            (6, "a.retry.factor"),
            (6, "a.retry.budget.ratio"),
        ]
    );
    assert_eq!(all[2].help(), Some("did you mean `open_for`?"));
    assert_eq!(all[7].value(), "2");
}

#[test]
fn a_contradiction_between_layers_points_at_the_key_that_was_set_last() {
    let mistake = one("[defaults]\ntimeout = \"5s\"\n[a]\ndeadline = \"2s\"\n");
    assert_eq!((mistake.key(), mistake.line(), mistake.value()), ("a.deadline", 4, "\"2s\""));
    assert_eq!(mistake.help(), Some("timeout is set in [defaults], line 2"));
    let mistake = one("[defaults]\ndeadline = \"2s\"\n[a]\ntimeout = \"5s\"\n");
    assert_eq!((mistake.key(), mistake.line()), ("a.timeout", 4));
    assert_eq!(mistake.help(), Some("deadline is set in [defaults], line 2"));
    let mistake = one("[a]\ndeadline = \"2s\"\n[a.methods.get]\ntimeout = \"5s\"\n");
    assert_eq!(mistake.help(), Some("deadline is set in [a], line 2"));
    let mistake = one("[a]\ntimeout = \"2s\"\n[a.methods.get]\nslow_call = \"5s\"\n");
    assert_eq!((mistake.key(), mistake.line()), ("a.methods.get.slow_call", 4));
    assert_eq!(mistake.help(), Some("timeout is set in [a], line 2"));
    let mistake = one("[a.methods.get]\ntimeout = 3\nslow_call = \"50s\"\n");
    assert_eq!(mistake.key(), "a.methods.get.timeout", "what it would be compared with is broken");
    let mistake = one("[defaults]\ntimeout = \"0s\"\n[a]\n[b]\n");
    assert_eq!(mistake.key(), "defaults.timeout", "a mistake in the defaults is told once");
    let mistake = one("[a]\ndeadline = \"2 parsecs\"\ntimeout = \"40s\"\n");
    assert_eq!(mistake.key(), "a.deadline", "nothing contradicts what makes no sense");
}

#[test]
fn several_mistakes_of_syntax_come_at_once_and_with_the_others() {
    let all = mistakes(
        "[a]\ntimeout = \nretry = { max_attempts = 3, max_attempts = 4 }\n[b]\nx = 1\ny = = 2\n",
    );
    let lines: Vec<_> = all.iter().map(Mistake::line).collect();
    assert!(
        lines.contains(&2) && lines.contains(&3) && lines.contains(&5) && lines.contains(&6),
        "{all:#?}"
    );
    let error = PolicyFile::parse("[a\n", "seawall.toml").unwrap_err().to_string();
    assert!(error.contains("seawall.toml:1:3"), "{error}");
}

#[test]
fn a_file_that_cannot_be_read_says_so() {
    let error = PolicyFile::load("no/such/file.toml").unwrap_err();
    assert!(error.to_string().starts_with("error: cannot read no/such/file.toml: "), "{error}");
    assert!(error.to_string().contains("No such file"), "{error}");
    assert_eq!((error.file(), error.mistakes().len()), ("no/such/file.toml", 0));
}

#[test]
fn an_enormous_or_bottomless_file_is_refused_and_not_choked_on() {
    let long = "#".repeat(MAX_FILE_BYTES as usize + 1);
    assert!(one(&long).message().contains("longer than"));
    for deep in [
        format!("a = {}", "[".repeat(100_000)),
        format!("a = {}", "{a=".repeat(100_000)),
        format!("a{} = 1", ".a".repeat(100_000)),
        format!("[a{}]", ".a".repeat(100_000)),
    ] {
        assert!(PolicyFile::parse(&deep, "seawall.toml").is_err());
    }
    let many = format!("[a]\n{}", (0..5_000).map(|n| format!("k{n} = 1\n")).collect::<String>());
    let error = PolicyFile::parse(&many, "seawall.toml").unwrap_err();
    assert_eq!(error.mistakes().len(), 1_000);
    assert!(error.to_string().ends_with("and at least 900 more in seawall.toml"));
}

#[test]
fn a_builder_tells_the_mistakes_of_every_part_at_once() {
    let wrong = Policy::builder()
        .deadline(SECOND)
        .timeout(2 * SECOND)
        .fallback_timeout(SECOND)
        .breaker(breaker::Config::builder().open_for(Duration::ZERO))
        .retry(retry::Config::builder().max_attempts(0))
        .bulkhead(bulkhead::Config::builder().max_wait(2 * SECOND))
        .mailbox(backpressure::Config::builder().capacity(0).build())
        .rate_limit(limit::Config::token_bucket(0, 1.0))
        .method("get", MethodPolicy::default().with_timeout(3 * SECOND))
        .build()
        .unwrap_err();
    let keys: Vec<_> = wrong.as_slice().iter().map(|mistake| mistake.key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "breaker.open_for",
            "retry.max_attempts",
            "mailbox.capacity",
            "rate_limit.token_bucket.capacity",
            "timeout",
            "fallback_timeout",
            "bulkhead.max_wait",
            "methods.get.timeout",
        ]
    );
    assert!(wrong.to_string().contains("timeout = 2s: must be at most deadline (1s)"));
    let replaced = Policy::builder()
        .retry(retry::Config::builder().max_attempts(0))
        .retry(retry::Config::default());
    assert!(replaced.build().is_ok(), "the last word counts");
}

/// The file with a few bytes cut, doubled or replaced: near enough to a file to get far in.
fn mutated() -> impl Strategy<Value = String> {
    let edit = (any::<prop::sample::Index>(), 0_usize..12, "[\\PC\n\t\"'={}\\[\\].,#0-9a-z-]{0,6}");
    prop::collection::vec(edit, 1..6).prop_map(|edits| {
        let mut text: Vec<char> = FULL.chars().collect();
        for (at, cut, put) in edits {
            let at = at.index(text.len() + 1);
            let end = (at + cut).min(text.len());
            text.splice(at..end, put.chars());
        }
        text.into_iter().collect()
    })
}

fn survives(text: &str) {
    match PolicyFile::parse(text, "seawall.toml") {
        Ok(file) => assert!(file.names().all(|name| file.policy(name).timeout() > Duration::ZERO)),
        Err(error) => {
            assert!(!error.mistakes().is_empty());
            for mistake in error.mistakes() {
                assert!((1..=text.split('\n').count()).contains(&mistake.line()), "{error}");
                assert!(mistake.column() >= 1 && !mistake.message().is_empty());
            }
            assert!(error.to_string().starts_with("error: "));
        }
    }
}

proptest! {
    #[test]
    fn a_mutated_file_never_panics(text in mutated()) {
        survives(&text);
    }

    #[test]
    fn any_text_never_panics(text in "(\\PC|\n|\t|\r|\u{0}|[\\[\\]{}=\".,]){0,60}") {
        survives(&text);
    }

    #[test]
    fn any_value_of_any_key_never_panics(
        key in "(deadline|breaker\\.(window|failures|open_for)|retry\\.budget|breaker\\.adaptive(\\.(alpha|window|utc_offset))?|mailbox\\.on_full|rate_limit\\.token_bucket\\.capacity|methods\\.a)",
        value in prop_oneof![
            "-?[0-9]{1,40}", "-?[0-9]{1,20}\\.[0-9]{1,9}", "\"-?[0-9 .]{1,25}(ns|ms|s|m|h|d|y|years)?\"",
            "0x[0-9a-f]{1,40}", "\\[1, 2\\]", "1979-05-27", "true", "inf", "1e[0-9]{1,5}",
        ],
    ) {
        survives(&format!("[a]\n{key} = {value}\n"));
    }
}

#[test]
fn keys_whose_windows_would_take_more_than_a_gibibyte_are_refused_with_what_fits() {
    let mistake =
        one("[a.breaker]\nfailure_rate = 0.5\nwindow = 10000\nkeyed = { max_keys = 10000 }\n");
    assert_eq!(mistake.key(), "a.breaker.keyed.max_keys");
    assert!(mistake.message().contains("at most 8192: each key's window takes up to 131072 bytes"));
    parse("[a.breaker]\nfailure_rate = 0.5\nwindow = 10000\nkeyed = { max_keys = 8000 }\n");
    // Whether any method has a key is not known here: at the first one it is warned of.
    parse("[a.breaker]\nfailure_rate = 0.5\nwindow = 10000\n");
}

#[test]
fn waits_are_as_long_as_the_reference_says_and_no_longer() {
    for (key, most, more) in [
        ("bulkhead.max_wait", "30days", "30days 1ms"),
        ("bulkhead.grace", "30days", "30days 1ms"),
        ("rate_limit.max_wait", "1h", "1h 1ms"),
    ] {
        let limit = "rate_limit.token_bucket = { capacity = 1, refill_per_second = 1 }";
        let text = |wait| format!("[a]\ndeadline = \"30days\"\n{limit}\n{key} = \"{wait}\"\n");
        assert!(PolicyFile::parse(&text(most), "test.toml").is_ok(), "{key}");
        let mistake = one(&text(more));
        assert_eq!((mistake.key(), mistake.line()), (format!("a.{key}").as_str(), 4));
    }
}
