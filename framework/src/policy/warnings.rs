//! What a policy allows and can hardly be meant: each with its number, and what to write instead.

use std::fmt;
use std::time::Duration;

use super::settings::Policy;
use crate::{backpressure, breaker, bulkhead, limit};

/// A setting that does not do what it says, beside the others of its policy.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PolicyWarning {
    /// The key, as the policy file spells it: `bulkhead.max_wait`.
    pub key: String,
    /// What is wrong, and what to write instead.
    pub text: String,
}

impl fmt::Display for PolicyWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.key, self.text)
    }
}

impl Policy {
    /// What in this policy does not do what it says. Empty for a sane one. A Seawall that is started, or reloaded, with such
    /// a policy logs each once and tells it as [`Event::PolicyWarning`](crate::event::Event::PolicyWarning).
    #[must_use]
    pub fn warnings(&self) -> Vec<PolicyWarning> {
        let mut warnings = Vec::new();
        self.warn_of_waits("", (self.deadline, self.timeout), &mut warnings);
        for (name, method) in &self.methods {
            if method.deadline().is_none() && method.timeout().is_none() {
                continue;
            }
            let deadline = method.deadline().unwrap_or(self.deadline);
            let timeout = method.timeout().unwrap_or(self.timeout).min(deadline);
            let whose = format!("methods.{name}.");
            self.warn_of_waits(&whose, (deadline, timeout), &mut warnings);
        }
        warnings.extend(self.warn_of_slow_opening());
        warnings.extend(self.warn_of_short_probes());
        warnings.extend(self.warn_of_long_queue());
        warnings.extend(self.warn_of_an_idle_mailbox());
        warnings
    }

    /// How long it takes the breaker to open once the dependency answers nothing any more, at the latest: if all permits are
    /// in use, callers are patient, and the calls before went well. `None`: it does not open for that.
    #[must_use]
    pub fn time_to_open(&self) -> Option<Duration> {
        let trip = self.breaker.trip();
        if self.breaker.enforcement() != breaker::Enforcement::Enforce {
            return None;
        }
        // Every timeout, as many attempts end as there are permits.
        let rounds = |attempts: u32| {
            let rounds = attempts.div_ceil(self.bulkhead.max_concurrent().max(1));
            self.timeout.saturating_mul(rounds.max(1))
        };
        let runs = [trip.failures, trip.unanswered].into_iter().flatten().map(rounds);
        let rates = trip.rates.iter().flat_map(|rates| {
            let share = rates.failure_rate.unwrap_or(f64::INFINITY);
            // Those of the window of calls that have to fail. Any number in f64 of fewer than 2^32 calls fits.
            let by_calls = rates
                .calls
                .filter(|_| share <= 1.0)
                .map(|calls| rounds((f64::from(calls) * share).ceil() as u32));
            let by_count = rates.max_failures.map(rounds);
            // What went well before has to leave the window.
            let by_time =
                rates.time.filter(|_| share <= 1.0).map(|time| self.timeout.saturating_add(time));
            [by_calls, by_count, by_time].into_iter().flatten()
        });
        let adaptive = trip.adaptive.iter().map(|it| self.timeout.saturating_add(it.window()));
        runs.chain(rates).chain(adaptive).min()
    }

    fn warn_of_slow_opening(&self) -> Option<PolicyWarning> {
        if self.breaker.enforcement() != breaker::Enforcement::Enforce {
            return None;
        }
        let limit = self.deadline.max(self.timeout.saturating_mul(2));
        let text = match self.time_to_open() {
            Some(time) if time <= limit => return None,
            Some(time) => format!(
                "opens {time:?} after the dependency has ceased to answer, with {} permits and a timeout of {:?}: let failures \
                 in a row count (leave out `failures = false` and `unanswered = false`), ask for fewer of them, or shorten the timeout",
                self.bulkhead.max_concurrent(),
                self.timeout
            ),
            None => "does not open when the dependency ceases to answer: nothing in it counts failures; leave out \
                     `failures = false` and `unanswered = false`"
                .to_owned(),
        };
        Some(PolicyWarning { key: "breaker".to_owned(), text })
    }

    /// A probe that hangs should end by its timeout, and reopen the breaker, before its place is given away.
    fn warn_of_short_probes(&self) -> Option<PolicyWarning> {
        let (life, timeout) = (self.breaker.probe_life(), self.timeout);
        (timeout > life).then(|| PolicyWarning {
            key: "breaker.probe_life".to_owned(),
            text: format!(
                "= {life:?} is shorter than the timeout of {timeout:?}: a probe that hangs loses its place and never reopens the \
                 breaker; set it to more than the timeout, or the timeout to less"
            ),
        })
    }

    /// A queue whose end cannot be served within the deadline, even if each call takes a tenth of its timeout only.
    fn warn_of_long_queue(&self) -> Option<PolicyWarning> {
        let (capacity, permits) = (self.mailbox.capacity(), self.bulkhead.max_concurrent().max(1));
        let each = self.timeout / 10;
        let wait = each.saturating_mul(capacity / permits);
        let fits = self.deadline.as_nanos() * u128::from(permits) / each.as_nanos().max(1);
        (wait > self.deadline).then(|| PolicyWarning {
            key: "mailbox.capacity".to_owned(),
            text: format!(
                "= {capacity} is more than can be served: with {permits} permits, and calls that take a tenth of their timeout \
                 of {:?}, the last one waits {wait:?}, longer than its deadline of {:?}; set it to at most {fits}",
                self.timeout, self.deadline
            ),
        })
    }

    /// Priorities and orders of calls that wait, where none ever does.
    fn warn_of_an_idle_mailbox(&self) -> Option<PolicyWarning> {
        let usual = backpressure::Config::default();
        let key = match (self.mailbox.priorities(), self.mailbox.order() != usual.order()) {
            (true, _) => "mailbox.priorities",
            (false, true) => "mailbox.order",
            (false, false) => return None,
        };
        self.bulkhead.max_wait().is_zero().then(|| PolicyWarning {
            key: key.to_owned(),
            text: "does nothing: with a bulkhead.max_wait of 0 no call ever waits in the mailbox; set that to how long a call \
                   may wait for a permit"
                .to_owned(),
        })
    }

    /// Waits that were asked for and leave an attempt less than its timeout: it would be cut off by the deadline. Default
    /// waits are left out: nobody asked for them, and they end in time by themselves.
    fn warn_of_waits(
        &self,
        whose: &str,
        (deadline, timeout): (Duration, Duration),
        warnings: &mut Vec<PolicyWarning>,
    ) {
        // A timeout as long as the deadline is one that nobody has set: the fair share is half of it then.
        let timeout = if timeout == deadline { deadline / 2 } else { timeout };
        let longest = deadline.saturating_sub(timeout);
        for (key, wait) in self.asked_waits() {
            let Some(wait) = wait.filter(|wait| *wait > longest) else { continue };
            let (of, raised) = (format!("{whose}deadline"), wait.saturating_add(timeout));
            let text = format!(
                "= {wait:?} cannot be waited for: {of} is {deadline:?}, and an attempt needs its timeout of {timeout:?}; set \
                 {key} to at most {longest:?}, or {of} to at least {raised:?}"
            );
            warnings.push(PolicyWarning { key: key.to_owned(), text });
        }
    }

    /// The waits in front of an attempt, each with its key in a policy file. `None`: the default, which nobody asked for, and
    /// which the deadline cuts short.
    pub(super) fn asked_waits(&self) -> [(&'static str, Option<Duration>); 4] {
        let usual = bulkhead::Config::default().max_wait();
        let block = self.mailbox.on_full().block_timeout();
        let pace = self.quota.map(|quota| quota.max_wait());
        let usual_pace = limit::PacerConfig::default().max_wait();
        let said = |wait: Option<Duration>, usual| wait.filter(|wait| *wait != usual);
        [
            ("bulkhead.max_wait", said(Some(self.bulkhead.max_wait()), usual)),
            ("mailbox.on_full.block.timeout", said(block, backpressure::DEFAULT_BLOCK_TIMEOUT)),
            ("rate_limit.max_wait", said(Some(self.rate_limit_max_wait), Duration::ZERO)),
            ("quota.max_wait", said(pace, usual_pace)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::PolicyFile;

    fn warnings(text: &str) -> Vec<String> {
        let file = PolicyFile::parse(text, "test.toml").unwrap();
        file.policy("a").warnings().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_order_of_calls_that_never_wait_is_warned_of() {
        let idle = "[a]\nbulkhead.max_wait = '0s'\nmailbox";
        for (key, value) in [("priorities", "true"), ("order", "'codel'")] {
            let found = warnings(&format!("{idle}.{key} = {value}"));
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].contains(&format!("mailbox.{key} does nothing")), "{found:?}");
        }
        assert!(warnings(&format!("{idle}.capacity = 7")).is_empty());
        assert!(warnings("[a]\nmailbox = { priorities = true, order = 'lifo' }").is_empty());
    }

    #[test]
    fn waits_that_leave_no_time_for_the_attempt_are_warned_of_with_the_number_and_the_fix() {
        let text = r#"
            [a]
            deadline = "2s"
            timeout = "800ms"
            bulkhead.max_wait = "1201ms"
            mailbox.on_full = { block = { timeout = "1500ms" } }
            rate_limit = { leaky_bucket = { capacity = 9, leak_per_second = 5 }, max_wait = "2s" }
            quota = { max_wait = "1800ms" }
        "#;
        let says = |key: &str, wait: &str, raised: &str| {
            format!(
                "{key} = {wait} cannot be waited for: deadline is 2s, and an attempt needs its timeout of 800ms; set {key} to \
                 at most 1.2s, or deadline to at least {raised}"
            )
        };
        assert_eq!(
            warnings(text),
            [
                says("bulkhead.max_wait", "1.201s", "2.001s"),
                says("mailbox.on_full.block.timeout", "1.5s", "2.3s"),
                says("rate_limit.max_wait", "2s", "2.8s"),
                says("quota.max_wait", "1.8s", "2.6s"),
            ]
        );
        assert!(
            warnings(&text.replace("\"2s\"\n            timeout", "\"3s\"\n            timeout"))
                .is_empty()
        );
    }

    #[test]
    fn a_method_with_less_time_of_its_own_is_warned_of_too() {
        let text = "[a]\nbulkhead.max_wait = \"1s\"\n[a.methods.get]\ntimeout = \"200ms\"\ndeadline = \"1s\"\n";
        let warnings = warnings(text);
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].contains("methods.get.deadline is 1s"), "{warnings:?}");
    }

    #[test]
    fn a_breaker_that_opens_too_late_or_never_is_warned_of_with_the_time_that_it_takes() {
        let of = |breaker: &str| {
            warnings(&format!(
                "[a]\ndeadline = '2s'\ntimeout = '800ms'\nbulkhead.max_concurrent = 20\nbreaker = {{ {breaker} }}"
            ))
        };
        let late = "failures = false, unanswered = false, failure_rate = 0.5, window = '30s'";
        let [late] = &of(late)[..] else { panic!("one warning") };
        assert!(
            late.starts_with(
                "breaker opens 30.8s after the dependency has ceased to answer, with 20 permits"
            ),
            "{late}"
        );
        let many = of("failures = 1000, unanswered = 1000");
        assert!(many[0].contains("opens 40s after"), "{many:?}");
        let [never] =
            &of("failures = false, unanswered = false, slow_call_rate = 0.5, slow_call = '100ms'")
                [..]
        else {
            panic!("one warning")
        };
        assert!(never.contains("does not open"), "{never}");
        for sane in [
            "",
            "failures = 20",
            "failure_rate = 0.5",
            "failures = false, failure_rate = 0.5",
            "mode = 'observe', failures = 100000",
        ] {
            assert_eq!(of(sane), [""; 0], "{sane}");
        }
    }

    #[test]
    fn the_time_to_open_is_a_timeout_for_each_time_that_the_permits_turn_over() {
        let of = |text: &str| {
            let file = PolicyFile::parse(text, "test.toml").unwrap();
            file.policy("a").time_to_open().map(|time| time.as_millis())
        };
        assert_eq!(of(""), Some(10_000));
        assert_eq!(
            of("[a]\ntimeout='1s'\nbulkhead.max_concurrent = 5\nbreaker.failures = 11"),
            Some(3_000),
            "three times five permits"
        );
        let off = "[a]\ntimeout='1s'\nbulkhead.max_concurrent = 5\nbreaker = { failures = false, unanswered = false, REST }";
        let rest = |rest: &str| of(&off.replace("REST", rest));
        assert_eq!(rest("failure_rate = 0.5, window = 100"), Some(10_000));
        assert_eq!(rest("failure_rate = 0.5, window = '7s'"), Some(8_000));
        assert_eq!(rest("max_failures = 12, window = '7s'"), Some(3_000));
        assert_eq!(rest("adaptive = { window = '20s' }"), Some(21_000));
        assert_eq!(of("[a]\nbreaker.mode = 'disabled'"), None);
    }

    #[test]
    fn probes_that_lose_their_place_and_queues_without_end_are_warned_of() {
        let probes = warnings("[a]\ntimeout = '2s'\nbreaker.probe_life = '1s'");
        assert!(
            probes.len() == 1 && probes[0].starts_with("breaker.probe_life = 1s is shorter"),
            "{probes:?}"
        );
        assert_eq!(warnings("[a]\ntimeout = '2s'\nbreaker.probe_life = '2s'"), [""; 0]);
        let queue = |capacity: u32| {
            warnings(&format!(
                "[a]\ndeadline = '2s'\ntimeout = '1s'\nbulkhead.max_concurrent = 10\nmailbox.capacity = {capacity}"
            ))
        };
        assert_eq!(queue(200), [""; 0]);
        let [long] = &queue(1_000)[..] else { panic!("one warning") };
        assert!(long.contains("the last one waits 10s") && long.ends_with("at most 200"), "{long}");
    }

    #[test]
    fn what_nobody_asked_for_and_what_fits_is_not_warned_of() {
        for sane in [
            "",
            "[a]\ndeadline = \"1s\"",
            "[a]\ndeadline = \"1s\"\nbulkhead.max_wait = \"500ms\"",
            "[a]\ndeadline = \"2s\"\ntimeout = \"800ms\"\nbulkhead.max_wait = \"1200ms\"",
            "[a]\ndeadline = \"2s\"\nmailbox.on_full = \"block\"",
            "[a.methods.get]\nmax_attempts = 2",
        ] {
            assert_eq!(warnings(sane), [""; 0], "{sane}");
        }
    }
}
