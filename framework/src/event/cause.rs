//! Why a breaker moved, as data and in words.

use std::fmt;

use serde::Serialize;

use super::Command;

/// Why a breaker moved, with the counts that decided. Its `Display` is a sentence for people.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Cause {
    /// So many failures in a row; it opens at `needed`.
    #[non_exhaustive]
    Failures {
        /// How many there were.
        failures: u32,
        /// How many open it.
        needed: u32,
    },
    /// So many attempts in a row ended without any answer; it opens at `needed`.
    #[non_exhaustive]
    Unanswered {
        /// How many there were.
        attempts: u32,
        /// How many open it.
        needed: u32,
    },
    /// The share of failures in the window.
    #[non_exhaustive]
    FailureRate {
        /// Failures in the window.
        failures: u64,
        /// Calls in it.
        calls: u64,
        /// The share that opens it, in `(0, 1]`.
        threshold: f64,
    },
    /// The share of slow calls in the window.
    #[non_exhaustive]
    SlowCallRate {
        /// Slow calls in the window.
        slow: u64,
        /// Calls in it.
        calls: u64,
        /// The share that opens it, in `(0, 1]`.
        threshold: f64,
    },
    /// The number of failures in the window, however many calls there were.
    #[non_exhaustive]
    MaxFailures {
        /// Failures in the window.
        failures: u64,
        /// Calls in it.
        calls: u64,
        /// How many failures open it.
        needed: u64,
    },
    /// A share of failures far above what is normal for this hour of the week.
    #[non_exhaustive]
    Adaptive {
        /// Failures in the window.
        failures: u64,
        /// Calls in it.
        calls: u64,
        /// The share that opens it at this hour, in `(0, 1]`.
        threshold: f64,
    },
    /// It was open for as long as it was to be, so probes are let through.
    OpenTimeOver,
    /// Enough probes succeeded.
    #[non_exhaustive]
    ProbesSucceeded {
        /// Probes that succeeded.
        successes: u32,
        /// Probes that were answered or ran out of time.
        answered: u32,
    },
    /// A probe failed or was slow, or too many were.
    #[non_exhaustive]
    ProbesFailed {
        /// Probes that failed.
        failures: u32,
        /// Probes that took too long, if that counts.
        slow: u32,
        /// Probes that were answered or ran out of time.
        answered: u32,
    },
    /// So many probes in a row were dropped by their callers before there was an answer.
    #[non_exhaustive]
    ProbesAbandoned {
        /// How many.
        probes: u32,
    },
    /// It is open in so many other instances of the program; it opens at `needed`.
    #[non_exhaustive]
    OpenElsewhere {
        /// In how many.
        instances: u32,
        /// In how many it must be.
        needed: u32,
    },
    /// Another instance has probed for all, and closed.
    ClosedElsewhere,
    /// It was told to.
    #[non_exhaustive]
    ByHand {
        /// What it was told. Who said so is in the event of the command, and in the snapshot.
        command: Command,
    },
    /// Other settings disable it, or no longer do.
    Settings,
}

impl Cause {
    /// The names of the causes that open a breaker, as metrics have them.
    pub const OPENING: &[&str] = &[
        "failures",
        "unanswered",
        "failure_rate",
        "slow_call_rate",
        "max_failures",
        "adaptive",
        "probes_failed",
        "probes_abandoned",
        "open_elsewhere",
        "by_hand",
    ];

    /// As logs, data and metrics spell it.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Failures { .. } => "failures",
            Self::Unanswered { .. } => "unanswered",
            Self::FailureRate { .. } => "failure_rate",
            Self::SlowCallRate { .. } => "slow_call_rate",
            Self::MaxFailures { .. } => "max_failures",
            Self::Adaptive { .. } => "adaptive",
            Self::OpenTimeOver => "open_time_over",
            Self::ProbesSucceeded { .. } => "probes_succeeded",
            Self::ProbesFailed { .. } => "probes_failed",
            Self::ProbesAbandoned { .. } => "probes_abandoned",
            Self::OpenElsewhere { .. } => "open_elsewhere",
            Self::ClosedElsewhere => "closed_elsewhere",
            Self::ByHand { .. } => "by_hand",
            Self::Settings => "settings",
        }
    }
}

/// `7 of 20 calls failed (35 %), it opens at 30 %`.
fn share(
    f: &mut fmt::Formatter<'_>,
    (bad, calls): (u64, u64),
    what: &str,
    threshold: f64,
) -> fmt::Result {
    let percent = |share: f64| (share * 1_000.0).round() / 10.0;
    let seen = percent(bad as f64 / calls.max(1) as f64);
    let threshold = percent(threshold);
    write!(f, "{bad} of {calls} calls {what} ({seen} %), it opens at {threshold} %")
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Failures { failures, needed } => {
                write!(f, "{failures} failures in a row, it opens at {needed}")
            }
            Self::Unanswered { attempts, needed } => {
                write!(f, "{attempts} attempts in a row without any answer, it opens at {needed}")
            }
            Self::FailureRate { failures, calls, threshold } => {
                share(f, (failures, calls), "failed", threshold)
            }
            Self::SlowCallRate { slow, calls, threshold } => {
                share(f, (slow, calls), "were slow", threshold)
            }
            Self::MaxFailures { failures, calls, needed } => {
                write!(f, "{failures} of {calls} calls failed, it opens at {needed}")
            }
            Self::Adaptive { failures, calls, threshold } => {
                share(f, (failures, calls), "failed", threshold)?;
                f.write_str(" at this hour")
            }
            Self::OpenTimeOver => f.write_str("its open time is over"),
            Self::ProbesSucceeded { successes, answered } => {
                write!(f, "{successes} of {answered} probes succeeded")
            }
            Self::ProbesFailed { failures, slow: 0, answered } => {
                write!(f, "{failures} of {answered} probes failed")
            }
            Self::ProbesFailed { failures, slow, answered } => {
                write!(f, "{failures} of {answered} probes failed and {slow} were slow")
            }
            Self::ProbesAbandoned { probes } => {
                write!(f, "{probes} probes in a row were dropped by their callers")
            }
            Self::OpenElsewhere { instances, needed } => {
                write!(f, "open in {instances} other instances, it opens at {needed}")
            }
            Self::ClosedElsewhere => f.write_str("another instance has probed and closed"),
            Self::ByHand { command } => write!(f, "told by hand: {command}"),
            Self::Settings => f.write_str("its settings have changed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_is_a_sentence_with_its_counts() {
        let says = |cause: Cause, text: &str| assert_eq!(cause.to_string(), text);
        says(Cause::Failures { failures: 5, needed: 5 }, "5 failures in a row, it opens at 5");
        says(
            Cause::Unanswered { attempts: 12, needed: 10 },
            "12 attempts in a row without any answer, it opens at 10",
        );
        says(
            Cause::FailureRate { failures: 7, calls: 20, threshold: 0.333 },
            "7 of 20 calls failed (35 %), it opens at 33.3 %",
        );
        says(
            Cause::SlowCallRate { slow: 0, calls: 0, threshold: 1.0 },
            "0 of 0 calls were slow (0 %), it opens at 100 %",
        );
        says(
            Cause::MaxFailures { failures: 20, calls: 900, needed: 20 },
            "20 of 900 calls failed, it opens at 20",
        );
        says(
            Cause::Adaptive { failures: 1, calls: 3, threshold: 0.05 },
            "1 of 3 calls failed (33.3 %), it opens at 5 % at this hour",
        );
        says(Cause::ProbesSucceeded { successes: 2, answered: 3 }, "2 of 3 probes succeeded");
        says(Cause::ProbesFailed { failures: 1, slow: 0, answered: 2 }, "1 of 2 probes failed");
        says(
            Cause::ProbesFailed { failures: 1, slow: 2, answered: 2 },
            "1 of 2 probes failed and 2 were slow",
        );
        says(Cause::ByHand { command: Command::ForceOpen }, "told by hand: force_open");
        says(
            Cause::OpenElsewhere { instances: 2, needed: 2 },
            "open in 2 other instances, it opens at 2",
        );
    }

    #[test]
    fn as_data_it_has_its_name_and_counts() {
        let cause = Cause::FailureRate { failures: 7, calls: 20, threshold: 0.3 };
        assert_eq!(
            serde_json::to_value(cause).unwrap(),
            serde_json::json!({"kind": "failure_rate", "failures": 7, "calls": 20, "threshold": 0.3})
        );
        assert_eq!(cause.as_str(), "failure_rate");
    }
}
