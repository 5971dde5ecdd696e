//! Where shared limits are kept, and what is asked of it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Moment;
use crate::limit::{Config, StoreCounts};

/// A store's answer to come.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// What shared limits are kept in. [`Memory`](super::Memory) is one, for this process alone;
/// `Redis` (feature `redis`) another, for all that reach the same server.
///
/// Each request is done once or not at all, and as one step: nobody sees half of it. A future that is dropped may or may not
/// have done its work. None may do it after its deadline, because by then the caller has decided without the store.
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// Takes several costs, one after the other, each from all limits or from none. One verdict for each cost, in order.
    fn take(&self, request: TakeRequest) -> StoreFuture<'_, Vec<Verdict>>;

    /// Takes a part of a limit ahead of its need, and takes back what was not used.
    fn lease(&self, request: LeaseRequest) -> StoreFuture<'_, Lease>;

    /// Notes that an instance is alive.
    fn beat(&self, request: BeatRequest) -> StoreFuture<'_, Membership>;

    /// Says how a breaker is here, and hears how it is elsewhere.
    fn board(&self, report: BoardReport) -> StoreFuture<'_, BoardStanding>;

    /// Forgets what was spent of these limits. How many of them had something spent.
    fn reset(&self, limits: Vec<StoredLimit>) -> StoreFuture<'_, u64>;

    /// The keys of limits of this name and algorithm that have something spent, at most so many, in no order.
    fn keys(&self, like: StoredLimit, at_most: usize) -> StoreFuture<'_, Vec<LimitKey>>;

    /// Whether limits of different subjects can be asked together, in one step.
    fn joins_subjects(&self) -> bool;

    /// Whether asking costs a round trip, which is then saved where it can be. Default: it does.
    fn is_remote(&self) -> bool {
        true
    }

    /// What it has done, for metrics.
    fn counts(&self) -> StoreCounts {
        StoreCounts::default()
    }
}

/// What one limit counts by: its name, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LimitKey {
    /// The limit's name.
    pub limit: Arc<str>,
    /// Whose; `None`: it is one for all. Limits of one subject are kept together.
    pub subject: Option<Arc<str>>,
    /// Which part of that; an endpoint, say.
    pub part: Option<Arc<str>>,
}

/// One limit that a store is asked about.
#[derive(Clone, Debug)]
pub struct StoredLimit {
    /// Whose.
    pub key: LimitKey,
    /// What it allows.
    pub config: Config,
}

/// Costs to take; see [`Store::take`].
#[derive(Clone, Debug)]
pub struct TakeRequest {
    /// From these, the widest first.
    pub limits: Arc<[StoredLimit]>,
    /// Each with the moment after which it must not be taken.
    pub costs: Vec<(u64, Moment)>,
    /// `false`: only looks.
    pub takes: bool,
}

/// What was decided about one cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What has become of it.
    pub kind: VerdictKind,
    /// Which limit says so: the widest of those that refuse; of those that allow the one with the least left.
    pub at: usize,
    /// What that limit has left.
    pub remaining: u64,
    /// How long until that limit is as good as new.
    pub reset_after: Duration,
    /// Of a refusal: how long until the same cost would pass all limits. `None`: never.
    pub retry_after: Option<Duration>,
    /// Of a refusal, a bit for each limit that refuses; the widest is the lowest.
    pub refusing: u32,
}

/// What has become of a cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerdictKind {
    /// It was taken.
    Taken,
    /// It was refused, and has taken nothing.
    Refused,
    /// It came after its deadline, and has taken nothing.
    Late,
}

/// A part of a limit, for an instance; see [`Store::lease`].
#[derive(Clone, Debug)]
pub struct LeaseRequest {
    /// Of this limit.
    pub limit: StoredLimit,
    /// For this instance.
    pub instance: Arc<str>,
    /// The state of the limit that the instance has had leases of; `None`: it has had none.
    pub known: Option<Epoch>,
    /// How long a lease lasts, and how long a store that has lost its state listens.
    pub term: Duration,
    /// How much it wants, at most.
    pub wanted: u64,
    /// How much it gives back.
    pub returned: u64,
    /// What it has been granted of late, for a store that has lost its state.
    pub granted: Granted,
    /// Whether it goes, and wants nothing any more.
    pub leaves: bool,
    /// The moment after which nothing of this must be done.
    pub deadline: Moment,
}

/// Which state of a limit a lease is of: one that was lost has had another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Epoch(pub u64);

/// What an instance has been granted in the window that it knows, and in the one before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Granted {
    /// The window's number, by the store's clock. Of a bucket always 0.
    pub window: u64,
    /// In that window.
    pub now: u64,
    /// In the one before.
    pub before: u64,
}

impl Granted {
    /// Adds what was granted in `window`. Windows that are over are dropped.
    pub fn add(&mut self, window: u64, amount: u64) {
        match window.checked_sub(self.window) {
            Some(0) => self.now = self.now.saturating_add(amount),
            Some(1) => *self = Self { window, now: amount, before: self.now },
            Some(_) => *self = Self { window, now: amount, before: 0 },
            // The store's clock went back: what is known counts in the window that it is in now.
            None => *self = Self { window, now: self.now.saturating_add(amount), before: 0 },
        }
    }
}

/// What was leased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The state that it is of.
    pub epoch: Epoch,
    /// How much. Less than was wanted, or nothing, if there is not so much.
    pub granted: u64,
    /// If less was granted than was wanted: how long until it is worth asking again. `None`: never.
    pub retry_after: Option<Duration>,
    /// The present window's number.
    pub window: u64,
    /// What is left for all.
    pub remaining: u64,
}

/// A sign of life; see [`Store::beat`].
#[derive(Clone, Debug)]
pub struct BeatRequest {
    /// Of those who share these limits.
    pub group: Arc<str>,
    /// Of this instance.
    pub instance: Arc<str>,
    /// How long it is taken for alive from now on; zero: it goes.
    pub alive: Duration,
    /// The moment after which nothing of this must be done.
    pub deadline: Moment,
}

/// Who is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Membership {
    /// How many instances are alive.
    pub instances: u64,
    /// How many of them stand before this one, in the order of their names.
    pub place: u64,
}

/// How a breaker is in one instance; see [`Store::board`].
#[derive(Clone, Debug)]
pub struct BoardReport {
    /// The breaker's name.
    pub breaker: Arc<str>,
    /// The instance.
    pub instance: Arc<str>,
    /// How it is there.
    pub word: BoardWord,
    /// For how long that it is open holds, if it is.
    pub holds: Duration,
    /// For how long this instance wants to probe for all; zero: it does not, or not any more.
    pub probes_for: Duration,
    /// The moment after which nothing of this must be done.
    pub deadline: Moment,
}

/// What an instance says of its breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BoardWord {
    /// It has opened by what this instance has seen.
    Open,
    /// It has closed by what its probes have seen. It is closed for all, unless another one probes.
    Closed,
    /// Nothing.
    Look,
}

/// Who probes for all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Prober {
    /// Nobody.
    #[default]
    Nobody,
    /// This instance.
    This,
    /// Another one.
    Another,
}

/// How a breaker is in the other instances.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BoardStanding {
    /// In how many others it is open.
    pub open: u64,
    /// For how long that holds.
    pub holds: Duration,
    /// Who probes.
    pub prober: Prober,
    /// How long ago it was closed for all; `None`: not lately.
    pub closed_ago: Option<Duration>,
}

/// Why a store has not answered. Nobody knows whether what it was asked was done, unless it says so here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is no connection, and nothing was sent.
    #[error("the store cannot be reached: {0}")]
    Unreachable(Arc<str>),
    /// The connection broke before the answer came.
    #[error("the connection to the store broke: {0}")]
    Broken(Arc<str>),
    /// It answered too late, or not at all.
    #[error("the store did not answer in time")]
    TimedOut,
    /// It came too late, and nothing was done.
    #[error("the store got to it too late and did nothing")]
    Late,
    /// The store does not do it: it is loading, out of memory, a replica.
    #[error("the store refused: {0}")]
    Refused(Arc<str>),
    /// The guards around the store have not let it through, and nothing was sent.
    #[error("the store is not asked: {0}")]
    Guarded(Arc<str>),
    /// It answered something that no store of this version does.
    #[error("the store's answer makes no sense: {0}")]
    Corrupt(Arc<str>),
}
