//! The fair share: how much each user may take while the cap binds.
//!
//! Core-Stateless Fair Queueing (I. Stoica, S. Shenker, H. Zhang, SIGCOMM 1998) gives every flow the
//! same rate `alpha` for each unit of its weight, chosen so that the rates add up to the link's: max-min
//! fairness with one number. There `alpha` is estimated from rates and packets are dropped by chance.
//! Here both are deterministic. `alpha` is read off the cap's bucket: the emptier, the smaller, so it
//! settles where as much is taken as comes in. A user's credit is a virtual clock (L. Zhang, SIGCOMM
//! 1990) on the integral of `alpha`: nobody's rate is estimated, and a user is one word.

use crate::clock::Moment;
use crate::sync::{AtomicU64, Ordering};

/// While at least this much of the cap's bucket is left, nobody is held to a share.
pub(super) const FREE: f64 = 0.5;
/// From [`FREE`] down to nothing left, the fair rate is halved so many times: enough for ten million
/// users who all want everything.
const HALVINGS: f64 = 24.0;
/// With less left than this, whoever has more of his credit left goes first.
const SCARCE: f64 = 0.0625;

/// For how long virtual time must last, in seconds: ten years.
const LIFE: f64 = 3.2e8;

/// Where virtual time starts, in units: further from zero than anybody's burst.
const START: u64 = u64::MAX / 4;

/// Virtual time: how much a user of weight one could have taken since the start.
#[derive(Debug)]
pub(super) struct Share {
    /// In units.
    virtual_time: AtomicU64,
    /// Until when, in nanoseconds of the clock, that is right.
    at: AtomicU64,
    /// What the cap lets in, in units a nanosecond.
    rate: f64,
    /// Units of a token.
    unit_bits: u32,
}

/// What a user may take: by his tier.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance {
    pub(super) weight: u64,
    /// The most that he can be owed, in tokens: his burst.
    pub(super) depth: u64,
}

impl Share {
    pub(super) fn new(cap_per_second: f64, now: Moment) -> Self {
        let unit_bits = (63.0 - (cap_per_second * LIFE).log2()).floor().clamp(0.0, 20.0) as u32;
        Self {
            virtual_time: AtomicU64::new(START),
            at: AtomicU64::new(now.as_nanos()),
            rate: cap_per_second / 1e9 * f64::from(1_u32 << unit_bits),
            unit_bits,
        }
    }

    /// What a user of weight one may take, as a part of the cap, with this part of its bucket left.
    pub(super) fn alpha(level: f64) -> f64 {
        if level >= FREE { 1.0 } else { (-HALVINGS * (1.0 - level / FREE)).exp2() }
    }

    /// Lets virtual time pass up to `now`, as fast as the level says. What it is.
    pub(super) fn advance(&self, now: Moment, level: f64) -> u64 {
        let now = now.as_nanos();
        let at = self.at.load(Ordering::Relaxed);
        if now < at {
            // A thread that was held up; or the clock was set back, and time passes from there on.
            if at - now > 1_000_000_000 {
                let _ = self.at.compare_exchange(at, now, Ordering::Relaxed, Ordering::Relaxed);
            }
            return self.virtual_time.load(Ordering::Relaxed);
        }
        let rate = self.rate * Self::alpha(level);
        let gained = (rate * (now - at) as f64) as u64;
        if gained > 0 {
            // Only the time that whole units stand for has been used: no rounding adds up.
            let until = now.min(at.saturating_add((gained as f64 / rate) as u64));
            let claim = self.at.compare_exchange(at, until, Ordering::Relaxed, Ordering::Relaxed);
            if claim.is_ok() {
                return self.virtual_time.fetch_add(gained, Ordering::Relaxed) + gained;
            }
        }
        self.virtual_time.load(Ordering::Relaxed)
    }

    /// `tokens` in units of virtual time for this weight, to the nearest.
    fn units(&self, tokens: u64, weight: u64) -> u64 {
        let units = (u128::from(tokens) << self.unit_bits) + u128::from(weight / 2);
        u64::try_from(units / u128::from(weight.max(1))).unwrap_or(START).min(START)
    }

    /// Takes `cost` of the user's credit, whose word `used` is the virtual time at which he would have
    /// been given all that he took. False: he has not enough, and nothing is taken.
    pub(super) fn take(
        &self,
        used: &AtomicU64,
        of: Allowance,
        time: u64,
        level: f64,
        cost: u64,
    ) -> bool {
        let next = self.after(of, time, level, cost);
        // The word stands for itself and publishes nothing else, so relaxed will do.
        used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).is_ok()
    }

    /// Whether [`Share::take`] would take it.
    pub(super) fn has(
        &self,
        used: &AtomicU64,
        of: Allowance,
        time: u64,
        level: f64,
        cost: u64,
    ) -> bool {
        self.after(of, time, level, cost)(used.load(Ordering::Relaxed)).is_some()
    }

    /// The most that [`Share::take`] would take, in whole tokens. Of use below [`FREE`]; from there on
    /// nobody is held to it.
    pub(super) fn left(&self, used: &AtomicU64, of: Allowance, time: u64, level: f64) -> u64 {
        let depth = self.units(of.depth, of.weight);
        let owed = time.saturating_sub(used.load(Ordering::Relaxed)).min(depth);
        // Solved for the cost, `after`: while little is left, a part of the burst must stay.
        let kept = (1.0 - level / SCARCE).max(0.0);
        let units = ((owed as f64 - kept * depth as f64) / (1.0 - kept)).max(0.0) as u64;
        let tokens = (u128::from(units.min(owed)) * u128::from(of.weight)) >> self.unit_bits;
        u64::try_from(tokens).unwrap_or(u64::MAX)
    }

    /// What a user's word becomes by taking `cost`, if he may.
    fn after(
        &self,
        of: Allowance,
        time: u64,
        level: f64,
        cost: u64,
    ) -> impl Fn(u64) -> Option<u64> + use<> {
        let cost_units = self.units(cost, of.weight);
        let depth = self.units(of.depth, of.weight);
        let spare = (1.0 - level / SCARCE).max(0.0) * depth.saturating_sub(cost_units) as f64;
        let limit = time.saturating_sub(spare as u64);
        move |used| {
            // Nobody is owed more than his burst, nor owes for what he took while there was enough.
            let next = used.max(time.saturating_sub(depth)).saturating_add(cost_units);
            if level >= FREE { Some(next.min(time)) } else { (next <= limit).then_some(next) }
        }
    }

    /// Gives `cost` of a user's credit back.
    pub(super) fn refund(&self, used: &AtomicU64, of: Allowance, cost: u64) {
        let cost = self.units(cost.min(of.depth), of.weight);
        let _ = used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            Some(used.saturating_sub(cost))
        });
    }

    /// Whether a user is owed all that he can be.
    pub(super) fn is_fresh(&self, used: u64, of: Allowance) -> bool {
        let time = self.virtual_time.load(Ordering::Relaxed);
        used <= time.saturating_sub(self.units(of.depth, of.weight))
    }

    /// A user's word when he moves from one allowance to another: he is owed what he was, at most the
    /// new burst.
    pub(super) fn moved(&self, used: u64, from: Allowance, to: Allowance) -> u64 {
        let time = self.virtual_time.load(Ordering::Relaxed);
        let owed = time.saturating_sub(used).min(self.units(from.depth, from.weight));
        let owed = u128::from(owed) * u128::from(from.weight) / u128::from(to.weight.max(1));
        let owed = u64::try_from(owed).unwrap_or(u64::MAX);
        time.saturating_sub(owed.min(self.units(to.depth, to.weight)))
    }
}
