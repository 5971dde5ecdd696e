//! A simulated service: workers, a queue, and what befalls them.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::ops::Range;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use crate::clock::Moment;
use crate::entropy::Entropy;
use crate::policy::Policy;

use super::client::Client;
use super::distribution::Distribution;
use super::report::ServerReport;
use super::trouble::{Course, Trouble};
use super::world::TaskContext;

/// Why a simulated server has no good answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// It answered with an error: one of its own, or because a server that it calls had none for it.
    #[error("the server failed")]
    Failed,
    /// Its queue was full.
    #[error("the server's queue is full")]
    QueueFull,
    /// It was down, or went down with the request in it.
    #[error("the server is down")]
    Down,
}

/// A service as a [`Scenario`](super::Scenario) describes it: so many workers take requests from one queue, first in, first
/// out, and each works for a while on one at a time.
///
/// It does the work of a request whose client has given up, unless it [`skips_abandoned`](Self::skips_abandoned): servers
/// do not know.
#[derive(Clone, Debug)]
pub struct Server {
    pub(super) workers: u32,
    pub(super) work: Distribution,
    pub(super) queue: Option<u32>,
    pub(super) skips_abandoned: bool,
    pub(super) hop: Option<Distribution>,
    pub(super) troubles: Vec<(Range<Duration>, Trouble)>,
    pub(super) calls: Vec<(String, Policy)>,
    pub(super) abandoned_at_first: u32,
}

impl Server {
    /// So many workers, at least one, that take so long for each request. The queue has no bound.
    #[must_use]
    pub fn new(workers: u32, work: Distribution) -> Self {
        Self {
            workers: workers.max(1),
            work,
            queue: None,
            skips_abandoned: false,
            hop: None,
            troubles: Vec::new(),
            calls: Vec::new(),
            abandoned_at_first: 0,
        }
    }

    /// One worker, who does exactly so many requests a second. Above 0; what cannot be is taken for one a second.
    #[must_use]
    pub fn with_capacity(per_second: f64) -> Self {
        let each = Duration::try_from_secs_f64(1.0 / per_second).unwrap_or(Duration::from_secs(1));
        Self::new(1, Distribution::constant(each))
    }

    /// At most so many requests wait; one more is answered with an error at once.
    #[must_use]
    pub fn queue(mut self, capacity: u32) -> Self {
        self.queue = Some(capacity);
        self
    }

    /// A request whose client has given up before work on it began is dropped without work.
    #[must_use]
    pub fn skips_abandoned(mut self) -> Self {
        self.skips_abandoned = true;
        self
    }

    /// How long a request takes to come, and its answer to get back. Default: no time.
    #[must_use]
    pub fn hop(mut self, hop: Distribution) -> Self {
        self.hop = Some(hop);
        self
    }

    /// Something is wrong with it in this part of the run.
    #[must_use]
    pub fn trouble(mut self, trouble: Trouble, during: Range<Duration>) -> Self {
        self.troubles.push((during, trouble));
        self
    }

    /// Calls the server of this name for each request, under this policy, before it works; without a good answer it has none
    /// itself. The worker waits meanwhile.
    #[must_use]
    pub fn calls(mut self, server: &str, policy: Policy) -> Self {
        self.calls.push((server.to_owned(), policy));
        self
    }

    /// It begins with so many requests in its queue whose clients have given up.
    #[must_use]
    pub fn begins_with_abandoned(mut self, requests: u32) -> Self {
        self.abandoned_at_first = requests;
        self
    }
}

impl Server {
    /// What is wrong with it, if anything.
    pub(super) fn mistake(&self) -> Option<&'static str> {
        self.troubles.iter().find_map(|(_, trouble)| match trouble {
            Trouble::Speed(share) if !(share.is_finite() && *share > 0.0) => {
                Some("a speed must be a number above 0 (to stop it, let it freeze)")
            }
            Trouble::Fails(share) if !(0.0..=1.0).contains(share) => {
                Some("the share of requests that fail must be from 0 to 1")
            }
            _ => None,
        })
    }
}

type Answer = Result<(), ServerError>;

/// One request at a server.
#[derive(Default)]
struct Job {
    answer: Cell<Option<Answer>>,
    is_abandoned: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Job {
    fn end(&self, answer: Answer) {
        self.answer.set(Some(answer));
        let waker = self.waker.borrow_mut().take();
        waker.into_iter().for_each(Waker::wake);
    }
}

/// The client's end of a request: dropped, the client has given up.
struct Waiting(Rc<Job>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.is_abandoned.set(true);
    }
}

/// A server at work.
pub(super) struct Running {
    server: Server,
    course: Course,
    context: TaskContext,
    entropy: Entropy,
    downstream: Vec<(Client, Rc<Self>)>,
    queue: RefCell<VecDeque<Rc<Job>>>,
    busy: Cell<u32>,
    pub(super) report: RefCell<ServerReport>,
}

impl Running {
    pub(super) fn start(
        server: Server,
        downstream: Vec<(Client, Rc<Self>)>,
        report: ServerReport,
        context: &TaskContext,
    ) -> Rc<Self> {
        let running = Rc::new(Self {
            course: Course::new(&server.troubles),
            entropy: context.next_entropy(),
            context: context.clone(),
            queue: RefCell::default(),
            busy: Cell::new(0),
            report: RefCell::new(report),
            downstream,
            server,
        });
        for _ in 0..running.server.abandoned_at_first {
            let job = Rc::new(Job::default());
            job.is_abandoned.set(true);
            running.put(job);
        }
        context.spawn(falls(Rc::clone(&running)));
        running
    }

    /// Makes a request and waits for its answer.
    pub(super) async fn request(self: &Rc<Self>) -> Answer {
        let waiting = Waiting(Rc::new(Job::default()));
        let job = Rc::clone(&waiting.0);
        match &self.server.hop {
            None => self.arrive(job),
            // It is on its way, whatever becomes of its client.
            Some(hop) => {
                let (running, hop) = (Rc::clone(self), self.context.sleep(hop.draw(&self.entropy)));
                self.context.spawn(async move {
                    hop.await;
                    running.arrive(job);
                });
            }
        }
        let job = &waiting.0;
        let answer = poll_fn(|cx| match job.answer.get() {
            Some(answer) => Poll::Ready(answer),
            None => {
                *job.waker.borrow_mut() = Some(cx.waker().clone());
                Poll::Pending
            }
        })
        .await;
        if let Some(hop) = &self.server.hop {
            self.context.sleep(hop.draw(&self.entropy)).await;
        }
        answer
    }

    fn arrive(self: &Rc<Self>, job: Rc<Job>) {
        let now = self.context.elapsed();
        let is_full = self.server.queue.is_some_and(|capacity| {
            self.busy.get() >= self.server.workers && self.queue.borrow().len() >= capacity as usize
        });
        let refusal = match () {
            () if self.course.is_down(self.context.now()) => Some(ServerError::Down),
            () if is_full => Some(ServerError::QueueFull),
            () => None,
        };
        self.report.borrow_mut().arrived(now, refusal.is_some());
        match refusal {
            Some(refusal) => job.end(Err(refusal)),
            None => self.put(job),
        }
    }

    /// Into the queue, for the next worker who is free.
    fn put(self: &Rc<Self>, job: Rc<Job>) {
        let waiting = {
            let mut queue = self.queue.borrow_mut();
            queue.push_back(job);
            queue.len()
        };
        if self.busy.get() < self.server.workers {
            self.busy.set(self.busy.get() + 1);
            self.context.spawn(work(Rc::clone(self)));
        } else {
            self.report.borrow_mut().waited(self.context.elapsed(), waiting);
        }
    }

    /// The answer to one request, after the work that it takes.
    async fn serve(&self) -> Answer {
        for (client, server) in &self.downstream {
            let answer = client.call_idempotent(|| server.request()).await;
            answer.map_err(|_| ServerError::Failed)?;
        }
        let now = self.context.now();
        let fails = self.entropy.unit() < self.course.failing(now);
        let done = self.course.finish(now, self.server.work.draw(&self.entropy));
        let fall = self.course.next_fall(now).unwrap_or(Moment::MAX);
        self.context.sleep_until(done.min(fall)).await;
        match () {
            () if fall <= done => Err(ServerError::Down),
            () if fails => Err(ServerError::Failed),
            () => Ok(()),
        }
    }
}

/// A worker, until there is nothing to do.
async fn work(server: Rc<Running>) {
    loop {
        let next = server.queue.borrow_mut().pop_front();
        let Some(job) = next else { break };
        if job.is_abandoned.get() && server.server.skips_abandoned {
            server.report.borrow_mut().skipped += 1;
            continue;
        }
        let answer = server.serve().await;
        server.report.borrow_mut().served(answer, job.is_abandoned.get());
        job.end(answer);
    }
    server.busy.set(server.busy.get() - 1);
}

/// Loses what is in the queue whenever the server goes down.
async fn falls(server: Rc<Running>) {
    while let Some(fall) = server.course.next_fall(server.context.now()) {
        server.context.sleep_until(fall).await;
        let lost = std::mem::take(&mut *server.queue.borrow_mut());
        lost.iter().for_each(|job| job.end(Err(ServerError::Down)));
        while server.course.is_down(server.context.now()) {
            let Some(end) = server.course.next_change(server.context.now()) else { return };
            server.context.sleep_until(end).await;
        }
    }
}
