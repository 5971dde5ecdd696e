//! Names, handles and threads: who keeps what alive, and what ends when they are gone.

use std::io::{Read, Write};

use seawall::actor::Control;
use seawall::prelude::*;
use seawall::{CallOutcome, SpawnError, Time};
use seawall_tests::{Api, ApiClient, Scripted, block_on, eventually, ready};

use crate::build::*;

type Client = ApiClient<Scripted>;

fn start() -> Seawall {
    Seawall::builder().time(Time::manual()).start().unwrap()
}

fn spawn(seawall: &Seawall, name: &str) -> Result<Client, SpawnError> {
    ready(seawall.spawn(name, Scripted::default()))
}

#[test]
fn two_in_one_process_know_nothing_of_each_other() {
    let (one, two) = (start(), start());
    let (in_one, in_two) = (spawn(&one, "api").unwrap(), spawn(&two, "api").unwrap());
    block_on(one.dependency("api").unwrap().force_open()).unwrap();
    assert!(ready(in_one.write("")).is_err());
    assert_eq!(ready(in_two.write("")), Ok(7));
    assert!(ready(one.shutdown(secs(1))).is_clean());
    assert_eq!(ready(in_two.write("")), Ok(7));
    assert!(block_on(two.dependency("api").unwrap().tell(Control::Snapshot)).is_ok());
}

#[test]
fn the_same_name_twice_is_an_error_until_the_last_client_is_gone() {
    let seawall = start();
    let client = spawn(&seawall, "api").unwrap();
    let error = spawn(&seawall, "api").unwrap_err();
    assert_eq!(error, SpawnError::AlreadySpawned { name: "api".into() });
    let clone = client.clone();
    drop(client);
    assert_eq!(ready(clone.write("")), Ok(7));
    assert!(spawn(&seawall, "api").is_err());
    drop(clone);
    assert!(seawall.dependency("api").is_none() && seawall.snapshots().is_empty());
    let again = spawn(&seawall, "api").unwrap();
    assert_eq!(seawall.snapshots()[0].calls(CallOutcome::Success), 0, "a new one from scratch");
    assert_eq!(ready(again.write("")), Ok(7));
}

#[test]
fn a_second_client_shares_everything_and_keeps_the_name() {
    let seawall = start();
    let first = spawn(&seawall, "api").unwrap();
    let second: Client = seawall.client("api", Scripted::default()).unwrap();
    block_on(seawall.dependency("api").unwrap().force_open()).unwrap();
    assert!(ready(first.write("")).is_err() && ready(second.write("")).is_err());
    assert_eq!(seawall.snapshots()[0].rejected_calls(RejectedBy::Breaker), 2);
    drop(first);
    assert!(spawn(&seawall, "api").is_err(), "the second one holds it");
    drop(second);
    let error = seawall.client::<Client>("api", Scripted::default()).unwrap_err();
    assert_eq!(error, SpawnError::NotSpawned { name: "api".into() });
}

#[test]
fn a_name_that_no_metric_could_carry_is_refused() {
    let seawall = start();
    for bad in ["", "a\nb", "\u{7f}", &"x".repeat(129)] {
        assert!(matches!(spawn(&seawall, bad), Err(SpawnError::BadName { .. })), "{bad:?}");
    }
    for good in ["a", "bezahlung-ü", &"x".repeat(128)] {
        assert!(spawn(&seawall, good).is_ok(), "{good:?}");
    }
}

#[test]
fn spawning_and_dropping_one_name_from_many_threads_leaves_it_free() {
    let seawall = start();
    let spawned = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    (0..500)
                        .filter(|_| {
                            spawn(&seawall, "api").is_ok_and(|client| {
                                assert_eq!(ready(client.write("")), Ok(7));
                                true
                            })
                        })
                        .count()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>()
    });
    assert!(spawned > 0);
    assert!(seawall.snapshots().is_empty());
    assert!(spawn(&seawall, "api").is_ok());
}

/// Runs one of the tests marked `ignore` in a process of its own, where no other test has threads.
#[cfg(target_os = "linux")]
fn alone(test: &str) {
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--test-threads=1", "-q"])
        .status()
        .unwrap();
    assert!(status.success(), "{test} failed in a process of its own");
}

/// Threads of ours. The system cuts names off after 15 bytes.
#[cfg(target_os = "linux")]
fn supervision_threads() -> usize {
    std::fs::read_dir("/proc/self/task")
        .unwrap()
        .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok())
        .filter(|name| name.trim_end() == "seawall-supervi")
        .count()
}

#[test]
#[cfg(target_os = "linux")]
fn the_last_drop_ends_the_thread() {
    alone("actors::life::threads_end_with_the_last_holder");
}

#[test]
#[ignore = "counts the process's threads, so it needs one to itself: see the_last_drop_ends_the_thread"]
#[cfg(target_os = "linux")]
fn threads_end_with_the_last_holder() {
    assert_eq!(supervision_threads(), 0);
    // The one that is last: Seawall itself, a client, a user's actor.
    let seawall = start();
    assert_eq!(supervision_threads(), 1, "one in all");
    let client = spawn(&seawall, "api").unwrap();
    let handle = seawall.dependency("api").unwrap();
    drop(seawall);
    assert!(block_on(handle.tell(Control::Snapshot)).is_ok(), "the client keeps it alive");
    assert_eq!(supervision_threads(), 1);
    drop(client);
    eventually("the thread ends after the last client", || supervision_threads() == 0);

    drop(start());
    eventually("the thread ends after Seawall", || supervision_threads() == 0);

    let seawall = start();
    let actor = seawall.actor("idle", || super::adopted::Idle);
    drop(seawall);
    assert_eq!(supervision_threads(), 1);
    drop(actor);
    eventually("the thread ends after the last actor", || supervision_threads() == 0);

    // After a shutdown, though somebody still holds everything.
    let seawall = start();
    let _client = spawn(&seawall, "api").unwrap();
    let _actor = seawall.actor("idle", || super::adopted::Idle);
    assert!(ready(seawall.shutdown(secs(1))).is_clean());
    eventually("the thread ends after a shutdown", || supervision_threads() == 0);

    // Many at once.
    let many: Vec<_> = (0..20).map(|_| start()).collect();
    assert_eq!(supervision_threads(), 20);
    drop(many);
    eventually("all threads end", || supervision_threads() == 0);
}

#[test]
fn a_page_for_the_applications_own_route_is_the_page_that_is_served() {
    let alone = start();
    assert!(alone.metrics_address().is_none());
    let client = spawn(&alone, "api").unwrap();
    let ok = |page: &str| {
        let ok = r#"seawall_calls_total{dependency="api",method="write",outcome="success"}"#;
        let line = page.lines().find_map(|line| line.strip_prefix(ok));
        line.map(|count| count.trim().to_owned())
    };
    assert_eq!(ok(&alone.render_metrics()).as_deref(), Some("0"), "{}", alone.render_metrics());
    ready(client.write("")).unwrap();
    assert_eq!(ok(&alone.render_metrics()).as_deref(), Some("1"));

    let seawall = Seawall::builder().time(Time::manual()).prometheus("127.0.0.1:0");
    let served = seawall.start().unwrap();
    let client = spawn(&served, "api").unwrap();
    ready(client.write("")).unwrap();
    let mut stream = std::net::TcpStream::connect(served.metrics_address().unwrap()).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, served.render_metrics());
}

#[test]
fn a_main_that_returns_our_errors_prints_messages_and_not_structs() {
    let shown = |error: &dyn std::fmt::Debug| format!("Error: {error:?}");
    let policy = "[pay]\ntimout = \"1s\"\n";
    let error = Seawall::builder().policy_text("pay.toml", policy).start().unwrap_err();
    let message = format!("Error: {error}");
    assert_eq!(shown(&error), message);
    assert!(message.contains("pay.toml:2:1") && message.contains("timeout"), "{message}");
    let error = Seawall::builder().prometheus("here").start().unwrap_err();
    let message = shown(&error);
    assert!(message.starts_with("Error: cannot serve metrics on `here`: "), "with why: {message}");
    let error = Policy::builder().timeout(secs(9)).deadline(secs(1)).build().unwrap_err();
    assert_eq!(shown(&error), format!("Error: {error}"));
    let error = seawall::limit::Config::token_bucket(0, 1.0).unwrap_err();
    assert_eq!(shown(&error), format!("Error: {error}"));
    let (seawall, name) = (start(), "x".repeat(200));
    let error = spawn(&seawall, &name).unwrap_err();
    assert_eq!(shown(&error), format!("Error: {error}"));
    assert_eq!(
        shown(&seawall.reload().unwrap_err()),
        "Error: there is no policy file to read \
         again: Seawall was started without `policy_file`"
    );
}
