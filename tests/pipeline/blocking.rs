//! Methods that block: they run on threads of their dependency's own, and a thread that is stuck keeps its permit.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use seawall::prelude::*;
use seawall::{
    CallOutcome, DependencyHandle, ManualTime, State, Time, deadline, policy, resilient,
};
use seawall_tests::{Task, Trouble, block_on, eventually, ready};

use super::build::*;

type Answer<T> = Result<T, Trouble>;

/// As its author wrote it: no method is async.
#[resilient]
trait Ledger: Send + Sync {
    #[call(blocking)]
    fn balance(&self, account: &str, cents: Vec<u64>) -> Answer<u64>;
    #[call(blocking, idempotent)]
    fn read(&self, pages: &[u8]) -> Answer<usize>;
    #[call(blocking, on_fault = no_answer)]
    fn is_open(&self) -> bool;
    fn name(&self) -> String;
}

fn no_answer(_: Fault) -> bool {
    false
}

/// The same kind of work behind async methods.
#[resilient]
trait Files {
    #[call(blocking)]
    async fn hang(&self, what: &str) -> Answer<String>;
    #[call(blocking)]
    async fn thread(&self) -> Answer<String>;
    #[call(blocking)]
    async fn left(&self) -> Answer<Option<Duration>>;
    #[call(blocking, fallback = nothing)]
    async fn panics(&self, what: &str) -> Answer<String>;
    async fn at_once(&self) -> Answer<u8>;
}

async fn nothing<S>(_: &S, error: &CallError<Trouble>, what: &str) -> Answer<String> {
    Ok(format!("{what}: {error:?}"))
}

fn thread_name() -> String {
    thread::current().name().unwrap_or_default().to_owned()
}

#[derive(Default)]
struct Books {
    seen: AtomicU32,
}

impl Ledger for Books {
    fn balance(&self, account: &str, cents: Vec<u64>) -> Answer<u64> {
        assert!(thread_name().starts_with("bh-") || thread_name().starts_with("bulkhead-"));
        if account == "nobody" { Err(Trouble::Broken) } else { Ok(cents.iter().sum()) }
    }
    fn read(&self, pages: &[u8]) -> Answer<usize> {
        let seen = self.seen.fetch_add(1, Ordering::SeqCst);
        if seen == 0 { Err(Trouble::Broken) } else { Ok(pages.len()) }
    }
    fn is_open(&self) -> bool {
        true
    }
    fn name(&self) -> String {
        thread_name()
    }
}

/// One call that hangs until it is let go.
struct Disk {
    started: Sender<()>,
    go: Mutex<Receiver<()>>,
}

impl Disk {
    fn wait(&self) {
        // The test may be over.
        let _ = self.started.send(());
        let _ = self.go.lock().unwrap().recv();
    }
}

impl Files for Disk {
    async fn hang(&self, what: &str) -> Answer<String> {
        self.wait();
        Ok(what.to_owned())
    }
    async fn thread(&self) -> Answer<String> {
        Ok(thread_name())
    }
    async fn left(&self) -> Answer<Option<Duration>> {
        Ok(deadline::left())
    }
    async fn panics(&self, what: &str) -> Answer<String> {
        std::panic::resume_unwind(Box::new(format!("no {what}")))
    }
    async fn at_once(&self) -> Answer<u8> {
        Ok(1)
    }
}

struct World {
    time: ManualTime,
    seawall: Seawall,
    client: FilesClient<Disk>,
    handle: DependencyHandle,
    started: Receiver<()>,
    go: Sender<()>,
}

impl World {
    fn new(policy: policy::Builder) -> Self {
        let (time, (start, started), (go, gone)) = (Time::manual(), channel(), channel());
        let seawall = Seawall::builder().time(&time).policy("disk", policy.build().unwrap());
        let seawall = seawall.start().unwrap();
        let disk = Disk { started: start, go: Mutex::new(gone) };
        let client = ready(seawall.spawn("disk", disk)).unwrap();
        let handle = seawall.dependency("disk").unwrap();
        Self { time, seawall, client, handle, started, go }
    }

    /// A call whose work has begun.
    fn hanging(&self) -> Task<'_, Answer<String>> {
        let call = Task::pending(self.client.hang("file"));
        self.started.recv().unwrap();
        call
    }

    fn let_go(&self) {
        self.go.send(()).unwrap();
    }

    /// Permits that are out, and threads that nobody waits for.
    fn active(&self) -> (u32, u32) {
        (self.handle.snapshot().active, self.handle.snapshot().pool.unwrap().abandoned)
    }
}

fn ledger(policy: policy::Builder) -> (Seawall, LedgerClient<Books>) {
    let seawall = Seawall::builder().policy("ledger", policy.build().unwrap()).start().unwrap();
    let client = block_on(seawall.spawn("ledger", Books::default())).unwrap();
    (seawall, client)
}

#[test]
fn a_trait_without_async_is_guarded_as_it_stands() {
    let (seawall, client) = ledger(base());
    assert_eq!(client.balance("me", vec![1, 2]), Ok(3));
    assert!(client.is_open());
    assert_eq!(client.name(), thread_name(), "not guarded, not moved");
    for _ in 0..3 {
        assert_eq!(client.balance("nobody", vec![]), Err(Trouble::Broken));
    }
    assert_eq!(seawall.dependency("ledger").unwrap().state(), State::Open);
    let refused = client.balance("me", vec![]);
    assert!(matches!(
        refused,
        Err(Trouble::Fault(Fault::Rejected { by: RejectedBy::Breaker, .. }))
    ));
    assert!(!client.is_open(), "what `on_fault` says");
}

#[test]
fn it_may_stand_behind_a_dyn_of_its_trait() {
    let seawall = Seawall::builder().start().unwrap();
    let books: Arc<dyn Ledger> = Arc::new(Books::default());
    let client: LedgerClient<dyn Ledger> = block_on(seawall.spawn_arc("ledger", books)).unwrap();
    let client: Box<dyn Ledger> = Box::new(client);
    assert_eq!(client.balance("me", vec![7]), Ok(7));
}

#[test]
fn its_attempts_are_repeated_with_what_they_were_asked_with() {
    let (_seawall, client) = ledger(base().retry(retries(3).base_delay(ms(1))));
    assert_eq!(client.read(&[1, 2, 3]), Ok(3));
    assert_eq!(client.service().seen.load(Ordering::SeqCst), 2);
}

#[test]
fn it_runs_on_threads_that_are_called_after_the_dependency() {
    let world = World::new(base());
    assert_eq!(
        block_on(world.client.thread()).unwrap().rsplit_once('-').unwrap().0,
        "bulkhead-disk"
    );
    assert_eq!(world.handle.snapshot().pool.unwrap().completed, 1);
}

#[test]
fn the_callers_thread_is_free_meanwhile() {
    let world = World::new(base());
    let mut call = world.hanging();
    assert_eq!(ready(world.client.at_once()), Ok(1));
    world.let_go();
    eventually("the answer", || call.wakes() > 0);
    assert_eq!(call.poll(), std::task::Poll::Ready(Ok("file".to_owned())));
    assert_eq!(world.active(), (0, 0));
}

#[test]
fn a_thread_that_is_stuck_keeps_its_permit_until_it_returns() {
    let world = World::new(base().bulkhead(permits(1).max_wait(Duration::ZERO).grace(secs(9))));
    let call = world.hanging();
    assert_eq!(world.active(), (1, 0));
    world.time.advance(secs(1));
    assert!(matches!(call.ready(), Err(Trouble::Fault(Fault::TimedOut { .. }))));
    assert_eq!(world.active(), (1, 1), "the caller is gone, the thread is not");
    let page = world.seawall.render_metrics();
    for line in [
        r#"seawall_pool_abandoned{pool="disk"} 1"#,
        r#"seawall_pool_active{pool="disk"} 1"#,
        r#"seawall_pool_queued{pool="disk"} 0"#,
        r#"seawall_pool_threads{pool="disk"} 1"#,
        r#"seawall_pool_works_total{pool="disk",end="received"} 1"#,
        r#"seawall_pool_works_total{pool="disk",end="completed"} 0"#,
    ] {
        assert!(page.contains(line), "{line}\n{page}");
    }
    let refused = ready(world.client.thread());
    assert!(matches!(
        refused,
        Err(Trouble::Fault(Fault::Rejected { by: RejectedBy::Bulkhead, .. }))
    ));
    world.let_go();
    eventually("the thread is free", || world.active() == (0, 0));
    assert!(block_on(world.client.thread()).is_ok());
}

#[test]
fn a_call_that_is_dropped_leaves_its_permit_with_its_thread() {
    let world = World::new(base().bulkhead(permits(1)));
    drop(world.hanging());
    assert_eq!(world.active(), (1, 1));
    let mut waits = Task::pending(world.client.thread());
    world.let_go();
    eventually("the next has the permit", || waits.wakes() > 0);
    eventually("it is answered", || waits.poll().is_ready());
    assert_eq!(world.active(), (0, 0));
}

#[test]
fn work_that_has_not_begun_is_taken_back_with_its_permit() {
    let world = World::new(base().bulkhead(permits(2).threads(1)));
    let first = world.hanging();
    let second = Task::pending(world.client.hang("second"));
    assert_eq!((world.active(), world.handle.snapshot().pool.unwrap().queued), ((2, 0), 1));
    drop(second);
    assert_eq!((world.active(), world.handle.snapshot().pool.unwrap().withdrawn), ((1, 0), 1));
    world.let_go();
    drop(first);
    eventually("all is free", || world.active() == (0, 0));
    assert!(world.started.try_recv().is_err(), "it never ran");
}

#[test]
fn a_panic_is_its_callers_and_costs_no_thread() {
    let world = World::new(base().bulkhead(permits(1)));
    let caught = catch_unwind(AssertUnwindSafe(|| block_on(world.client.panics("disk"))));
    let payload = caught.unwrap_err();
    assert_eq!(payload.downcast_ref::<String>().map(String::as_str), Some("no disk"));
    let now = world.handle.snapshot();
    assert_eq!((now.calls(CallOutcome::Panicked), now.active), (1, 0));
    assert!(block_on(world.client.thread()).is_ok());
}

#[test]
fn a_fallback_stands_in_for_what_was_refused() {
    let world = World::new(base());
    block_on(world.handle.force_open()).unwrap();
    let answer = block_on(world.client.panics("page")).unwrap();
    assert!(answer.starts_with("page: "), "{answer}");
}

#[test]
fn the_thread_has_the_deadline_of_the_caller() {
    let world = World::new(base());
    let time = Time::from(world.time.clone());
    let within = deadline::Deadline::on(&time, ms(300));
    assert_eq!(block_on(deadline::scope(within, world.client.left())), Ok(Some(ms(300))));
    assert_eq!(block_on(world.client.left()), Ok(None));
}

#[tokio::test]
async fn the_thread_is_in_the_runtime_of_the_caller() {
    #[resilient]
    trait Sleeps {
        #[call(blocking)]
        async fn runtime(&self) -> Answer<bool>;
    }
    struct Here;
    impl Sleeps for Here {
        async fn runtime(&self) -> Answer<bool> {
            Ok(tokio::runtime::Handle::try_current().is_ok())
        }
    }
    let seawall = Seawall::builder().start().unwrap();
    let client: SleepsClient<Here> = seawall.spawn("sleeps", Here).await.unwrap();
    assert_eq!(client.runtime().await, Ok(true));
}

#[test]
fn a_shutdown_waits_for_threads_and_says_which_are_stuck() {
    let world = World::new(base());
    drop(world.hanging());
    let mut ends = Task::pending(world.seawall.shutdown(secs(1)));
    world.time.advance(secs(1));
    let std::task::Poll::Ready(report) = ends.poll() else { panic!("should have ended") };
    let cancelled: Vec<_> = report.dependencies.iter().map(|one| one.cancelled).collect();
    assert_eq!(cancelled, [1]);
    world.let_go();
}

#[test]
fn a_dependency_without_such_methods_has_no_threads() {
    let seawall = Seawall::builder().start().unwrap();
    let api = seawall_tests::Scripted::default();
    let _client: seawall_tests::ApiClient<_> = ready(seawall.spawn("api", api)).unwrap();
    assert!(seawall.dependency("api").unwrap().snapshot().pool.is_none());
}
