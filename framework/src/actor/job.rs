//! Work that is done again and again on the supervision thread.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use actix::{Actor, ActorFuture, AsyncContext, Context};

use crate::sync::Mutex;
use crate::time::{Sleep, Time};

/// What is done; shared with the actor's successors, should it panic.
pub(super) type Work = Arc<Mutex<Box<dyn FnMut() + Send>>>;

/// Does its work at once, and then every `period`.
pub(crate) struct Job {
    work: Work,
    time: Time,
    period: Duration,
}

impl Job {
    pub(super) fn new(work: Work, time: Time, period: Duration) -> Self {
        Self { work, time, period }
    }
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job").field("period", &self.period).finish_non_exhaustive()
    }
}

impl Actor for Job {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.spawn(Rounds { next: self.time.sleep(Duration::ZERO) });
    }
}

struct Rounds {
    next: Sleep,
}

impl ActorFuture<Job> for Rounds {
    type Output = ();

    fn poll(
        mut self: Pin<&mut Self>,
        job: &mut Job,
        _: &mut Context<Job>,
        task: &mut std::task::Context<'_>,
    ) -> Poll<()> {
        while Pin::new(&mut self.next).poll(task).is_ready() {
            (job.work.lock())();
            self.next = job.time.sleep(job.period);
        }
        Poll::Pending
    }
}
