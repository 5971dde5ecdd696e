//! Limits that several instances of a program keep to together.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::clock::Moment;
use crate::constraint::InvalidSettings;
use crate::event::Observer;
use crate::limit::{
    Config, Decision, LimitCounts, Metered, SharedConfig, SharedCounts, SharedLimit,
};
use crate::swappable::Swappable;
use crate::time::within;

use super::assemble::Parts;
use super::builder::SharedLimitsBuilder;
use super::deciding::{Inner, NOBODY, decision_of};
use super::layer::{DecidedBy, Layer};
use super::request::Request;
use super::store::{LimitKey, Store, StoreError, StoredLimit, TakeRequest, Verdict};

/// Rate limits that are shared, through a [`Store`], by all instances of a program: one, or several that a request passes all of
/// or none of. Cheap to clone; clones are one instance.
///
/// A check is decided within [`decide_within`](SharedLimitsBuilder::decide_within), whatever the store does. Dropped
/// before it is decided, it may or may not have taken its cost.
///
/// Signs of life and leases are looked after by a task that the first check starts on its tokio runtime; with a store in
/// this process none is needed, and any executor will do.
#[derive(Clone)]
pub struct SharedLimits {
    shared: Arc<Shared>,
}

/// What all clones have in common.
struct Shared {
    /// Replaced by a reload.
    inner: Swappable<Arc<Inner>>,
}

/// What was decided about a request.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SharedDecision {
    /// Of a refusal: the widest limit that refuses. Else the one with the least left, as far as is known here.
    pub limit: Arc<str>,
    /// What it allows: the limit's own settings, or those of the request's tier.
    pub config: Config,
    /// How things are with it. What is left of a lease or a share is this instance's, and when that is as good as new is not known.
    pub decision: Decision,
    /// What has decided.
    pub by: DecidedBy,
}

impl SharedLimits {
    /// Starts without a limit. The limits are kept in this store.
    pub fn builder(store: impl Store) -> SharedLimitsBuilder {
        SharedLimitsBuilder::new(Arc::new(store))
    }

    pub(super) fn new(inner: Inner) -> Self {
        Self { shared: Arc::new(Shared { inner: Swappable::new(Arc::new(inner)) }) }
    }

    /// Takes `cost` from all limits or from none, and tells how things are then. A cost of zero is allowed and takes nothing.
    ///
    /// # Cancellation
    /// Dropped, what was taken of leases and shares is given back; what the store was asked for may have been taken.
    pub async fn check(&self, request: &Request<'_>, cost: u64) -> SharedDecision {
        let inner = self.inner();
        tend(&inner);
        let word = match inner.never(request, cost) {
            Some(never) => never,
            None => inner.decide(request, cost).await,
        };
        let limit = Arc::clone(&inner.layers[word.at].limit.name);
        let Parts { counters, time, .. } = &inner.parts;
        counters.meter.count(&limit, word.decision.allowed, time.now());
        let config = *inner.layers[word.at].limit.of_tier(request.tier);
        SharedDecision { limit, config, decision: word.decision, by: word.by }
    }

    /// Where each limit stands for this request: its name, what it allows and what is left of that, by the store. Takes nothing.
    ///
    /// # Errors
    /// The store has not answered in time.
    pub async fn show(
        &self,
        request: &Request<'_>,
    ) -> Result<Vec<(LimitKey, Decision)>, StoreError> {
        let inner = self.inner();
        let mut shown = Vec::with_capacity(inner.layers.len());
        for layer in &inner.layers {
            shown.push(look(&inner, request.stored(&layer.limit)).await?);
        }
        Ok(shown)
    }

    /// Forgets what was spent of all limits that this request counts by, those for all among them. How many had something spent.
    /// Leases that are out stay so.
    ///
    /// # Errors
    /// The store has not answered in time. Some may have been forgotten.
    pub async fn reset(&self, request: &Request<'_>) -> Result<u64, StoreError> {
        self.reset_those(request, |_| true).await
    }

    /// The same of the limits that are the subject's own: what others have spent stays spent.
    ///
    /// # Errors
    /// As [`SharedLimits::reset`].
    pub async fn reset_subject(&self, request: &Request<'_>) -> Result<u64, StoreError> {
        self.reset_those(request, SharedLimit::is_by_subject).await
    }

    async fn reset_those(
        &self,
        request: &Request<'_>,
        which: impl Fn(&SharedLimit) -> bool,
    ) -> Result<u64, StoreError> {
        let inner = self.inner();
        let limits = inner.layers.iter().map(|it| &it.limit).filter(|it| which(it));
        let limits = limits.map(|limit| request.stored(limit)).collect();
        let count = inner.in_time(inner.parts.store.reset(limits)).await?;
        inner.exact.denied.clear();
        Ok(count)
    }

    /// Who has the least left of a limit, those first; `None`: there is no limit of this name. Looks at 10,000 keys at most.
    ///
    /// # Errors
    /// The store has not answered in time.
    pub async fn top(
        &self,
        limit: &str,
        at_most: usize,
    ) -> Result<Option<Vec<(LimitKey, Decision)>>, StoreError> {
        const LOOKED_AT: usize = 10_000;
        let inner = self.inner();
        let mut layers = inner.layers.iter();
        let Some(layer) = layers.find(|layer| *layer.limit.name == *limit) else { return Ok(None) };
        let like = Request::default().stored(&layer.limit);
        let config = like.config;
        let found = inner.parts.store.keys(like, LOOKED_AT).await?;
        let mut looked = Vec::with_capacity(found.len());
        for key in found {
            looked.push(look(&inner, StoredLimit { key, config }).await?);
        }
        looked.sort_by(|(a, of_a), (b, of_b)| {
            of_a.remaining.cmp(&of_b.remaining).then_with(|| a.cmp(b))
        });
        looked.truncate(at_most);
        Ok(Some(looked))
    }

    /// Gives leases back and says goodbye to the other instances. Later checks begin anew. Takes one round trip for each key of which
    /// something is held.
    pub async fn leave(&self) {
        self.leave_until(Moment::MAX).await;
    }

    /// The same, until `deadline` at the latest.
    pub(crate) async fn leave_until(&self, deadline: Moment) {
        let inner = self.inner();
        let _ = within(&inner.parts.time, deadline, leave(&inner)).await;
    }

    /// Goes by other settings from now on. Limits that have not changed go on as they were; of the others, what was spent in the store
    /// stays spent, leases are given back, and shares begin anew. The store stays the one that it is. Whether anything is different.
    ///
    /// # Errors
    /// The store is a Cluster, and cannot decide these limits in one step. Nothing has changed.
    pub fn reconfigure(&self, config: &SharedConfig) -> Result<bool, InvalidSettings> {
        let before = self.inner();
        if before.parts.is_by(config, &before) {
            return Ok(false);
        }
        if !before.parts.store.joins_subjects() {
            config.check_apart()?;
        }
        let next = before.parts.assemble(config, Some(&before));
        let gone =
            before.layers.iter().filter(|it| !next.layers.iter().any(|k| Arc::ptr_eq(k, it)));
        let gone: Vec<_> = gone.filter_map(|layer| layer.leased.clone()).collect();
        self.shared.inner.replace(Arc::new(next));
        // Without a runtime they run out by themselves.
        if let (Ok(runtime), false) = (tokio::runtime::Handle::try_current(), gone.is_empty()) {
            runtime.spawn(async move {
                for leased in gone {
                    leased.leave().await;
                }
            });
        }
        Ok(true)
    }

    pub(super) fn inner(&self) -> Arc<Inner> {
        self.shared.inner.with(Arc::clone)
    }

    /// The limits' names, the widest first.
    #[must_use]
    pub fn names(&self) -> Vec<Arc<str>> {
        self.inner().layers.iter().map(|layer| Arc::clone(&layer.limit.name)).collect()
    }

    /// What they have done.
    #[must_use]
    pub fn counts(&self) -> SharedCounts {
        let inner = self.inner();
        let Parts { counters, store, time, .. } = &inner.parts;
        let leased = |layer: &Arc<Layer>| layer.leased.as_ref().map_or(0, |leased| leased.held());
        SharedCounts {
            failures: counters.failures(),
            degraded_nanos: counters.degraded_nanos(time.now()),
            remembered: counters.remembered(),
            leased: inner.layers.iter().map(leased).sum(),
            instances: inner.members.count(),
            store: store.counts(),
        }
    }
}

impl Metered for SharedLimits {
    fn counts(&self) -> Vec<LimitCounts> {
        self.inner().parts.counters.meter.counts()
    }

    /// Of the limit that knows most of them here.
    fn key_count(&self) -> Option<usize> {
        self.inner().layers.iter().map(|layer| layer.keys()).max()
    }

    fn shared(&self) -> Option<SharedCounts> {
        Some(Self::counts(self))
    }

    fn tell(&self, name: Arc<str>, observer: Arc<dyn Observer>) {
        self.inner().parts.counters.meter.tell(name, observer);
    }
}

async fn leave(inner: &Inner) {
    for layer in &inner.layers {
        if let Some(leased) = &layer.leased {
            leased.leave().await;
        }
    }
    if inner.tended_by.swap(NOBODY, Ordering::AcqRel) != NOBODY {
        let _ = inner.in_time(inner.parts.store.beat(inner.beat(true))).await;
    }
}

fn tend(inner: &Arc<Inner>) {
    if inner.tended_by.load(Ordering::Relaxed) == NOBODY {
        super::tending::start(inner);
    }
}

async fn look(inner: &Inner, stored: StoredLimit) -> Result<(LimitKey, Decision), StoreError> {
    let (key, limit) = (stored.key.clone(), stored.config.limit());
    let costs = vec![(0, Moment::MAX)];
    let request = TakeRequest { limits: Arc::from([stored]), costs, takes: false };
    let verdicts = inner.in_time(inner.parts.store.take(request)).await?;
    let verdict = verdicts.first().copied().unwrap_or(Verdict::LATE);
    Ok((key, decision_of(&verdict, limit)))
}

impl fmt::Debug for SharedLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = self.inner();
        let limits: Vec<&SharedLimit> = inner.layers.iter().map(|it| &it.limit).collect();
        f.debug_struct("SharedLimits")
            .field("store", &inner.parts.store)
            .field("limits", &limits)
            .finish_non_exhaustive()
    }
}
