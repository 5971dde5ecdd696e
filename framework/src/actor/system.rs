//! Where supervision runs: one actix System on a thread of its own, or the runtime it is started on.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use actix::{Actor, Addr, AsyncContext, Context, System};

use crate::dependency::Dependency;
use crate::sync::Mutex;
use crate::time::Time;

use super::dependency::DependencyActor;
use super::handle::ActorHandle;
use super::job::{Job, Work};
use super::restart::RestartPolicy;
use super::root::{Root, Stop, Supervise, SuperviseUserActor};
use super::supervised::{Supervised, SupervisionGuard};

const THREAD_NAME: &str = "seawall-supervision";

/// Supervision could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SupervisionError {
    /// The thread could not be started.
    #[error("cannot start the {THREAD_NAME} thread")]
    Thread(#[source] io::Error),
    /// The thread started but its runtime did not.
    #[error("the {THREAD_NAME} thread ended before its runtime was up")]
    Runtime,
    /// `on_this_runtime` outside a runtime that runs local tasks.
    #[error(
        "on_this_runtime needs a runtime that runs local tasks: #[actix::main], #[actix::test], or a tokio LocalSet"
    )]
    NoLocalSet,
}

/// The root's address. Dropping the last one ends supervision, without waiting for it.
#[derive(Clone)]
pub(crate) struct Supervision {
    root: Addr<Root>,
    time: Time,
}

impl std::fmt::Debug for Supervision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Supervision").field("time", &self.time).finish_non_exhaustive()
    }
}

impl Supervision {
    /// Starts the supervision thread. Works from any thread, inside any runtime or none.
    ///
    /// # Errors
    /// The thread or its runtime could not be started.
    pub(crate) fn on_own_thread(
        time: Time,
        restart: RestartPolicy,
    ) -> Result<Self, SupervisionError> {
        let (sender, receiver) = mpsc::sync_channel(1);
        let clock = time.clone();
        let live = move || {
            // The runtime ends with the root: tasks that still run are dropped with it.
            System::new().block_on(async move {
                let context = Context::new();
                if sender.send(context.address()).is_ok() {
                    context.into_future(Root::new(clock, restart)).await;
                }
            });
        };
        std::thread::Builder::new()
            .name(THREAD_NAME.to_owned())
            .spawn(live)
            .map_err(SupervisionError::Thread)?;
        // Ends: the thread either sends, or dies and drops the sender.
        let root = receiver.recv().map_err(|_| SupervisionError::Runtime)?;
        Ok(Self { root, time })
    }

    /// Supervises from local tasks of the runtime that this is called on, so that a test's paused
    /// clock drives the actors too.
    ///
    /// # Errors
    /// There is no such runtime, or it runs no local tasks.
    pub(crate) fn on_this_runtime(
        time: Time,
        restart: RestartPolicy,
    ) -> Result<Self, SupervisionError> {
        let root = Root::new(time.clone(), restart);
        let context = Context::new();
        let address = context.address();
        // actix can only panic when there is no LocalSet, and offers no way to ask beforehand.
        catch_unwind(AssertUnwindSafe(|| drop(actix::spawn(context.into_future(root)))))
            .map_err(|_| SupervisionError::NoLocalSet)?;
        Ok(Self { root: address, time })
    }

    /// Looks after a dependency until the supervised is dismissed. Does not wait for the actor: the
    /// dependency is whole without it.
    #[must_use]
    pub(crate) fn supervise(
        &self,
        dependency: Arc<Dependency>,
    ) -> Arc<Supervised<DependencyActor>> {
        let supervised = Arc::new(Supervised::default());
        self.root
            .do_send(Supervise { dependency, guard: SupervisionGuard(Arc::clone(&supervised)) });
        supervised
    }

    /// Looks after a user's actor until its last handle is dropped.
    pub(crate) fn adopt<A, F>(&self, name: &str, factory: F) -> ActorHandle<A>
    where
        A: Actor<Context = Context<A>>,
        F: Fn() -> A + Send + 'static,
    {
        let supervised = Arc::new(Supervised::default());
        let name: Arc<str> = name.into();
        self.root.do_send(SuperviseUserActor::new(
            Arc::clone(&name),
            factory,
            SupervisionGuard(Arc::clone(&supervised)),
        ));
        ActorHandle::new(name, supervised, self.clone())
    }

    /// Does something at once and then every `period`, until the handle is dropped. What it does must be
    /// quick: every actor shares this thread. If it panics it is tried again, as any actor is.
    pub(crate) fn repeat(
        &self,
        name: &str,
        period: Duration,
        work: impl FnMut() + Send + 'static,
    ) -> ActorHandle<Job> {
        let work: Work = Arc::new(Mutex::new(Box::new(work)));
        let time = self.time.clone();
        self.adopt(name, move || Job::new(Arc::clone(&work), time.clone(), period))
    }

    pub(super) fn time(&self) -> &Time {
        &self.time
    }

    /// Lets go of everything that is looked after, and ends. Does not wait.
    pub(crate) fn stop(&self) {
        self.root.do_send(Stop);
    }
}
