//! The only reader of time.
//!
//! A policy never asks what time it is: it is told, as a [`Moment`]. Whoever does ask holds a
//! [`Clock`], which is the system's, a hand-cranked one for tests, or somebody else's function.

use std::fmt;
use std::ops::Add;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// A point on a monotonic clock: nanoseconds since that clock's origin.
///
/// Arithmetic saturates at both ends (584 years); a later moment minus an earlier one is a
/// duration, and the reverse is zero, so a clock that jumps back cannot underflow anything.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(u64);

impl Moment {
    /// The clock's origin.
    pub const ZERO: Self = Self(0);
    /// The last representable moment; "never".
    pub const MAX: Self = Self(u64::MAX);

    /// The moment `nanos` nanoseconds after the origin.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the origin.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this is; zero if it is not after.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// Nanoseconds since `earlier`; zero if this is not after it.
    #[must_use]
    #[inline]
    pub(crate) const fn nanos_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The moment `nanos` nanoseconds later, at the latest [`Moment::MAX`].
    #[must_use]
    #[inline]
    pub(crate) const fn plus_nanos(self, nanos: u64) -> Self {
        Self(self.0.saturating_add(nanos))
    }

    /// The moment `by` before this one, at the earliest the origin.
    #[must_use]
    pub fn before(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(by)))
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    /// Saturates at [`Moment::MAX`].
    fn add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(nanos(by)))
    }
}

impl fmt::Debug for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "t+{:?}", Duration::from_nanos(self.0))
    }
}

/// A duration in whole nanoseconds, at most `u64::MAX` (584 years).
#[must_use]
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Tells the time. Cloning is cheap; clones tell the same time.
#[derive(Clone)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    System(&'static Origin),
    Manual(Arc<AtomicU64>),
    Function(fn() -> Moment),
}

impl Clock {
    /// The system's monotonic clock. The first one in a process takes up to 200 ms to calibrate.
    #[must_use]
    pub fn system() -> Self {
        Self(Source::System(origin()))
    }

    /// A clock that stands still until [`ManualClock`] moves it; starts at the origin.
    #[must_use]
    pub fn manual() -> (Self, ManualClock) {
        let now = Arc::new(AtomicU64::new(0));
        (Self(Source::Manual(Arc::clone(&now))), ManualClock(now))
    }

    /// A clock that asks `function`, which must not go back.
    #[must_use]
    pub fn from_fn(function: fn() -> Moment) -> Self {
        Self(Source::Function(function))
    }

    /// The present moment.
    #[must_use]
    #[inline]
    pub fn now(&self) -> Moment {
        match &self.0 {
            Source::System(origin) => {
                Moment(origin.clock.delta_as_nanos(origin.start, origin.clock.raw()))
            }
            Source::Manual(now) => Moment(now.load(Ordering::Acquire)),
            Source::Function(function) => function(),
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Source::System(_) => "Clock::system",
            Source::Manual(_) => "Clock::manual",
            Source::Function(_) => "Clock::from_fn",
        })
    }
}

struct Origin {
    clock: quanta::Clock,
    start: u64,
}

/// Calibrated once a process, on first use.
fn origin() -> &'static Origin {
    static ORIGIN: OnceLock<Origin> = OnceLock::new();
    ORIGIN.get_or_init(|| {
        let clock = quanta::Clock::new();
        let start = clock.raw();
        Origin { clock, start }
    })
}

/// Moves a [`Clock::manual`] forward.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    /// Moves the clock `by` ahead and returns the new present.
    pub fn advance(&self, by: Duration) -> Moment {
        let by = nanos(by);
        let before = self
            .0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |now| Some(now.saturating_add(by)))
            .unwrap_or_else(|now| now);
        Moment(before.saturating_add(by))
    }

    /// Sets the clock, backwards too: what a stepped system clock does to a careless program.
    pub fn set(&self, to: Moment) {
        self.0.store(to.0, Ordering::Release);
    }
}
