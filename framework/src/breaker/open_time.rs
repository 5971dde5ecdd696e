//! How long an opening lasts.

use std::time::Duration;

use crate::clock::{Moment, nanos};

use super::config::Config;

/// How often it has opened without a healthy spell in between.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct OpenTime {
    openings: u32,
    closed_at: Option<Moment>,
}

impl OpenTime {
    /// The breaker has closed.
    pub(super) fn closed(&mut self, now: Moment) {
        self.closed_at = Some(now);
    }

    /// The next opening: `open_for × open_growth ^ openings so far`, at most `max_open_for`; then up to
    /// the share `open_jitter` more or less by `unit`, a random number in `[0, 1)`, and at most
    /// `max_open_for` again.
    pub(super) fn next(
        &mut self,
        config: &Config,
        from_closed: bool,
        now: Moment,
        unit: f64,
    ) -> Duration {
        let was_healthy = |since: Moment| from_closed && now.since(since) >= config.healthy_after();
        if self.closed_at.is_some_and(was_healthy) {
            self.openings = 0;
        }
        let grown = config.open_growth().powf(f64::from(self.openings));
        self.openings = self.openings.saturating_add(1);
        let longest = config.max_open_for();
        let capped = scaled(config.open_for(), grown, longest);
        let jittered = scaled(capped, 1.0 + config.open_jitter() * (2.0 * unit - 1.0), longest);
        jittered.max(Duration::from_millis(1))
    }
}

/// `length × by`, at most `longest`.
fn scaled(length: Duration, by: f64, longest: Duration) -> Duration {
    // 30 days are fewer nanoseconds than 2^53, so what goes through here unchanged comes out unchanged.
    Duration::from_nanos((nanos(length) as f64 * by) as u64).min(longest)
}
