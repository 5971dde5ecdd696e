//! How a request is decided by all limits of a set.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use crate::clock::Moment;
use crate::limit::{Decision, SharedLimit};
use crate::time::within;

use super::assemble::Parts;
use super::exact::Exact;
use super::layer::{DecidedBy, Layer, TakenHere};
use super::members::Members;
use super::request::Request;
use super::store::{BeatRequest, StoreError, StoreFuture, StoredLimit, Verdict, VerdictKind};

/// No task tends it.
pub(super) const NOBODY: u64 = 0;

/// What all clones of a set share.
pub(super) struct Inner {
    pub(super) parts: Parts,
    /// The widest first.
    pub(super) layers: Box<[Arc<Layer>]>,
    /// The places of those that the store decides, and the rest.
    pub(super) exact_at: Vec<usize>,
    pub(super) here_at: Vec<usize>,
    pub(super) exact: Arc<Exact>,
    pub(super) members: Arc<Members>,
    pub(super) decide_within: Duration,
    /// Which task tends it.
    pub(super) tended_by: AtomicU64,
}

/// What a request has taken so far, by the place of the limit. Dropped, it gives back.
struct TakenSoFar<'a> {
    inner: &'a Inner,
    cost: u64,
    taken: Vec<(usize, StoredLimit, TakenHere)>,
    keeps: bool,
}

impl TakenSoFar<'_> {
    /// What each limit that has been asked here said.
    fn words(&self) -> impl Iterator<Item = Word> {
        let word = |(at, _, taken): &(usize, StoredLimit, TakenHere)| Word {
            at: *at,
            decision: taken.decision,
            by: taken.by,
        };
        self.taken.iter().map(word)
    }
}

impl Drop for TakenSoFar<'_> {
    fn drop(&mut self) {
        if self.keeps {
            return;
        }
        let now = self.inner.parts.time.now();
        for (at, of, taken) in &self.taken {
            let layer = &self.inner.layers[*at];
            layer.give_back((of, taken.by), now, self.cost, &self.inner.members);
        }
    }
}

/// One limit's word on a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word {
    /// Its place, from the widest.
    pub(super) at: usize,
    pub(super) decision: Decision,
    pub(super) by: DecidedBy,
}

impl Inner {
    /// A cost above a limit, which nobody need be asked about.
    pub(super) fn never(&self, request: &Request<'_>, cost: u64) -> Option<Word> {
        let limit_at = |at: usize| self.layers[at].limit.of_tier(request.tier).limit();
        let at = (0..self.layers.len()).find(|at| cost > limit_at(*at))?;
        let limit = limit_at(at);
        let decision = Decision {
            allowed: false,
            limit,
            remaining: 0,
            reset_after: Duration::ZERO,
            retry_after: None,
        };
        Some(Word { at, decision, by: DecidedBy::Share })
    }

    pub(super) async fn decide(&self, request: &Request<'_>, cost: u64) -> Word {
        let now = self.parts.time.now();
        let deadline = now + self.decide_within;
        let mut so_far = TakenSoFar { inner: self, cost, taken: Vec::new(), keeps: false };
        // The narrowest first: it is the one that refuses most.
        for &at in self.here_at.iter().rev() {
            let layer = &self.layers[at];
            let of = request.stored(&layer.limit);
            if self.needs_word(layer) {
                self.hear(deadline).await;
            }
            let taken = layer.take(&of, cost, (now, deadline), &self.members).await;
            self.note_failure(taken.by);
            if !taken.decision.allowed {
                return Word { at, decision: taken.decision, by: taken.by };
            }
            so_far.taken.push((at, of, taken));
        }
        let by_store = self.ask_store(request, cost, deadline, &mut so_far).await;
        let tightest = so_far
            .words()
            .chain(by_store)
            .min_by_key(|word| (word.decision.allowed, word.decision.remaining, word.at));
        so_far.keeps = tightest.is_some_and(|word| word.decision.allowed);
        // There is a limit at least.
        tightest.unwrap_or_else(nobody)
    }

    /// The same for one who does not wait.
    pub(super) fn decide_now(&self, request: &Request<'_>, cost: u64, now: Moment) -> Word {
        let mut so_far = TakenSoFar { inner: self, cost, taken: Vec::new(), keeps: false };
        for (at, layer) in self.layers.iter().enumerate().rev() {
            let of = request.stored(&layer.limit);
            let taken = layer.take_now(&of, cost, now, &self.members);
            self.note_failure(taken.by);
            if !taken.decision.allowed {
                return Word { at, decision: taken.decision, by: taken.by };
            }
            so_far.taken.push((at, of, taken));
        }
        so_far.keeps = true;
        so_far.words().min_by_key(|word| (word.decision.remaining, word.at)).unwrap_or_else(nobody)
    }

    /// The exact limits' word, if there are any.
    async fn ask_store(
        &self,
        request: &Request<'_>,
        cost: u64,
        deadline: Moment,
        so_far: &mut TakenSoFar<'_>,
    ) -> Option<Word> {
        if self.exact_at.is_empty() {
            return None;
        }
        let limits: Vec<&SharedLimit> =
            self.exact_at.iter().map(|at| &self.layers[*at].limit).collect();
        match self.exact.take(&limits, request, cost, deadline).await {
            Ok(verdict) => {
                self.parts.counters.decided(&self.parts.time);
                // It was checked that the store names a limit that was asked.
                let at = self.exact_at.get(verdict.at).copied().unwrap_or(0);
                if verdict.kind == VerdictKind::Taken {
                    self.note_taken(request, cost);
                }
                let limit = self.layers[at].limit.of_tier(request.tier).limit();
                let decision = decision_of(&verdict, limit);
                Some(Word { at, decision, by: DecidedBy::Store })
            }
            Err(_) => self.fall_back(request, cost, so_far),
        }
    }

    /// The store has taken this: so have the shares that stand in for it.
    fn note_taken(&self, request: &Request<'_>, cost: u64) {
        let now = self.parts.time.now();
        for &at in &self.exact_at {
            let layer = &self.layers[at];
            if layer.stands_in() {
                layer.share.note(&request.stored(&layer.limit), now, cost, &self.members);
            }
        }
    }

    /// What becomes of a request that the store has not decided. `None`: every limit has said its word to `so_far`.
    fn fall_back(
        &self,
        request: &Request<'_>,
        cost: u64,
        so_far: &mut TakenSoFar<'_>,
    ) -> Option<Word> {
        let now = self.parts.time.now();
        self.parts.counters.failed(now);
        for &at in &self.exact_at {
            let layer = &self.layers[at];
            let of = request.stored(&layer.limit);
            let taken = layer.fall_back(&of, now, cost, &self.members);
            if !taken.decision.allowed {
                return Some(Word { at, decision: taken.decision, by: taken.by });
            }
            so_far.taken.push((at, of, taken));
        }
        None
    }

    fn note_failure(&self, by: DecidedBy) {
        match by {
            DecidedBy::Failure(_) => self.parts.counters.failed(self.parts.time.now()),
            DecidedBy::Lease => self.parts.counters.decided(&self.parts.time),
            DecidedBy::Store | DecidedBy::Share => {}
        }
    }

    fn needs_word(&self, layer: &Layer) -> bool {
        layer.leased.is_none() && !self.members.is_open()
    }

    /// Waits until the store has said how many there are, or until `deadline`.
    async fn hear(&self, deadline: Moment) {
        let mut changed = std::pin::pin!(self.members.changed.notified());
        changed.as_mut().enable();
        if !self.members.is_open() {
            let _ = within(&self.parts.time, deadline, changed).await;
        }
    }

    pub(super) fn beat(&self, leaves: bool) -> BeatRequest {
        BeatRequest {
            group: Arc::clone(&self.parts.group),
            instance: Arc::clone(&self.members.instance),
            alive: if leaves { Duration::ZERO } else { self.members.alive() },
            deadline: self.parts.time.now() + self.decide_within,
        }
    }

    /// The answer of the store, if it comes within a second: nobody's request waits for it.
    pub(super) async fn in_time<T>(&self, answer: StoreFuture<'_, T>) -> Result<T, StoreError> {
        const PATIENCE: Duration = Duration::from_secs(1);
        let deadline = self.parts.time.now() + PATIENCE;
        within(&self.parts.time, deadline, answer).await.unwrap_or(Err(StoreError::TimedOut))
    }
}

/// The word of no limit; there is always one.
fn nobody() -> Word {
    Word { at: 0, decision: decision_of(&Verdict::LATE, 0), by: DecidedBy::Store }
}

pub(super) fn decision_of(verdict: &Verdict, limit: u64) -> Decision {
    Decision {
        allowed: verdict.kind == VerdictKind::Taken,
        limit,
        remaining: verdict.remaining,
        reset_after: verdict.reset_after,
        retry_after: verdict.retry_after,
    }
}
