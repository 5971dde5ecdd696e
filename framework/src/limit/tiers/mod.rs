//! Tiers of users, each user with a limit of its own, under one cap that they share fairly.
//! What is promised, and what it costs, is in the [guide](super::guide).

use std::borrow::Borrow;
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

use crate::clock::Moment;
use crate::constraint::{Constraints, InvalidSettings};
use crate::entropy::SecretHash;
use crate::swappable::Swappable;
use crate::sync::{AtomicU64, Mutex, Ordering};

use super::algorithm::Algorithm;
use super::keyed::shards::Shards;
use super::token_bucket::{Bucket, TokenBucket};
use fair_share::FairShare;
use plan::{Plan, Tier};
use user::User;

mod config;
mod decide;
mod fair_share;
#[cfg(all(test, seawall_loom))]
mod loom;
mod plan;
mod refusal;
mod user;

pub use config::{MAX_TIERS, MAX_WEIGHT, TierConfig, TiersBuilder, TiersConfig};
pub use decide::TierDecision;
pub use refusal::{TierLimit, TierRefusal};

#[cfg(all(test, not(seawall_loom)))]
mod tests;

/// Limits by tier for users of type `K`, under one cap. Shared by reference between threads; never
/// waits; is told the time.
///
/// Nothing is reserved ahead of time: when a user's share will be there depends on what others ask for
/// until then, so no wait could be promised. Come back after `retry_after`.
pub struct Tiers<K, S = SecretHash> {
    config: TiersConfig,
    cap: TokenBucket,
    cap_bucket: Bucket,
    share: FairShare,
    plan: Swappable<Plan>,
    /// Held while the plan is changed.
    changing: Mutex<Plan>,
    users: Shards<K, User, S>,
    /// What stands in for users that have no state of their own, in the default tier.
    overflow: Box<[Mutex<User>]>,
    overflowed: AtomicU64,
}

impl<K: Hash + Eq> Tiers<K> {
    /// Tiers that nobody has used.
    #[must_use]
    pub fn new(config: TiersConfig, now: Moment) -> Self {
        Self::with_hasher(config, SecretHash::default(), now)
    }
}

/// The tier that a user is to be in, and the plan that has it.
#[derive(Clone, Copy)]
struct Joining<'a> {
    plan: &'a Plan,
    tier: &'a Tier,
    now: Moment,
}

impl<K: Hash + Eq, S: BuildHasher> Tiers<K, S> {
    /// The same with a hasher of your choice; see [`KeyedLimiter::with_hasher`](super::KeyedLimiter::with_hasher).
    #[must_use]
    pub fn with_hasher(config: TiersConfig, hasher: S, now: Moment) -> Self {
        let plan = Plan::new(config.tiers(), config.cap().capacity());
        let cap = TokenBucket::new(&config.cap());
        let overflows = Shards::<K, User, S>::overflows(config.max_users());
        Self {
            share: FairShare::new(&config.cap(), cap.span(), now),
            cap,
            cap_bucket: Bucket::default(),
            plan: Swappable::new(plan.clone()),
            changing: Mutex::new(plan),
            users: Shards::new(config.max_users(), hasher),
            overflow: (0..overflows).map(|_| Mutex::new(User::new(0))).collect(),
            overflowed: AtomicU64::new(0),
            config,
        }
    }

    /// The settings that it began with; [`Tiers::tier`] has what has been changed since.
    #[must_use]
    pub fn config(&self) -> &TiersConfig {
        &self.config
    }

    /// A tier's settings as they are now.
    #[must_use]
    pub fn tier(&self, name: &str) -> Option<TierConfig> {
        self.plan.with(|plan| {
            plan.tiers().iter().find(|tier| &*tier.name == name).map(|tier| tier.config)
        })
    }

    /// Adds a tier, or gives one other settings: from now on, for its users too. They keep what they
    /// have left, at most the new burst, and get the rest at the new rate.
    ///
    /// # Errors
    /// A weight out of range, an empty name, or one tier too many.
    pub fn set_tier(
        &self,
        name: impl Into<Arc<str>>,
        tier: impl Into<TierConfig>,
    ) -> Result<(), InvalidSettings> {
        let (name, tier) = (name.into(), tier.into());
        let mut plan = self.changing.lock();
        let mut check = Constraints::default();
        tier.check(&mut check);
        check.require(!name.is_empty(), "tiers", &name, "a name");
        let is_known = plan.tiers().iter().any(|known| known.name == name);
        let count = plan.tiers().len() + usize::from(!is_known);
        check.require(count <= MAX_TIERS, "tiers", count, format!("at most {MAX_TIERS} tiers"));
        check.finish(())?;
        plan.set(&name, tier);
        self.plan.replace(plan.clone());
        Ok(())
    }

    /// Takes `cost` from the user's own limit, its share and the cap, or nothing from any. A user's
    /// tier is whatever this says: say another, and it is moved with what it has left. Of an
    /// unknown tier it is in the default one.
    ///
    /// # Errors
    /// There is not enough: of what, and when there will be.
    pub fn try_take<Q>(
        &self,
        user: &Q,
        tier: &str,
        now: Moment,
        cost: u64,
    ) -> Result<(), TierRefusal>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        self.decide(user, tier, now, |user, tier| self.take(user, tier, now, cost))
    }

    /// The same, and tells how things are now.
    pub fn check<Q>(&self, user: &Q, tier: &str, now: Moment, cost: u64) -> TierDecision
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        self.decide(user, tier, now, |user, tier| self.take_and_tell(user, tier, now, cost))
    }

    /// Decides on the user's state in this tier, made or moved if need be, or on the overflow's.
    fn decide<Q, R>(
        &self,
        user: &Q,
        tier: &str,
        now: Moment,
        decide: impl Fn(&User, &Tier) -> R,
    ) -> R
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        loop {
            // None: another plan was made meanwhile, and the user has been moved to it.
            let decided = self.plan.with(|plan| {
                let tier = plan.tier(tier)?;
                let known = self
                    .users
                    .read(user, |known| (known.tier == tier.id).then(|| decide(known, tier)));
                known
                    .flatten()
                    .or_else(|| self.decide_new(user, Joining { plan, tier, now }, &decide))
            });
            if let Some(decided) = decided {
                return decided;
            }
        }
    }

    /// For a user who has no state, or that of another tier.
    #[cold]
    fn decide_new<Q, R>(
        &self,
        user: &Q,
        joining: Joining<'_>,
        decide: impl Fn(&User, &Tier) -> R,
    ) -> Option<R>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        let Joining { plan, tier, now } = joining;
        let may_go = |user: &User| user.is_fresh(plan, &self.share, now);
        self.users.write(
            user,
            may_go,
            || self.newcomer(user, joining),
            |known| {
                let mut overflow;
                let (known, tier) = match known {
                    Some(known) => (known, tier),
                    None => {
                        self.overflowed.fetch_add(1, Ordering::Relaxed);
                        overflow = self.overflow_of(user).lock();
                        (&mut *overflow, plan.tiers().first()?)
                    }
                };
                if plan.is_older_than(known.tier) {
                    return None;
                }
                if known.tier != tier.id {
                    *known = known.moved(plan, &self.share, tier, now);
                }
                Some(decide(known, tier))
            },
        )
    }

    /// The state of a user who has none. It may have been using its overflow until now, so whatever
    /// that has spent it may have spent.
    fn newcomer<Q>(&self, user: &Q, Joining { plan, tier, now }: Joining<'_>) -> User
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let overflow = self.overflow_of(user).lock();
        if overflow.is_fresh(plan, &self.share, now) {
            User::new(tier.id)
        } else {
            overflow.moved(plan, &self.share, tier, now)
        }
    }

    fn overflow_of<Q>(&self, user: &Q) -> &Mutex<User>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        &self.overflow[self.users.part(user, self.overflow.len())]
    }

    /// What [`Tiers::try_take`] would say, but takes nothing and makes no user. Who has no state is told
    /// what it would be told with room for it.
    ///
    /// # Errors
    /// There is not enough: of what, and when there will be.
    pub fn peek<Q>(&self, user: &Q, tier: &str, now: Moment, cost: u64) -> Result<(), TierRefusal>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.share.advance(now, self.left(now));
        loop {
            // None: as in `try_take`.
            let seen = self.plan.with(|plan| {
                let tier = plan.tier(tier)?;
                let look = |known: &User| {
                    if plan.is_older_than(known.tier) {
                        return None;
                    }
                    let moved =
                        (known.tier != tier.id).then(|| known.moved(plan, &self.share, tier, now));
                    Some(self.look(moved.as_ref().unwrap_or(known), tier, now, cost))
                };
                let known = self.users.read(user, look);
                known.unwrap_or_else(|| look(&self.newcomer(user, Joining { plan, tier, now })))
            });
            if let Some(seen) = seen {
                return seen;
            }
        }
    }

    /// Gives `cost` back to a user's own limit, its share and the cap, that was taken for `taken_for` and not
    /// used; what it is worth is said by [`TokenBucket`]. Does nothing for a user without a state of its own.
    pub fn refund<Q>(&self, user: &Q, now: Moment, cost: u64, taken_for: Moment)
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.plan.with(|plan| {
            self.users.read(user, |user| {
                let Some(tier) = plan.settings(user.tier) else { return };
                tier.bucket.refund(&user.bucket, now, cost, taken_for);
                self.share.refund(&user.used, tier.allowance, cost);
                self.cap.refund(&self.cap_bucket, now, cost, taken_for);
            });
        });
    }

    /// What a user in this tier has left of its own limit, in whole units.
    #[must_use]
    pub fn remaining<Q>(&self, user: &Q, tier: &str, now: Moment) -> u64
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.plan.with(|plan| {
            let Some(tier) = plan.tier(tier) else { return 0 };
            let left = |user: &User| {
                let moved;
                let user = if user.tier == tier.id {
                    user
                } else {
                    moved = user.moved(plan, &self.share, tier, now);
                    &moved
                };
                tier.bucket.peek(&user.bucket, now, 0).remaining
            };
            self.users.read(user, left).unwrap_or_else(|| left(&self.overflow_of(user).lock()))
        })
    }

    /// What all together have left of the cap, in whole units.
    #[must_use]
    pub fn cap_remaining(&self, now: Moment) -> u64 {
        self.cap.peek(&self.cap_bucket, now, 0).remaining
    }

    /// How much a second a user of weight 1 may take now; `None` while nobody is held to a share.
    #[must_use]
    pub fn fair_rate(&self, now: Moment) -> Option<f64> {
        let left = self.left(now);
        let rate = self.config.cap().per_second() * self.share.alpha(left);
        (!self.share.is_free(left)).then_some(rate)
    }

    /// How many users have a state of their own; at most `max_users`.
    #[must_use]
    pub fn len(&self) -> usize {
        self.users.len()
    }

    /// Whether no user has one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many users have been forgotten since the start.
    #[must_use]
    pub fn evicted_total(&self) -> u64 {
        self.users.evicted()
    }

    /// How many requests, refused ones too, of users that found no room, since the start.
    #[must_use]
    pub fn overflowed_total(&self) -> u64 {
        self.overflowed.load(Ordering::Relaxed)
    }

    /// Forgets users who are as good as new in any tier; see
    /// [`KeyedLimiter::sweep`](super::KeyedLimiter::sweep). How many went.
    pub fn sweep(&self, now: Moment) -> usize {
        self.share.advance(now, self.left(now));
        self.plan.with(|plan| self.users.sweep(|user| user.is_fresh(plan, &self.share, now)))
    }
}

impl<K: Hash + Eq, S: BuildHasher> fmt::Debug for Tiers<K, S> {
    /// Without the users: there may be millions.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tiers")
            .field("config", &self.config)
            .field("users", &self.len())
            .field("evicted", &self.evicted_total())
            .field("overflowed", &self.overflowed_total())
            .finish_non_exhaustive()
    }
}
