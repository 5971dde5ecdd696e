//! How chance spreads delays, so that callers that failed together do not come back together.

use std::fmt;

use serde::Serialize;

/// How chance spreads a delay. Full, equal and
/// decorrelated are from M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
///
/// `d` is the delay before jitter, already capped at `max_delay`; `random(a, b)` lies in `[a, b)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Jitter {
    /// `d`. For tests: callers that failed together come back together.
    None,
    /// `random(0, d)`. The default: it spreads the most.
    #[default]
    Full,
    /// `d / 2 + random(0, d / 2)`. Never less than half of it.
    Equal,
    /// `d ± 50 %`, at most `max_delay`.
    PlusMinusHalf,
    /// `d` ± the share that [`Config::jitter_share`](super::Config::jitter_share) says, at most `max_delay`.
    PlusMinus,
    /// `min(max_delay, random(base_delay, previous * 3))`. Goes by the delay before instead of the
    /// attempt's number, so the backoff's curve and factor play no part.
    Decorrelated,
}

impl Jitter {
    /// Every jitter.
    pub const ALL: &[Self] = &Self::EVERY;
    pub(crate) const EVERY: [Self; 6] = [
        Self::None,
        Self::Full,
        Self::Equal,
        Self::PlusMinusHalf,
        Self::PlusMinus,
        Self::Decorrelated,
    ];

    /// The name that policy files use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Full => "full",
            Self::Equal => "equal",
            Self::PlusMinusHalf => "plus_minus_half",
            Self::PlusMinus => "plus_minus",
            Self::Decorrelated => "decorrelated",
        }
    }

    /// Spreads `delay` (any unit), by `unit` in `[0, 1)`. May exceed `delay`, by `share` of it at most. Decorrelated
    /// leaves it as it is: its delay is drawn another way.
    pub(super) fn spread(self, delay: f64, share: f64, unit: f64) -> f64 {
        match self {
            Self::None | Self::Decorrelated => delay,
            Self::Full => delay * unit,
            Self::Equal => delay / 2.0 + delay / 2.0 * unit,
            Self::PlusMinusHalf => delay * (0.5 + unit),
            Self::PlusMinus => delay * (1.0 - share + 2.0 * share * unit),
        }
    }
}

impl fmt::Display for Jitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
