//! Other policies while calls go on: what they change, and what they do not touch.

use std::time::Duration;

use seawall::actor::{Control, RestartPolicy};
use seawall::backpressure::Strategy;
use seawall::breaker::{Config, Mode, Window};
use seawall::policy::{PolicyFile, PolicyFileError};
use seawall::prelude::*;
use seawall::runtime::ReloadError;
use seawall::{Event, Outcome, State, Time};
use seawall_tests::{
    Api, ApiClient, Scripted, Step, Task, Tell, Trouble, World, block_on, eventually, ready,
    refused,
};

use crate::build::*;

fn world(script: impl IntoIterator<Item = Step>) -> World {
    World::new(base().build().unwrap(), script)
}

fn put_under(world: &World, policy: seawall::policy::Builder) {
    let policy = policy.build().unwrap();
    let changes = world.handle.policy().changes(&policy).into();
    assert!(world.handle.set_policy(policy));
    let (at, dependency) = (world.seawall.now(), "api".into());
    assert_eq!(world.event(), Event::Reloaded { at, dependency, changes });
}

#[test]
fn orders_by_hand_outlive_a_reload_and_the_actor() {
    let at_once = RestartPolicy::builder().backoff(Duration::ZERO, Duration::ZERO).build().unwrap();
    let world = World::with(base().build().unwrap(), [], |builder| builder.restart(at_once));
    block_on(world.handle.force_open()).unwrap();
    world.moves_to(State::Open);
    put_under(&world, base().breaker(Config::builder().failure_rate(0.5)));
    block_on(world.handle.tell(Control::Crash)).unwrap_err();
    assert!(matches!(world.event(), Event::ActorRestarted { .. }));
    assert_eq!(world.snapshot().breaker.mode, Mode::ForcedOpen);
    assert_eq!(refused(ready(world.client.write(""))), (RejectedBy::Breaker, None));
    block_on(world.handle.observe()).unwrap();
    world.moves_to(State::Closed);
    put_under(&world, base());
    assert_eq!(
        block_on(world.handle.tell(Control::Snapshot)).unwrap().breaker.mode,
        Mode::Observing
    );
}

#[test]
fn an_open_breaker_stays_open_for_as_long_as_it_was_to_and_its_actor_still_moves_it_on() {
    let world = world(vec![Step::Answer(Err(Trouble::Broken)); 3]);
    for _ in 0..3 {
        ready(world.client.write("")).unwrap_err();
    }
    world.moves_to(State::Open);
    world.time.advance(secs(2));
    put_under(&world, base().breaker(trips_after(9).first_open_for(secs(60)).open_for(secs(60))));
    assert_eq!(refused(ready(world.client.write(""))), (RejectedBy::Breaker, Some(secs(3))));
    world.time.advance(secs(3));
    world.moves_to(State::HalfOpen);
}

#[test]
fn what_a_window_has_counted_still_counts_under_another_bar() {
    let rate = |rate| Config::builder().failure_rate(rate).min_calls(4).window(Window::Calls(10));
    let broken = Step::Answer(Err(Trouble::Broken));
    let world = World::new(base().breaker(rate(0.9)).build().unwrap(), [broken.clone(), broken]);
    for _ in 0..2 {
        ready(world.client.write("")).unwrap_err();
    }
    ready(world.client.write("")).unwrap();
    put_under(&world, base().breaker(rate(0.5)));
    ready(world.client.write("")).unwrap();
    world.moves_to(State::Open);
}

#[test]
fn the_next_call_goes_by_other_times_and_other_retries() {
    let world = world([]);
    let broken = || vec![Step::Answer(Err(Trouble::Broken)); 9];
    put_under(&world, base().timeout(ms(10)).breaker(trips_after(100)).retry(retries(1)));
    world.service().then([Step::Hang]);
    let hung = Task::pending(world.client.write(""));
    world.time.advance(ms(10));
    assert!(
        matches!(hung.ready(), Err(Trouble::Fault(Fault::TimedOut { after, .. })) if after == ms(10))
    );
    world.service().then(broken());
    ready(world.client.read("")).unwrap_err();
    assert_eq!(world.service().seen(), 2, "one attempt, and no more");
    put_under(&world, base().breaker(trips_after(100)).retry(retries(2)));
    let mut retried = Task::pending(world.client.read(""));
    world.time.advance(ms(100));
    assert!(retried.poll().is_ready());
    assert_eq!(world.service().seen(), 4);
}

#[test]
fn a_raised_limit_lets_those_in_who_wait_and_a_lowered_one_takes_nothing_away() {
    let world = world(vec![Step::Hang; 9]);
    let mut holding =
        vec![Task::pending(world.client.write("")), Task::pending(world.client.write(""))];
    let mut waiting = Task::pending(world.client.write(""));
    put_under(&world, base().bulkhead(permits(3)));
    assert!(waiting.wakes() > 0);
    assert!(waiting.poll().is_pending());
    assert_eq!(world.service().inside(), 3);
    put_under(&world, base().bulkhead(permits(1)));
    assert_eq!((world.snapshot().active, world.snapshot().limit), (3, 1));
    let mut behind = Task::pending(world.client.write(""));
    holding.pop();
    holding.pop();
    assert_eq!((behind.wakes(), world.snapshot().active), (0, 1));
    drop(waiting);
    assert!(behind.wakes() > 0 && behind.poll().is_pending());
    drop(behind);
    world.assert_idle(4, "at the end");
}

#[test]
fn whoever_waits_in_line_waits_on_in_a_shorter_one() {
    let world = world(vec![Step::Hang; 2]);
    let holding = [Task::pending(world.client.write("")), Task::pending(world.client.write(""))];
    let waiting = [Task::pending(world.client.write("")), Task::pending(world.client.write(""))];
    put_under(&world, base().mailbox(line(1, Strategy::Error)));
    assert_eq!(refused(ready(world.client.write(""))).0, RejectedBy::QueueFull);
    drop(holding);
    for task in waiting {
        assert_eq!(task.ready(), Ok(7));
    }
    world.assert_idle(5, "at the end");
}

#[test]
fn tokens_are_not_to_be_had_by_reloading() {
    let world = World::new(base().rate_limit(tokens(3)).build().unwrap(), []);
    for _ in 0..3 {
        ready(world.client.write("")).unwrap();
    }
    // What was spent stays spent: a raised limit gives the difference, and once.
    for (capacity, more) in [(5, 2), (1, 0), (5, 0), (3, 0), (6, 1), (1, 0), (6, 0)] {
        put_under(&world, base().rate_limit(tokens(capacity)));
        for _ in 0..more {
            ready(world.client.write("")).unwrap();
        }
        let answer = ready(world.client.write(""));
        assert_eq!(refused(answer).0, RejectedBy::RateLimit, "{capacity}");
    }
    put_under(&world, base());
    ready(world.client.write("")).unwrap();
}

#[test]
fn the_same_policy_again_changes_nothing() {
    let world = world([]);
    assert!(!world.handle.set_policy(base().build().unwrap()));
    assert_eq!(*world.handle.policy(), base().build().unwrap());
    assert!(world.events.try_recv().is_err());
}

#[test]
fn a_file_is_read_again_and_one_with_a_mistake_changes_nothing() {
    let path = std::env::temp_dir().join(format!("seawall-reload-{}.toml", std::process::id()));
    let write = |text: &str| std::fs::write(&path, text).unwrap();
    write("[a]\ntimeout = \"1s\"\n");
    let time = Time::manual();
    let own = base().build().unwrap();
    let builder = Seawall::builder().time(&time).policy("own", own.clone());
    let seawall = builder.policy_file(&path).start().unwrap();
    let spawn =
        |name| ready(seawall.spawn::<ApiClient<Scripted>>(name, Scripted::new([]))).unwrap();
    let _clients = [spawn("a"), spawn("own")];
    let timeout = |name| seawall.dependency(name).unwrap().policy().timeout();
    assert_eq!(timeout("a"), secs(1));

    write("[a]\ntimeout = \"2s\"\n[own]\ntimeout = \"3s\"\n[nobody]\n");
    let reloaded = seawall.reload().unwrap();
    assert_eq!((reloaded.changed, reloaded.unspawned), (vec!["a".into()], vec!["nobody".into()]));
    assert_eq!((timeout("a"), timeout("own")), (secs(2), own.timeout()));
    let _later = spawn("b");

    write("[a]\ntimeout = \"0s\"\n");
    let error = seawall.reload().unwrap_err();
    assert!(matches!(error, ReloadError::Policy(PolicyFileError::Invalid { .. })), "{error}");
    assert_eq!(timeout("a"), secs(2));
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(seawall.reload(), Err(ReloadError::Policy(PolicyFileError::Read { .. }))));

    // The one that is spawned after a reload goes by the later file, too.
    let file = PolicyFile::parse("[c]\ntimeout = \"4s\"\n", "later.toml").unwrap();
    assert_eq!(seawall.reload_from(file).changed, ["a"]);
    let _last = spawn("c");
    assert_eq!((timeout("a"), timeout("c")), (secs(10), secs(4)));
}

#[test]
fn without_a_file_there_is_nothing_to_read_again() {
    let world = world([]);
    let error = world.seawall.reload().unwrap_err();
    assert!(matches!(error, ReloadError::NoFile));
    assert!(error.to_string().contains("without `policy_file`"));
}

/// Four threads call, a fifth reloads as fast as it can: everything is counted and given back.
#[test]
fn calls_that_reloads_overtake_are_neither_lost_nor_counted_twice() {
    const CALLS: u64 = 5_000;
    let world = world([]);
    let policies = [
        base().breaker(trips_after(100).slow_call(ms(500))).bulkhead(permits(1)),
        base().bulkhead(permits(3)).rate_limit(tokens(1_000_000)),
        base().mailbox(line(1, Strategy::DropOldest)).retry(retries(5).budget(None)),
    ]
    .map(|policy| policy.build().unwrap());
    let (client, handle) = (&world.client, &world.handle);
    std::thread::scope(|scope| {
        let call = move || {
            for _ in 0..CALLS {
                let _ = block_on(client.write(""));
            }
        };
        let callers: Vec<_> = (0..4).map(|_| scope.spawn(call)).collect();
        let mut next = policies.iter().cycle().cloned();
        while callers.iter().any(|caller| !caller.is_finished()) {
            handle.set_policy(next.next().unwrap());
        }
    });
    world.assert_idle(4 * CALLS, "at the end");
}

fn later(world: &World, by: Duration) {
    world.time.advance(by);
}

#[test]
fn an_attempt_keeps_its_timeout_through_a_reload_and_is_retried_and_counted() {
    let short = base().timeout(ms(500)).deadline(secs(2)).bulkhead(permits(2).max_wait(secs(1)));
    let world = World::new(short.build().unwrap(), [Step::Hang]);
    let mut call = Task::pending(world.client.read(""));
    later(&world, ms(100));
    put_under(&world, base().timeout(secs(30)).deadline(secs(60)));
    later(&world, ms(400));
    assert!(call.poll().is_pending(), "timed out, and waits to be retried");
    let now = world.snapshot();
    assert_eq!((now.attempts(Outcome::TimedOut), now.breaker.failures_in_a_row), (1, 1));
    later(&world, ms(100));
    assert_eq!(call.ready(), Ok(7));
}

#[test]
fn a_timeout_says_how_long_it_was_and_not_how_long_it_is_now() {
    let short = base().timeout(ms(500)).deadline(secs(2)).bulkhead(permits(2).max_wait(secs(1)));
    let world = World::new(short.build().unwrap(), [Step::Hang]);
    let call = Task::pending(world.client.write(""));
    put_under(&world, base().timeout(secs(30)).deadline(secs(60)));
    later(&world, ms(500));
    let timed_out = Fault::TimedOut { dependency: "api".into(), after: ms(500) };
    assert_eq!(call.ready(), Err(Trouble::Fault(timed_out)));
}

#[test]
fn a_call_keeps_its_deadline_through_a_reload_and_says_which_it_was() {
    let short = base().timeout(secs(2)).deadline(secs(2)).bulkhead(permits(2).max_wait(secs(1)));
    let short = short.build().unwrap();
    let world = World::new(short, [Step::Answer(Err(Trouble::Broken)), Step::Hang]);
    let mut call = Task::pending(world.client.read(""));
    later(&world, ms(100));
    assert!(call.poll().is_pending(), "the second attempt");
    put_under(&world, base().timeout(secs(30)).deadline(secs(60)));
    later(&world, ms(1_900));
    let exceeded = Fault::DeadlineExceeded { dependency: "api".into(), after: secs(2) };
    assert_eq!(call.ready(), Err(Trouble::Fault(exceeded)));
}

#[test]
fn a_fallback_keeps_the_calls_deadline_through_a_reload() {
    let short = base().timeout(ms(500)).deadline(secs(2)).bulkhead(permits(2).max_wait(secs(1)));
    let short = short.build().unwrap();
    let world = World::new(short, [Step::Hang]);
    let mut call = Task::pending(world.client.cached("never"));
    put_under(&world, base().timeout(secs(30)).deadline(secs(60)));
    later(&world, ms(500));
    assert!(call.poll().is_pending(), "the fallback runs");
    later(&world, ms(1_500));
    assert!(matches!(call.ready(), Err(Trouble::Fault(Fault::TimedOut { .. }))));
}

/// A policy file of its own, removed at the end.
struct File(std::path::PathBuf);

impl File {
    fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("seawall-{name}-{}.toml", std::process::id()));
        std::fs::write(&path, text).unwrap();
        Self(path)
    }

    fn write(&self, text: &str) {
        std::fs::write(&self.0, text).unwrap();
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn a_file_that_is_read_empty_or_cut_off_changes_nothing_and_says_what_is_gone() {
    let file = File::new("cut-off", "[pay]\ntimeout = \"2s\"\n[stock]\ntimeout = \"3s\"\n[x]\n");
    let seawall = Seawall::builder().policy_file(&file.0).start().unwrap();
    let _pay: ApiClient<_> = ready(seawall.spawn("pay", Scripted::new([]))).unwrap();
    let _stock: ApiClient<_> = ready(seawall.spawn("stock", Scripted::new([]))).unwrap();
    let timeouts =
        || ["pay", "stock"].map(|name| seawall.dependency(name).unwrap().policy().timeout());
    let lost = |error: ReloadError| match error {
        ReloadError::LostSections { sections, .. } => sections.join(" "),
        other => unreachable!("{other}"),
    };
    for (text, gone) in [
        ("", "pay stock x"),
        ("[pay]\ntimeout = \"2s\"\n", "stock"),
        ("[defaults]\n", "pay stock x"),
    ] {
        file.write(text);
        let error = seawall.reload().unwrap_err();
        assert!(error.to_string().contains("leave its section empty"), "{error}");
        assert_eq!(lost(error), gone, "{text:?}");
        assert_eq!(timeouts(), [secs(2), secs(3)], "{text:?}");
    }
    // A section that no dependency was spawned for may go, and one may be left empty on purpose.
    file.write("[pay]\ntimeout = \"1s\"\n[stock]\n");
    assert_eq!(seawall.reload().unwrap().changed, ["pay", "stock"]);
    assert_eq!(timeouts(), [secs(1), secs(10)]);
}

#[test]
fn waits_that_leave_no_time_for_the_attempt_are_warned_of_at_the_start_and_after_a_reload() {
    let times = "deadline = \"2s\"\ntimeout = \"800ms\"\n";
    let file = File::new("doubtful", &format!("[pay]\n{times}bulkhead.max_wait = \"1900ms\"\n"));
    let (tell, events) = Tell::new();
    let seawall =
        Seawall::builder().time(Time::manual()).observer(tell).policy_file(&file.0).start();
    let seawall = seawall.unwrap();
    let warned = || match events.try_recv() {
        Ok(Event::PolicyWarning { dependency, warning, .. }) => format!("{dependency}: {warning}"),
        other => panic!("{other:?}"),
    };
    let expected = "pay: bulkhead.max_wait = 1.9s cannot be waited for: deadline is 2s, and an attempt needs its timeout of \
                    800ms; set bulkhead.max_wait to at most 1.2s, or deadline to at least 2.7s";
    assert_eq!(warned(), expected);
    let _pay: ApiClient<_> = ready(seawall.spawn("pay", Scripted::new([]))).unwrap();
    assert!(events.try_recv().is_err(), "told once");
    let defaults =
        format!("[pay]\n{times}[defaults]\ndeadline = \"1s\"\nbulkhead.max_wait = \"700ms\"\n");
    file.write(&defaults);
    seawall.reload().unwrap();
    assert!(matches!(events.try_recv(), Ok(Event::Reloaded { .. })));
    // One that no section names is told of when it is spawned.
    let _stock: ApiClient<_> = ready(seawall.spawn("stock", Scripted::new([]))).unwrap();
    assert!(
        warned()
            .starts_with("stock: bulkhead.max_wait = 700ms cannot be waited for: deadline is 1s")
    );
}

#[test]
fn names_misspelt_in_the_file_are_told_with_the_name_that_is_meant() {
    let file = File::new(
        "misspelt",
        "[pay]\n[pay.methods.wirte]\ntimeout = \"1s\"\n[paymnets]\n[warehouse]\n",
    );
    let time = Time::manual();
    let (tell, events) = Tell::new();
    let seawall =
        Seawall::builder().time(&time).observer(tell).policy_file(&file.0).start().unwrap();
    let _pay: ApiClient<_> = ready(seawall.spawn("pay", Scripted::new([]))).unwrap();
    let _payments: ApiClient<_> = ready(seawall.spawn("payments", Scripted::new([]))).unwrap();
    let next = || events.recv_timeout(seawall_tests::PATIENCE).unwrap();
    let at = seawall.now();
    let (dependency, method) = ("pay".into(), "wirte".into());
    let nearest = Some("write".into());
    assert_eq!(next(), Event::UnknownMethod { at, dependency, method, nearest });
    // A minute after the start the sections are looked for.
    let mut told = Vec::new();
    eventually("both are told", || {
        time.advance(secs(1));
        if let Ok(Event::UnspawnedSection { dependency, nearest, .. }) = events.try_recv() {
            told.push((dependency.to_string(), nearest.map(|name| name.to_string())));
        }
        told.len() == 2
    });
    let expected = [("paymnets".into(), Some("payments".into())), ("warehouse".into(), None)];
    assert_eq!(told, expected);
    let reloaded = seawall.reload().unwrap();
    assert_eq!(reloaded.unspawned, ["paymnets", "warehouse"]);
    assert_eq!(reloaded.unknown_methods, ["pay.methods.wirte"]);
    time.advance(secs(300));
    assert!(events.try_recv().is_err(), "each is told once");
}

#[test]
fn a_reload_says_what_has_changed_setting_by_setting() {
    let world = world([]);
    let more = base().timeout(secs(2)).bulkhead(permits(3));
    assert!(world.handle.set_policy(more.build().unwrap()));
    let Event::Reloaded { changes, .. } = world.event() else { unreachable!("nothing before it") };
    assert_eq!(*changes, ["bulkhead.max_concurrent: 2 -> 3", "timeout: 1s -> 2s"]);
}
