//! The policy file, written for a run of a given length and load.

use std::fmt::Write;
use std::time::Duration;

/// How a policy is named in error messages.
pub(crate) const NAME: &str = "storefront.toml";

/// How long a breaker stays open. In production half a minute; here a tenth of the run, so that a run
/// of 20 seconds shows all of it.
pub(crate) fn open_for(seconds: u64) -> Duration {
    Duration::from_millis(seconds * 100)
}

/// The policies of the three dependencies, in the format of a policy file.
///
/// What is a time scales with the run. Bulkheads do not: they are about concurrency.
pub(crate) fn text(seconds: u64, rate: u32) -> String {
    let open_for_ms = open_for(seconds).as_millis();
    let seconds = seconds as f64;
    // Payment answers within 20 ms when it is well, and on a machine that is busy with other things
    // within 200; a call that waits longer than this waits in vain.
    let timeout_ms = (seconds * 20.0).clamp(300.0, 400.0).round();
    // Long enough for a few calls at a low rate, short enough to notice a hang soon.
    let window_s = (seconds * 0.03).min(1.0).max(6.0 / f64::from(rate)).min(seconds * 0.1);
    let window_ms = (window_s * 1_000.0).round();
    // A third of what the window normally sees: while payment hangs, the bulkhead lets less through.
    let min_calls = (f64::from(rate) * window_s * 0.3).floor().clamp(2.0, 20.0);

    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        r#"[payment]
deadline = "{deadline_ms}ms"
timeout  = "{timeout_ms}ms"
breaker  = {{ failure_rate = 0.5, min_calls = {min_calls}, window = "{window_ms}ms", open_for = "{open_for_ms}ms", half_open_calls = 5, success_threshold = 3 }}
bulkhead = {{ max_concurrent = 20, max_wait = "100ms" }}
mailbox  = {{ capacity = 20, on_full = "error" }}

[inventory]
deadline = "2s"
timeout  = "1s"
breaker  = {{ failure_rate = 0.5, min_calls = 20, window = "{window_ms}ms", open_for = "{open_for_ms}ms", half_open_calls = 5, success_threshold = 3 }}
bulkhead = {{ max_concurrent = 30, max_wait = "500ms" }}
mailbox  = {{ capacity = 60, on_full = "error" }}

[notification]
deadline = "4s"
timeout  = "1s"
breaker  = {{ failure_rate = 0.5, min_calls = 20, window = "{window_ms}ms", open_for = "{open_for_ms}ms", half_open_calls = 5, success_threshold = 3 }}
retry    = {{ max_attempts = 3, base_delay = "20ms", max_delay = "200ms", jitter = "full", budget = 0.2 }}
bulkhead = {{ max_concurrent = 50, max_wait = "1s" }}
mailbox  = {{ capacity = 200, on_full = "error" }}
"#,
        deadline_ms = timeout_ms * 2.0,
    );
    text
}
