//! The fair share: how much each user may take while the cap binds.
//!
//! Core-Stateless Fair Queueing (I. Stoica, S. Shenker, H. Zhang, SIGCOMM 1998) gives every flow the
//! same rate `alpha` for each unit of its weight, chosen so that the rates add up to the link's: max-min
//! fairness with one number. There `alpha` is estimated from rates and packets are dropped by chance.
//! Here both are deterministic. `alpha` is read off the cap's bucket: the emptier, the smaller, so it
//! settles where as much is taken as comes in. A user's credit is a virtual clock (L. Zhang, SIGCOMM
//! 1990) on the integral of `alpha`: nobody's rate is estimated, and a user is one word.
//!
//! A small bucket is emptied by a few requests, so `alpha` jumps, and most of what a greedy user gets it
//! gets in the moments when nobody is held to a share. So a user that then takes what it has no credit for takes
//! virtual time along: everybody else is owed as much. Of a bucket of few tokens nothing is had without
//! credit that would leave less than one for one that has some.

use crate::clock::Moment;
use crate::limit::quota::Rate;
use crate::sync::{AtomicU64, Ordering};

/// While at least this part of the cap's bucket is left, and as many tokens, nobody is held to a share.
const FREE: (u64, u64) = (2, 2);
/// From there down to nothing left, the fair rate is halved so many times: enough for ten million users who
/// all want everything.
const HALVINGS: f64 = 24.0;
/// With less left than this part of the bucket, or tokens, a user that has more of its credit left goes first.
const SCARCE: (u64, u64) = (16, 2);

/// For how long virtual time must last, in seconds: ten years of all that the cap lets in, and as much again
/// that is taken without credit.
const LIFE: f64 = 6.4e8;

/// Where virtual time starts, in units: further from zero than anybody's burst.
const START: u64 = u64::MAX / 4;

/// Virtual time: how much a user of weight one could have taken since the start.
#[derive(Debug)]
pub(super) struct FairShare {
    /// In units.
    virtual_time: AtomicU64,
    /// Until when, in nanoseconds of the clock, that is right.
    at: AtomicU64,
    /// What the cap lets in, in units a nanosecond.
    rate: f64,
    /// Units of a token.
    unit_bits: u32,
    /// With so much left of the cap's bucket, in its own units, nobody is held to a share.
    free: u64,
    /// With less, a user that has more credit goes first.
    scarce: u64,
}

/// What a user may take: by its tier.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance {
    pub(super) weight: u64,
    /// The most that it can be owed, in tokens: its burst.
    pub(super) depth: u64,
}

/// A moment of the shares: virtual time, and what is left of the cap, in its bucket's units.
#[derive(Clone, Copy, Debug)]
pub(super) struct ShareTime {
    virtual_time: u64,
    left: u64,
}

impl FairShare {
    /// Of a cap whose bucket holds `span` of its units.
    pub(super) fn new(cap: &Rate, span: u64, now: Moment) -> Self {
        let cap_per_second = cap.per_second();
        let token = span / cap.capacity();
        let mark = |(part, tokens): (u64, u64)| {
            span.div_ceil(part).max(tokens.saturating_mul(token)).min(span)
        };
        let unit_bits = (63.0 - (cap_per_second * LIFE).log2()).floor().clamp(0.0, 20.0) as u32;
        Self {
            virtual_time: AtomicU64::new(START),
            at: AtomicU64::new(now.as_nanos()),
            rate: cap_per_second / 1e9 * f64::from(1_u32 << unit_bits),
            unit_bits,
            free: mark(FREE),
            scarce: mark(SCARCE),
        }
    }

    /// With so much left of the cap nobody is held to a share.
    pub(super) fn free(&self) -> u64 {
        self.free
    }

    pub(super) fn is_free(&self, left: u64) -> bool {
        left >= self.free
    }

    /// What a user of weight one may take, as a part of the cap, with so much of its bucket left.
    pub(super) fn alpha(&self, left: u64) -> f64 {
        let missing = self.free.saturating_sub(left) as f64 / self.free as f64;
        if missing > 0.0 { (-HALVINGS * missing).exp2() } else { 1.0 }
    }

    /// Lets virtual time pass up to `now`, as fast as what is left of the cap says.
    pub(super) fn at(&self, now: Moment, left: u64) -> ShareTime {
        ShareTime { virtual_time: self.advance(now, left), left }
    }

    /// The same. What virtual time is.
    pub(super) fn advance(&self, now: Moment, left: u64) -> u64 {
        let now = now.as_nanos();
        let at = self.at.load(Ordering::Relaxed);
        if now < at {
            // A thread that was held up; or the clock was set back, and time passes from there on.
            if at - now > 1_000_000_000 {
                let _ = self.at.compare_exchange(at, now, Ordering::Relaxed, Ordering::Relaxed);
            }
            return self.virtual_time.load(Ordering::Relaxed);
        }
        let rate = self.rate * self.alpha(left);
        let gained = (rate * (now - at) as f64) as u64;
        if gained > 0 {
            // Only the time that whole units stand for has been used: no rounding adds up. Rounded up, so that another
            // look at the same moment gains nothing.
            let until = now.min(at.saturating_add((gained as f64 / rate).ceil() as u64));
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

    /// Takes `cost` of the user's credit, whose word `used` is the virtual time at which it would have
    /// been given all that it took. What it is now; `None`: it has not enough, and nothing is taken.
    pub(super) fn take(
        &self,
        used: &AtomicU64,
        of: Allowance,
        at: ShareTime,
        cost: u64,
    ) -> Option<u64> {
        let next = self.after(of, at, cost);
        // The word stands for itself and publishes nothing else, so relaxed will do.
        let before = used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, &next).ok()?;
        next(before)
    }

    /// Somebody has been given what brought its word to this. If that is ahead of virtual time, time catches
    /// up with it: it owes nothing for what it took while there was enough, and others are owed as much.
    pub(super) fn catch_up(&self, used: u64) {
        if used > self.virtual_time.load(Ordering::Relaxed) {
            self.virtual_time.fetch_max(used, Ordering::Relaxed);
        }
    }

    /// Whether [`FairShare::take`] would take it.
    pub(super) fn has(&self, used: &AtomicU64, of: Allowance, at: ShareTime, cost: u64) -> bool {
        self.after(of, at, cost)(used.load(Ordering::Relaxed)).is_some()
    }

    /// The most that [`FairShare::take`] would take, in whole tokens. Of use unless [`FairShare::is_free`]: nobody is held to
    /// it then.
    pub(super) fn left(&self, used: &AtomicU64, of: Allowance, at: ShareTime) -> u64 {
        let ShareTime { virtual_time, left } = at;
        let depth = self.units(of.depth, of.weight);
        let owed = virtual_time.saturating_sub(used.load(Ordering::Relaxed)).min(depth);
        // Solved for the cost, `after`: while little is left, a part of the burst must stay.
        let kept = self.scarce.saturating_sub(left) as f64 / self.scarce as f64;
        let units = ((owed as f64 - kept * depth as f64) / (1.0 - kept)).max(0.0) as u64;
        let tokens = (u128::from(units.min(owed)) * u128::from(of.weight)) >> self.unit_bits;
        u64::try_from(tokens).unwrap_or(u64::MAX)
    }

    /// What a user's word becomes by taking `cost`, if it may.
    fn after(
        &self,
        of: Allowance,
        at: ShareTime,
        cost: u64,
    ) -> impl Fn(u64) -> Option<u64> + use<> {
        let ShareTime { virtual_time: time, left } = at;
        let cost_units = self.units(cost, of.weight);
        let depth = self.units(of.depth, of.weight);
        let missing = self.scarce.saturating_sub(left) as f64 / self.scarce as f64;
        let spare = missing * depth.saturating_sub(cost_units) as f64;
        let is_free = self.is_free(left);
        let limit = time.saturating_sub(spare as u64);
        move |used| {
            // Nobody is owed more than its burst.
            let next = used.max(time.saturating_sub(depth)).saturating_add(cost_units);
            (is_free || next <= limit).then_some(next)
        }
    }

    /// Gives `cost` of a user's credit back.
    pub(super) fn refund(&self, used: &AtomicU64, of: Allowance, cost: u64) {
        let cost = self.units(cost, of.weight);
        let _ = used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            Some(used.saturating_sub(cost))
        });
    }

    /// Whether a user is owed all that it can be.
    pub(super) fn is_fresh(&self, used: u64, of: Allowance) -> bool {
        let time = self.virtual_time.load(Ordering::Relaxed);
        used <= time.saturating_sub(self.units(of.depth, of.weight))
    }

    /// A user's word when it moves from one allowance to another: it is owed what it was, at most the
    /// new burst.
    pub(super) fn moved(&self, used: u64, from: Allowance, to: Allowance) -> u64 {
        let time = self.virtual_time.load(Ordering::Relaxed);
        let owed = time.saturating_sub(used).min(self.units(from.depth, from.weight));
        let owed = u128::from(owed) * u128::from(from.weight) / u128::from(to.weight.max(1));
        let owed = u64::try_from(owed).unwrap_or(u64::MAX);
        time.saturating_sub(owed.min(self.units(to.depth, to.weight)))
    }
}
