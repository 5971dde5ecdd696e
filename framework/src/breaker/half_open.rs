//! How probes decide. Pure: the counts in, the verdict out.

use super::config::{Config, HalfOpenMode, Trip};
use super::window::Threshold;
use super::word::Probes;

/// What the probes so far say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Close,
    Open,
    /// Nothing yet.
    Wait,
}

/// What these probes say.
pub(super) fn verdict(config: &Config, probes: Probes) -> Verdict {
    let mode = config.half_open();
    let Trip::Rate { failure_rate, .. } = config.trip() else {
        return by_count(config, probes);
    };
    if !mode.is_by_rate() {
        return by_count(config, probes);
    }
    let total = config.half_open_calls();
    let left = total.saturating_sub(probes.answered());
    if mode == HalfOpenMode::AllProbes && left > 0 {
        return Verdict::Wait;
    }
    let too_many = Threshold::new(failure_rate, 1).fewest_failures(total);
    if probes.failures >= too_many {
        Verdict::Open
    } else if probes.failures + left < too_many {
        Verdict::Close
    } else {
        Verdict::Wait
    }
}

fn by_count(config: &Config, probes: Probes) -> Verdict {
    if probes.failures > 0 {
        Verdict::Open
    } else if probes.successes >= config.success_threshold() {
        Verdict::Close
    } else {
        Verdict::Wait
    }
}

/// Whether one more probe may go out.
pub(super) fn has_place(config: &Config, probes: Probes) -> bool {
    let taken = match config.trip() {
        Trip::Consecutive { .. } => probes.live,
        // By rate the total of a generation is bounded too.
        Trip::Rate { .. } => probes.live + probes.answered(),
    };
    taken < config.half_open_calls()
}
