//! Refusals that still hold.

use std::hash::Hash;

use dashmap::DashMap;

use crate::clock::Moment;
use crate::entropy::SecretHash;

use super::store::Verdict;

/// So many are remembered, at most.
const MOST: usize = 65_536;

/// Remembers until when a key is refused, so that asking again before that costs no round trip. Bounded: what finds no room is
/// asked again.
#[derive(Debug)]
pub(super) struct Denied<K: Hash + Eq> {
    refusals: DashMap<K, Refused, SecretHash>,
}

#[derive(Clone, Copy, Debug)]
struct Refused {
    /// This cost; a larger one is refused, too.
    cost: u64,
    at: Moment,
    until: Moment,
    verdict: Verdict,
}

impl<K: Hash + Eq> Denied<K> {
    pub(super) fn new() -> Self {
        Self { refusals: DashMap::with_hasher(SecretHash::default()) }
    }

    /// The refusal that holds for this cost, with what is left of its times.
    pub(super) fn find(&self, key: &K, now: Moment, cost: u64) -> Option<Verdict> {
        let refused = *self.refusals.get(key)?;
        if now >= refused.until {
            self.refusals.remove_if(key, |_, known| now >= known.until);
            return None;
        }
        if cost < refused.cost {
            return None;
        }
        let since = now.since(refused.at);
        Some(Verdict {
            retry_after: Some(refused.until.since(now)),
            reset_after: refused.verdict.reset_after.saturating_sub(since),
            ..refused.verdict
        })
    }

    /// Remembers a refusal of this cost.
    pub(super) fn note(&self, key: K, now: Moment, cost: u64, verdict: Verdict) {
        let Some(after) = verdict.retry_after.filter(|after| !after.is_zero()) else { return };
        if self.refusals.len() >= MOST {
            self.refusals.retain(|_, refused| now < refused.until);
            if self.refusals.len() >= MOST {
                return;
            }
        }
        self.refusals.insert(key, Refused { cost, at: now, until: now + after, verdict });
    }

    /// Forgets all of them: somebody has set limits back.
    pub(super) fn clear(&self) {
        self.refusals.clear();
    }
}
