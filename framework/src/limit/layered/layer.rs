//! One layer: what all kinds of it have in common.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::marker::PhantomData;
use std::sync::Arc;

use crate::clock::Moment;
use crate::limit::algorithm::{Algorithm, Decision, Refusal};
use crate::limit::keyed::{KeyedLimiter, Refund, TakenFrom};
use crate::limit::limiter::RateLimiter;

/// A limit on requests of type `R`.
pub(super) trait Layer<R: ?Sized>: fmt::Debug + Send + Sync {
    /// Takes `cost`, or nothing. Where it was taken.
    fn take(&self, request: &R, now: Moment, cost: u64) -> Result<TakenFrom, Refusal>;
    /// `None`: this request is not counted here.
    fn peek(&self, request: &R, now: Moment, cost: u64) -> Option<Decision>;
    fn refund(&self, request: &R, place: TakenFrom, refund: Refund);
    fn sweep(&self, now: Moment) -> usize;
}

/// One limiter for all requests.
#[derive(Debug)]
pub(super) struct Whole<A: Algorithm>(pub(super) Arc<RateLimiter<A>>);

impl<R: ?Sized, A: Algorithm> Layer<R> for Whole<A> {
    fn take(&self, _: &R, now: Moment, cost: u64) -> Result<TakenFrom, Refusal> {
        self.0.try_take(now, cost).map(|()| TakenFrom::Own)
    }
    fn peek(&self, _: &R, now: Moment, cost: u64) -> Option<Decision> {
        Some(self.0.peek(now, cost))
    }
    fn refund(&self, _: &R, _: TakenFrom, Refund { now, cost, taken_for }: Refund) {
        self.0.refund(now, cost, taken_for);
    }
    fn sweep(&self, _: Moment) -> usize {
        0
    }
}

/// A limiter for each key, and where a request has its key, if it has one.
pub(super) struct Keyed<K, Q: ?Sized, A: Algorithm, S, F> {
    limiter: Arc<KeyedLimiter<K, A, S>>,
    key: F,
    found: PhantomData<fn(&Q)>,
}

impl<K, Q: ?Sized, A: Algorithm, S, F> Keyed<K, Q, A, S, F> {
    pub(super) fn new(limiter: Arc<KeyedLimiter<K, A, S>>, key: F) -> Self {
        Self { limiter, key, found: PhantomData }
    }
}

impl<R, K, Q, A, S, F> Layer<R> for Keyed<K, Q, A, S, F>
where
    R: ?Sized,
    K: Hash + Eq + Borrow<Q> + Send + Sync,
    Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    A: Algorithm,
    S: BuildHasher + Send + Sync,
    F: Fn(&R) -> Option<&Q> + Send + Sync,
{
    fn take(&self, request: &R, now: Moment, cost: u64) -> Result<TakenFrom, Refusal> {
        let Some(key) = (self.key)(request) else { return Ok(TakenFrom::Own) };
        let algorithm = self.limiter.algorithm();
        self.limiter
            .decide(key, now, |state, place| algorithm.try_take(state, now, cost).map(|()| place))
    }
    fn peek(&self, request: &R, now: Moment, cost: u64) -> Option<Decision> {
        (self.key)(request).map(|key| self.limiter.peek(key, now, cost))
    }
    fn refund(&self, request: &R, place: TakenFrom, refund: Refund) {
        if let Some(key) = (self.key)(request) {
            self.limiter.refund_at(key, place, refund);
        }
    }
    fn sweep(&self, now: Moment) -> usize {
        self.limiter.sweep(now)
    }
}

impl<K: Hash + Eq, Q: ?Sized, A: Algorithm, S: BuildHasher, F> fmt::Debug for Keyed<K, Q, A, S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.limiter.fmt(f)
    }
}
