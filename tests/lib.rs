//! Helpers that several test binaries share: a scripted service, a task polled by hand, a small world.

use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, pending, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use seawall::prelude::*;
use seawall::runtime::Builder;
use seawall::{CallOutcome, DependencyHandle, Event, Observer, Snapshot, State, Time};
use seawall::{ManualTime, resilient};

/// What the test service answers with when all is not well.
#[derive(Clone, Debug, PartialEq)]
pub enum Trouble {
    /// Counts against the service; worth another attempt.
    Broken,
    /// Counts against the service; not worth another attempt.
    Final,
    /// Counts against the service, which wants to be left alone for so long.
    Busy(Duration),
    /// Is as good an answer as any.
    Expected,
    /// Says nothing about the service.
    NotFound,
    /// Reading it makes `classify` panic.
    BadClass,
    /// Reading it makes `retry_if` panic.
    BadRetry,
    /// Reading it makes `retry_after` panic.
    BadHint,
    /// Seawall's own answer.
    Fault(Fault),
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// The answer of every method.
pub type Answer = Result<u64, Trouble>;

/// What an answer says about the service. Panics when told to.
#[expect(clippy::panic, reason = "what happens then is tested")]
pub fn class_of(answer: &Answer) -> Class {
    match answer {
        Ok(_) | Err(Trouble::Expected) => Class::Success,
        Err(Trouble::NotFound) => Class::Ignored,
        Err(Trouble::BadClass) => panic!("classify panics"),
        Err(_) => Class::Failure,
    }
}

/// Whether an error is worth another attempt. Panics when told to.
#[expect(clippy::panic, reason = "what happens then is tested")]
pub fn worth_it(trouble: &Trouble) -> bool {
    match trouble {
        Trouble::BadRetry => panic!("retry_if panics"),
        trouble => *trouble != Trouble::Final,
    }
}

/// For how long the service wants to be left alone. Panics when told to, and when it is asked about an
/// answer that is no failure.
#[expect(clippy::panic, reason = "what happens then is tested")]
pub fn asked_for(answer: &Answer) -> Option<Duration> {
    match answer {
        Err(Trouble::Busy(after)) => Some(*after),
        Err(Trouble::BadHint) => panic!("retry_after panics"),
        Ok(_) | Err(Trouble::Expected | Trouble::NotFound) => panic!("is asked without need"),
        Err(_) => None,
    }
}

/// The fallback; what it does is the key: `ready`, `later`, `never`, `error`, `panic`, `panic later`, `panic in body`.
#[expect(clippy::panic, reason = "what happens then is tested")]
fn spare<'a, S: Api>(
    _: &'a S,
    _: &'a CallError<Trouble>,
    key: &'a str,
) -> impl Future<Output = Answer> + Send + use<'a, S> {
    if key == "panic in body" {
        panic!("the fallback panics");
    }
    async move {
        match key {
            "later" => yield_times(1).await,
            "never" => pending().await,
            "error" => return Err(Trouble::Final),
            "panic" => panic!("the fallback panics"),
            "panic later" => {
                yield_times(1).await;
                panic!("the fallback panics")
            }
            _ => {}
        }
        Ok(SPARE)
    }
}

/// What the fallback answers.
pub const SPARE: u64 = 4711;

/// A service in a few shapes of method.
#[resilient(classify = class_of, retry_after = asked_for)]
pub trait Api {
    /// Never repeated.
    async fn write(&self, key: &str) -> Answer;
    /// Safe to repeat.
    #[call(idempotent, retry(when = worth_it))]
    async fn read(&self, key: &str) -> Answer;
    /// Has a fallback.
    #[call(fallback = spare)]
    async fn cached(&self, key: &str) -> Answer;
    /// Has both.
    #[call(idempotent, retry(when = worth_it), fallback = spare)]
    async fn both(&self, key: &str) -> Answer;
}

/// What the service does with one attempt.
#[derive(Clone, Debug)]
pub enum Step {
    /// Answers at the first poll.
    Answer(Answer),
    /// Pends this many times, then answers. Wakes nobody: the one that polls by hand needs no waking.
    Later(u32, Answer),
    /// Never answers.
    Hang,
    /// Panics before there is a future.
    PanicInBody,
    /// Panics at this poll, counted from 0.
    PanicAt(u32),
    /// Never answers, and panics when dropped.
    PanicWhenDropped,
}

/// A service that follows a script, and answers `Ok(7)` at once when that is over.
#[derive(Debug, Default)]
pub struct Scripted {
    script: Mutex<VecDeque<Step>>,
    seen: AtomicU32,
    inside: AtomicU32,
}

/// Inside the service, until dropped.
struct Inside<'a>(&'a AtomicU32);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

struct PanicsWhenDropped;

impl Drop for PanicsWhenDropped {
    #[expect(clippy::panic, reason = "what happens then is tested")]
    fn drop(&mut self) {
        panic!("the destructor panics");
    }
}

impl Scripted {
    /// One that follows `script`.
    #[must_use]
    pub fn new(script: impl IntoIterator<Item = Step>) -> Self {
        Self { script: Mutex::new(script.into_iter().collect()), ..Self::default() }
    }

    /// Goes on with these.
    pub fn then(&self, steps: impl IntoIterator<Item = Step>) {
        lock(&self.script).extend(steps);
    }

    /// Answers `Ok(7)` at once from now on.
    pub fn forget_script(&self) {
        lock(&self.script).clear();
    }

    /// Attempts that it has seen.
    pub fn seen(&self) -> u32 {
        self.seen.load(Ordering::SeqCst)
    }

    /// Attempts that are with it now.
    pub fn inside(&self) -> u32 {
        self.inside.load(Ordering::SeqCst)
    }

    #[expect(clippy::panic, reason = "what happens then is tested")]
    fn attempt(&self) -> impl Future<Output = Answer> + Send + '_ {
        self.seen.fetch_add(1, Ordering::SeqCst);
        let step = lock(&self.script).pop_front().unwrap_or(Step::Answer(Ok(7)));
        if matches!(step, Step::PanicInBody) {
            panic!("the body panics");
        }
        async move {
            self.inside.fetch_add(1, Ordering::SeqCst);
            let _inside = Inside(&self.inside);
            match step {
                Step::Answer(answer) => answer,
                Step::Later(polls, answer) => {
                    yield_times(polls).await;
                    answer
                }
                Step::Hang => pending().await,
                Step::PanicAt(polls) => {
                    yield_times(polls).await;
                    panic!("the future panics")
                }
                Step::PanicWhenDropped => {
                    let _broken = PanicsWhenDropped;
                    pending().await
                }
                Step::PanicInBody => unreachable!("has panicked"),
            }
        }
    }
}

impl Api for Scripted {
    fn write(&self, _: &str) -> impl Future<Output = Answer> + Send {
        self.attempt()
    }
    fn read(&self, _: &str) -> impl Future<Output = Answer> + Send {
        self.attempt()
    }
    fn cached(&self, _: &str) -> impl Future<Output = Answer> + Send {
        self.attempt()
    }
    fn both(&self, _: &str) -> impl Future<Output = Answer> + Send {
        self.attempt()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Pends this many times without waking anybody.
pub async fn yield_times(mut times: u32) {
    poll_fn(|_| {
        if times == 0 {
            return Poll::Ready(());
        }
        times -= 1;
        Poll::Pending
    })
    .await;
}

/// A future polled by hand. Dropping it cancels it.
pub struct Task<'a, T> {
    future: Pin<Box<dyn Future<Output = T> + 'a>>,
    wakes: Arc<Wakes>,
}

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl<'a, T> Task<'a, T> {
    /// Not polled yet.
    pub fn new(future: impl Future<Output = T> + 'a) -> Self {
        Self { future: Box::pin(future), wakes: Arc::default() }
    }

    /// One that has been polled once and pends.
    ///
    /// # Panics
    /// If it is ready.
    #[track_caller]
    pub fn pending(future: impl Future<Output = T> + 'a) -> Self
    where
        T: fmt::Debug,
    {
        let mut task = Self::new(future);
        let polled = task.poll();
        assert!(polled.is_pending(), "should wait, but is ready: {polled:?}");
        task
    }

    /// Polls it once.
    pub fn poll(&mut self) -> Poll<T> {
        let waker = Waker::from(Arc::clone(&self.wakes));
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }

    /// Polls it once; it must be ready.
    ///
    /// # Panics
    /// If it pends.
    #[track_caller]
    pub fn ready(mut self) -> T {
        match self.poll() {
            Poll::Ready(value) => value,
            Poll::Pending => unreachable!("should be ready, but waits"),
        }
    }

    /// How often it has been woken.
    pub fn wakes(&self) -> usize {
        self.wakes.0.load(Ordering::SeqCst)
    }
}

impl<T> fmt::Debug for Task<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("wakes", &self.wakes()).finish_non_exhaustive()
    }
}

/// The result of a future that must be ready at its first poll.
///
/// # Panics
/// If it pends.
#[track_caller]
pub fn ready<T>(future: impl Future<Output = T>) -> T {
    Task::new(future).ready()
}

/// Runs a future to its end on this thread, with no runtime.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}

/// How long a test waits for another thread before it has failed.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Yields to other threads until `what` holds.
///
/// # Panics
/// If it never does.
#[track_caller]
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let time = Time::system();
    let give_up = time.now() + PATIENCE;
    while !holds() {
        assert!(time.now() < give_up, "never: {what}");
        std::thread::yield_now();
    }
}

/// Passes on what becomes of the breaker, the policy and the actor. Samples and orders would come between
/// them: `Seawall::events` has those too.
#[derive(Debug)]
pub struct Tell(mpsc::Sender<Event>);

impl Tell {
    /// With the other end.
    #[must_use]
    pub fn new() -> (Self, mpsc::Receiver<Event>) {
        let (sender, receiver) = mpsc::channel();
        (Self(sender), receiver)
    }
}

impl Observer for Tell {
    fn on_event(&self, event: &Event) {
        if matches!(
            event,
            Event::Refused { .. }
                | Event::SlowCall { .. }
                | Event::AttemptFailed { .. }
                | Event::FellBack { .. }
                | Event::CommandExecuted { .. }
        ) {
            return;
        }
        // A test that is over listens no more.
        let _ = self.0.send(event.clone());
    }
}

/// One dependency, by manual time, with its service and its operator's handle.
#[derive(Debug)]
pub struct World {
    /// The time.
    pub time: ManualTime,
    /// The Seawall.
    pub seawall: Seawall,
    /// The only client.
    pub client: ApiClient<Scripted>,
    /// The operator's handle.
    pub handle: DependencyHandle,
    /// What has happened.
    pub events: mpsc::Receiver<Event>,
}

impl World {
    /// A dependency with this policy and a service with this script.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn new(policy: Policy, script: impl IntoIterator<Item = Step>) -> Self {
        Self::with(policy, script, |builder| builder)
    }

    /// As [`World::new`], with more said to the builder.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    #[expect(clippy::unwrap_used, reason = "a test that cannot start has failed")]
    pub fn with(
        policy: Policy,
        script: impl IntoIterator<Item = Step>,
        more: impl FnOnce(Builder) -> Builder,
    ) -> Self {
        let time = Time::manual();
        let (tell, events) = Tell::new();
        let builder = Seawall::builder().time(&time).seed(1).observer(tell).policy("api", policy);
        let seawall = more(builder).start().unwrap();
        let client = ready(seawall.spawn("api", Scripted::new(script))).unwrap();
        let handle = seawall.dependency("api").unwrap();
        Self { time, seawall, client, handle, events }
    }

    /// The service.
    #[must_use]
    pub fn service(&self) -> &Scripted {
        self.client.service()
    }

    /// The next event.
    ///
    /// # Panics
    /// If none comes.
    #[track_caller]
    #[expect(clippy::unwrap_used, reason = "a test that hears nothing has failed")]
    pub fn event(&self) -> Event {
        self.events.recv_timeout(PATIENCE).unwrap()
    }

    /// Waits for the next event, which must be a move into `state`.
    ///
    /// # Panics
    /// If it is not, or none comes.
    #[track_caller]
    pub fn moves_to(&self, state: State) {
        match self.event() {
            Event::Transition { transition, .. } => assert_eq!(transition.to, state),
            other => unreachable!("should move to {state}, but {other:?}"),
        }
    }

    /// The dependency now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.handle.snapshot()
    }

    /// How many calls have ended so.
    #[must_use]
    pub fn calls(&self, outcome: CallOutcome) -> u64 {
        self.snapshot().calls(outcome)
    }

    /// That nobody holds, waits for or owes anything, and that `calls` calls have been counted.
    ///
    /// # Panics
    /// If that is not so.
    #[track_caller]
    pub fn assert_idle(&self, calls: u64, what: &str) {
        let now = self.snapshot();
        assert_eq!(now.active, 0, "{what}: permits out\n{now:#?}");
        assert_eq!(now.pending, 0, "{what}: calls pending\n{now:#?}");
        assert_eq!(now.breaker.probes, 0, "{what}: probes out\n{now:#?}");
        assert_eq!(self.service().inside(), 0, "{what}: attempts with the service");
        let line = now.mailbox;
        assert_eq!((line.waiting, line.blocked_now), (0, 0), "{what}: calls in the mailbox");
        assert_eq!(line.received, line.processed + line.dropped, "{what}: {line:?}");
        let counted: u64 = CallOutcome::ALL.iter().map(|&outcome| now.calls(outcome)).sum();
        assert_eq!(counted, calls, "{what}: calls counted\n{:?}", now.methods);
    }
}

/// Who refused, and when to come back.
///
/// # Panics
/// If nobody did.
#[track_caller]
pub fn refused(answer: Answer) -> (RejectedBy, Option<Duration>) {
    match answer {
        Err(Trouble::Fault(Fault::Rejected { by, retry_after, .. })) => (by, retry_after),
        other => unreachable!("should be refused, but is {other:?}"),
    }
}
