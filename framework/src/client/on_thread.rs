//! An attempt that blocks: it runs on the dependency's own threads.

use std::fmt;
use std::future::Future;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::runtime::Handle;

use crate::blocking::PoolError;
use crate::deadline;
use crate::dependency::{HeldPermit, MethodTable};
use crate::sync::Mutex;
use crate::time::block_on;

/// The attempt of a method that blocks. Its work runs in the caller's span, under the caller's deadline, and in the caller's tokio
/// runtime, if it has one.
///
/// When its time is up, or its caller is gone, the work may still run: a thread cannot be stopped from outside. The attempt's permit
/// then stays with the work until that has returned.
pub struct OnThread<'a, T, F> {
    methods: &'a MethodTable,
    method: usize,
    step: Step<T, F>,
    work: Arc<UnderWay>,
}

enum Step<T, F> {
    New(F),
    Running(Pin<Box<dyn Future<Output = Result<T, PoolError>> + Send>>),
    Over,
}

/// The permit of a work that nobody waits for. Shared with that work until it has ended: then it goes back.
#[derive(Default)]
struct UnderWay(Mutex<Option<HeldPermit>>);

/// In the work: dropped when that has returned, has panicked, or will never run.
struct Ends(Arc<UnderWay>);

impl Drop for Ends {
    fn drop(&mut self) {
        let permit = self.0.0.lock().take();
        // It wakes others.
        drop(permit);
    }
}

/// Runs `work`, an attempt of the method of this index, on a thread of the dependency, from the first poll on.
pub fn on_thread<T, F>(methods: &MethodTable, method: usize, work: F) -> OnThread<'_, T, F>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    OnThread { methods, method, step: Step::New(work), work: Arc::default() }
}

// Nothing in it is ever pinned: the work is only moved and called.
impl<T, F> Unpin for OnThread<'_, T, F> {}

impl<T, F> OnThread<'_, T, F>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    fn start(&mut self) {
        let Step::New(work) = std::mem::replace(&mut self.step, Step::Over) else { return };
        // A client with blocking methods is not made without a pool.
        let Some(pool) = self.methods.dependency().pool() else { return };
        let (deadline, runtime) = (deadline::current(), Handle::try_current().ok());
        let ends = Ends(Arc::clone(&self.work));
        self.step = Step::Running(Box::pin(pool.run(move || {
            let _ends = ends;
            let _entered = runtime.as_ref().map(Handle::enter);
            deadline::with(deadline, work)
        })));
    }
}

impl<T, F> Future for OnThread<'_, T, F>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let this = self.get_mut();
        if matches!(this.step, Step::New(_)) {
            this.start();
        }
        let Step::Running(running) = &mut this.step else { return Poll::Pending };
        let answer = ready!(running.as_mut().poll(cx));
        this.step = Step::Over;
        match answer {
            Ok(answer) => Poll::Ready(answer),
            // As of any method: the panic is the caller's.
            Err(PoolError::Panicked { message, .. }) => {
                resume_unwind(Box::new(message.unwrap_or_default()))
            }
            // The queue is as long as there can be permits, and the pool lives for as long as its dependency.
            Err(PoolError::BulkheadFull { .. } | PoolError::ShutDown { .. }) => Poll::Pending,
        }
    }
}

impl<T, F> Drop for OnThread<'_, T, F> {
    fn drop(&mut self) {
        // Takes the work back, unless it has begun.
        self.step = Step::Over;
        // Of one that ends just now it goes back with the last reference to both.
        if Arc::strong_count(&self.work) > 1 {
            *self.work.0.lock() = Some(HeldPermit::of(self.methods, self.method));
        }
    }
}

impl<T, F> fmt::Debug for OnThread<'_, T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnThread").field("methods", self.methods).finish_non_exhaustive()
    }
}

/// Waits for a future on this thread: for a method that is no `async fn`, or whose future is to be polled by a thread of a pool.
pub fn wait<F: Future>(future: F) -> F::Output {
    block_on(future)
}

/// An argument that a thread can keep. Implemented for everything that is `ToOwned`, whose owned form is `Send`.
#[diagnostic::on_unimplemented(
    message = "a `blocking` method's arguments go to another thread, and `{Self}` cannot be copied for that",
    label = "what is behind this reference is `Clone` or `ToOwned`, `Send` and `'static`, or the argument is taken by value"
)]
pub trait Sendable: ToOwned<Owned: Send + 'static> {}

#[diagnostic::do_not_recommend]
impl<T: ToOwned<Owned: Send + 'static> + ?Sized> Sendable for T {}

/// What a reference stands for, to be sent to a thread.
#[must_use]
pub fn sent<T: Sendable + ?Sized>(argument: &T) -> T::Owned {
    argument.to_owned()
}
