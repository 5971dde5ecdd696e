//! Limits that the store decides, request by request.

use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use tokio::sync::oneshot;

use crate::clock::Moment;
use crate::entropy::SecretHash;
use crate::limit::SharedLimit;
use crate::time::{Time, within};

use super::counters::Counters;
use super::denied::Denied;
use super::request::Request;
use super::store::{Store, StoreError, StoredLimit, TakeRequest, Verdict, VerdictKind};

/// As many costs as one script decides.
const BATCH: usize = 256;

/// What limits that are decided here know of a request: its subject, its part and its tier.
type Keys = (Arc<str>, Arc<str>, Arc<str>);
type Answer = Result<Verdict, StoreError>;

/// A request that waits until the one before it has been decided.
struct Waiting {
    cost: u64,
    deadline: Moment,
    tell: oneshot::Sender<Answer>,
}

/// Asks the store. Of the requests with the same keys one is under way at a time; those that come meanwhile are decided together
/// after it, in the order in which they came.
pub(super) struct Exact {
    store: Arc<dyn Store>,
    time: Time,
    /// The keys of which a request is under way, and who waits behind it.
    under_way: DashMap<Keys, Vec<Waiting>, SecretHash>,
    pub(super) denied: Denied<Keys>,
    counters: Arc<Counters>,
    /// Of a store in this process nothing is gained by asking it less often.
    is_remote: bool,
}

/// The turn of keys that a request is under way for. Dropped, with a task that was never begun too, the next have it.
struct UnderWay {
    exact: Arc<Exact>,
    keys: Keys,
    limits: Arc<[StoredLimit]>,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.exact.pass_on(&self.keys, &self.limits);
    }
}

impl Exact {
    pub(super) fn new(store: Arc<dyn Store>, time: Time, counters: Arc<Counters>) -> Arc<Self> {
        let is_remote = store.is_remote();
        Arc::new(Self {
            store,
            time,
            under_way: DashMap::with_hasher(SecretHash::default()),
            denied: Denied::new(),
            counters,
            is_remote,
        })
    }

    /// Takes `cost` from all of these limits or from none, before `deadline`.
    pub(super) async fn take(
        self: &Arc<Self>,
        limits: &[&SharedLimit],
        request: &Request<'_>,
        cost: u64,
        deadline: Moment,
    ) -> Result<Verdict, StoreError> {
        let stored =
            || -> Arc<[StoredLimit]> { limits.iter().map(|limit| request.stored(limit)).collect() };
        if !self.is_remote {
            return only(self.ask(stored(), vec![(cost, deadline)]).await?);
        }
        let keys = keys_of(limits, request);
        if let Some(verdict) = self.denied.find(&keys, self.time.now(), cost) {
            self.counters.remember();
            return Ok(verdict);
        }
        let answer = match self.under_way.entry(keys.clone()) {
            Entry::Vacant(free) => {
                free.insert(Vec::new());
                None
            }
            Entry::Occupied(mut busy) => {
                let (tell, told) = oneshot::channel();
                busy.get_mut().push(Waiting { cost, deadline, tell });
                Some(told)
            }
        };
        let verdict = match answer {
            None => {
                let turn =
                    UnderWay { exact: Arc::clone(self), keys: keys.clone(), limits: stored() };
                let asked = self.ask(Arc::clone(&turn.limits), vec![(cost, deadline)]);
                only(within(&self.time, deadline, asked).await.ok_or(StoreError::TimedOut)??)?
            }
            Some(told) => match within(&self.time, deadline, told).await {
                Some(Ok(answer)) => answer?,
                // Dropped with the runtime that was asking, or not in time. If it has not been sent, it never is.
                Some(Err(_)) | None => return Err(StoreError::TimedOut),
            },
        };
        match verdict.kind {
            VerdictKind::Late => return Err(StoreError::Late),
            VerdictKind::Refused => self.denied.note(keys, self.time.now(), cost, verdict),
            VerdictKind::Taken => {}
        }
        Ok(verdict)
    }

    async fn ask(
        &self,
        limits: Arc<[StoredLimit]>,
        costs: Vec<(u64, Moment)>,
    ) -> Result<Vec<Verdict>, StoreError> {
        self.store.take(TakeRequest { limits, costs, takes: true }).await
    }

    /// Begins what waits behind a request that has ended, or notes that nothing is under way.
    fn pass_on(self: &Arc<Self>, keys: &Keys, limits: &Arc<[StoredLimit]>) {
        let now = self.time.now();
        let waiting = match self.under_way.entry(keys.clone()) {
            Entry::Vacant(_) => return,
            Entry::Occupied(mut busy) => {
                let all = busy.get_mut();
                // A request that has given up was decided without the store, so it must not be sent.
                all.retain(|waiting| !waiting.tell.is_closed() && waiting.deadline > now);
                if all.is_empty() {
                    busy.remove();
                    return;
                }
                let count = all.len().min(BATCH);
                all.drain(..count).collect::<Vec<_>>()
            }
        };
        let turn =
            UnderWay { exact: Arc::clone(self), keys: keys.clone(), limits: Arc::clone(limits) };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(decide(turn, waiting))),
            Err(_) => {
                // Outside of any runtime, which only happens when one shuts down: they hear that nobody asks. First, or the turn
                // would be passed on to nobody again.
                self.under_way.remove(keys);
                drop((turn, waiting));
            }
        }
    }
}

/// Decides those who have waited, and passes the turn on.
async fn decide(turn: UnderWay, waiting: Vec<Waiting>) {
    let latest = waiting.iter().map(|waiting| waiting.deadline).max().unwrap_or(Moment::ZERO);
    let costs = waiting.iter().map(|waiting| (waiting.cost, waiting.deadline)).collect();
    let asked = turn.exact.ask(Arc::clone(&turn.limits), costs);
    // Those who go by an earlier deadline have one of their own.
    let answer = within(&turn.exact.time, latest + Duration::from_millis(1), asked).await;
    match answer.unwrap_or(Err(StoreError::TimedOut)) {
        Ok(verdicts) => {
            // A store that says too little leaves the last ones without an answer, and they hear that.
            for (waiting, verdict) in waiting.into_iter().zip(verdicts) {
                let _ = waiting.tell.send(Ok(verdict));
            }
        }
        Err(error) => {
            for waiting in waiting {
                let _ = waiting.tell.send(Err(error.clone()));
            }
        }
    }
    drop(turn);
}

fn only(verdicts: Vec<Verdict>) -> Result<Verdict, StoreError> {
    let none = || StoreError::Corrupt("there is no verdict".into());
    verdicts.first().copied().ok_or_else(none)
}

/// What all keys of a request are made of. Requests that differ in what no limit counts by are alike.
fn keys_of(limits: &[&SharedLimit], request: &Request<'_>) -> Keys {
    let uses = |test: fn(&SharedLimit) -> bool| limits.iter().any(|limit| test(limit));
    let subject = if uses(SharedLimit::is_by_subject) { request.subject } else { "" };
    let part = if uses(SharedLimit::is_by_part) { request.part } else { "" };
    (subject.into(), part.into(), request.tier.into())
}
