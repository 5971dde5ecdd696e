//! One piece of work, its caller, and what came of it.

use std::any::Any;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;

use super::error::PoolError;
use crate::clock::Moment;
use crate::error::DependencyName;
use crate::sync::{Mutex, quietly, wake};

/// A piece of work as the workers sees it.
///
/// The methods that say so are called under the workers's lock, because its counts change with them; they
/// run and drop nothing of the user's. The others do, and are called without it.
pub(super) trait DynTask: Send + Sync {
    /// Under the workers's lock: nobody can take it back any more. False: somebody has.
    fn start(&self) -> bool;
    /// Under the workers's lock: it will not run. False if it has started or ended.
    fn withdraw(&self) -> bool;
    /// Under the workers's lock: it will not run, and this is what its caller hears. Whom to wake.
    fn refuse(&self, error: PoolError) -> Option<Waker>;
    /// After this nobody may start it.
    fn give_up_at(&self) -> Moment;
    /// Runs it on this thread. False: it panicked.
    fn run(&self) -> bool;
    /// Lets its caller have what it ended with.
    fn deliver(&self);
    /// Drops work that will not run.
    fn discard(&self);
}

pub(super) struct Task<T, F> {
    dependency: DependencyName,
    give_up_at: Moment,
    /// Taken by the thread that moved the stage on, so that it is run and dropped outside every lock.
    work: Mutex<Option<F>>,
    state: Mutex<State<T>>,
}

struct State<T> {
    stage: Stage<T>,
    /// The caller's.
    waker: Option<Waker>,
}

enum Stage<T> {
    Waiting,
    Running,
    /// It has ended, and its thread is not yet counted as free: the caller must not hear of the first
    /// before the second, or its next call could be refused for want of the thread it has just left.
    Finished(Result<T, PoolError>),
    Ended(Result<T, PoolError>),
    /// Withdrawn, or its caller has left, or has its answer.
    Gone,
}

/// What a caller sees.
pub(super) enum Look<T> {
    Waiting,
    Running,
    Ended(Result<T, PoolError>),
}

impl<T, F> Task<T, F> {
    pub(super) fn new(dependency: DependencyName, give_up_at: Moment, work: F) -> Self {
        let state = State { stage: Stage::Waiting, waker: None };
        Self { dependency, give_up_at, work: Mutex::new(Some(work)), state: Mutex::new(state) }
    }

    /// How things stand; if they have not ended, `waker` is woken when they have.
    pub(super) fn look(&self, waker: &Waker) -> Look<T> {
        // Cloned, and the old one dropped, where no lock is held: both can be anybody's code.
        let waker = waker.clone();
        let mut state = self.state.lock();
        let look = match &state.stage {
            Stage::Ended(_) => match mem::replace(&mut state.stage, Stage::Gone) {
                Stage::Ended(result) => return Look::Ended(result),
                _ => Look::Running,
            },
            Stage::Waiting => Look::Waiting,
            Stage::Running | Stage::Finished(_) | Stage::Gone => Look::Running,
        };
        let old = state.waker.replace(waker);
        drop(state);
        drop(old);
        look
    }

    /// The caller has left.
    pub(super) fn abandon(&self) {
        let mut state = self.state.lock();
        let stage = mem::replace(&mut state.stage, Stage::Gone);
        let waker = state.waker.take();
        drop(state);
        drop((stage, waker));
    }
}

impl<T, F> DynTask for Task<T, F>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    fn start(&self) -> bool {
        let mut state = self.state.lock();
        let waiting = matches!(state.stage, Stage::Waiting);
        if waiting {
            state.stage = Stage::Running;
        }
        waiting
    }

    fn withdraw(&self) -> bool {
        let mut state = self.state.lock();
        let waiting = matches!(state.stage, Stage::Waiting);
        if waiting {
            state.stage = Stage::Gone;
        }
        waiting
    }

    fn refuse(&self, error: PoolError) -> Option<Waker> {
        let mut state = self.state.lock();
        if matches!(state.stage, Stage::Waiting) {
            state.stage = Stage::Ended(Err(error));
        }
        state.waker.take()
    }

    fn give_up_at(&self) -> Moment {
        self.give_up_at
    }

    fn run(&self) -> bool {
        let Some(work) = self.work.lock().take() else {
            return true; // Only who has started it comes here, once.
        };
        let (result, returned) = match catch_unwind(AssertUnwindSafe(work)) {
            Ok(value) => (Ok(value), true),
            Err(payload) => {
                let dependency = self.dependency.clone();
                (Err(PoolError::Panicked { dependency, message: message(payload) }), false)
            }
        };
        let mut state = self.state.lock();
        if matches!(state.stage, Stage::Running) {
            state.stage = Stage::Finished(result);
            return returned;
        }
        drop(state);
        // Nobody wants it. Dropping it may take its time, and may panic: it is a part of the work.
        quietly(|| drop(result)) && returned
    }

    fn deliver(&self) {
        let mut state = self.state.lock();
        state.stage = match mem::replace(&mut state.stage, Stage::Gone) {
            Stage::Finished(result) => Stage::Ended(result),
            other => other,
        };
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            wake(waker);
        }
    }

    fn discard(&self) {
        let work = self.work.lock().take();
        let waker = self.state.lock().waker.take();
        drop((work, waker));
    }
}

fn message(payload: Box<dyn Any + Send>) -> Option<String> {
    let message = match payload.downcast_ref::<&str>() {
        Some(text) => Some((*text).to_owned()),
        None => payload.downcast_ref::<String>().cloned(),
    };
    quietly(|| drop(payload));
    message
}
