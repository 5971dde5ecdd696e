//! How probes decide. Pure: the counts in, the verdict out.

use crate::event::Cause;

use super::config::{Config, HalfOpenMode, Rates};
use super::window::RateThreshold;
use super::word::Probes;

/// What the probes so far say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Verdict {
    /// For this cause.
    Close(Cause),
    /// For this cause.
    Open(Cause),
    /// Nothing yet.
    Wait,
}

/// What these probes say.
pub(super) fn verdict(config: &Config, probes: Probes) -> Verdict {
    let mode = config.half_open();
    match config.trip().rates {
        Some(rates) if mode.is_by_rate() => by_rate(config, &rates, probes),
        _ => by_count(config, probes),
    }
}

fn by_rate(config: &Config, rates: &Rates, probes: Probes) -> Verdict {
    let total = config.half_open_calls();
    let left = total.saturating_sub(probes.answered());
    if config.half_open() == HalfOpenMode::AllProbes && left > 0 {
        return Verdict::Wait;
    }
    let bars = [
        (probes.failures, RateThreshold::new(rates.failure_rate).fewest(total)),
        (probes.slow, RateThreshold::new(rates.slow_call_rate).fewest(total)),
    ];
    if bars.iter().any(|(bad, bar)| bad >= bar) {
        open(probes)
    } else if bars.iter().all(|(bad, bar)| bad + left < *bar) {
        close(probes)
    } else {
        Verdict::Wait
    }
}

/// A probe that is as slow as those calls that open the breaker is no better than one that fails.
fn by_count(config: &Config, probes: Probes) -> Verdict {
    if probes.failures > 0 || probes.slow > 0 {
        open(probes)
    } else if probes.successes >= config.success_threshold() {
        close(probes)
    } else {
        Verdict::Wait
    }
}

fn open(probes: Probes) -> Verdict {
    let Probes { failures, slow, .. } = probes;
    Verdict::Open(Cause::ProbesFailed { failures, slow, answered: probes.answered() })
}

fn close(probes: Probes) -> Verdict {
    let (successes, answered) = (probes.successes, probes.answered());
    Verdict::Close(Cause::ProbesSucceeded { successes, answered })
}

/// With fewer probes than this, all of them abandoned by their callers, nothing is known.
const MIN_ABANDONED: u32 = 3;

/// Whether so many probes in a row, abandoned by their callers before there was an answer, say that there is none to be had.
pub(super) fn are_abandoned(config: &Config, abandoned: u32) -> bool {
    config.trip().unanswered.is_some() && abandoned >= config.half_open_calls().max(MIN_ABANDONED)
}

/// Whether one more probe may go out.
pub(super) fn has_place(config: &Config, probes: Probes) -> bool {
    probes.live < config.half_open_calls() && probes.live + probes.answered() < most_in_all(config)
}

/// By rate the total of a generation is bounded too, though never so that enough could not succeed: the rate of a
/// key's breaker may stand for an adaptive threshold, whose successes nobody holds against the places.
fn most_in_all(config: &Config) -> u32 {
    match config.trip().rates {
        None => u32::MAX,
        Some(_) if config.half_open().is_by_rate() => config.half_open_calls(),
        Some(_) => config.half_open_calls().max(config.success_threshold()),
    }
}

/// Whether what probes have answered under `old` settings says the same under `new` ones.
pub(super) fn is_judged_alike(old: &Config, new: &Config) -> bool {
    let rules = |config: &Config| {
        let mode = config.half_open();
        let rates = config.trip().rates;
        let compared = rates.filter(|_| mode.is_by_rate());
        (
            (mode, config.half_open_calls(), config.success_threshold()),
            (rates.is_some(), config.minds_slow_calls()),
            compared.map(|rates| (rates.failure_rate, rates.slow_call_rate)),
        )
    };
    rules(old) == rules(new)
}
