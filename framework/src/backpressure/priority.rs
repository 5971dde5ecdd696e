//! How important a piece of work is.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// The least important level of a class.
const MAX_LEVEL: u8 = 99;
/// Lots in a [`Rank`] are numbers below this.
const LOTS: u32 = 1 << 20;
/// Of normal work, the share that is never less important than critical work.
const NEVER_STARVES: f64 = 0.05;

/// What is shed first when there is too much: one of three classes, with levels inside each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Importance {
    /// Somebody waits for it, and it costs if it fails: a payment.
    Critical,
    /// Everything that nobody has said anything of.
    Normal,
    /// It may be done later, or not at all: prefetching, reports, batch jobs.
    Sheddable,
}

/// How important a piece of work is: an [`Importance`], and in it a level from 0, the most important and the default, to 99.
///
/// It is written as `critical`, `normal`, `sheddable`, and with a level as `normal.3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Priority {
    importance: Importance,
    level: u8,
}

impl Priority {
    /// [`Importance::Critical`].
    pub const CRITICAL: Self = Self { importance: Importance::Critical, level: 0 };
    /// [`Importance::Normal`]: the default.
    pub const NORMAL: Self = Self { importance: Importance::Normal, level: 0 };
    /// [`Importance::Sheddable`].
    pub const SHEDDABLE: Self = Self { importance: Importance::Sheddable, level: 0 };

    /// The same class at this level, 0 to 99; what is above is 99.
    #[must_use]
    pub const fn level(self, level: u8) -> Self {
        Self { level: if level > MAX_LEVEL { MAX_LEVEL } else { level }, ..self }
    }

    /// Its class.
    #[must_use]
    pub const fn importance(self) -> Importance {
        self.importance
    }
}

impl Default for Priority {
    fn default() -> Self {
        Self::NORMAL
    }
}

impl Importance {
    /// As it is written in headers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Normal => "normal",
            Self::Sheddable => "sheddable",
        }
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.importance.as_str())?;
        if self.level == 0 { Ok(()) } else { write!(f, ".{}", self.level) }
    }
}

/// A text is no [`Priority`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a priority is `critical`, `normal` or `sheddable`, or one of them with a level from 0 to 99, such as `normal.3`"
)]
pub struct InvalidPriority;

impl FromStr for Priority {
    type Err = InvalidPriority;

    fn from_str(text: &str) -> Result<Self, InvalidPriority> {
        let (class, level) = text.split_once('.').unwrap_or((text, "0"));
        let class = match class {
            "critical" => Self::CRITICAL,
            "normal" => Self::NORMAL,
            "sheddable" => Self::SHEDDABLE,
            _ => return Err(InvalidPriority),
        };
        match level.parse() {
            Ok(level @ 0..=MAX_LEVEL) => Ok(class.level(level)),
            _ => Err(InvalidPriority),
        }
    }
}

/// What is shed next among all that comes: the greater, the sooner. Class, then level, then the lot of the root request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank(u32);

impl Rank {
    /// More important than anything that there is.
    #[cfg(test)]
    pub(crate) const LEAST: Self = Self(0);

    /// Of work with this lot, from 0 to 1; the lower it is, the sooner the work is shed among its like.
    pub(crate) fn new(priority: Priority, lot: f64) -> Self {
        let class = match priority.importance {
            Importance::Critical => 0,
            // However much critical work there is, some of the other is done.
            Importance::Normal if lot >= 1.0 - NEVER_STARVES => {
                return Self::new(Priority::CRITICAL.level(MAX_LEVEL), lot);
            }
            Importance::Normal => 1,
            Importance::Sheddable => 2,
        };
        // A NaN is the lowest. A level is below 2^8.
        let lot = LOTS - 1 - ((lot.clamp(0.0, 1.0) * f64::from(LOTS)) as u32).min(LOTS - 1);
        Self((class << 28) | (u32::from(priority.level) << 20) | lot)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again_and_nonsense_is_not() {
        for priority in
            [Priority::CRITICAL, Priority::NORMAL.level(3), Priority::SHEDDABLE.level(99)]
        {
            assert_eq!(priority.to_string().parse(), Ok(priority));
        }
        assert_eq!(Priority::NORMAL.level(3).to_string(), "normal.3");
        for nonsense in
            ["", "Critical", "urgent", "normal.", "normal.100", "normal.-1", "normal.1.2"]
        {
            let error = nonsense.parse::<Priority>().unwrap_err();
            assert!(error.to_string().contains("`normal.3`"), "{nonsense}");
        }
        assert_eq!(Priority::NORMAL.level(255), Priority::NORMAL.level(99));
    }

    #[test]
    fn ranks_go_by_class_then_level_then_lot() {
        let ordered = [
            Rank::new(Priority::CRITICAL, 0.9),
            Rank::new(Priority::CRITICAL, 0.1),
            Rank::new(Priority::CRITICAL.level(1), 0.9),
            Rank::new(Priority::NORMAL, 0.96),
            Rank::new(Priority::NORMAL, 0.9),
            Rank::new(Priority::NORMAL, 0.0),
            Rank::new(Priority::NORMAL.level(7), 0.5),
            Rank::new(Priority::SHEDDABLE, 1.0),
            Rank::new(Priority::SHEDDABLE.level(99), f64::NAN),
        ];
        assert!(ordered.is_sorted_by(|a, b| a < b), "{ordered:?}");
    }
}
