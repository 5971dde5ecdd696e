//! One limit of a set, as it is kept to here.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Moment;
use crate::limit::{Decision, KeyedConfig, Mode, OnFailure, SharedLimit};

use super::leased::{Leased, Unpaid};
use super::members::Members;
use super::share::LocalLimits;
use super::store::StoredLimit;

/// How long a client is told to stay away that was refused because the store does not answer.
const CLOSED_FOR: Duration = Duration::from_secs(1);

/// A limit, and what of it is decided in this process.
pub(super) struct Layer {
    pub(super) limit: SharedLimit,
    /// What it is decided by when the store is not asked.
    pub(super) share: LocalLimits,
    pub(super) leased: Option<Arc<Leased>>,
}

/// What has decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecidedBy {
    /// The store, or a refusal of its that still holds.
    Store,
    /// What this instance has leased.
    Lease,
    /// This instance's share.
    Share,
    /// Nobody who knows: the store has not answered in time, and this is what is done then.
    Failure(OnFailure),
}

/// How much of it was taken where.
#[derive(Clone, Copy, Debug)]
pub(super) struct TakenHere {
    pub(super) by: DecidedBy,
    pub(super) decision: Decision,
}

impl Layer {
    pub(super) fn new(limit: SharedLimit, keys: KeyedConfig, now: Moment) -> Self {
        let share = LocalLimits::new(&limit, keys, now);
        Self { limit, share, leased: None }
    }

    pub(super) fn is_exact(&self) -> bool {
        self.limit.mode == Mode::Exact
    }

    /// Whether it matters how many instances there are.
    pub(super) fn needs_members(&self) -> bool {
        self.limit.mode == Mode::LocalShare || self.stands_in()
    }

    /// Takes `cost` without asking the store for each. Of an exact limit nothing is taken.
    pub(super) async fn take(
        &self,
        of: &StoredLimit,
        cost: u64,
        (now, deadline): (Moment, Moment),
        members: &Members,
    ) -> TakenHere {
        let Some(leased) = &self.leased else { return self.share_out(of, now, cost, members) };
        let taken = leased.take(of, cost, deadline).await;
        self.told(taken, (of, cost), now, members)
    }

    /// The same for one who does not wait. An exact limit is decided as when the store is away.
    pub(super) fn take_now(
        &self,
        of: &StoredLimit,
        cost: u64,
        now: Moment,
        members: &Members,
    ) -> TakenHere {
        match &self.leased {
            Some(leased) => self.told(leased.take_now(of, cost, now), (of, cost), now, members),
            None if self.is_exact() => self.fall_back(of, now, cost, members),
            None => self.share_out(of, now, cost, members),
        }
    }

    /// Whether the share stands in for the store, and so has to know what that has admitted.
    pub(super) fn stands_in(&self) -> bool {
        self.limit.on_failure == OnFailure::Local
    }

    /// What a lease's word comes to.
    fn told(
        &self,
        taken: Result<u64, Unpaid>,
        (of, cost): (&StoredLimit, u64),
        now: Moment,
        members: &Members,
    ) -> TakenHere {
        match taken {
            Ok(remaining) => {
                if self.stands_in() {
                    self.share.note(of, now, cost, members);
                }
                let decision = decision(true, of.config.limit(), remaining, None);
                TakenHere { by: DecidedBy::Lease, decision }
            }
            Err(Unpaid::Dry(after)) => {
                let decision = decision(false, of.config.limit(), 0, Some(after));
                TakenHere { by: DecidedBy::Lease, decision }
            }
            Err(Unpaid::Failed) => self.fall_back(of, now, cost, members),
        }
    }

    fn share_out(&self, of: &StoredLimit, now: Moment, cost: u64, members: &Members) -> TakenHere {
        if !members.is_open() {
            let decision = decision(false, of.config.limit(), 0, Some(members.beat));
            return TakenHere { by: DecidedBy::Share, decision };
        }
        if members.begins_spent(now) && self.share.is_new(of) {
            self.share.spend(of, now);
        }
        TakenHere { by: DecidedBy::Share, decision: self.of_share(of, now, cost, members) }
    }

    fn of_share(&self, of: &StoredLimit, now: Moment, cost: u64, members: &Members) -> Decision {
        let taken = self.share.take(of, now, cost, members);
        taken.unwrap_or_else(|| decision(false, of.config.limit(), 0, Some(CLOSED_FOR)))
    }

    /// What is done because the store has not decided.
    pub(super) fn fall_back(
        &self,
        of: &StoredLimit,
        now: Moment,
        cost: u64,
        members: &Members,
    ) -> TakenHere {
        let on_failure = self.limit.on_failure;
        let limit = of.config.limit();
        let decision = match on_failure {
            OnFailure::Open => decision(true, limit, limit, None),
            OnFailure::Closed => decision(false, limit, 0, Some(CLOSED_FOR)),
            OnFailure::Local => self.of_share(of, now, cost, members),
        };
        TakenHere { by: DecidedBy::Failure(on_failure), decision }
    }

    /// Gives back what was taken here.
    pub(super) fn give_back(
        &self,
        (of, by): (&StoredLimit, DecidedBy),
        now: Moment,
        cost: u64,
        members: &Members,
    ) {
        match by {
            DecidedBy::Lease => {
                if let Some(leased) = &self.leased {
                    leased.give_back(&of.key, cost);
                }
            }
            DecidedBy::Share | DecidedBy::Failure(OnFailure::Local) => {
                self.share.give_back(of, now, cost, members);
            }
            DecidedBy::Store | DecidedBy::Failure(OnFailure::Open | OnFailure::Closed) => {}
        }
    }

    /// How many keys are known here.
    pub(super) fn keys(&self) -> usize {
        self.leased.as_ref().map_or(0, |leased| leased.keys()).max(self.share.keys())
    }
}

fn decision(allowed: bool, limit: u64, remaining: u64, retry_after: Option<Duration>) -> Decision {
    let reset_after = retry_after.unwrap_or_default();
    Decision { allowed, limit, remaining: remaining.min(limit), reset_after, retry_after }
}
