//! Which tiers there are, and which there were.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::config::TierConfig;
use super::fair_share::Allowance;
use crate::limit::token_bucket::TokenBucket;

/// How many earlier settings are kept, so that users who still have them can be moved.
const EARLIER: usize = 256;

/// One tier's settings, in the form that decides.
#[derive(Clone, Debug)]
pub(super) struct Tier {
    pub(super) name: Arc<str>,
    /// Different for all settings that there ever were.
    pub(super) id: u32,
    pub(super) bucket: TokenBucket,
    pub(super) allowance: Allowance,
    pub(super) config: TierConfig,
}

/// All tiers at one time. Never changed: another takes its place.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// The first is whose tier is unknown's.
    tiers: Vec<Tier>,
    /// The latest last.
    earlier: VecDeque<Tier>,
    next_id: u32,
    /// The most that anybody can be owed: what the cap's bucket holds.
    most_owed: u64,
    /// How long the slowest tier that there ever was takes to fill up.
    pub(super) longest_fill: Duration,
}

impl Plan {
    pub(super) fn new(tiers: &[(Arc<str>, TierConfig)], most_owed: u64) -> Self {
        let mut plan = Self {
            tiers: Vec::new(),
            earlier: VecDeque::new(),
            next_id: 0,
            most_owed,
            longest_fill: Duration::ZERO,
        };
        for (name, config) in tiers {
            plan.set(name, *config);
        }
        plan
    }

    /// Adds a tier, or gives one of this name other settings.
    pub(super) fn set(&mut self, name: &Arc<str>, config: TierConfig) {
        let quota = config.quota();
        let fill = quota.capacity() as f64 / quota.per_second();
        let fill = Duration::try_from_secs_f64(fill).unwrap_or(Duration::MAX);
        self.longest_fill = self.longest_fill.max(fill);
        let depth = quota.capacity().min(self.most_owed);
        let tier = Tier {
            name: Arc::clone(name),
            id: self.next_id,
            bucket: TokenBucket::new(&quota),
            allowance: Allowance { weight: u64::from(config.weight()), depth },
            config,
        };
        self.next_id += 1;
        match self.tiers.iter_mut().find(|known| known.name == *name) {
            Some(known) => {
                self.earlier.push_back(std::mem::replace(known, tier));
                if self.earlier.len() > EARLIER {
                    self.earlier.pop_front();
                }
            }
            None => self.tiers.push(tier),
        }
    }

    pub(super) fn tiers(&self) -> &[Tier] {
        &self.tiers
    }

    /// The tier of this name, else the default one.
    pub(super) fn tier(&self, name: &str) -> Option<&Tier> {
        self.tiers.iter().find(|tier| &*tier.name == name).or_else(|| self.tiers.first())
    }

    /// Whether these settings came after this plan.
    pub(super) fn is_older_than(&self, id: u32) -> bool {
        id >= self.next_id
    }

    /// The settings of this id, if they are still known.
    pub(super) fn settings(&self, id: u32) -> Option<&Tier> {
        let mut all = self.tiers.iter().chain(self.earlier.iter().rev());
        all.find(|tier| tier.id == id)
    }
}
