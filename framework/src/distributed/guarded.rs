//! A store behind guards: it is a dependency like any other.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use crate::call::{Call, Rules};
use crate::clock::Moment;
use crate::dependency::{MethodSpec, MethodTable};
use crate::error::CallError;
use crate::limit::StoreCounts;
use crate::outcome::Class;
use crate::time::{Time, within};

use super::store::{
    BeatRequest, BoardReport, BoardStanding, Lease, LeaseRequest, LimitKey, Membership, Store,
    StoreError, StoreFuture, StoredLimit, TakeRequest, Verdict,
};

/// The methods that a guarded store has.
pub(crate) const METHODS: [MethodSpec; 5] =
    [named("take"), named("lease"), named("beat"), named("board"), named("manage")];

const TAKE: usize = 0;
const LEASE: usize = 1;
const BEAT: usize = 2;
const BOARD: usize = 3;
const MANAGE: usize = 4;

const fn named(name: &'static str) -> MethodSpec {
    MethodSpec { name, ..MethodSpec::NONE }
}

/// A store with a circuit breaker and a bulkhead around it, metrics and events: made by `Seawall::guard_store`. Cheap to clone.
///
/// While its breaker is open nobody waits for the store: each limit decides at once as it does when the store is away. A request
/// that is not answered by its deadline counts as a failure. None is ever repeated.
#[derive(Clone)]
pub struct GuardedStore {
    store: Arc<dyn Store>,
    methods: Arc<MethodTable>,
    time: Time,
}

impl GuardedStore {
    pub(crate) fn new(store: Arc<dyn Store>, methods: Arc<MethodTable>, time: Time) -> Self {
        Self { store, methods, time }
    }

    /// Makes one request as a call, which ends at the caller's deadline at the latest: a call that was dropped would say nothing of
    /// the store.
    async fn call<T, F>(
        &self,
        method: usize,
        deadline: Moment,
        request: impl FnOnce() -> F,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let rules = Rules::<Result<T, StoreError>> { classify, ..Rules::USUAL };
        let mut call = Call::begin(&self.methods, method);
        let asked = async || {
            within(&self.time, deadline, request()).await.unwrap_or(Err(StoreError::TimedOut))
        };
        let answer = call.once(asked, &rules).await;
        call.finish_wrapped(answer).map_err(|error| match error {
            CallError::Inner(error) => error,
            CallError::Fault(fault) => StoreError::Guarded(fault.to_string().into()),
        })
    }
}

fn classify<T>(answer: &Result<T, StoreError>) -> Class {
    if answer.is_ok() { Class::Success } else { Class::Failure }
}

impl Store for GuardedStore {
    fn take(&self, request: TakeRequest) -> StoreFuture<'_, Vec<Verdict>> {
        let latest = request.costs.iter().map(|(_, deadline)| *deadline).max();
        let deadline = latest.unwrap_or(Moment::MAX);
        Box::pin(self.call(TAKE, deadline, || self.store.take(request)))
    }

    fn lease(&self, request: LeaseRequest) -> StoreFuture<'_, Lease> {
        Box::pin(self.call(LEASE, request.deadline, || self.store.lease(request)))
    }

    fn beat(&self, request: BeatRequest) -> StoreFuture<'_, Membership> {
        Box::pin(self.call(BEAT, request.deadline, || self.store.beat(request)))
    }

    fn board(&self, report: BoardReport) -> StoreFuture<'_, BoardStanding> {
        Box::pin(self.call(BOARD, report.deadline, || self.store.board(report)))
    }

    fn reset(&self, limits: Vec<StoredLimit>) -> StoreFuture<'_, u64> {
        Box::pin(self.call(MANAGE, Moment::MAX, || self.store.reset(limits)))
    }

    fn keys(&self, like: StoredLimit, at_most: usize) -> StoreFuture<'_, Vec<LimitKey>> {
        Box::pin(self.call(MANAGE, Moment::MAX, move || self.store.keys(like, at_most)))
    }

    fn joins_subjects(&self) -> bool {
        self.store.joins_subjects()
    }

    fn is_remote(&self) -> bool {
        self.store.is_remote()
    }

    fn counts(&self) -> StoreCounts {
        self.store.counts()
    }
}

impl fmt::Debug for GuardedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("GuardedStore");
        debug.field("store", &self.store).finish_non_exhaustive()
    }
}
