//! Limits that an instance decides by leases: parts of the limit that it has taken ahead of its need.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use tokio::sync::Notify;

use crate::clock::{Moment, nanos};
use crate::entropy::SecretHash;
use crate::limit::{Config, SharedLimit};
use crate::sync::Mutex;
use crate::time::{Time, within};

use super::store::{Epoch, Granted, Lease, LeaseRequest, LimitKey, Store, StoreError, StoredLimit};

/// The store is asked again no sooner than this after it had less than was wanted. So an instance takes what has come back
/// meanwhile in one piece, and not one by one.
const GAP: Duration = Duration::from_millis(10);
/// The same after it has not answered.
const AFTER_FAILURE: Duration = Duration::from_millis(100);
/// A pot that nobody has used for so many leases' lengths is forgotten.
const IDLE_TERMS: u32 = 10;

/// So many keys are asked about at most while nobody waits, each time that is done.
const ASKED_A_ROUND: usize = 64;

/// What all pots of a limit have in common.
pub(super) struct Leased {
    store: Arc<dyn Store>,
    time: Time,
    limit: SharedLimit,
    instance: Arc<str>,
    decide_within: Duration,
    /// How long a lease lasts.
    term: Duration,
    most_keys: usize,
    pots: DashMap<LimitKey, Arc<Pot>, SecretHash>,
}

/// What an instance holds of one key's limit.
struct Pot {
    /// What it has not used.
    credits: AtomicU64,
    /// What the store had left when it was last asked.
    left: AtomicU64,
    used_at: AtomicU64,
    state: Mutex<Books>,
    changed: Notify,
}

/// What a pot knows of the store.
#[derive(Debug)]
struct Books {
    is_asking: bool,
    /// What the one who asked last may have.
    config: Config,
    known: Option<Epoch>,
    granted: Granted,
    asked_at: Moment,
    /// Nothing is to be had before.
    dry_until: Moment,
    /// The store does not answer, and is not asked before.
    failed_until: Moment,
    /// The largest cost that waits.
    wanted: u64,
}

/// Why a lease does not pay a request.
#[derive(Debug)]
pub(super) enum Unpaid {
    /// There is nothing left for anybody.
    Dry(Duration),
    /// The store has not said whether there is, or as many keys have leases as may.
    Failed,
}

impl Leased {
    pub(super) fn new(
        (store, time): (Arc<dyn Store>, Time),
        limit: SharedLimit,
        instance: Arc<str>,
        (decide_within, term): (Duration, Duration),
        most_keys: usize,
    ) -> Arc<Self> {
        let pots = DashMap::with_hasher(SecretHash::default());
        Arc::new(Self { store, time, limit, instance, decide_within, term, most_keys, pots })
    }

    /// How much is held and not used, of all keys.
    pub(super) fn held(&self) -> u64 {
        self.pots.iter().map(|pot| pot.credits.load(Ordering::Relaxed)).sum()
    }

    pub(super) fn keys(&self) -> usize {
        self.pots.len()
    }

    /// Takes `cost`. What is left then, here and in the store, as far as is known.
    pub(super) async fn take(
        self: &Arc<Self>,
        of: &StoredLimit,
        cost: u64,
        deadline: Moment,
    ) -> Result<u64, Unpaid> {
        let pot = self.pot(of)?;
        loop {
            // Before the look, so that no change is missed.
            let mut changed = std::pin::pin!(pot.changed.notified());
            changed.as_mut().enable();
            let now = self.time.now();
            if let Some(paid) = self.pay(of, &pot, cost, now) {
                return paid;
            }
            self.refill(of, &pot, now, cost);
            if within(&self.time, deadline, changed).await.is_none() {
                return Err(Unpaid::Failed);
            }
        }
    }

    /// The same for one who does not wait: what is held pays, or nothing does until the store has been asked.
    pub(super) fn take_now(
        self: &Arc<Self>,
        of: &StoredLimit,
        cost: u64,
        now: Moment,
    ) -> Result<u64, Unpaid> {
        let pot = self.pot(of)?;
        self.pay(of, &pot, cost, now).unwrap_or_else(|| {
            self.refill(of, &pot, now, cost);
            Err(Unpaid::Failed)
        })
    }

    /// Pays from what is held, and tells what is left, or why nothing pays. `None`: the store must be asked.
    fn pay(
        self: &Arc<Self>,
        of: &StoredLimit,
        pot: &Arc<Pot>,
        cost: u64,
        now: Moment,
    ) -> Option<Result<u64, Unpaid>> {
        pot.used_at.store(now.as_nanos(), Ordering::Relaxed);
        if let Some(left) = pot.pay(cost) {
            if left < self.limit.lease_of(&of.config) / 2 {
                self.refill(of, pot, now, 0);
            }
            return Some(Ok(left.saturating_add(pot.left.load(Ordering::Relaxed))));
        }
        let books = pot.state.lock();
        if now < books.failed_until {
            return Some(Err(Unpaid::Failed));
        }
        (now < books.dry_until).then(|| Err(Unpaid::Dry(books.dry_until.since(now))))
    }

    /// Gives back what was taken and is not used after all.
    pub(super) fn give_back(&self, key: &LimitKey, cost: u64) {
        if let Some(pot) = self.pots.get(key) {
            pot.credits.fetch_add(cost, Ordering::AcqRel);
        }
    }

    fn pot(&self, of: &StoredLimit) -> Result<Arc<Pot>, Unpaid> {
        if let Some(pot) = self.pots.get(&of.key) {
            return Ok(Arc::clone(&pot));
        }
        if self.pots.len() >= self.most_keys {
            return Err(Unpaid::Failed);
        }
        Ok(Arc::clone(
            &self.pots.entry(of.key.clone()).or_insert_with(|| Arc::new(Pot::new(of.config))),
        ))
    }

    /// Asks the store for more, in a task of its own, unless that is being done or of no use. `cost`: what cannot be paid, if
    /// somebody waits.
    fn refill(self: &Arc<Self>, of: &StoredLimit, pot: &Arc<Pot>, now: Moment, cost: u64) {
        {
            let mut books = pot.state.lock();
            books.wanted = books.wanted.max(cost);
            if books.is_asking || now < books.dry_until || now < books.failed_until {
                return;
            }
            books.is_asking = true;
            books.asked_at = now;
            books.config = of.config;
        }
        let (leased, key, asking) = (Arc::clone(self), of.key.clone(), self.asking(pot));
        // Without a runtime it is dropped, and that is a failure.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { leased.ask(&key, asking, Asked::More).await });
        }
    }

    /// Made as soon as the pot's books say that the store is asked: whatever becomes of it, the next one can ask.
    fn asking(&self, pot: &Arc<Pot>) -> Asking {
        Asking { pot: Arc::clone(pot), time: self.time.clone(), term: self.term, ended: false }
    }

    async fn ask(&self, key: &LimitKey, asking: Asking, asked: Asked) {
        let deadline = self.time.now() + self.decide_within;
        let request = self.request(key, &asking.pot, asked, deadline);
        let lease = self.limit.lease_of(&request.limit.config);
        let answer = within(&self.time, deadline, self.store.lease(request)).await;
        asking.end(answer.unwrap_or(Err(StoreError::TimedOut)), lease);
    }

    fn request(&self, key: &LimitKey, pot: &Pot, asked: Asked, deadline: Moment) -> LeaseRequest {
        let credits = pot.credits.load(Ordering::Acquire);
        let mut books = pot.state.lock();
        let lease = self.limit.lease_of(&books.config);
        let wanted = lease.max(std::mem::take(&mut books.wanted));
        let (wanted, returned) = match asked {
            Asked::More => (wanted.saturating_sub(credits), 0),
            Asked::Nothing => (0, 0),
            // From now on nobody can use it.
            Asked::Back { .. } => (0, pot.credits.swap(0, Ordering::AcqRel)),
        };
        LeaseRequest {
            limit: StoredLimit { key: key.clone(), config: books.config },
            instance: Arc::clone(&self.instance),
            known: books.known,
            term: self.term,
            wanted,
            returned,
            granted: books.granted,
            leaves: matches!(asked, Asked::Back { leaves: true }),
            deadline,
        }
    }

    /// Gives back what has not been used for a lease's length, tells the store of what is held, forgets what nobody uses. Of
    /// [`ASKED_A_ROUND`] keys at most, so that signs of life are not held up; the others have their turn in the next rounds.
    pub(super) async fn tend(&self) {
        let now = self.time.now();
        let forgotten = self.term.saturating_mul(IDLE_TERMS);
        // One: the table's own. Who is about to use it has another.
        self.pots.retain(|_, pot| {
            pot.idle(now) <= forgotten || pot.is_held() || Arc::strong_count(pot) > 1
        });
        let due = self.pots.iter().filter(|pot| pot.begin_if_due(now, self.term));
        let due: Vec<_> = due
            .take(ASKED_A_ROUND)
            .map(|pot| (pot.key().clone(), self.asking(pot.value())))
            .collect();
        for (key, asking) in due {
            let is_idle = asking.pot.idle(now) > self.term && asking.pot.is_held();
            let asked = if is_idle { Asked::Back { leaves: false } } else { Asked::Nothing };
            self.ask(&key, asking, asked).await;
        }
    }

    /// Gives everything back: this instance goes.
    pub(super) async fn leave(&self) {
        let pots: Vec<_> =
            self.pots.iter().map(|pot| (pot.key().clone(), Arc::clone(&pot))).collect();
        for (key, pot) in pots {
            if pot.state.lock().known.is_some() {
                self.ask(&key, self.asking(&pot), Asked::Back { leaves: true }).await;
            }
        }
        self.pots.clear();
    }
}

/// What the store is asked.
#[derive(Clone, Copy, Debug)]
enum Asked {
    /// For more.
    More,
    /// Nothing: it is told what is held.
    Nothing,
    /// To take back what has not been used.
    Back { leaves: bool },
}

/// The store is being asked. Dropped before there is an answer, with a task that was never begun too, it has failed.
struct Asking {
    pot: Arc<Pot>,
    time: Time,
    term: Duration,
    ended: bool,
}

impl Asking {
    fn end(mut self, answer: Result<Lease, StoreError>, wanted: u64) {
        self.ended = true;
        let now = self.time.now();
        match answer {
            Ok(lease) => self.pot.add(&lease, now, wanted, self.term),
            Err(_) => self.pot.failed(now),
        }
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        if !self.ended {
            self.pot.failed(self.time.now());
        }
    }
}

impl Pot {
    fn new(config: Config) -> Self {
        Self {
            credits: AtomicU64::new(0),
            left: AtomicU64::new(0),
            used_at: AtomicU64::new(0),
            state: Mutex::new(Books {
                is_asking: false,
                config,
                known: None,
                granted: Granted::default(),
                asked_at: Moment::ZERO,
                dry_until: Moment::ZERO,
                failed_until: Moment::ZERO,
                wanted: 0,
            }),
            changed: Notify::new(),
        }
    }

    /// Pays from what is held. What is left.
    fn pay(&self, cost: u64) -> Option<u64> {
        let pay = |credits: u64| credits.checked_sub(cost);
        let before = self.credits.fetch_update(Ordering::AcqRel, Ordering::Acquire, pay).ok()?;
        Some(before - cost)
    }

    fn is_held(&self) -> bool {
        self.credits.load(Ordering::Acquire) > 0
    }

    /// For how long nobody has used it.
    fn idle(&self, now: Moment) -> Duration {
        now.since(Moment::from_nanos(self.used_at.load(Ordering::Relaxed)))
    }

    /// Whether it is time to tell the store of it; from then on it is being told.
    fn begin_if_due(&self, now: Moment, term: Duration) -> bool {
        let is_held = self.is_held();
        let mut books = self.state.lock();
        // What is empty and not used has nothing to tell any more.
        let has_news = is_held || self.idle(now) <= term;
        let is_due = now.since(books.asked_at) >= term / 2 && books.known.is_some() && has_news;
        if books.is_asking || !is_due || now < books.failed_until {
            return false;
        }
        books.is_asking = true;
        books.asked_at = now;
        true
    }

    fn add(&self, lease: &Lease, now: Moment, wanted: u64, term: Duration) {
        self.credits.fetch_add(lease.granted, Ordering::AcqRel);
        self.left.store(lease.remaining, Ordering::Relaxed);
        let mut books = self.state.lock();
        books.is_asking = false;
        books.known = Some(lease.epoch);
        books.granted.add(lease.window, lease.granted);
        let has_less = self.credits.load(Ordering::Relaxed) < wanted;
        let has_refused = lease.retry_after != Some(Duration::ZERO);
        if has_refused || has_less && lease.remaining == 0 {
            let after = lease.retry_after.unwrap_or(term);
            books.dry_until = now.plus_nanos(nanos(after.max(GAP)));
        }
        drop(books);
        self.changed.notify_waiters();
    }

    fn failed(&self, now: Moment) {
        let mut books = self.state.lock();
        books.is_asking = false;
        books.failed_until = now + AFTER_FAILURE;
        drop(books);
        self.changed.notify_waiters();
    }
}
