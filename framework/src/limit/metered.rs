//! What a limit has decided, counted for metrics.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use super::shared::SharedCounts;
use crate::clock::Moment;
use crate::event::{self, Event, Observer, Sampler};
use crate::swappable::Swappable;
use crate::sync::Mutex;

/// A limit that counts what it decides: `layer::RateLimitLayer` is one. Give it to
/// [`Seawall::watch_limit`](crate::Seawall::watch_limit).
pub trait Metered: Send + Sync {
    /// What was allowed and refused, by the policy that decided.
    fn counts(&self) -> Vec<LimitCounts>;
    /// How many keys it holds now; `None` if it has none.
    fn key_count(&self) -> Option<usize>;
    /// What it has to do with a store that others use, too; `None`: nothing. Default: nothing.
    fn shared(&self) -> Option<SharedCounts> {
        None
    }
    /// Has refusals told from now on, under this name: at most one a second of each policy.
    fn tell(&self, name: Arc<str>, observer: Arc<dyn Observer>);
}

/// What was decided by one policy of a limit, since the start.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LimitCounts {
    /// The policy's name: a tier's, a layer's, the cap's.
    pub policy: Arc<str>,
    /// Requests that it let through.
    pub allowed: u64,
    /// Requests that it refused.
    pub refused: u64,
}

/// Counts by policy, for a limit of your own: its [`Metered`] hands this out. Of policies there are few, and all are named by the
/// program: each name is kept for ever.
#[derive(Debug)]
pub struct Meter {
    policies: Swappable<Vec<Arc<Counted>>>,
    listing: Mutex<()>,
    told: OnceLock<Told>,
}

#[derive(Debug)]
struct Counted {
    policy: Arc<str>,
    allowed: AtomicU64,
    refused: AtomicU64,
    sampler: Sampler,
}

struct Told {
    name: Arc<str>,
    observer: Arc<dyn Observer>,
}

impl std::fmt::Debug for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Told").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Default for Meter {
    fn default() -> Self {
        Self {
            policies: Swappable::new(Vec::new()),
            listing: Mutex::default(),
            told: OnceLock::new(),
        }
    }
}

impl Meter {
    /// Counts a decision by the policy of this name.
    pub fn count(&self, policy: &str, is_allowed: bool, now: Moment) {
        let find = |all: &Vec<Arc<Counted>>| {
            let found = all.iter().find(|it| &*it.policy == policy);
            found.map(|it| it.count(is_allowed, now))
        };
        let unreported = match self.policies.with(find) {
            Some(unreported) => unreported,
            None => self.list(policy).count(is_allowed, now),
        };
        if let (Some(unreported), Some(told)) = (unreported, self.told.get()) {
            told.tell(policy, unreported, now);
        }
    }

    #[cold]
    fn list(&self, policy: &str) -> Arc<Counted> {
        let _listing = self.listing.lock();
        let mut all = self.policies.with(Clone::clone);
        if let Some(listed) = all.iter().find(|it| &*it.policy == policy) {
            return Arc::clone(listed);
        }
        let counted = Arc::new(Counted {
            policy: policy.into(),
            allowed: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            sampler: Sampler::default(),
        });
        all.push(Arc::clone(&counted));
        self.policies.replace(all);
        counted
    }

    /// What has been counted, by policy.
    #[must_use]
    pub fn counts(&self) -> Vec<LimitCounts> {
        self.policies.with(|all| {
            let counts = all.iter().map(|it| LimitCounts {
                policy: Arc::clone(&it.policy),
                allowed: it.allowed.load(Ordering::Relaxed),
                refused: it.refused.load(Ordering::Relaxed),
            });
            counts.collect()
        })
    }

    /// Has refusals told under this name; the first one counts.
    pub fn tell(&self, name: Arc<str>, observer: Arc<dyn Observer>) {
        let _ = self.told.set(Told { name, observer });
    }
}

impl Counted {
    /// Of a refusal that is to be told of, how many have gone untold.
    fn count(&self, is_allowed: bool, now: Moment) -> Option<u64> {
        if is_allowed {
            self.allowed.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        self.refused.fetch_add(1, Ordering::Relaxed);
        self.sampler.count(now)
    }
}

impl Told {
    #[cold]
    fn tell(&self, policy: &str, unreported: u64, at: Moment) {
        let (limit, policy) = (Arc::clone(&self.name), policy.into());
        let event = Event::LimitRefused { at, limit, policy, unreported };
        event::tell(&*self.observer, &event);
    }
}

#[cfg(all(test, not(seawall_loom)))]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Heard(Mutex<Vec<(String, u64)>>);

    impl Observer for Heard {
        fn on_event(&self, event: &Event) {
            let Event::LimitRefused { policy, unreported, .. } = event else { panic!("{event:?}") };
            self.0.lock().push((policy.to_string(), *unreported));
        }
    }

    #[test]
    fn each_policy_is_counted_and_its_refusals_told_once_a_second() {
        let (meter, heard) = (Meter::default(), Arc::new(Heard::default()));
        meter.count("free", false, Moment::ZERO);
        let observer: Arc<dyn Observer> = Arc::<Heard>::clone(&heard);
        meter.tell("edge".into(), observer);
        for ms in 0..3_000 {
            let now = Moment::from_nanos((1 + ms) * 1_000_000);
            meter.count("free", false, now);
            meter.count("pro", true, now);
        }
        let counts = meter.counts();
        let counts: Vec<_> =
            counts.iter().map(|it| (&*it.policy, it.allowed, it.refused)).collect();
        assert_eq!(counts, [("free", 0, 3_001), ("pro", 3_000, 0)]);
        let heard = heard.0.lock();
        let told: Vec<_> =
            heard.iter().map(|(policy, unreported)| (&**policy, *unreported)).collect();
        assert_eq!(told, [("free", 999), ("free", 999), ("free", 999)]);
    }

    #[test]
    fn threads_that_see_a_policy_first_list_it_once() {
        let meter = Meter::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..1_000).for_each(|_| meter.count("all", true, Moment::ZERO)));
            }
        });
        let counts = meter.counts();
        assert_eq!((counts.len(), counts[0].allowed), (1, 4_000));
    }
}
