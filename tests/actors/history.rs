//! What adaptive breakers learn, from one run to the next.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use seawall::StartError;
use seawall::actor::{Control, RestartPolicy};
use seawall::breaker::adaptive::{Config, History, HistoryStore, Loaded, PERIOD, Reading};
use seawall::prelude::*;
use seawall::runtime::Builder;
use seawall::{Event, Time};
use seawall_tests::{Api, ApiClient, Scripted, Task, Tell, World, block_on, eventually, ready};

use crate::build::*;

/// Monday 2026-01-05T12:00Z.
const NOON: Duration = Duration::from_secs(1_767_571_200 + 12 * 3600);

fn adaptive() -> Policy {
    let config = seawall::breaker::Config::builder().adaptive(Config::default());
    base().breaker(config).build().unwrap()
}

/// A world that begins on a Monday at noon.
fn world(more: impl FnOnce(Builder) -> Builder) -> World {
    let time = Time::manual();
    time.set_epoch(NOON);
    let (tell, events) = Tell::new();
    let builder = Seawall::builder().time(&time).observer(tell).policy("api", adaptive());
    let seawall = more(builder).start().unwrap();
    let client = block_on(seawall.spawn("api", Scripted::new([]))).unwrap();
    let handle = seawall.dependency("api").unwrap();
    World { time, seawall, client, handle, events }
}

fn reading(world: &World) -> Reading {
    world.snapshot().adaptive.unwrap()
}

/// Calls and waits until they have been learned, or at least left the window.
fn practise(world: &World, calls: u32) {
    for _ in 0..calls {
        ready(world.client.read("")).unwrap();
    }
    world.time.advance(PERIOD + secs(40));
}

struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static MADE: AtomicU64 = AtomicU64::new(0);
        let n = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("seawall-actors-history-{}-{n}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    fn world(&self) -> World {
        world(|builder| builder.history_dir(&self.0))
    }

    fn file(&self) -> Option<PathBuf> {
        let is_latest = |path: &PathBuf| path.extension().is_some_and(|it| it == "history");
        let entries = std::fs::read_dir(&self.0).unwrap();
        entries.map(|entry| entry.unwrap().path()).find(is_latest)
    }

    /// What is in the latest file, if that is whole.
    fn kept(&self) -> Option<History> {
        History::from_bytes(&std::fs::read(self.file()?).ok()?).ok()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_actor_has_it_learn_by_the_clock_on_the_wall() {
    let scratch = Scratch::new();
    let world = scratch.world();
    practise(&world, 100);
    eventually("the actor has it learn", || reading(&world).learned_calls > 0.0);
    let reading = reading(&world);
    assert_eq!(reading.hour, 12, "Monday at noon");
    assert!((reading.learned_calls - 100.0).abs() < 0.1, "{reading:?}");
    assert!(reading.threshold < 0.6 && reading.baseline < 0.05, "{reading:?}");
}

#[test]
fn what_was_learned_is_there_in_the_next_run() {
    let scratch = Scratch::new();
    let world = scratch.world();
    practise(&world, 100);
    eventually("the actor has it learn", || reading(&world).learned_calls > 0.0);
    block_on(world.seawall.shutdown(secs(1)));
    drop(world);
    assert!(scratch.kept().is_some());

    let world = scratch.world();
    let reading = reading(&world);
    assert!((reading.learned_calls - 100.0).abs() < 0.1, "read before the first call: {reading:?}");
    block_on(world.seawall.shutdown(secs(1)));
}

#[test]
fn it_is_kept_while_the_run_goes_on_and_when_the_last_client_is_gone() {
    let scratch = Scratch::new();
    let world = scratch.world();
    practise(&world, 100);
    eventually("the actor has it learn", || reading(&world).learned_calls > 0.0);
    world.time.advance(PERIOD);
    eventually("a round is kept", || scratch.kept().is_some());
    let first = scratch.kept();
    practise(&world, 50);
    eventually("the actor has it learn", || reading(&world).learned_calls > 140.0);
    drop(world);
    eventually("the last drop keeps it", || scratch.kept().is_some_and(|it| Some(it) != first));
}

#[test]
fn a_torn_file_is_told_of_and_the_one_before_is_used() {
    let scratch = Scratch::new();
    for (calls, in_all) in [(100, 99.0), (50, 149.0)] {
        let world = scratch.world();
        practise(&world, calls);
        eventually("the actor has it learn", || reading(&world).learned_calls > in_all);
        block_on(world.seawall.shutdown(secs(1)));
    }
    let latest = scratch.file().unwrap();
    let bytes = std::fs::read(&latest).unwrap();
    std::fs::write(&latest, &bytes[..bytes.len() / 2]).unwrap();
    let world = scratch.world();
    match world.event() {
        Event::HistoryTrouble { dependency, trouble, .. } => {
            assert_eq!(&*dependency, "api");
            assert!(trouble.contains("cut short"), "{trouble}");
        }
        other => panic!("{other:?}"),
    }
    let reading = reading(&world);
    assert!((reading.learned_calls - 100.0).abs() < 1.0, "{reading:?}");
}

#[test]
fn a_restarted_actor_changes_nothing() {
    let at_once = RestartPolicy::builder().backoff(Duration::ZERO, Duration::ZERO).build().unwrap();
    let world = world(|builder| builder.restart(at_once));
    practise(&world, 100);
    eventually("the actor has it learn", || reading(&world).learned_calls > 0.0);
    let before = reading(&world);
    block_on(world.handle.tell(Control::Crash)).unwrap_err();
    assert!(matches!(world.event(), Event::ActorRestarted { .. }));
    assert_eq!(reading(&world), before);
    practise(&world, 100);
    eventually("the next one has it learn, too", || {
        reading(&world).learned_calls > before.learned_calls + 90.0
    });
}

/// A store that fails when it is told to, and remembers.
#[derive(Clone, Default)]
struct Moody(Arc<Mood>);

#[derive(Default)]
struct Mood {
    fails: AtomicBool,
    panics: AtomicBool,
    saved: Mutex<Option<History>>,
    saves: AtomicU64,
}

impl HistoryStore for Moody {
    fn load(&self, _: &str) -> io::Result<Loaded> {
        self.mind()?;
        Ok(Loaded { history: self.0.saved.lock().unwrap().clone(), rejected: Vec::new() })
    }

    fn save(&self, _: &str, history: &History) -> io::Result<()> {
        self.mind()?;
        *self.0.saved.lock().unwrap() = Some(history.clone());
        self.0.saves.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

impl Moody {
    #[expect(clippy::panic, reason = "what happens then is tested")]
    fn mind(&self) -> io::Result<()> {
        if self.0.panics.load(Ordering::SeqCst) {
            panic!("the store panics");
        }
        if self.0.fails.load(Ordering::SeqCst) {
            return Err(io::Error::other("the disk is on fire"));
        }
        Ok(())
    }
}

fn trouble(world: &World) -> String {
    match world.event() {
        Event::HistoryTrouble { trouble, .. } => trouble,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_store_that_cannot_be_read_is_not_written_to_until_it_can() {
    let store = Moody::default();
    {
        let world = world(|builder| builder.history_store(store.clone()));
        practise(&world, 1_000);
        eventually("the actor has it learn", || reading(&world).learned_calls > 0.0);
        block_on(world.seawall.shutdown(secs(1)));
    }
    store.0.fails.store(true, Ordering::SeqCst);
    let saves = store.0.saves.load(Ordering::SeqCst);
    let world = world(|builder| builder.history_store(store.clone()));
    assert!(trouble(&world).contains("cannot read it: the disk is on fire"));
    assert_eq!(reading(&world).learned_calls, 0.0);
    practise(&world, 10);
    eventually("the actor has it learn", || reading(&world).learned_calls > 0.0);
    assert!(trouble(&world).contains("cannot read it"), "in the next round again");
    assert_eq!(store.0.saves.load(Ordering::SeqCst), saves);
    store.0.fails.store(false, Ordering::SeqCst);
    block_on(world.seawall.shutdown(secs(1)));
    // What it had is there, and what was learned meanwhile besides.
    assert!((reading(&world).learned_calls - 1_010.0).abs() < 1.0, "{:?}", reading(&world));
    assert_eq!(store.0.saves.load(Ordering::SeqCst), saves + 1);
}

#[test]
fn a_store_that_fails_or_panics_is_told_of_and_tried_again() {
    let store = Moody::default();
    let world = world(|builder| builder.history_store(store.clone()));
    store.0.panics.store(true, Ordering::SeqCst);
    practise(&world, 100);
    eventually("the actor has it learn", || reading(&world).learned_calls > 0.0);
    world.time.advance(PERIOD);
    assert!(trouble(&world).contains("the store panicked"));
    store.0.panics.store(false, Ordering::SeqCst);
    block_on(world.seawall.shutdown(secs(1)));
    assert!(store.0.saved.lock().unwrap().is_some());
}

#[test]
fn a_directory_that_cannot_be_one_is_said_at_the_start() {
    let scratch = Scratch::new();
    std::fs::create_dir_all(&scratch.0).unwrap();
    std::fs::write(scratch.0.join("file"), b"").unwrap();
    let error = Seawall::builder().history_dir(scratch.0.join("file")).start().unwrap_err();
    assert!(matches!(error, StartError::History { .. }));
    assert!(error.to_string().contains("cannot keep history in `"), "{error}");
}

/// Answers nothing until it is released.
struct Hanging(Arc<(Mutex<bool>, std::sync::Condvar)>);

impl HistoryStore for Hanging {
    fn load(&self, _: &str) -> io::Result<Loaded> {
        let (released, changed) = &*self.0;
        let released = released.lock().unwrap();
        drop(changed.wait_while(released, |released| !*released).unwrap());
        Ok(Loaded { history: None, rejected: Vec::new() })
    }

    fn save(&self, _: &str, _: &History) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn fifty_spawns_wait_once_for_a_store_that_hangs() {
    let gate = Arc::new((Mutex::new(false), std::sync::Condvar::new()));
    let time = Time::manual();
    let builder = Seawall::builder().time(&time).history_store(Hanging(Arc::clone(&gate)));
    let builder =
        (0..50).fold(builder, |builder, n| builder.policy(format!("api-{n}"), adaptive()));
    let seawall = builder.start().unwrap();
    let mut clients = Vec::new();
    let mut first = Task::pending(seawall.spawn::<ApiClient<_>>("api-0", Scripted::new([])));
    time.advance(secs(5));
    match first.poll() {
        Poll::Ready(client) => clients.push(client.unwrap()),
        Poll::Pending => unreachable!("waits for longer than 5 s"),
    }
    for n in 1..50 {
        let name = format!("api-{n}");
        clients.push(ready(seawall.spawn(&name, Scripted::new([]))).unwrap());
    }
    assert_eq!(time.now().since(seawall::clock::Moment::ZERO), secs(5));
    assert_eq!(ready(clients[49].read("")), Ok(7));
    // Once the store has answered, it is waited for again.
    *gate.0.lock().unwrap() = true;
    gate.1.notify_all();
    let handle = seawall.dependency("api-49").unwrap();
    eventually("it is read", || handle.snapshot().adaptive.is_some());
    drop(clients);
}
