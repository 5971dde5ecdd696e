//! The store of one process.

use std::fmt;
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;

use crate::clock::{Moment, nanos};
use crate::limit::{AnyAlgorithm, Config, KeyedConfig, KeyedLimiter, Layered, LayeredDecision};
use crate::time::Time;

use super::board::Board;
use super::store::{
    BeatRequest, BoardReport, BoardStanding, Epoch, Lease, LeaseRequest, LimitKey, Membership,
    Store, StoreFuture, StoredLimit, TakeRequest, Verdict, VerdictKind,
};

/// So many settings of one name are kept at once: of those of its tiers, and of those before a reload.
const MOST_SETTINGS: usize = 64;

type Limiter = KeyedLimiter<LimitKey, AnyAlgorithm>;

/// Keeps limits in this process: they are shared by whatever has a clone, and by nobody else. With it the same program runs
/// without a server. Cheap to clone.
///
/// Each limit has at most 100,000 keys, or as many as [`Memory::max_keys`] says; beyond that new ones share, as of a
/// [`KeyedLimiter`]. A limit that is asked for by other settings begins anew.
#[derive(Clone)]
pub struct Memory {
    inner: Arc<Inner>,
    keys: KeyedConfig,
}

struct Inner {
    time: Time,
    /// Of each name those that have been asked for last, by their settings: a limit's tiers have their own.
    limiters: DashMap<Arc<str>, Vec<(Config, Arc<Limiter>)>>,
    /// Those that are asked together, by their names.
    together: DashMap<Vec<Arc<str>>, Together>,
    /// Of each group, and until when they are alive.
    instances: DashMap<(Arc<str>, Arc<str>), Moment>,
    boards: DashMap<Arc<str>, Board>,
}

#[derive(Clone)]
struct Together {
    limiters: Vec<Arc<Limiter>>,
    layered: Arc<Layered<[StoredLimit]>>,
}

impl Default for Memory {
    fn default() -> Self {
        Self::new(Time::system())
    }
}

impl Memory {
    /// An empty store that goes by this time.
    #[must_use]
    pub fn new(time: Time) -> Self {
        let inner = Inner {
            time,
            limiters: DashMap::new(),
            together: DashMap::new(),
            instances: DashMap::new(),
            boards: DashMap::new(),
        };
        Self { inner: Arc::new(inner), keys: KeyedConfig::default() }
    }

    /// How many keys each limit that is asked for from now on may have. Default 100,000.
    #[must_use]
    pub fn max_keys(self, keys: KeyedConfig) -> Self {
        Self { keys, ..self }
    }

    fn limiter(&self, limit: &StoredLimit, now: Moment) -> Arc<Limiter> {
        let name = &limit.key.limit;
        let find = |known: &Vec<(Config, Arc<Limiter>)>| {
            let found = known.iter().find(|(config, _)| *config == limit.config);
            found.map(|(_, limiter)| Arc::clone(limiter))
        };
        if let Some(limiter) = self.inner.limiters.get(name).and_then(|known| find(&known)) {
            return limiter;
        }
        let mut known = self.inner.limiters.entry(Arc::clone(name)).or_default();
        if let Some(limiter) = find(&known) {
            return limiter;
        }
        if known.len() == MOST_SETTINGS {
            known.remove(0);
        }
        let limiter = Arc::new(Limiter::new(AnyAlgorithm::new(&limit.config), self.keys, now));
        known.push((limit.config, Arc::clone(&limiter)));
        limiter
    }

    fn layered(&self, limits: &[StoredLimit], now: Moment) -> Option<Arc<Layered<[StoredLimit]>>> {
        let limiters: Vec<_> = limits.iter().map(|limit| self.limiter(limit, now)).collect();
        let names: Vec<_> = limits.iter().map(|limit| Arc::clone(&limit.key.limit)).collect();
        let is_same = |known: &Together| {
            known.limiters.iter().zip(&limiters).all(|(known, wanted)| Arc::ptr_eq(known, wanted))
        };
        if let Some(known) = self.inner.together.get(&names)
            && is_same(&known)
        {
            return Some(Arc::clone(&known.layered));
        }
        let mut builder = Layered::<[StoredLimit]>::builder();
        for (at, limiter) in limiters.iter().enumerate() {
            let name = Arc::clone(&names[at]);
            builder = builder.keyed_if(name, Arc::clone(limiter), move |limits| {
                limits.get(at).map(|limit: &StoredLimit| &limit.key)
            });
        }
        // A request without limits, or with too many, is nobody's: those who ask have checked theirs.
        let layered = Arc::new(builder.build().ok()?);
        self.inner.together.insert(names, Together { limiters, layered: Arc::clone(&layered) });
        Some(layered)
    }

    fn take_now(&self, request: &TakeRequest) -> Vec<Verdict> {
        let now = self.inner.time.now();
        let Some(layered) = self.layered(&request.limits, now) else {
            return vec![Verdict::LATE; request.costs.len()];
        };
        let decide = |&(cost, deadline): &(u64, Moment)| {
            if now > deadline {
                return Verdict::LATE;
            }
            if !request.takes {
                return Verdict::looked(&layered, &layered.peek(&request.limits, now, cost));
            }
            let found = layered.check_at(&request.limits, now, cost);
            Verdict::of(&found.decision, found.at, found.refusing)
        };
        request.costs.iter().map(decide).collect()
    }

    fn lease_now(&self, request: &LeaseRequest) -> Lease {
        let now = self.inner.time.now();
        let (limiter, key) = (self.limiter(&request.limit, now), &request.limit.key);
        if request.returned > 0 {
            limiter.refund(key, now, request.returned, now);
        }
        let window = match request.limit.config {
            Config::FixedWindow(quota)
            | Config::SlidingWindow(quota)
            | Config::SlidingLog(quota) => now.as_nanos() / nanos(quota.window()),
            Config::TokenBucket(_) | Config::LeakyBucket(_) => 0,
        };
        let wanted = if request.leaves { 0 } else { request.wanted };
        let (granted, refused) = grant(&limiter, key, now, wanted);
        Lease {
            epoch: Epoch(0),
            granted,
            retry_after: refused.unwrap_or(Some(Duration::ZERO)),
            window,
            remaining: limiter.remaining(key, now),
        }
    }

    fn beat_now(&self, request: &BeatRequest) -> Membership {
        let (now, instances) = (self.inner.time.now(), &self.inner.instances);
        let own = (Arc::clone(&request.group), Arc::clone(&request.instance));
        instances.retain(|_, dies_at| *dies_at >= now);
        if request.alive.is_zero() {
            instances.remove(&own);
        } else {
            instances.insert(own, now + request.alive);
        }
        let of_group = instances.iter().filter(|other| other.key().0 == request.group);
        let is_before = |other: &Arc<str>| *other < request.instance;
        let (mut count, mut place) = (0, 0);
        for other in of_group {
            count += 1;
            place += u64::from(is_before(&other.key().1));
        }
        Membership { instances: count, place }
    }
}

/// As much of `wanted` as there is; and if that is nothing, why.
fn grant(
    limiter: &Limiter,
    key: &LimitKey,
    now: Moment,
    wanted: u64,
) -> (u64, Option<Option<Duration>>) {
    let mut amount = wanted;
    while amount > 0 {
        if limiter.try_take(key, now, amount).is_ok() {
            return (amount, None);
        }
        // Somebody else may be taking, too: what is there gets less, so this ends.
        amount = limiter.remaining(key, now).min(amount - 1);
    }
    let refused = (wanted > 0).then(|| limiter.peek(key, now, 1).retry_after);
    (0, refused)
}

impl Verdict {
    /// Nothing was taken, because it came too late.
    pub(super) const LATE: Self = Self {
        kind: VerdictKind::Late,
        at: 0,
        remaining: 0,
        reset_after: Duration::ZERO,
        retry_after: None,
        refusing: 0,
    };

    fn of(decision: &crate::limit::Decision, at: usize, refusing: u32) -> Self {
        Self {
            kind: if decision.allowed { VerdictKind::Taken } else { VerdictKind::Refused },
            at,
            remaining: decision.remaining,
            reset_after: decision.reset_after,
            retry_after: decision.retry_after,
            refusing,
        }
    }

    fn looked(layered: &Layered<[StoredLimit]>, found: &LayeredDecision) -> Self {
        let at = layered.names().position(|name| *name == *found.layer).unwrap_or(0);
        let refusing = if found.decision.allowed { 0 } else { 1 << at };
        Self::of(&found.decision, at, refusing)
    }
}

impl Store for Memory {
    fn take(&self, request: TakeRequest) -> StoreFuture<'_, Vec<Verdict>> {
        Box::pin(ready(Ok(self.take_now(&request))))
    }

    fn lease(&self, request: LeaseRequest) -> StoreFuture<'_, Lease> {
        Box::pin(ready(Ok(self.lease_now(&request))))
    }

    fn beat(&self, request: BeatRequest) -> StoreFuture<'_, Membership> {
        Box::pin(ready(Ok(self.beat_now(&request))))
    }

    fn board(&self, report: BoardReport) -> StoreFuture<'_, BoardStanding> {
        let mut board = self.inner.boards.entry(Arc::clone(&report.breaker)).or_default();
        let standing = board.hear(&report, self.inner.time.now());
        Box::pin(ready(Ok(standing)))
    }

    fn reset(&self, limits: Vec<StoredLimit>) -> StoreFuture<'_, u64> {
        let now = self.inner.time.now();
        let reset = |limit: &&StoredLimit| self.limiter(limit, now).reset(&limit.key, now);
        let count = limits.iter().filter(reset).count();
        Box::pin(ready(Ok(count as u64)))
    }

    fn keys(&self, like: StoredLimit, at_most: usize) -> StoreFuture<'_, Vec<LimitKey>> {
        let now = self.inner.time.now();
        Box::pin(ready(Ok(self.limiter(&like, now).spenders(now, at_most))))
    }

    fn joins_subjects(&self) -> bool {
        true
    }

    fn is_remote(&self) -> bool {
        false
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limits = self.inner.limiters.len();
        f.debug_struct("Memory").field("limits", &limits).finish_non_exhaustive()
    }
}
