//! What retries may cost in all: a share of the calls, so that they cannot become the load themselves.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::clock::{Moment, nanos};
use crate::constraint::{Constraints, InvalidSettings};
use crate::striped::{Owner, Striped};
use crate::sync::{AtomicU64, Mutex, Ordering};

/// The shortest window of a budget: 100 ms.
pub const MIN_BUDGET_WINDOW: Duration = Duration::from_millis(100);
/// The longest window of a budget: 1 day.
pub const MAX_BUDGET_WINDOW: Duration = Duration::from_secs(24 * 3600);
/// The highest floor of a budget, in retries a second.
pub const MAX_BUDGET_PER_SECOND: f64 = 1_000_000.0;

/// Slices that a window is made of; it moves on by one of them at a time.
const SLICES: usize = 10;

/// A retry budget's settings, checked. Built by [`BudgetConfig::builder`]; the default is Finagle's:
/// retries may add 20 % to the calls, and 10 a second in any case, over 10 s.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct BudgetConfig {
    ratio: f64,
    min_per_second: f64,
    window: Duration,
}

impl BudgetConfig {
    /// Starts from the defaults.
    #[must_use]
    pub fn builder() -> BudgetBuilder {
        BudgetBuilder(Self::default())
    }
    /// Retries allowed as a share of calls. Default 0.2.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        self.ratio
    }
    /// Retries allowed each second however few calls there are. Default 10.
    #[must_use]
    pub fn min_per_second(&self) -> f64 {
        self.min_per_second
    }
    /// What both are taken over. Default 10 s.
    #[must_use]
    pub fn window(&self) -> Duration {
        self.window
    }
}

impl Default for BudgetConfig {
    fn default() -> Self {
        Self { ratio: 0.2, min_per_second: 10.0, window: Duration::from_secs(10) }
    }
}

/// Builds a [`BudgetConfig`], checking every setting.
#[derive(Clone, Debug)]
pub struct BudgetBuilder(BudgetConfig);

impl Default for BudgetBuilder {
    fn default() -> Self {
        BudgetConfig::builder()
    }
}

impl BudgetBuilder {
    /// Retries allowed as a share of calls; 0 to 1.
    #[must_use]
    pub fn ratio(mut self, ratio: f64) -> Self {
        self.0.ratio = ratio;
        self
    }
    /// Retries allowed each second however few calls there are; 0 to 1,000,000.
    #[must_use]
    pub fn min_per_second(mut self, retries: f64) -> Self {
        self.0.min_per_second = retries;
        self
    }
    /// What both are taken over; 100 ms to 1 day.
    #[must_use]
    pub fn window(mut self, window: Duration) -> Self {
        self.0.window = window;
        self
    }
    /// The checked settings.
    ///
    /// # Errors
    /// Every setting that is out of range or contradicts another.
    pub fn build(self) -> Result<BudgetConfig, InvalidSettings> {
        let mut check = Constraints::default();
        let config = self.0;
        check.require(
            (0.0..=1.0).contains(&config.ratio),
            "ratio",
            config.ratio,
            "from 0 to 1 (0.2 lets retries add 20 %)",
        );
        check.require(
            (0.0..=MAX_BUDGET_PER_SECOND).contains(&config.min_per_second),
            "min_per_second",
            config.min_per_second,
            format!("from 0 to {MAX_BUDGET_PER_SECOND}"),
        );
        check.agree(
            config.ratio != 0.0 || config.min_per_second != 0.0,
            ("ratio", "min_per_second"),
            config.ratio,
            "above 0 when min_per_second is 0 (to retry nothing, set max_attempts to 1)",
        );
        check.require(
            config.window >= MIN_BUDGET_WINDOW && config.window <= MAX_BUDGET_WINDOW,
            "window",
            config.window,
            "from 100ms to 1day",
        );
        check.finish(config)
    }
}

/// What a budget has seen within its window.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct BudgetUse {
    /// Calls begun.
    pub calls: u64,
    /// Retries reserved.
    pub retries: u64,
    /// Retries that would have been allowed in all.
    pub allowed: f64,
}

/// A retry budget, shared by its clones: a retry is allowed while
/// `retries in window, this one included ≤ ratio × calls in window + min_per_second × window`.
///
/// The window is ten slices that slide as one, so it spans between 90 % and 100 % of its length.
/// Each thread counts its calls for itself, without a lock; a retry, about to wait anyway, takes a short lock and adds them
/// up: no race admits one too many. A clock that goes back by up to a
/// window is taken to stand still; by more than that, and the window starts afresh.
#[derive(Clone, Debug)]
pub struct Budget(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    slice_nanos: u64,
    ratio: f64,
    /// `min_per_second × window`.
    floor: f64,
    /// The present, in slices since the clock's origin. Moves back only under the lock.
    latest: AtomicU64,
    calls: Striped<Calls>,
    retries: Mutex<[Slice; PLACES]>,
}

/// Places for slices: a power of two, so that finding one is no division.
const PLACES: usize = SLICES.next_power_of_two();

/// A thread's calls. By slice modulo [`PLACES`]: the slice's number in the upper half, its calls in the lower.
/// The tag tells a lapped count from a present one; it would take `2^32` slices, 497 days at
/// the least, of not one call in its place for it to be mistaken.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Calls([AtomicU64; PLACES]);

#[derive(Clone, Copy, Debug, Default)]
struct Slice {
    number: u64,
    retries: u64,
}

impl Budget {
    /// An unspent budget.
    #[must_use]
    pub fn new(config: &BudgetConfig) -> Self {
        Self(Arc::new(Shared {
            // Rounded up, so that ten slices are never less than the window; at least 10 ms.
            slice_nanos: nanos(config.window).div_ceil(SLICES as u64).max(1),
            ratio: config.ratio,
            floor: config.min_per_second * config.window.as_secs_f64(),
            latest: AtomicU64::new(0),
            calls: Striped::default(),
            retries: Mutex::default(),
        }))
    }

    /// Notes that a call (not an attempt) begins.
    #[inline]
    pub fn call(&self, now: Moment) {
        let shared = &*self.0;
        let slice = shared.advance(now);
        let (Calls(calls), owner) = shared.calls.mine(|_| Calls::default());
        match owner {
            Owner::ThisThread => {
                let place = &calls[index(slice)];
                place.store(one_more(place.load(Ordering::Acquire), slice), Ordering::Release);
            }
            Owner::Nobody => shared.count(calls, slice),
        }
    }

    /// Reserves one retry, before its backoff is waited for; `false` if the budget is spent. A
    /// retry that is then not made (the caller left, the deadline came) stays reserved until it
    /// slides out of the window: the budget errs towards less load.
    #[must_use]
    pub fn try_retry(&self, now: Moment) -> bool {
        let shared = &*self.0;
        shared.advance(now);
        let mut slices = shared.retries.lock();
        let present = shared.latest.load(Ordering::Acquire);
        let usage = shared.usage(&slices, present);
        // A hair more: 0.29 × 100 comes out as 28.999999999999996, and the 29th is meant to be let through.
        let allowed = (usage.retries + 1) as f64 <= usage.allowed + 1e-9 * usage.allowed.max(1.0);
        if allowed {
            let slice = &mut slices[index(present)];
            if slice.number != present {
                *slice = Slice { number: present, retries: 0 };
            }
            slice.retries += 1;
        }
        allowed
    }

    /// What the window holds now.
    #[must_use]
    pub fn usage(&self, now: Moment) -> BudgetUse {
        self.0.advance(now);
        let slices = self.0.retries.lock();
        self.0.usage(&slices, self.0.latest.load(Ordering::Acquire))
    }
}

impl Shared {
    /// Moves the present on to `now` and returns the slice it is in.
    fn advance(&self, now: Moment) -> u64 {
        let latest = self.latest.load(Ordering::Acquire);
        // A multiplication where nothing has to move on: a division costs as much as the rest of a call.
        let begins = latest.wrapping_mul(self.slice_nanos);
        if now.as_nanos().wrapping_sub(begins) < self.slice_nanos {
            return latest;
        }
        let slice = now.as_nanos() / self.slice_nanos;
        if slice > latest {
            return slice.max(self.latest.fetch_max(slice, Ordering::AcqRel));
        }
        if latest - slice <= SLICES as u64 {
            return latest;
        }
        self.restart(slice)
    }

    /// Counts one among those of other threads.
    #[cold]
    fn count(&self, calls: &[AtomicU64; PLACES], mut slice: u64) {
        loop {
            let place = &calls[index(slice)];
            let seen = place.load(Ordering::Acquire);
            let present = self.latest.load(Ordering::Acquire);
            if tag(seen) != slice as u32 && present != slice {
                // Overtaken by a whole slice or more: the tag may be newer, not older.
                slice = present;
                continue;
            }
            let next = one_more(seen, slice);
            if place.compare_exchange(seen, next, Ordering::AcqRel, Ordering::Acquire).is_ok() {
                return;
            }
        }
    }

    /// The clock went back by more than a window: what was counted belongs to a future that is not to be.
    #[cold]
    fn restart(&self, slice: u64) -> u64 {
        let mut slices = self.retries.lock();
        let latest = self.latest.load(Ordering::Acquire);
        if latest.saturating_sub(slice) <= SLICES as u64 {
            return latest.max(slice);
        }
        *slices = Default::default();
        for calls in self.calls.iter().flat_map(|thread| &thread.0) {
            calls.store(0, Ordering::Release);
        }
        self.latest.store(slice, Ordering::Release);
        slice
    }

    fn usage(&self, slices: &[Slice; PLACES], present: u64) -> BudgetUse {
        let calls = self
            .calls
            .iter()
            .flat_map(|thread| &thread.0)
            .map(|calls| calls.load(Ordering::Acquire))
            .filter(|&calls| (present as u32).wrapping_sub(tag(calls)) < SLICES as u32)
            .map(count)
            .sum();
        let retries = slices
            .iter()
            .filter(|slice| present.saturating_sub(slice.number) < SLICES as u64)
            .map(|slice| slice.retries)
            .sum();
        BudgetUse { calls, retries, allowed: self.ratio * calls as f64 + self.floor }
    }
}

/// What a place holds with one call more in this slice.
fn one_more(seen: u64, slice: u64) -> u64 {
    if tag(seen) != slice as u32 {
        return pack(slice, 1);
    }
    // A full count stays full: 2^32 calls in one slice earn no more.
    if count(seen) == u64::from(u32::MAX) { seen } else { seen + 1 }
}

fn index(slice: u64) -> usize {
    (slice % PLACES as u64) as usize
}

fn pack(slice: u64, calls: u64) -> u64 {
    (slice << 32) | calls
}

fn tag(word: u64) -> u32 {
    (word >> 32) as u32
}

fn count(word: u64) -> u64 {
    word & u64::from(u32::MAX)
}
