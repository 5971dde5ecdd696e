//! Keeps what breakers learn between runs: on a thread of its own, because disks and networks take their time.
//!
//! Every order goes to that one thread, so a dependency that is let go and spawned again reads what its
//! former self wrote. Nothing that a store does, or fails to do, reaches a call.

mod file;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::breaker::adaptive::{HistoryStore, PERIOD};
use crate::dependency::Dependency;
use crate::event::Event;
use crate::sync::quietly;
use crate::time::{Time, within};

use super::registry::Registry;

pub use file::FileStore;

const THREAD_NAME: &str = "seawall-history";

/// How often what was learned is kept.
pub(super) const KEPT_EVERY: Duration = PERIOD;
/// How long a spawn or a shutdown waits for the store at most.
const PATIENCE: Duration = Duration::from_secs(5);

enum Request {
    /// Read what this one has from earlier runs, then answer.
    Read(Arc<Dependency>, oneshot::Sender<()>),
    /// Keep what is new of every dependency.
    KeepAll,
    /// The same, then answer.
    Flush(oneshot::Sender<()>),
    /// Keep what is new of one that is being let go.
    Keep(Arc<Dependency>),
}

/// Gives requests to the thread. With the last one it ends, once it has done what it was told.
#[derive(Clone)]
pub(super) struct Keeper {
    requests: Sender<Request>,
    /// One round is ordered and not begun: a store that is slow must not be sent more and more.
    is_ordered: Arc<AtomicBool>,
    /// The store has let a caller wait in vain, and has not answered since.
    is_silent: Arc<AtomicBool>,
}

impl Keeper {
    pub(super) fn start(
        store: Arc<dyn HistoryStore>,
        registry: Arc<Registry>,
    ) -> Result<Self, io::Error> {
        let (requests, received) = mpsc::channel();
        let is_ordered = Arc::new(AtomicBool::new(false));
        let is_silent = Arc::new(AtomicBool::new(false));
        let (begun, answers) = (Arc::clone(&is_ordered), Arc::clone(&is_silent));
        std::thread::Builder::new().name(THREAD_NAME.to_owned()).spawn(move || {
            for request in &received {
                serve(&*store, &registry, &begun, request);
                answers.store(false, Ordering::Release);
            }
        })?;
        Ok(Self { requests, is_ordered, is_silent })
    }

    /// Waits for the thread's answer, for at most 5 s. A store that has let one caller wait in vain is not waited for again
    /// until it answers: fifty spawns would wait one after another. What it was asked for it does all the same.
    pub(super) async fn await_answer(&self, answer: oneshot::Receiver<()>, time: &Time) {
        if self.is_silent.load(Ordering::Acquire) {
            return;
        }
        if within(time, time.now() + PATIENCE, answer).await.is_none() {
            self.is_silent.store(true, Ordering::Release);
        }
    }

    /// Has an adaptive dependency's history read. The answer comes when it has been, or never if the
    /// thread is gone.
    pub(super) fn read(&self, dependency: &Arc<Dependency>) -> Option<oneshot::Receiver<()>> {
        if !dependency.gate().breaker().wants_history() {
            return None;
        }
        let (done, answer) = oneshot::channel();
        self.requests.send(Request::Read(Arc::clone(dependency), done)).ok().map(|()| answer)
    }

    /// Has everything that is new kept.
    pub(super) fn keep_all(&self) {
        if !self.is_ordered.swap(true, Ordering::AcqRel) {
            // The thread ends only with the last keeper.
            let _ = self.requests.send(Request::KeepAll);
        }
    }

    /// The same; the answer comes when it has been.
    pub(super) fn flush(&self) -> oneshot::Receiver<()> {
        let (done, answer) = oneshot::channel();
        let _ = self.requests.send(Request::Flush(done));
        answer
    }

    /// Has what is new of one dependency kept, for there will be nobody left to ask.
    pub(super) fn keep(&self, dependency: &Arc<Dependency>) {
        if dependency.gate().breaker().is_adaptive() {
            let _ = self.requests.send(Request::Keep(Arc::clone(dependency)));
        }
    }
}

fn serve(store: &dyn HistoryStore, registry: &Registry, begun: &AtomicBool, request: Request) {
    let all =
        || registry.dependencies().iter().for_each(|dependency| look_after(store, dependency));
    match request {
        Request::Read(dependency, done) => {
            // A round before it may have read it: what is restored twice counts double.
            if dependency.gate().breaker().wants_history() {
                read(store, &dependency);
            }
            // The caller may have given up.
            let _ = done.send(());
        }
        Request::KeepAll => {
            begun.store(false, Ordering::Release);
            all();
        }
        Request::Flush(done) => {
            registry.dependencies().iter().for_each(|it| it.gate().breaker().round_off());
            all();
            let _ = done.send(());
        }
        Request::Keep(dependency) => {
            dependency.gate().breaker().round_off();
            look_after(store, &dependency);
        }
    }
}

/// Reads what has not been read, then keeps what is new: never the other way round, or what was learned
/// in five minutes would be written over what was learned in a year.
fn look_after(store: &dyn HistoryStore, dependency: &Arc<Dependency>) {
    if dependency.gate().breaker().wants_history() && !read(store, dependency) {
        return;
    }
    let breaker = dependency.gate().breaker();
    let Some(history) = breaker.news() else { return };
    let mut kept = Err(io::Error::other("the store panicked"));
    quietly(|| kept = store.save(dependency.name(), &history));
    if let Err(error) = kept {
        breaker.renew_news();
        trouble(dependency, format!("cannot keep it: {error}"));
    }
}

/// Whether the store could be asked.
fn read(store: &dyn HistoryStore, dependency: &Arc<Dependency>) -> bool {
    let breaker = dependency.gate().breaker();
    let mut loaded = Err(io::Error::other("the store panicked"));
    quietly(|| loaded = store.load(dependency.name()));
    let loaded = match loaded {
        Ok(loaded) => loaded,
        Err(error) => {
            trouble(dependency, format!("cannot read it: {error}"));
            return false;
        }
    };
    for rejected in loaded.rejected {
        trouble(dependency, rejected);
    }
    match loaded.history {
        Some(history) => breaker.restore(&history, dependency.now()),
        None => breaker.has_no_history(dependency.now()),
    }
    true
}

fn trouble(dependency: &Dependency, trouble: String) {
    let (at, name) = (dependency.now(), dependency.name().clone());
    dependency.tell(&Event::HistoryTrouble { at, dependency: name, trouble });
}

#[cfg(test)]
mod tests;
