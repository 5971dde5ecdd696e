//! Settings of tiers of users under one cap.

use std::sync::Arc;

use serde::Serialize;

use crate::constraint::{Constraints, InvalidSettings};
use crate::limit::keyed::MAX_KEYS;
use crate::limit::quota::Rate;

/// The most tiers there may be.
pub const MAX_TIERS: usize = 64;
/// The largest weight.
pub const MAX_WEIGHT: u32 = 100;

/// The smallest bucket of which something can be kept back.
const MIN_CAP: u64 = 2;

const DEFAULT_USERS: usize = 100_000;

/// What a tier's users may do: each its own limit, and a weight for when the cap binds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct TierConfig {
    quota: Rate,
    weight: u32,
}

impl TierConfig {
    /// Each user's own limit, with its burst, and a weight of 1.
    #[must_use]
    pub fn new(quota: Rate) -> Self {
        Self { quota, weight: 1 }
    }
    /// How much of the cap a user gets when it binds, compared with others; 1 to 100. Default 1.
    #[must_use]
    pub fn weighing(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }
    /// Each user's own limit.
    #[must_use]
    pub fn quota(&self) -> Rate {
        self.quota
    }
    /// How much of the cap a user gets when it binds, compared with others.
    #[must_use]
    pub fn weight(&self) -> u32 {
        self.weight
    }

    pub(super) fn check(self, check: &mut Constraints) {
        let allowed = format!("from 1 to {MAX_WEIGHT}");
        check.require((1..=MAX_WEIGHT).contains(&self.weight), "weight", self.weight, allowed);
    }
}

impl From<Rate> for TierConfig {
    fn from(quota: Rate) -> Self {
        Self::new(quota)
    }
}

/// The settings of [`Tiers`](super::Tiers), checked. Built by [`TiersConfig::builder`].
#[derive(Clone, Debug, PartialEq)]
pub struct TiersConfig {
    cap: Rate,
    tiers: Vec<(Arc<str>, TierConfig)>,
    max_users: usize,
}

impl TiersConfig {
    /// Starts with the cap that all users share, no tier, and 100,000 users. The cap's burst is at least 2: of
    /// one token nothing can be kept back for one that has had less. For `n` requests at the same instant to find
    /// enough, however much others ask for, it takes `2 n + 2`.
    #[must_use]
    pub fn builder(cap: Rate) -> TiersBuilder {
        TiersBuilder(Self { cap, tiers: Vec::new(), max_users: DEFAULT_USERS })
    }
    /// What all users together may do.
    #[must_use]
    pub fn cap(&self) -> Rate {
        self.cap
    }
    /// The tiers to begin with; the first is the default.
    #[must_use]
    pub fn tiers(&self) -> &[(Arc<str>, TierConfig)] {
        &self.tiers
    }
    /// How many users may have a limit of their own at once. Default 100,000.
    #[must_use]
    pub fn max_users(&self) -> usize {
        self.max_users
    }
}

/// Builds a [`TiersConfig`], checking every setting.
#[derive(Clone, Debug)]
pub struct TiersBuilder(TiersConfig);

impl TiersBuilder {
    /// Adds a tier. The first is also the tier of users whose tier is unknown.
    #[must_use]
    pub fn tier(mut self, name: impl Into<Arc<str>>, tier: impl Into<TierConfig>) -> Self {
        self.0.tiers.push((name.into(), tier.into()));
        self
    }
    /// How many users may have a limit of their own at once; 1 to 10,000,000. Beyond it new users
    /// share one; see [`KeyedLimiter`](crate::limit::KeyedLimiter).
    #[must_use]
    pub fn max_users(mut self, users: usize) -> Self {
        self.0.max_users = users;
        self
    }

    /// The checked settings.
    ///
    /// # Errors
    /// A cap with a burst of 1; no tier, or too many; a name that is empty or taken; every number that is out of range.
    pub fn build(self) -> Result<TiersConfig, InvalidSettings> {
        let mut check = Constraints::default();
        let burst = self.0.cap.capacity();
        check.require(burst >= MIN_CAP, "cap.capacity", burst, "at least 2, to be shared");
        let tiers = &self.0.tiers;
        let allowed = format!("from 1 to {MAX_TIERS} tiers");
        check.require((1..=MAX_TIERS).contains(&tiers.len()), "tiers", tiers.len(), allowed);
        for (at, (name, tier)) in tiers.iter().enumerate() {
            let is_new = tiers[..at].iter().all(|(before, _)| before != name);
            let ok = is_new && !name.is_empty();
            check.require(ok, "tiers", name, "a name that no other tier has");
            tier.check(&mut check);
        }
        check.require(
            (1..=MAX_KEYS).contains(&self.0.max_users),
            "max_users",
            self.0.max_users,
            format!("from 1 to {MAX_KEYS}"),
        );
        check.finish(self.0)
    }
}
