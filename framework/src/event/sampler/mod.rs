//! Counts what happens by the thousand, and picks a few to tell of.

use std::time::Duration;

use crate::clock::{Moment, nanos};
use crate::sync::{AtomicU64, Ordering};

#[cfg(all(test, seawall_loom))]
mod loom;
#[cfg(all(test, not(seawall_loom)))]
mod tests;

/// Of what comes by the thousand (refusals by one guard, timeouts, fallbacks, …) no two that are told of are nearer to each
/// other: the first one is told of at once, and then at most one a second.
pub const SAMPLE_EVERY: Duration = Duration::from_secs(1);

/// A clock that is further behind than this has jumped back: waiting for it to catch up could take for ever.
/// Nearer than this it is the moment of a thread that was held up on its way here.
const JUMP_NANOS: u64 = 60_000_000_000;

/// A counter that says, now and then, that this one is to be told of. One that is not costs a load more
/// than the counting itself.
#[derive(Debug, Default)]
pub(crate) struct Sampler {
    seen: AtomicU64,
    /// Up to here everything has been told of, or counted as unreported by one that was.
    told: AtomicU64,
    /// From here on, in nanoseconds, the next one may be told of.
    next_at: AtomicU64,
}

impl Sampler {
    /// Counts one. `Some`: tell of it, and that so many have gone untold since the last one.
    ///
    /// All of `1 + unreported` add up to the number of the last one told of: nothing is told of twice, and
    /// nothing lost but those since then.
    #[inline]
    pub(crate) fn count(&self, now: Moment) -> Option<u64> {
        let number = self.seen.fetch_add(1, Ordering::Relaxed) + 1;
        self.tell_of(|| number, now)
    }

    /// [`Sampler::count`] of something that is counted elsewhere: `number` is how many there are, this one included. It is
    /// asked only when one is due.
    #[inline]
    pub(crate) fn tell_of(&self, number: impl FnOnce() -> u64, now: Moment) -> Option<u64> {
        if !is_due(self.next_at.load(Ordering::Relaxed), now) {
            return None;
        }
        self.tell_of_due(number, now)
    }

    #[cold]
    fn tell_of_due(&self, number: impl FnOnce() -> u64, now: Moment) -> Option<u64> {
        // Looked at again: what is exchanged below has to be what was found to be due.
        let seen_next_at = self.next_at.load(Ordering::Relaxed);
        if !is_due(seen_next_at, now) {
            return None;
        }
        let number = number();
        let next_at = now.plus_nanos(nanos(SAMPLE_EVERY)).as_nanos();
        let relaxed = Ordering::Relaxed;
        // Of all those who are due at once, one.
        self.next_at.compare_exchange(seen_next_at, next_at, relaxed, relaxed).ok()?;
        let told = self.told.fetch_max(number, relaxed);
        // A later one may have overtaken this one, and counted it among the unreported.
        number.checked_sub(told)?.checked_sub(1)
    }

    /// How many there have been.
    #[cfg(test)]
    pub(crate) fn seen(&self) -> u64 {
        self.seen.load(Ordering::Relaxed)
    }
}

#[inline]
fn is_due(next_at: u64, now: Moment) -> bool {
    let early = next_at.saturating_sub(now.as_nanos());
    early == 0 || early >= JUMP_NANOS
}
