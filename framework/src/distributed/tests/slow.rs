//! A store that answers when it is told to.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

use crate::distributed::{
    BeatRequest, BoardReport, BoardStanding, Lease, LeaseRequest, LimitKey, Membership, Memory,
    Store, StoreError, StoreFuture, StoredLimit, TakeRequest, Verdict,
};
use crate::sync::Mutex;

/// What becomes of the next request.
#[derive(Clone, Copy, Debug)]
pub(super) enum Next {
    /// It is answered.
    Answer,
    /// It is not, ever.
    Silence,
    /// It fails.
    Fail,
    /// It is answered when somebody lets it.
    Wait,
}

/// A store in this process that behaves as if it were far away.
#[derive(Clone)]
pub(super) struct Slow(Arc<Inner>);

struct Inner {
    memory: Memory,
    next: Mutex<VecDeque<Next>>,
    usual: Mutex<Next>,
    may_go: Notify,
    pub(super) asked: Mutex<Vec<TakeRequest>>,
    leased: Mutex<Vec<LeaseRequest>>,
    under_way: AtomicUsize,
    most: AtomicUsize,
}

/// One request that is under way, answered or not.
struct UnderWay<'a>(&'a AtomicUsize);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Slow {
    pub(super) fn new(memory: Memory) -> Self {
        Self(Arc::new(Inner {
            memory,
            next: Mutex::default(),
            usual: Mutex::new(Next::Answer),
            may_go: Notify::new(),
            asked: Mutex::default(),
            leased: Mutex::default(),
            under_way: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
        }))
    }

    /// What becomes of all that nothing else is said of.
    pub(super) fn usual(&self, next: Next) {
        *self.0.usual.lock() = next;
    }

    pub(super) fn then(&self, next: Next) {
        self.0.next.lock().push_back(next);
    }

    pub(super) fn let_go(&self) {
        self.0.may_go.notify_one();
    }

    pub(super) fn asked(&self) -> Vec<TakeRequest> {
        self.0.asked.lock().clone()
    }

    pub(super) fn leased(&self) -> Vec<LeaseRequest> {
        self.0.leased.lock().clone()
    }

    /// The most requests that were under way at once.
    pub(super) fn most_at_once(&self) -> usize {
        self.0.most.load(Ordering::SeqCst)
    }

    async fn answer<T>(&self, answer: StoreFuture<'_, T>) -> Result<T, StoreError> {
        let inner = &self.0;
        let now = inner.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        inner.most.fetch_max(now, Ordering::SeqCst);
        let _under_way = UnderWay(&inner.under_way);
        let next = inner.next.lock().pop_front();
        match next.unwrap_or_else(|| *inner.usual.lock()) {
            Next::Answer => answer.await,
            Next::Silence => std::future::pending().await,
            Next::Fail => Err(StoreError::Unreachable("it is not there".into())),
            Next::Wait => {
                inner.may_go.notified().await;
                answer.await
            }
        }
    }
}

impl Store for Slow {
    fn take(&self, request: TakeRequest) -> StoreFuture<'_, Vec<Verdict>> {
        self.0.asked.lock().push(request.clone());
        Box::pin(async move { self.answer(self.0.memory.take(request)).await })
    }

    fn lease(&self, request: LeaseRequest) -> StoreFuture<'_, Lease> {
        self.0.leased.lock().push(request.clone());
        Box::pin(async move { self.answer(self.0.memory.lease(request)).await })
    }

    fn beat(&self, request: BeatRequest) -> StoreFuture<'_, Membership> {
        self.0.memory.beat(request)
    }

    fn board(&self, report: BoardReport) -> StoreFuture<'_, BoardStanding> {
        self.0.memory.board(report)
    }

    fn reset(&self, limits: Vec<StoredLimit>) -> StoreFuture<'_, u64> {
        self.0.memory.reset(limits)
    }

    fn keys(&self, like: StoredLimit, at_most: usize) -> StoreFuture<'_, Vec<LimitKey>> {
        self.0.memory.keys(like, at_most)
    }

    fn joins_subjects(&self) -> bool {
        true
    }
}

impl fmt::Debug for Slow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slow").finish_non_exhaustive()
    }
}
