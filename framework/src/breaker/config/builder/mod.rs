//! Takes a breaker's settings down, one by one.

mod check;
#[cfg(all(test, not(seawall_loom)))]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests;

use std::time::Duration;

use crate::breaker::adaptive;

use super::{Enforcement, HalfOpenMode, Window};

/// Builds a [`Config`](super::Config), checking every setting.
#[derive(Clone, Debug, Default)]
pub struct Builder {
    failures: Option<u32>,
    without_failures: bool,
    failures_within: Option<Duration>,
    unanswered: Option<u32>,
    without_unanswered: bool,
    max_failures: Option<u32>,
    failure_rate: Option<f64>,
    min_calls: Option<u32>,
    slow_call_rate: Option<f64>,
    calls: Option<u32>,
    time: Option<Duration>,
    adaptive: Option<adaptive::Config>,
    first_open_for: Option<Duration>,
    open_for: Option<Duration>,
    half_open_calls: Option<u32>,
    success_threshold: Option<u32>,
    slow_call: Option<Duration>,
    probe_life: Option<Duration>,
    half_open: Option<HalfOpenMode>,
    open_growth: Option<f64>,
    max_open_for: Option<Duration>,
    open_jitter: Option<f64>,
    healthy_after: Option<Duration>,
    ramp_from: Option<f64>,
    ramp_for: Option<Duration>,
    enforcement: Enforcement,
    ignore_retry_after: bool,
}

impl Builder {
    /// Opens after this many failures in a row; at least 1. Default 5, which grows for a dependency that fails now and
    /// then (see [`Trip::failures_grow`](super::Trip::failures_grow)), beside a failure rate too. With `max_failures`, none:
    /// that says how many; nor with `adaptive`, which knows what is normal.
    #[must_use]
    pub fn failures(mut self, failures: u32) -> Self {
        // What is given stands, whatever was said before.
        self.failures = Some(failures);
        self
    }
    /// Failures in a row do not count, however many. Only with another criterion.
    #[must_use]
    pub fn without_failures(mut self) -> Self {
        self.failures = None;
        self.without_failures = true;
        self
    }
    /// Bounds failures in a row by time: only those within this length of time before the latest one count; 1 ms to 30
    /// days. Default none: four failures yesterday and one today are five in a row. With it at most 10,000 `failures`.
    #[must_use]
    pub fn failures_within(mut self, length: Duration) -> Self {
        self.failures_within = Some(length);
        self
    }
    /// Opens after this many attempts in a row that ended without any answer: timed out, or dropped by their callers before
    /// anything could be said of them; 1 to 4,000. So a dependency that hangs is noticed behind callers that are less patient
    /// than its timeout. Default: as many as `failures`, or else `max_failures` or `min_calls`, but at least 10.
    #[must_use]
    pub fn unanswered(mut self, attempts: u32) -> Self {
        self.unanswered = Some(attempts);
        self
    }
    /// Attempts without an answer count only if they time out, or are dropped late.
    #[must_use]
    pub fn without_unanswered(mut self) -> Self {
        self.unanswered = None;
        self.without_unanswered = true;
        self
    }
    /// Opens at this many failures within the window, however many calls there were in it; at least 1. With
    /// `.max_failures(20).window(Window::Time(10 s))`: 20 failures within 10 s.
    #[must_use]
    pub fn max_failures(mut self, failures: u32) -> Self {
        self.max_failures = Some(failures);
        self
    }
    /// Opens at this share of failures, in `(0, 1]`.
    #[must_use]
    pub fn failure_rate(mut self, rate: f64) -> Self {
        self.failure_rate = Some(rate);
        self
    }
    /// Opens at this share of calls that take `slow_call` or longer, in `(0, 1]`, whatever they answer.
    /// Needs `slow_call`.
    #[must_use]
    pub fn slow_call_rate(mut self, rate: f64) -> Self {
        self.slow_call_rate = Some(rate);
        self
    }
    /// Calls that a window must hold before its rates count; default 20. Only with a rate.
    #[must_use]
    pub fn min_calls(mut self, calls: u32) -> Self {
        self.min_calls = Some(calls);
        self
    }
    /// What the rates are taken over; default the last 100 calls. Only with a rate. A window of calls and
    /// one of time may both be given: each is looked at. One of calls takes 8 bytes a call, their number
    /// rounded up to a power of two, for each breaker, from the moment that it is made.
    #[must_use]
    pub fn window(mut self, window: Window) -> Self {
        match window {
            Window::Calls(calls) => self.calls = Some(calls),
            Window::Time(length) => self.time = Some(length),
        }
        self
    }
    /// Each of these windows.
    #[must_use]
    pub(crate) fn windows(self, windows: [Option<Window>; 2]) -> Self {
        windows.into_iter().flatten().fold(self, Self::window)
    }
    /// Opens at a share of failures far above what is normal for the hour of the week, which it learns; see
    /// [`adaptive`](crate::breaker::adaptive). Default none. It has a window and a `min_calls` of its own.
    #[must_use]
    pub fn adaptive(mut self, adaptive: impl Into<Option<adaptive::Config>>) -> Self {
        self.adaptive = adaptive.into();
        self
    }
    /// How long the first opening lasts; 1 ms to `open_for`. Each that follows lasts twice as long, until they last
    /// `open_for`. With `open_for` all last as long.
    #[must_use]
    pub fn first_open_for(mut self, length: Duration) -> Self {
        self.first_open_for = Some(length);
        self
    }
    /// How long the breaker stays open, once the first, shorter openings have not helped; 1 ms to 30 days, kept in whole
    /// milliseconds, rounded up.
    #[must_use]
    pub fn open_for(mut self, open_for: Duration) -> Self {
        self.open_for = Some(open_for);
        self
    }
    /// Probes out at once while half-open; 1 to 500.
    #[must_use]
    pub fn half_open_calls(mut self, calls: u32) -> Self {
        self.half_open_calls = Some(calls);
        self
    }
    /// Probes that must succeed before the breaker closes; at least 1.
    #[must_use]
    pub fn success_threshold(mut self, successes: u32) -> Self {
        self.success_threshold = Some(successes);
        self
    }
    /// From here on a call counts as slow, and dropped after it as a failure.
    #[must_use]
    pub fn slow_call(mut self, after: Duration) -> Self {
        self.slow_call = Some(after);
        self
    }
    /// How long a probe may take before its place is given to another and its answer counts no more; 1 ms to 30
    /// days. Default 30 s.
    #[must_use]
    pub fn probe_life(mut self, life: Duration) -> Self {
        self.probe_life = Some(life);
        self
    }

    /// How a half-open breaker decides.
    #[must_use]
    pub fn half_open(mut self, mode: HalfOpenMode) -> Self {
        self.half_open = Some(mode);
        self
    }
    /// Each opening after the first that lasts `open_for` lasts this many times as long as the one before; 1 to 100.
    #[must_use]
    pub fn open_growth(mut self, factor: f64) -> Self {
        self.open_growth = Some(factor);
        self
    }
    /// No opening lasts longer than this; `open_for` to 30 days.
    #[must_use]
    pub fn max_open_for(mut self, longest: Duration) -> Self {
        self.max_open_for = Some(longest);
        self
    }
    /// Makes each opening up to this share shorter or longer, by chance; 0 to 1. Never longer than `max_open_for`,
    /// where it only makes it shorter; never shorter than a `Retry-After`, which it only makes longer.
    #[must_use]
    pub fn open_jitter(mut self, share: f64) -> Self {
        self.open_jitter = Some(share);
        self
    }
    /// After being closed for this long the open time no longer remembers that it grew. Only where openings grow: with
    /// `open_growth`, or a `first_open_for` shorter than `open_for`.
    #[must_use]
    pub fn healthy_after(mut self, spell: Duration) -> Self {
        self.healthy_after = Some(spell);
        self
    }
    /// After closing, lets this share of calls through at first, in `(0, 1)`, and all of them after `over`.
    #[must_use]
    pub fn ramp(self, from: f64, over: Duration) -> Self {
        self.ramp_from(from).ramp_for(over)
    }
    /// The share that a ramp begins with; default 0.1. Only with `ramp_for`.
    #[must_use]
    pub fn ramp_from(mut self, from: f64) -> Self {
        self.ramp_from = Some(from);
        self
    }
    /// How long the slow start after closing lasts; 1 ms to 30 days.
    #[must_use]
    pub fn ramp_for(mut self, over: Duration) -> Self {
        self.ramp_for = Some(over);
        self
    }
    /// Whether it refuses.
    #[must_use]
    pub fn enforcement(mut self, enforcement: Enforcement) -> Self {
        self.enforcement = enforcement;
        self
    }
    /// Whether an opening lasts at least as long as the server asked for.
    #[must_use]
    pub fn use_retry_after(mut self, heed: bool) -> Self {
        self.ignore_retry_after = !heed;
        self
    }
}
