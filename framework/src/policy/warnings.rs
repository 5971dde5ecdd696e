//! What a policy allows and can hardly be meant: each with its number, and what to write instead.

use std::fmt;
use std::time::Duration;

use super::settings::Policy;
use crate::{backpressure, bulkhead, limit};

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
        warnings
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
