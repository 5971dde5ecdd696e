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

/// What the next opening depends on, beside the openings so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opening {
    /// The breaker was closed until `now`, and not half-open.
    pub(super) from_closed: bool,
    /// For how long the server wants to be left alone.
    pub(super) asked: Duration,
    pub(super) now: Moment,
    /// A random number in `[0, 1)`.
    pub(super) unit: f64,
}

impl OpenTime {
    /// The breaker has closed.
    pub(super) fn closed(&mut self, now: Moment) {
        self.closed_at = Some(now);
    }

    /// The next opening: `first_open_for`, doubled from one to the next until that is `open_for`; from there on
    /// `open_for × open_growth ^ such openings so far`, at most `max_open_for`. Then up to the share `open_jitter` more or
    /// less; or what the server asked for, if that is more, and up to that
    /// share more.
    ///
    /// Nothing is cut off at `max_open_for` after the jitter: all that would be cut off would come back
    /// together. Where there is less room above, chance picks from less.
    pub(super) fn next(&mut self, config: &Config, opening: Opening) -> Duration {
        let Opening { from_closed, asked, now, unit } = opening;
        let was_healthy = |since: Moment| from_closed && now.since(since) >= config.healthy_after();
        if self.closed_at.is_some_and(was_healthy) {
            self.openings = 0;
        }
        let grown = grown(config, self.openings);
        self.openings = self.openings.saturating_add(1);
        let (longest, jitter) = (config.max_open_for(), config.open_jitter());
        let within = |shortest: Duration, longest: Duration| {
            shortest + scaled(longest.saturating_sub(shortest), unit, longest)
        };
        let around = |length: Duration| {
            within(scaled(length, 1.0 - jitter, longest), scaled(length, 1.0 + jitter, longest))
        };
        let own = around(grown);
        let asked = if asked > longest {
            // More than it is given: the time is ours again.
            around(longest)
        } else {
            within(asked, scaled(asked, 1.0 + jitter, longest))
        };
        own.max(asked).max(Duration::from_millis(1))
    }
}

/// The opening that comes after so many others.
fn grown(config: &Config, openings: u32) -> Duration {
    let (mut length, mut left) = (config.first_open_for(), openings);
    // At most 32 times: from a millisecond to 30 days.
    while length < config.open_for() && left > 0 {
        length = length.saturating_mul(2).min(config.open_for());
        left -= 1;
    }
    scaled(length, config.open_growth().powf(f64::from(left)), config.max_open_for())
}

/// `length × by`, at most `longest`.
fn scaled(length: Duration, by: f64, longest: Duration) -> Duration {
    // 30 days are fewer nanoseconds than 2^53, so what goes through here unchanged comes out unchanged.
    Duration::from_nanos((nanos(length) as f64 * by) as u64).min(longest)
}
