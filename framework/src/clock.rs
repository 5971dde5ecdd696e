//! The only reader of time.
//!
//! A policy never asks what time it is: it is told, as a [`Moment`]. Code that does ask holds a
//! [`Clock`], which is the system's, a hand-cranked one for tests, or somebody else's function. The
//! same clock tells the wall's time, for what follows the calendar.

use std::fmt;
use std::ops::Add;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

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
    Manual(Arc<Hands>),
    /// And how far its origin is from the epoch, in nanoseconds, wrapping.
    Function(fn() -> Moment, u64),
}

/// Where a manual clock stands.
#[derive(Debug, Default)]
struct Hands {
    now: AtomicU64,
    /// Nanoseconds from the epoch to the origin.
    origin: AtomicU64,
}

impl Clock {
    /// The system's monotonic clock. The first one in a process takes up to 200 ms to calibrate.
    #[must_use]
    pub fn system() -> Self {
        Self(Source::System(origin()))
    }

    /// A clock that stands still until [`ManualClock`] moves it; starts at the origin, which is the
    /// epoch until [`ManualClock::set_epoch`] says otherwise.
    #[must_use]
    pub fn manual() -> (Self, ManualClock) {
        let hands = Arc::<Hands>::default();
        (Self(Source::Manual(Arc::clone(&hands))), ManualClock(hands))
    }

    /// A clock that asks `function`, which must not go back. Its wall's time is the system's as it is
    /// now, moved on by that function.
    #[must_use]
    pub fn from_fn(function: fn() -> Moment) -> Self {
        Self(Source::Function(function, wall_nanos().wrapping_sub(function().0)))
    }

    /// The present moment.
    #[must_use]
    #[inline]
    pub fn now(&self) -> Moment {
        match &self.0 {
            Source::System(origin) => {
                let ticks = origin.clock.raw().saturating_sub(origin.start);
                Moment(nanos_in(ticks, origin.nanos_per_tick))
            }
            Source::Manual(hands) => Moment(hands.now.load(Ordering::Acquire)),
            Source::Function(function, _) => function(),
        }
    }

    /// What the clock on the wall shows: time since the Unix epoch. Unlike [`Clock::now`] it may jump, both
    /// ways, when somebody puts it right.
    #[must_use]
    pub fn since_epoch(&self) -> Duration {
        self.both().1
    }

    /// [`Clock::now`] and [`Clock::since_epoch`] of one instant: a clock that is moved by another thread in
    /// between would be taken for a wall clock that was put right.
    pub(crate) fn both(&self) -> (Moment, Duration) {
        let now = self.now();
        let nanos = match &self.0 {
            Source::System(_) => wall_nanos(),
            Source::Manual(hands) => now.0.saturating_add(hands.origin.load(Ordering::Acquire)),
            Source::Function(_, origin) => now.0.wrapping_add(*origin),
        };
        (now, Duration::from_nanos(nanos))
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Source::System(_) => "Clock::system",
            Source::Manual(_) => "Clock::manual",
            Source::Function(..) => "Clock::from_fn",
        })
    }
}

/// Zero before the epoch.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the wall's clock")]
fn wall_nanos() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, nanos)
}

/// How long after the Unix epoch that is; nothing, if it is before.
#[cfg(feature = "http")]
pub(crate) fn after_epoch(time: SystemTime) -> Option<Duration> {
    time.duration_since(UNIX_EPOCH).ok()
}

struct Origin {
    clock: quanta::Clock,
    start: u64,
    /// Times `2^56`.
    nanos_per_tick: u64,
}

/// As quanta says it, but with a shift that is known: every call asks twice.
#[inline]
fn nanos_in(ticks: u64, nanos_per_tick: u64) -> u64 {
    // Enough bits for a tick of 255 ns; what is more than 584 years is cut off.
    ((u128::from(ticks) * u128::from(nanos_per_tick)) >> 56) as u64
}

/// What a tick of this clock is worth, times `2^56`: exact to a nanosecond in `2^40` ticks, which are minutes.
fn nanos_per_tick(clock: &quanta::Clock) -> u64 {
    clock.delta_as_nanos(0, 1 << 40) << 16
}

/// Calibrated once a process, on first use.
fn origin() -> &'static Origin {
    static ORIGIN: OnceLock<Origin> = OnceLock::new();
    ORIGIN.get_or_init(|| {
        let clock = quanta::Clock::new();
        let (start, nanos_per_tick) = (clock.raw(), nanos_per_tick(&clock));
        Origin { clock, start, nanos_per_tick }
    })
}

/// Moves a [`Clock::manual`] forward.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Hands>);

impl ManualClock {
    /// Moves the clock `by` ahead and returns the new present.
    pub fn advance(&self, by: Duration) -> Moment {
        let by = nanos(by);
        let before = self
            .0
            .now
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |now| Some(now.saturating_add(by)))
            .unwrap_or_else(|now| now);
        Moment(before.saturating_add(by))
    }

    /// Sets the clock, backwards too: what a stepped system clock does to a careless program.
    pub fn set(&self, to: Moment) {
        self.0.now.store(to.0, Ordering::Release);
    }

    /// Makes its origin this long after the Unix epoch: what [`Clock::since_epoch`] counts from.
    pub fn set_epoch(&self, origin: Duration) {
        self.0.origin.store(nanos(origin), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    #[test]
    fn a_manual_clocks_wall_time_is_its_own() {
        let (clock, crank) = Clock::manual();
        assert_eq!(clock.since_epoch(), Duration::ZERO);
        crank.set_epoch(20_000 * DAY);
        crank.advance(DAY);
        assert_eq!(clock.since_epoch(), 20_001 * DAY);
        crank.set_epoch(10_000 * DAY);
        assert_eq!((clock.since_epoch(), clock.now()), (10_001 * DAY, Moment::ZERO + DAY));
        crank.set_epoch(Duration::MAX);
        assert_eq!(clock.since_epoch(), Duration::from_nanos(u64::MAX));
    }

    #[test]
    fn ticks_are_worth_what_quanta_says() {
        let clock = quanta::Clock::new();
        let nanos_per_tick = nanos_per_tick(&clock);
        for ticks in (0..56).map(|bits| (1_u64 << bits) + 12_345) {
            let (ours, quantas) = (nanos_in(ticks, nanos_per_tick), clock.delta_as_nanos(0, ticks));
            // A nanosecond in 2^40 ticks, and one of rounding.
            assert!(ours.abs_diff(quantas) <= (ticks >> 40) + 2, "{ticks}: {ours} for {quantas}");
        }
        // A clock that tells nanoseconds itself.
        assert_eq!(nanos_in(u64::MAX, 1 << 56), u64::MAX);
    }

    #[test]
    fn the_others_follow_the_systems() {
        // This was written in 2026.
        let written = 56 * 365 * DAY;
        assert!(Clock::system().since_epoch() > written);
        let standing = Clock::from_fn(|| Moment::from_nanos(5));
        assert!(standing.since_epoch() > written);
        assert_eq!(standing.since_epoch(), standing.since_epoch(), "it stands");
    }
}
