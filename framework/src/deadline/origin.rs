//! Where work comes from: which attempt of its caller it is, the lot of its root request, and how important that is.

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

use crate::backpressure::Priority;
use crate::entropy::Entropy;

/// Lots are numbers up to this.
const LOTS: u32 = 1_000_000;
/// No retry policy makes more attempts.
const MAX_ATTEMPT: u32 = 1_000;

/// Where work comes from; see [what travels](super#what-else-travels).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    attempt: u32,
    /// From 1 to [`LOTS`]; zero: none is drawn yet.
    lot: u32,
    /// `None`: nobody has said anything.
    priority: Option<Priority>,
}

impl Default for Origin {
    /// A first attempt, without a lot.
    fn default() -> Self {
        Self { attempt: 1, lot: 0, priority: None }
    }
}

impl Origin {
    /// This attempt of the caller's, counted from 1.
    #[must_use]
    pub fn of_attempt(attempt: u32) -> Self {
        Self { attempt: attempt.clamp(1, MAX_ATTEMPT), ..Self::default() }
    }

    /// With this lot, in `[0, 1)`; what is outside is taken as the nearest end.
    #[must_use]
    pub fn with_lot(self, lot: f64) -> Self {
        // A NaN is the lowest.
        let lot = (lot.clamp(0.0, 1.0) * f64::from(LOTS)) as u32;
        Self { lot: (lot + 1).min(LOTS), ..self }
    }

    /// With this priority.
    #[must_use]
    pub fn with_priority(self, priority: Priority) -> Self {
        Self { priority: Some(priority), ..self }
    }

    /// How important it is: [`Priority::NORMAL`], where nobody has said anything. Never more than the work that it belongs to.
    #[must_use]
    pub fn priority(&self) -> Priority {
        self.priority.unwrap_or_default()
    }

    /// Which attempt of its caller it is: 1 for the first, more for a retry. At least that of every caller before.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Whether some caller on the way has sent it again.
    #[must_use]
    pub fn is_retry(&self) -> bool {
        self.attempt > 1
    }

    /// The root request's lot, a random number in `[0, 1)`. To refuse a share of all requests, refuse those whose lot is below it.
    /// `None` outside any scope.
    #[must_use]
    pub fn lot(&self) -> Option<f64> {
        Some(f64::from(self.lot.checked_sub(1)?) / f64::from(LOTS))
    }

    /// This one, in work that comes from `around`.
    pub(crate) fn within(self, around: Self) -> Self {
        let lot = if around.lot == 0 { self.lot } else { around.lot };
        // `None` is before every priority, and the greater of two is the less important.
        Self {
            attempt: self.attempt.max(around.attempt),
            lot,
            priority: self.priority.max(around.priority),
        }
    }

    /// Draws a lot, unless it has one.
    pub(super) fn draw_lot(&mut self) {
        static CHANCE: OnceLock<Entropy> = OnceLock::new();
        if self.lot == 0 {
            *self = self.with_lot(CHANCE.get_or_init(Entropy::system).unit());
        }
    }
}

/// As it is written into a request: `attempt=2;lot=431201;priority=sheddable`, lots from 1 to 1,000,000.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "attempt={}", self.attempt)?;
        if self.lot != 0 {
            write!(f, ";lot={}", self.lot)?;
        }
        self.priority.map_or(Ok(()), |priority| write!(f, ";priority={priority}"))
    }
}

impl FromStr for Origin {
    type Err = ();

    /// Parts that are not known are left out, and so may any part be.
    fn from_str(text: &str) -> Result<Self, ()> {
        let mut origin = Self::default();
        for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').ok_or(())?;
            match name.trim() {
                "attempt" => {
                    let attempt: u32 = value.trim().parse().map_err(drop)?;
                    origin.attempt = attempt.clamp(1, MAX_ATTEMPT);
                }
                "lot" => {
                    let lot: u32 = value.trim().parse().map_err(drop)?;
                    origin.lot = lot.clamp(1, LOTS);
                }
                "priority" => origin.priority = Some(value.trim().parse().map_err(drop)?),
                _ => {}
            }
        }
        Ok(origin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again_and_nonsense_is_not() {
        for origin in [
            Origin::default(),
            Origin::of_attempt(3),
            Origin::of_attempt(2).with_lot(0.25).with_priority(Priority::SHEDDABLE.level(7)),
        ] {
            assert_eq!(origin.to_string().parse(), Ok(origin));
        }
        assert_eq!(
            "attempt=2; later=x; lot=7".parse(),
            Ok(Origin { attempt: 2, lot: 7, priority: None })
        );
        assert_eq!("".parse(), Ok(Origin::default()));
        assert_eq!("attempt=0;lot=0".parse(), Ok(Origin { attempt: 1, lot: 1, priority: None }));
        assert_eq!(
            "attempt=4000000000;lot=4000000000".parse(),
            Ok(Origin { attempt: 1000, lot: LOTS, priority: None })
        );
        for nonsense in [
            "attempt",
            "attempt=-1",
            "attempt=two",
            "lot=1.5",
            "lot=99999999999999",
            "priority=urgent",
        ] {
            assert_eq!(nonsense.parse::<Origin>(), Err(()), "{nonsense}");
        }
    }

    #[test]
    fn a_callee_is_never_more_important_than_what_it_belongs_to() {
        let with = |priority| Origin::default().with_priority(priority);
        let (critical, sheddable) = (with(Priority::CRITICAL), with(Priority::SHEDDABLE));
        assert_eq!(critical.within(sheddable).priority(), Priority::SHEDDABLE);
        assert_eq!(sheddable.within(critical).priority(), Priority::SHEDDABLE);
        assert_eq!(Origin::default().within(critical).priority(), Priority::CRITICAL, "as it");
        assert_eq!(
            critical.within(Origin::default()).priority(),
            Priority::CRITICAL,
            "the first word"
        );
        assert_eq!(Origin::default().priority(), Priority::NORMAL);
    }

    #[test]
    fn a_lot_is_kept_and_an_attempt_only_grows() {
        let root = Origin::of_attempt(2).with_lot(0.5);
        assert_eq!(Origin::of_attempt(1).with_lot(0.9).within(root), root);
        assert_eq!(Origin::of_attempt(3).within(root).attempt(), 3);
        let mut drawn = root;
        drawn.draw_lot();
        assert_eq!(drawn, root);
        assert_eq!((root.lot(), Origin::default().lot()), (Some(0.5), None));
        for (lot, read) in [(0.0, 0.0), (1.0, 0.999_999), (-1.0, 0.0), (f64::NAN, 0.0)] {
            assert_eq!(Origin::default().with_lot(lot).lot(), Some(read), "{lot}");
        }
    }
}
