//! Limits in layers, from the widest to the narrowest: a request passes all of them or none.
//! What is promised, and what it costs, is in the [guide](super::guide).

use std::borrow::Borrow;
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Moment;
use crate::constraint::{Constraints, InvalidSettings};
use crate::sync::{AtomicU64, Ordering, quietly};

use super::algorithm::{Algorithm, Decision, Refusal};
use super::keyed::{KeyedLimiter, Refund, TakenFrom};
use super::limiter::RateLimiter;
use layer::{Keyed, Layer, Whole};

mod layer;
#[cfg(all(test, seawall_loom))]
mod loom;
#[cfg(all(test, not(seawall_loom)))]
mod tests;

/// The most layers there may be.
pub const MAX_LAYERS: usize = 16;

/// How often a request looks again because somebody gave something back meanwhile.
const LOOKS: u32 = 8;

/// A layer had not enough left.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("layer `{layer}`: {}", Refusal { retry_after: *retry_after })]
#[non_exhaustive]
pub struct LayerRefusal {
    /// Which: the widest of those that refuse.
    pub layer: Arc<str>,
    /// How long until the same request would pass *every* layer, if nobody else takes anything.
    /// `None`: it asks for more than one of them ever holds, so never.
    pub retry_after: Option<Duration>,
}

/// A layered limiter's whole answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LayeredDecision {
    /// Of a refusal: the widest layer that refuses. Else the tightest: the one with the least left.
    pub layer: Arc<str>,
    /// How things are with that layer; of a refusal with `retry_after` as
    /// [`LayerRefusal::retry_after`]. Of a request that no layer counts: the widest layer's name, and no
    /// end of everything.
    pub decision: Decision,
}

/// What a request that no layer counts is told.
const UNCOUNTED: Decision = Decision {
    allowed: true,
    limit: u64::MAX,
    remaining: u64::MAX,
    reset_after: Duration::ZERO,
    retry_after: None,
};

/// The same with the layer's place instead of its name, for one that knows more of it by that.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Verdict {
    /// From the widest, which is 0.
    pub(crate) at: usize,
    pub(crate) decision: Decision,
    /// A bit for each layer that refuses, `at` among them.
    #[cfg_attr(not(feature = "tower"), allow(dead_code, reason = "told to clients only"))]
    pub(crate) refusing: u32,
}

/// One layer and what it is called.
struct Named<R: ?Sized> {
    name: Arc<str>,
    layer: Box<dyn Layer<R>>,
}

/// Rate limits in layers for requests of type `R`. Shared by reference between threads; never waits;
/// is told the time. A call allocates nothing, but for a key seen for the first time.
pub struct Layered<R: ?Sized> {
    /// The widest first.
    layers: Box<[Named<R>]>,
    /// How often something was given back.
    refunds: AtomicU64,
}

impl<R: ?Sized> Layered<R> {
    /// Starts with no layer.
    pub fn builder() -> LayeredBuilder<R> {
        LayeredBuilder { layers: Vec::new() }
    }

    /// The layers' names, the widest first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.layers.iter().map(|layer| &*layer.name)
    }

    /// Takes `cost` from every layer, or nothing from any.
    ///
    /// # Errors
    /// A layer has not enough: which, and when all will have.
    pub fn try_take(&self, request: &R, now: Moment, cost: u64) -> Result<(), LayerRefusal> {
        self.take(request, now, cost).map_err(|(at, refusal)| LayerRefusal {
            layer: Arc::clone(&self.layers[at].name),
            retry_after: self.longest(request, now, cost, refusal.retry_after).0,
        })
    }

    /// Takes `cost` from every layer, or nothing from any, and tells how things are now.
    pub fn check(&self, request: &R, now: Moment, cost: u64) -> LayeredDecision {
        self.named(self.check_at(request, now, cost))
    }

    /// What [`Layered::check`] would say, but takes nothing: `remaining` is what is there.
    #[must_use]
    pub fn peek(&self, request: &R, now: Moment, cost: u64) -> LayeredDecision {
        self.named(match self.refusing(self.layers.len(), request, now, cost) {
            None => self.tightest(request, now),
            Some(refused) => self.refused(request, now, cost, refused),
        })
    }

    /// [`Layered::check`], by place.
    pub(crate) fn check_at(&self, request: &R, now: Moment, cost: u64) -> Verdict {
        match self.take(request, now, cost) {
            Ok(()) => self.tightest(request, now),
            Err(refused) => self.refused(request, now, cost, refused),
        }
    }

    fn named(&self, Verdict { at, decision, .. }: Verdict) -> LayeredDecision {
        LayeredDecision { layer: Arc::clone(&self.layers[at].name), decision }
    }

    /// Gives `cost` back to every layer that was taken for `taken_for` and not used; see
    /// [`Algorithm::refund`] and [`KeyedLimiter::refund`].
    pub fn refund(&self, request: &R, now: Moment, cost: u64, taken_for: Moment) {
        for named in &self.layers {
            named.layer.refund(request, TakenFrom::Own, Refund { now, cost, taken_for });
        }
        self.refunds.fetch_add(1, Ordering::Release);
    }

    /// [`KeyedLimiter::sweep`] of every keyed layer. How many keys went.
    pub fn sweep(&self, now: Moment) -> usize {
        self.layers.iter().map(|named| named.layer.sweep(now)).sum()
    }

    /// Takes from all or none. Who refused, and why.
    fn take(&self, request: &R, now: Moment, cost: u64) -> Result<(), (usize, Refusal)> {
        let mut looks = 0;
        loop {
            // Acquire, here and below: with the count, what was given back is seen.
            let refunds = self.refunds.load(Ordering::Acquire);
            // The narrowest is taken first, so it need not be asked before.
            let wide = self.layers.len() - 1;
            let (refused, own) = match self.refusing(wide, request, now, cost) {
                Some(refused) => (refused, 0),
                None => match self.take_all(request, now, cost) {
                    Ok(()) => return Ok(()),
                    Err(refused) => (refused, u64::from(refused.0 < wide)),
                },
            };
            looks += 1;
            let since = self.refunds.load(Ordering::Acquire).wrapping_sub(refunds);
            if since == own || looks == LOOKS {
                return Err(refused);
            }
        }
    }

    /// The first of the `count` widest layers that would refuse.
    fn refusing(
        &self,
        count: usize,
        request: &R,
        now: Moment,
        cost: u64,
    ) -> Option<(usize, Refusal)> {
        self.layers[..count].iter().enumerate().find_map(|(at, named)| {
            let decision = named.layer.peek(request, now, cost)?;
            let refusal = Refusal { retry_after: decision.retry_after };
            (!decision.allowed).then_some((at, refusal))
        })
    }

    /// Takes from the narrowest to the widest; refused by one, gives back to those before.
    fn take_all(&self, request: &R, now: Moment, cost: u64) -> Result<(), (usize, Refusal)> {
        let mut taken =
            Taken { layered: self, request, now, cost, from: self.layers.len(), overflow: 0 };
        for (at, named) in self.layers.iter().enumerate().rev() {
            // Refused, or unwinding from a user's code: dropped, `taken` gives back.
            let place = named.layer.take(request, now, cost).map_err(|refusal| (at, refusal))?;
            taken.from = at;
            taken.overflow |= u32::from(place == TakenFrom::Overflow) << at;
        }
        taken.from = self.layers.len();
        Ok(())
    }

    /// How long until no layer refuses, if one of them says `least`; and a bit for each that does now.
    fn longest(
        &self,
        request: &R,
        now: Moment,
        cost: u64,
        least: Option<Duration>,
    ) -> (Option<Duration>, u32) {
        let (mut longest, mut refusing) = (least, 0);
        for (at, named) in self.layers.iter().enumerate() {
            let decision = named.layer.peek(request, now, cost).unwrap_or(UNCOUNTED);
            if !decision.allowed {
                refusing |= 1 << at;
                let both = longest.zip(decision.retry_after);
                longest = both.map(|(longest, after)| longest.max(after));
            }
        }
        (longest, refusing)
    }

    fn refused(
        &self,
        request: &R,
        now: Moment,
        cost: u64,
        (at, refusal): (usize, Refusal),
    ) -> Verdict {
        let (retry_after, refusing) = self.longest(request, now, cost, refusal.retry_after);
        let standing = self.layers[at].layer.peek(request, now, cost).unwrap_or(UNCOUNTED);
        let decision = Decision { allowed: false, retry_after, ..standing };
        Verdict { at, decision, refusing: refusing | 1 << at }
    }

    /// The layer with the least left; of two alike the one that takes longer to recover.
    fn tightest(&self, request: &R, now: Moment) -> Verdict {
        let by_what_is_left =
            |decision: &Decision| (decision.remaining, std::cmp::Reverse(decision.reset_after));
        let mut tightest = Verdict { at: 0, decision: UNCOUNTED, refusing: 0 };
        for (at, named) in self.layers.iter().enumerate() {
            let Some(decision) = named.layer.peek(request, now, 0) else { continue };
            if by_what_is_left(&decision) < by_what_is_left(&tightest.decision) {
                tightest = Verdict { at, decision, refusing: 0 };
            }
        }
        tightest
    }
}

/// What a request has taken on its way to the widest layer: from all from `from` on.
struct Taken<'a, R: ?Sized> {
    layered: &'a Layered<R>,
    request: &'a R,
    now: Moment,
    cost: u64,
    from: usize,
    /// A bit for each layer in which it was taken from the overflow.
    overflow: u32,
}

impl<R: ?Sized> Drop for Taken<'_, R> {
    fn drop(&mut self) {
        let layers = &self.layered.layers;
        if self.from == layers.len() {
            return;
        }
        for (at, named) in layers.iter().enumerate().skip(self.from) {
            let overflow = self.overflow >> at & 1 == 1;
            let place = if overflow { TakenFrom::Overflow } else { TakenFrom::Own };
            // Unwinding already, a second panic in the user's hash would end the process.
            let refund = Refund { now: self.now, cost: self.cost, taken_for: self.now };
            quietly(|| named.layer.refund(self.request, place, refund));
        }
        self.layered.refunds.fetch_add(1, Ordering::Release);
    }
}

impl<R: ?Sized> fmt::Debug for Layered<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.layers.iter().map(|named| (&named.name, &named.layer))).finish()
    }
}

/// Builds a [`Layered`], from the widest layer to the narrowest.
#[must_use]
pub struct LayeredBuilder<R: ?Sized> {
    layers: Vec<Named<R>>,
}

impl<R: ?Sized + 'static> LayeredBuilder<R> {
    /// Adds a layer that is one limiter for all requests. An `Arc` of it can be kept.
    pub fn layer<A: Algorithm + 'static>(
        mut self,
        name: impl Into<Arc<str>>,
        limiter: impl Into<Arc<RateLimiter<A>>>,
    ) -> Self {
        let layer = Box::new(Whole(limiter.into()));
        self.layers.push(Named { name: name.into(), layer });
        self
    }

    /// Adds a layer that has a limiter for each key; `key` finds it in a request. An `Arc` of the
    /// limiter can be kept.
    pub fn keyed<K, Q, A, S>(
        self,
        name: impl Into<Arc<str>>,
        limiter: impl Into<Arc<KeyedLimiter<K, A, S>>>,
        key: impl Fn(&R) -> &Q + Send + Sync + 'static,
    ) -> Self
    where
        K: Hash + Eq + Borrow<Q> + Send + Sync + 'static,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized + 'static,
        A: Algorithm + 'static,
        S: BuildHasher + Send + Sync + 'static,
    {
        self.keyed_if(name, limiter, move |request| Some(key(request)))
    }

    /// The same for requests that need not have a key: those without one are not counted by this layer.
    /// Asked about the same request again, `key` must say the same: it is asked several times.
    pub fn keyed_if<K, Q, A, S>(
        mut self,
        name: impl Into<Arc<str>>,
        limiter: impl Into<Arc<KeyedLimiter<K, A, S>>>,
        key: impl Fn(&R) -> Option<&Q> + Send + Sync + 'static,
    ) -> Self
    where
        K: Hash + Eq + Borrow<Q> + Send + Sync + 'static,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized + 'static,
        A: Algorithm + 'static,
        S: BuildHasher + Send + Sync + 'static,
    {
        let layer = Box::new(Keyed::new(limiter.into(), key));
        self.layers.push(Named { name: name.into(), layer });
        self
    }

    /// The layers, checked.
    ///
    /// # Errors
    /// No layer or more than 16; a name that is empty or taken.
    pub fn build(self) -> Result<Layered<R>, InvalidSettings> {
        let mut check = Constraints::default();
        let count = self.layers.len();
        let allowed = format!("from 1 to {MAX_LAYERS} layers");
        check.require((1..=MAX_LAYERS).contains(&count), "layers", count, allowed);
        for (at, named) in self.layers.iter().enumerate() {
            let is_new = self.layers[..at].iter().all(|before| before.name != named.name);
            let ok = is_new && !named.name.is_empty();
            check.require(ok, "layers", &named.name, "a name that no other layer has");
        }
        let layers = self.layers.into_boxed_slice();
        check.finish(Layered { layers, refunds: AtomicU64::new(0) })
    }
}

impl<R: ?Sized> fmt::Debug for LayeredBuilder<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.layers.iter().map(|named| &named.name)).finish()
    }
}
