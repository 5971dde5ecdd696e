//! One piece of work, its caller, and what came of it.

use std::any::Any;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;

use tracing::Span;

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
    /// Under the workers's lock: its caller has left. Whether it runs on all the same; and what to drop without the lock.
    fn abandon(&self) -> (bool, Leftover);
    /// Runs it on this thread.
    fn run(&self) -> Ran;
    /// Lets its caller have what it ended with.
    fn deliver(&self);
    /// Drops work that will not run.
    fn discard(&self);
}

/// What a caller has left behind, of a type that only the task knows.
pub(super) type Leftover = Option<Box<dyn Any + Send>>;

/// How a work ended.
#[derive(Clone, Copy)]
pub(super) struct Ran {
    /// It returned, and did not panic.
    pub(super) returned: bool,
    /// Its caller had left.
    pub(super) is_abandoned: bool,
}

pub(super) struct Task<T, F> {
    dependency: DependencyName,
    give_up_at: Moment,
    /// The caller's, in which the work runs.
    span: Span,
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
    /// In the span that the calling thread is in.
    pub(super) fn new(dependency: DependencyName, give_up_at: Moment, work: F) -> Self {
        let state = State { stage: Stage::Waiting, waker: None };
        let span = Span::current();
        Self {
            dependency,
            give_up_at,
            span,
            work: Mutex::new(Some(work)),
            state: Mutex::new(state),
        }
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

    fn abandon(&self) -> (bool, Leftover) {
        let mut state = self.state.lock();
        let stage = mem::replace(&mut state.stage, Stage::Gone);
        let waker = state.waker.take();
        drop(state);
        let runs_on = matches!(stage, Stage::Running);
        let result = match stage {
            Stage::Finished(Ok(result)) | Stage::Ended(Ok(result)) => Some(result),
            _ => None,
        };
        let is_nothing = result.is_none() && waker.is_none();
        (runs_on, (!is_nothing).then(|| Box::new((result, waker)) as Box<dyn Any + Send>))
    }

    fn run(&self) -> Ran {
        let Some(work) = self.work.lock().take() else {
            // Only who has started it comes here, once.
            return Ran { returned: true, is_abandoned: false };
        };
        let (result, returned) = match catch_unwind(AssertUnwindSafe(|| self.span.in_scope(work))) {
            Ok(value) => (Ok(value), true),
            Err(payload) => {
                let dependency = self.dependency.clone();
                (Err(PoolError::Panicked { dependency, message: message(payload) }), false)
            }
        };
        let mut state = self.state.lock();
        if matches!(state.stage, Stage::Running) {
            state.stage = Stage::Finished(result);
            return Ran { returned, is_abandoned: false };
        }
        drop(state);
        // Nobody wants it. Dropping it may take its time, and may panic: it is a part of the work.
        let returned = quietly(|| drop(result)) && returned;
        Ran { returned, is_abandoned: true }
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
