//! Where Seawall can be started: under every kind of runtime, and under none.

use std::time::Duration;

use seawall::actor::{Control, SupervisionError, actix};
use seawall::prelude::*;
use seawall::{Event, StartError, State, Time};
use seawall_tests::{Api, ApiClient, Scripted, Step, Tell, Trouble, block_on};

use crate::build::*;

fn broken(times: usize) -> Scripted {
    Scripted::new(vec![Step::Answer(Err(Trouble::Broken)); times])
}

/// A whole life: start, spawn, call, be refused, hear from the actor, shut down.
async fn a_whole_life(builder: seawall::runtime::Builder) {
    let seawall = builder.policy("api", base().build().unwrap()).start().unwrap();
    let client: ApiClient<_> = seawall.spawn("api", broken(3)).await.unwrap();
    for _ in 0..3 {
        assert_eq!(client.write("").await, Err(Trouble::Broken));
    }
    assert!(matches!(
        client.write("").await,
        Err(Trouble::Fault(Fault::Rejected { by: RejectedBy::Breaker, .. }))
    ));
    let handle = seawall.dependency("api").unwrap();
    let snapshot = handle.tell(Control::Snapshot).await.unwrap();
    assert_eq!(snapshot.state(), State::Open);
    assert_eq!(handle.reset().await.unwrap().state(), State::Closed);
    assert_eq!(client.write("").await, Ok(7));
    assert!(seawall.shutdown(Duration::from_secs(5)).await.is_clean());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_a_multi_thread_runtime() {
    a_whole_life(Seawall::builder()).await;
}

#[tokio::test(flavor = "current_thread")]
async fn under_a_current_thread_runtime() {
    a_whole_life(Seawall::builder()).await;
}

#[test]
fn under_an_actix_system() {
    actix::System::new().block_on(a_whole_life(Seawall::builder()));
}

#[test]
fn under_an_actix_system_with_the_actors_on_it() {
    actix::System::new().block_on(a_whole_life(Seawall::builder().on_this_runtime()));
}

#[test]
fn under_no_runtime() {
    block_on(a_whole_life(Seawall::builder()));
}

#[test]
fn started_under_none_and_used_under_one() {
    let seawall = Seawall::builder().start().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let client: ApiClient<_> = runtime.block_on(seawall.spawn("api", broken(0))).unwrap();
    let call = runtime.spawn(async move { client.write("").await });
    assert_eq!(runtime.block_on(call).unwrap(), Ok(7));
    let handle = seawall.dependency("api");
    assert!(handle.is_none() || runtime.block_on(handle.unwrap().reset()).is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_outlives_the_task_that_started_it() {
    let starter = tokio::spawn(async {
        let seawall = Seawall::builder().start().unwrap();
        seawall.spawn::<ApiClient<_>>("api", broken(0)).await.unwrap()
    });
    let client = starter.await.unwrap();
    assert_eq!(client.write("").await, Ok(7), "clients keep it alive");
}

#[tokio::test(start_paused = true)]
async fn on_this_runtime_a_paused_clock_drives_the_actors() {
    let local = tokio::task::LocalSet::new();
    local
        .run_until(async {
            let (tell, events) = Tell::new();
            let seawall = Seawall::builder()
                .time(Time::tokio())
                .on_this_runtime()
                .observer(tell)
                .policy("api", base().build().unwrap())
                .start()
                .unwrap();
            let client: ApiClient<_> = seawall.spawn("api", broken(3)).await.unwrap();
            for _ in 0..3 {
                client.write("").await.unwrap_err();
            }
            let opened = seawall.now();
            assert_eq!(seawall.dependency("api").unwrap().state(), State::Open);
            // Nobody calls. The clock runs ahead to whatever is due next: the actor's timer.
            Time::tokio().sleep(secs(6)).await;
            assert_eq!(seawall.dependency("api").unwrap().state(), State::HalfOpen);
            let moves: Vec<_> = events.try_iter().collect();
            let Some(Event::Transition { transition, .. }) = moves.last() else {
                panic!("{moves:?}")
            };
            let after = transition.at.since(opened);
            assert!(after >= secs(5) && after < ms(5010), "half-open after {after:?}");
            // A call that hangs ends by that clock too.
            client.service().then([Step::Hang]);
            let answer = client.write("").await;
            assert!(matches!(answer, Err(Trouble::Fault(Fault::TimedOut { .. }))), "{answer:?}");
            assert!(seawall.shutdown(secs(1)).await.is_clean());
        })
        .await;
}

fn says_that_it_needs_local_tasks(started: Result<Seawall, StartError>) {
    let error = started.map(drop).unwrap_err();
    assert!(matches!(&error, StartError::Supervision(SupervisionError::NoLocalSet)), "{error:?}");
    assert!(error.to_string().contains("LocalSet"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_this_runtime_is_an_error_where_there_are_no_local_tasks() {
    says_that_it_needs_local_tasks(Seawall::builder().on_this_runtime().start());
}

#[test]
fn on_this_runtime_is_an_error_where_there_is_no_runtime() {
    says_that_it_needs_local_tasks(Seawall::builder().on_this_runtime().start());
}
