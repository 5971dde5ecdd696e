//! Methods that nobody waits for: their calls wait in a queue of their own, and are made by tasks that come and go with them.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::yield_now;

use crate::backpressure::{Counts, OneWayConfig, OneWayStrategy};
use crate::dependency::{Dependency, MethodTable, Refused};
use crate::error::{CallError, Fallible, Fault, RejectedBy};
use crate::outcome::CallOutcome;
use crate::queue::{BackpressureQueue, Counted, Pace, Put, PutError, PutErrorKind, Strategy};
use crate::time::{block_on, within};

use super::support::TakesFault;

/// How long a call that would be refused waits before it is looked at again, though nobody says that anything has changed.
const LOOKS_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Makes the arguments of a call part of those of a call that waits, or gives them back.
pub type MergeCalls<A> = fn(&mut A, A) -> Result<(), A>;

/// The calls of one method, which wait for nobody.
struct OneWay<A> {
    queue: BackpressureQueue<Waiting<A>>,
    /// Tasks that make calls.
    workers: AtomicU32,
    most_workers: u32,
}

/// A call that waits to be made. Until it has ended, the dependency counts it among those that are under way.
struct Waiting<A> {
    arguments: A,
    pending: Pending,
}

struct Pending(Arc<Dependency>);

impl Pending {
    /// `None`: the dependency takes no calls any more.
    fn begin(dependency: &Arc<Dependency>) -> Option<Self> {
        dependency.pend(false);
        let pending = Self(Arc::clone(dependency));
        // Looked at afterwards: either a drain sees this call, or the call sees the drain.
        dependency.is_serving().then_some(pending)
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.0.unpend(false);
    }
}

impl<A: Send + 'static> OneWay<A> {
    /// That of the method of this index; its first call makes it.
    fn of(
        methods: &Arc<MethodTable>,
        index: usize,
        merge: Option<MergeCalls<A>>,
    ) -> Option<&Arc<Self>> {
        let kept = methods.kept(index, || {
            let one_way = Arc::new(Self::new(methods, index, merge));
            let counted: Weak<dyn Counted> = Arc::<Self>::downgrade(&one_way);
            methods.dependency().queues().add(methods.method(index).name(), counted);
            Box::new(one_way) as Box<dyn Any + Send + Sync>
        });
        // A method's arguments are of one type.
        kept.downcast_ref()
    }

    fn new(methods: &Arc<MethodTable>, index: usize, merge: Option<MergeCalls<A>>) -> Self {
        let policy = methods.dependency().policy();
        let config = policy.oneway();
        let queue = BackpressureQueue::builder()
            .capacity(config.capacity())
            .strategy(strategy(config, merge))
            .time(methods.dependency().time().clone());
        let queue = match config.max_age() {
            None => queue,
            Some(age) => {
                // The table has the queue.
                let table = Arc::downgrade(methods);
                queue.max_age(age).on_drop(move |waiting, _| {
                    if let Some(methods) = table.upgrade() {
                        drop(refuse(&methods, index, RejectedBy::Dropped, None));
                    }
                    drop(waiting);
                })
            }
        };
        // The policy has been checked by the same bounds.
        let queue = queue.build().unwrap_or_default();
        Self { queue, workers: AtomicU32::new(0), most_workers: config.concurrency() }
    }

    /// Has one more task make calls, if some wait and there are not enough tasks.
    fn work<Run, Fut>(self: &Arc<Self>, methods: &Arc<MethodTable>, run: &Run)
    where
        Run: Fn(A) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        if self.queue.is_empty() {
            return;
        }
        let Some(worker) = Worker::begin(self) else { return };
        let name = methods.dependency().name().clone();
        let works = works(worker, Arc::clone(methods), run.clone());
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(works)),
            // A caller without a runtime. Without a thread, too, the calls wait for the next one.
            Err(_) => {
                let thread = thread::Builder::new().name(format!("oneway-{name}"));
                drop(thread.spawn(move || block_on(works)));
            }
        }
    }
}

fn strategy<A: 'static>(
    config: &OneWayConfig,
    merge: Option<MergeCalls<A>>,
) -> Strategy<Waiting<A>> {
    let timeout = config.max_wait();
    match (config.on_full(), merge) {
        (None, Some(merge)) => {
            Strategy::aggregate(move |into: &mut Waiting<A>, newcomer: Waiting<A>| {
                let Waiting { arguments, pending } = newcomer;
                merge(&mut into.arguments, arguments)
                    .map_err(|arguments| Waiting { arguments, pending })
            })
        }
        (Some(OneWayStrategy::Block), _) => Strategy::Block { timeout },
        (Some(OneWayStrategy::DropOldest), _) => Strategy::DropOldest,
        (Some(OneWayStrategy::DropNewest), _) => Strategy::DropNewest,
        (Some(OneWayStrategy::Sample), _) => {
            Strategy::Sample { every: config.sample_every(), above: config.sample_above() }
        }
        (Some(OneWayStrategy::Throttle), _) => {
            let pace = config.per_second().map_or(Pace::Consumers, Pace::PerSecond);
            Strategy::Throttle { pace, timeout }
        }
        (Some(OneWayStrategy::Error) | None, _) => Strategy::Error,
    }
}

impl<A: Send> Counted for OneWay<A> {
    fn counts(&self) -> Counts {
        self.queue.counts()
    }

    fn fill_ratio(&self) -> f64 {
        self.queue.fill_ratio()
    }
}

/// A task that makes calls; dropped, there is one less.
struct Worker<A>(Arc<OneWay<A>>);

impl<A> Worker<A> {
    /// `None`: there are enough.
    fn begin(one_way: &Arc<OneWay<A>>) -> Option<Self> {
        let one_more = |workers| (workers < one_way.most_workers).then_some(workers + 1);
        let began = one_way.workers.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more);
        began.is_ok().then(|| Self(Arc::clone(one_way)))
    }
}

impl<A> Drop for Worker<A> {
    fn drop(&mut self) {
        self.0.workers.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Makes calls until none waits.
async fn works<A, Run, Fut>(worker: Worker<A>, methods: Arc<MethodTable>, run: Run)
where
    Run: Fn(A) -> Fut,
    Fut: Future<Output = ()>,
{
    let mut worker = Some(worker);
    while let Some(working) = worker.take() {
        loop {
            // While it would be refused it waits where it is.
            ready(methods.dependency()).await;
            let Ok(Waiting { arguments, pending }) = working.0.queue.try_get() else { break };
            survive(&run, arguments).await;
            drop(pending);
            yield_now().await;
        }
        let one_way = Arc::clone(&working.0);
        drop(working);
        // One that came in meanwhile may have found enough tasks.
        worker = (!one_way.queue.is_empty()).then(|| Worker::begin(&one_way)).flatten();
    }
}

/// Waits until a call would be let in. Looks again now and then, because the actor that moves the breaker on may be late.
async fn ready(dependency: &Dependency) {
    while dependency.pressure() >= 1.0 && dependency.is_serving() {
        let look_again = dependency.now() + LOOKS_AGAIN_AFTER;
        within(dependency.time(), look_again, dependency.ready()).await;
    }
}

/// Makes one call. A panic in it costs no other: it has been counted, and there is nobody to be told.
async fn survive<A, Fut: Future<Output = ()>>(run: impl Fn(A) -> Fut, arguments: A) {
    let Ok(call) = catch_unwind(AssertUnwindSafe(|| run(arguments))) else { return };
    let mut call = pin!(call);
    poll_fn(|cx| {
        let polled = catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(cx)));
        polled.unwrap_or(Poll::Ready(()))
    })
    .await;
}

/// Has a call wait to be made. An error: it will not be.
pub async fn send<A, Run, Fut>(
    methods: &Arc<MethodTable>,
    index: usize,
    arguments: A,
    merge: Option<MergeCalls<A>>,
    run: Run,
) -> Result<(), Fault>
where
    A: Send + 'static,
    Run: Fn(A) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let (Some(pending), Some(one_way)) =
        (Pending::begin(methods.dependency()), OneWay::of(methods, index, merge))
    else {
        methods.method(index).stats.other(CallOutcome::Unavailable, 0);
        return Err(methods.dependency().shut_down());
    };
    // Tasks may have ended with their runtime.
    one_way.work(methods, &run);
    let put = one_way.queue.put(Waiting { arguments, pending }).await;
    one_way.work(methods, &run);
    let (by, retry_after) = match put {
        Ok(Put::Evicted(oldest)) => {
            drop(refuse(methods, index, RejectedBy::Dropped, None));
            drop(oldest);
            return Ok(());
        }
        Ok(Put::Dropped(_)) => (RejectedBy::Dropped, None),
        Ok(_) => return Ok(()),
        Err(PutError { kind: PutErrorKind::Closed, .. }) => {
            return Err(methods.dependency().shut_down());
        }
        Err(error) => (RejectedBy::QueueFull, error.retry_after),
    };
    Err(refuse(methods, index, by, retry_after))
}

/// Counts a call that will not be made.
fn refuse(
    methods: &MethodTable,
    index: usize,
    by: RejectedBy,
    retry_after: Option<Duration>,
) -> Fault {
    let (dependency, method) = (methods.dependency(), methods.method(index));
    let refused = Refused { by, retry_after };
    dependency.count_refusal(method, refused, dependency.now());
    dependency.rejected(method, refused, None, true)
}

/// What the caller of a one-way method is told, in the method's own return type.
pub fn sent_answer<R: Fallible<Ok = ()>>(
    sent: Result<(), Fault>,
    fault_with: impl FnOnce(Fault) -> R::Err,
) -> R {
    R::from_result(sent.map_err(fault_with))
}

/// As [`sent_answer`], with the fault as the method's error type takes it.
pub fn sent_answer_usual<R: Fallible<Ok = ()>>(sent: Result<(), Fault>) -> R
where
    R::Err: TakesFault,
{
    sent_answer(sent, R::Err::take_fault)
}

/// As [`sent_answer`], with the fault kept apart.
pub fn sent_answer_wrapped<E>(sent: Result<(), Fault>) -> Result<(), CallError<E>> {
    sent.map_err(CallError::Fault)
}
