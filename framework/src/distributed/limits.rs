//! Limits that several instances of a program keep to together.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::clock::Moment;
use crate::limit::{Decision, SharedLimit};

use super::builder::SharedLimitsBuilder;
use super::deciding::{Inner, decision_of};
use super::layer::{DecidedBy, Layer};
use super::request::Request;
use super::store::{LimitKey, Store, StoreCounts, StoreError, StoredLimit, TakeRequest, Verdict};

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
    inner: Arc<Inner>,
}

/// What was decided about a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SharedDecision {
    /// Of a refusal: the widest limit that refuses. Else the one with the least left, as far as is known here.
    pub limit: Arc<str>,
    /// How things are with it. What is left of a lease or a share is this instance's, and when that is as good as new is not known.
    pub decision: Decision,
    /// What has decided.
    pub by: DecidedBy,
}

/// What shared limits have done, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SharedCounts {
    /// Requests that were admitted.
    pub allowed: u64,
    /// Requests that were refused.
    pub refused: u64,
    /// Requests that the store has not decided in time.
    pub failures: u64,
    /// Refusals that were given because an earlier one still held.
    pub remembered: u64,
    /// What is held of leases and not used, now.
    pub leased: u64,
    /// How many instances there are, as far as is known.
    pub instances: u64,
    /// What the store has done.
    pub store: StoreCounts,
}

impl SharedLimits {
    /// Starts without a limit. The limits are kept in this store.
    pub fn builder(store: impl Store) -> SharedLimitsBuilder {
        SharedLimitsBuilder::new(Arc::new(store))
    }

    pub(super) fn new(inner: Inner) -> Self {
        Self { inner: Arc::new(inner) }
    }

    /// Takes `cost` from all limits or from none, and tells how things are then. A cost of zero is allowed and takes nothing.
    ///
    /// # Cancellation
    /// Dropped, what was taken of leases and shares is given back; what the store was asked for may have been taken.
    pub async fn check(&self, request: &Request<'_>, cost: u64) -> SharedDecision {
        let inner = &*self.inner;
        self.tend();
        let word = match inner.never(request, cost) {
            Some(never) => never,
            None => inner.decide(request, cost).await,
        };
        inner.decisions[usize::from(!word.decision.allowed)].fetch_add(1, Ordering::Relaxed);
        SharedDecision {
            limit: Arc::clone(&inner.layers[word.at].limit.name),
            decision: word.decision,
            by: word.by,
        }
    }

    /// Where each limit stands for this request: its name, what it allows and what is left of that, by the store. Takes nothing.
    ///
    /// # Errors
    /// The store has not answered in time.
    pub async fn show(
        &self,
        request: &Request<'_>,
    ) -> Result<Vec<(LimitKey, Decision)>, StoreError> {
        let mut shown = Vec::with_capacity(self.inner.layers.len());
        for layer in &self.inner.layers {
            shown.push(self.look(request.stored(&layer.limit)).await?);
        }
        Ok(shown)
    }

    /// Forgets what was spent of all limits that this request counts by. How many had something spent. Leases that are out stay so.
    ///
    /// # Errors
    /// The store has not answered in time. Some may have been forgotten.
    pub async fn reset(&self, request: &Request<'_>) -> Result<u64, StoreError> {
        let limits = self.inner.layers.iter().map(|it| request.stored(&it.limit)).collect();
        let count = self.inner.in_time(self.inner.store.reset(limits)).await?;
        self.inner.exact.denied.clear();
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
        let mut layers = self.inner.layers.iter();
        let Some(layer) = layers.find(|layer| *layer.limit.name == *limit) else { return Ok(None) };
        let like = Request::default().stored(&layer.limit);
        let config = like.config;
        let found = self.inner.store.keys(like, LOOKED_AT).await?;
        let mut looked = Vec::with_capacity(found.len());
        for key in found {
            looked.push(self.look(StoredLimit { key, config }).await?);
        }
        looked.sort_by(|(a, of_a), (b, of_b)| {
            of_a.remaining.cmp(&of_b.remaining).then_with(|| a.cmp(b))
        });
        looked.truncate(at_most);
        Ok(Some(looked))
    }

    async fn look(&self, stored: StoredLimit) -> Result<(LimitKey, Decision), StoreError> {
        let (key, limit) = (stored.key.clone(), stored.config.limit());
        let costs = vec![(0, Moment::MAX)];
        let request = TakeRequest { limits: Arc::from([stored]), costs, takes: false };
        let verdicts = self.inner.in_time(self.inner.store.take(request)).await?;
        let verdict = verdicts.first().copied().unwrap_or(Verdict::LATE);
        Ok((key, decision_of(&verdict, limit)))
    }

    /// Gives leases back and says goodbye to the other instances. Later checks begin anew. Takes one round trip for each key of which
    /// something is held.
    pub async fn leave(&self) {
        for layer in &self.inner.layers {
            if let Some(leased) = &layer.leased {
                leased.leave().await;
            }
        }
        if self.inner.is_tended.swap(false, Ordering::AcqRel) {
            let _ = self.inner.in_time(self.inner.store.beat(self.inner.beat(true))).await;
        }
    }

    /// What it has done.
    #[must_use]
    pub fn counts(&self) -> SharedCounts {
        let inner = &self.inner;
        let [allowed, refused] = &inner.decisions;
        let leased = |layer: &Layer| layer.leased.as_ref().map_or(0, |leased| leased.held());
        SharedCounts {
            allowed: allowed.load(Ordering::Relaxed),
            refused: refused.load(Ordering::Relaxed),
            failures: inner.failures.load(Ordering::Relaxed),
            remembered: inner.exact.denied.answered(),
            leased: inner.layers.iter().map(leased).sum(),
            instances: inner.members.count(),
            store: inner.store.counts(),
        }
    }

    /// The limits' names, the widest first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.inner.layers.iter().map(|layer| &*layer.limit.name)
    }

    /// How many keys are known here, of the limit that knows most.
    #[must_use]
    pub fn key_count(&self) -> usize {
        self.inner.layers.iter().map(Layer::keys).max().unwrap_or(0)
    }

    fn tend(&self) {
        if !self.inner.is_tended.load(Ordering::Relaxed) {
            super::tending::start(&self.inner);
        }
    }
}

impl fmt::Debug for SharedLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limits: Vec<&SharedLimit> = self.inner.layers.iter().map(|it| &it.limit).collect();
        f.debug_struct("SharedLimits")
            .field("store", &self.inner.store)
            .field("limits", &limits)
            .finish_non_exhaustive()
    }
}
