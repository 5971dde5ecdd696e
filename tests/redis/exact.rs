//! Limits that the server decides.

use std::sync::Arc;
use std::time::Duration;

use redis::cmd;
use seawall::clock::Clock;
use seawall::distributed::{
    DecidedBy, Memory, OnFailure, Per, Redis, Request, SharedDecision, SharedLimit, SharedLimits,
};
use seawall::limit::Config;
use seawall::{Seawall, State};

use super::proxy::Proxy;
use super::server::Server;

/// Long enough for a test's machine to be busy.
const PATIENT: Duration = Duration::from_secs(5);

fn limits(url: &str, limit: SharedLimit, decide_within: Duration) -> SharedLimits {
    let builder = SharedLimits::builder(Redis::open(url).unwrap()).limit(limit);
    builder.decide_within(decide_within).build().unwrap()
}

/// So long that no test is there when one window ends and the next begins.
const WINDOW: Duration = Duration::from_secs(30 * 24 * 3600);

fn a_hundred() -> SharedLimit {
    let config = Config::fixed_window(100, WINDOW).unwrap();
    SharedLimit::new("api", config).per(Per::Subject).on_failure(OnFailure::Closed)
}

async fn check(limits: &SharedLimits, subject: &str) -> SharedDecision {
    limits.check(&Request::of(subject), 1).await
}

fn spent(server: &Server, key: &str) -> Option<String> {
    cmd("GET").arg(key).query(&mut server.connection()).unwrap()
}

/// Three servers, each of which sees a part of one user's 105 requests. How many are admitted.
async fn thirty_forty_and_thirty_five(instances: &[SharedLimits]) -> u32 {
    let mut admitted = 0;
    for (instance, requests) in instances.iter().zip([30, 40, 35]) {
        let tasks: Vec<_> = (0..requests)
            .map(|_| {
                let instance = instance.clone();
                tokio::spawn(async move { check(&instance, "user:42").await })
            })
            .collect();
        for task in tasks {
            let decision = task.await.unwrap();
            assert_eq!(decision.by, DecidedBy::Store);
            admitted += u32::from(decision.decision.allowed);
        }
    }
    admitted
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_instances_admit_a_hundred_together_and_more_with_counters_of_their_own() {
    let server = Server::start();
    let shared: Vec<_> = (0..3).map(|_| limits(&server.url(), a_hundred(), PATIENT)).collect();
    assert_eq!(thirty_forty_and_thirty_five(&shared).await, 100);
    // Another user is another matter.
    assert!(check(&shared[0], "user:43").await.decision.allowed);
    let own = || SharedLimits::builder(Memory::default()).limit(a_hundred()).build().unwrap();
    assert_eq!(thirty_forty_and_thirty_five(&[own(), own(), own()]).await, 105);
}

/// What each loss of the server's state may cost, as the guide states it: one limit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loss_of_state_admits_one_limit_more_and_no_more() {
    let server = Server::start();
    let mut admitted = 0;
    for _ in 0..5 {
        let _: () = cmd("FLUSHALL").query(&mut server.connection()).unwrap();
        // Of instances that have not been refused yet: those that were remember it, and admit less.
        let limits = limits(&server.url(), a_hundred(), PATIENT);
        for _ in 0..150 {
            admitted += u32::from(check(&limits, "a").await.decision.allowed);
        }
    }
    assert_eq!(admitted, 5 * 100);
}

#[tokio::test]
async fn a_script_that_the_server_forgot_is_sent_again_and_counts_once() {
    let server = Server::start();
    let limits = limits(&server.url(), a_hundred(), PATIENT);
    assert_eq!(check(&limits, "a").await.decision.remaining, 99);
    let reloads = limits.counts().store.script_reloads;
    let _: () = cmd("SCRIPT").arg("FLUSH").query(&mut server.connection()).unwrap();
    assert_eq!(check(&limits, "a").await.decision.remaining, 98);
    assert_eq!(limits.counts().store.script_reloads, reloads + 1);
    assert_eq!(check(&limits, "a").await.decision.remaining, 97);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_lost_is_not_asked_for_again() {
    let server = Server::start();
    let proxy = Proxy::start(server.port());
    let limits = limits(&proxy.url(), a_hundred(), PATIENT);
    assert_eq!(check(&limits, "a").await.decision.remaining, 99);
    // The script runs, and its answer gets no further than here.
    proxy.cut_the_next_answer();
    let decision = check(&limits, "a").await;
    assert_eq!(decision.by, DecidedBy::Failure(OnFailure::Closed));
    assert!(!decision.decision.allowed);
    // By another connection: the one that was lost has counted, once.
    assert_eq!(check(&limits, "a").await.decision.remaining, 97);
    assert_eq!(limits.counts().failures, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_sent_to_a_server_that_stood_still_is_not_done_when_it_wakes() {
    let server = Server::start();
    let limits = limits(&server.url(), a_hundred(), Duration::from_millis(50));
    // The first may take longer: it connects, and learns the server's clock.
    while !check(&limits, "a").await.decision.allowed {}
    let key = "seawall:{=a}:api:-:fixed";
    let before = spent(&server, key).unwrap();
    server.pause();
    for _ in 0..5 {
        let decision = check(&limits, "a").await;
        assert_eq!(decision.by, DecidedBy::Failure(OnFailure::Closed));
    }
    server.wake();
    // Answered by the same connection, so behind all that had been sent to it.
    assert_eq!(spent(&server, key).unwrap(), before);
    let mut answered = check(&limits, "a").await;
    while answered.by != DecidedBy::Store {
        answered = check(&limits, "a").await;
    }
    let count = |text: &str| text.split(':').nth(1).unwrap().parse::<u64>().unwrap();
    assert_eq!(count(&spent(&server, key).unwrap()), count(&before) + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_comes_back_is_asked_again() {
    let mut server = Server::start();
    let limits = limits(&server.url(), a_hundred(), Duration::from_millis(200));
    while check(&limits, "a").await.by != DecidedBy::Store {}
    server.kill();
    assert_eq!(check(&limits, "a").await.by, DecidedBy::Failure(OnFailure::Closed));
    server.run();
    let back = async { while check(&limits, "b").await.by != DecidedBy::Store {} };
    tokio::time::timeout(Duration::from_secs(2), back).await.expect("back within 2 s");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_checks_of_one_key_share_scripts_and_decide_as_one_by_one() {
    let server = Server::start();
    let limits = limits(&server.url(), a_hundred(), PATIENT);
    assert!(check(&limits, "warm").await.decision.allowed);
    let before = limits.counts().store.round_trips;
    let tasks: Vec<_> = (0..1_000)
        .map(|_| {
            let limits = limits.clone();
            tokio::spawn(async move { check(&limits, "hot").await.decision })
        })
        .collect();
    let mut left = Vec::new();
    let mut refused = 0;
    for task in tasks {
        match task.await.unwrap() {
            decision if decision.allowed => left.push(decision.remaining),
            _ => refused += 1,
        }
    }
    left.sort_unstable();
    assert_eq!(left, (0..100).collect::<Vec<_>>());
    assert_eq!(refused, 900);
    let scripts = limits.counts().store.round_trips - before;
    assert!(scripts <= 100, "{scripts} scripts for 1,000 checks");
}

#[tokio::test]
async fn a_key_that_is_refused_is_asked_about_once() {
    let server = Server::start();
    let config = Config::token_bucket(2, 0.001).unwrap();
    let limit = SharedLimit::new("api", config).per(Per::Subject);
    let limits = limits(&server.url(), limit, PATIENT);
    for _ in 0..2 {
        assert!(check(&limits, "a").await.decision.allowed);
    }
    let before = limits.counts().store.round_trips;
    let first = check(&limits, "a").await.decision;
    for _ in 0..100 {
        let again = check(&limits, "a").await;
        assert!(!again.decision.allowed && again.by == DecidedBy::Store);
        assert!(again.decision.retry_after.unwrap() <= first.retry_after.unwrap());
    }
    // At most a sign of life came between.
    assert!(limits.counts().store.round_trips - before <= 3);
    assert_eq!(limits.counts().remembered, 100);
    assert!(check(&limits, "b").await.decision.allowed);
}

#[tokio::test]
async fn a_refusal_writes_nothing_and_every_key_expires() {
    let server = Server::start();
    let window = Duration::from_secs(100);
    let configs = [
        ("fixed", Config::fixed_window(1, window).unwrap(), 100_000),
        ("sliding", Config::sliding_window(1, window).unwrap(), 200_000),
        ("log", Config::sliding_log(1, window).unwrap(), 100_000),
        ("bucket", Config::token_bucket(1, 0.01).unwrap(), 100_000),
    ];
    for (name, config, longest) in configs {
        let limit = SharedLimit::new(name, config).per(Per::Subject);
        // Two, because one remembers that it was refused.
        let (first, second) =
            (limits(&server.url(), limit.clone(), PATIENT), limits(&server.url(), limit, PATIENT));
        assert!(check(&first, "a").await.decision.allowed);
        let key = format!("seawall:{{=a}}:{name}:-:{name}");
        let mut connection = server.connection();
        let dump = |connection: &mut redis::Connection| -> Vec<u8> {
            cmd("DUMP").arg(&key).query(connection).unwrap()
        };
        let before = dump(&mut connection);
        let alive: i64 = cmd("PTTL").arg(&key).query(&mut connection).unwrap();
        assert!((1..=longest + 1).contains(&alive), "{name}: {alive} ms");
        assert!(!check(&second, "a").await.decision.allowed, "{name}");
        assert_eq!(dump(&mut connection), before, "{name}");
        let later: i64 = cmd("PTTL").arg(&key).query(&mut connection).unwrap();
        assert!((1..=alive).contains(&later), "{name}: {later} ms after {alive}");
    }
}

/// Set by a window's first, and left alone by all others; a sliding window's counts until the end of the next.
#[tokio::test]
async fn a_windows_key_lives_for_as_long_as_it_counts_whoever_comes() {
    let server = Server::start();
    let window = Duration::from_secs(1_000);
    for (name, windows, config) in [
        ("fixed", 1, Config::fixed_window(100, window).unwrap()),
        ("sliding", 2, Config::sliding_window(100, window).unwrap()),
    ] {
        let limit = SharedLimit::new(name, config).per(Per::Subject);
        let limits = limits(&server.url(), limit, PATIENT);
        let mut connection = server.connection();
        for _ in 0..3 {
            assert!(check(&limits, "a").await.decision.allowed);
            let now: (i64, i64) = cmd("TIME").query(&mut connection).unwrap();
            let key = format!("seawall:{{=a}}:{name}:-:{name}");
            let alive: i64 = cmd("PTTL").arg(key).query(&mut connection).unwrap();
            let into = now.0 % 1_000 * 1_000 + now.1 / 1_000;
            // At 1.9 windows of two it is there: it ends with the second.
            let expected = windows * 1_000_000 - into;
            assert!((alive - expected).abs() <= 20, "{name}: {alive} ms, {expected} expected");
        }
    }
}

#[tokio::test]
async fn all_limits_of_a_request_are_taken_in_one_round_trip_or_none() {
    let server = Server::start();
    let of = |name: &'static str, limit, per| {
        SharedLimit::new(name, Config::sliding_window(limit, WINDOW).unwrap()).per(per)
    };
    let limits = SharedLimits::builder(Redis::open(server.url()).unwrap())
        .limit(of("global", 5, Per::All).on_failure(OnFailure::Open))
        .limit(of("user", 3, Per::Subject).on_failure(OnFailure::Open))
        .limit(of("endpoint", 2, Per::SubjectAndPart).on_failure(OnFailure::Open))
        .decide_within(PATIENT)
        .build()
        .unwrap();
    let ask = async |user: &'static str, part: &'static str| {
        let decision = limits.check(&Request::of(user).part(part), 1).await;
        (decision.decision.allowed, decision.limit.to_string())
    };
    assert_eq!(ask("a", "x").await, (true, "endpoint".to_owned()));
    let before = limits.counts().store.round_trips;
    assert_eq!(ask("a", "x").await, (true, "endpoint".to_owned()));
    assert_eq!(limits.counts().store.round_trips - before, 1);
    assert_eq!(ask("a", "x").await, (false, "endpoint".to_owned()));
    assert_eq!(ask("a", "y").await, (true, "user".to_owned()));
    assert_eq!(ask("a", "y").await, (false, "user".to_owned()));
    // What was refused has taken nothing from anybody.
    let shown = limits.show(&Request::of("a").part("y")).await.unwrap();
    let left: Vec<_> = shown.iter().map(|(_, decision)| decision.remaining).collect();
    assert_eq!(left, [2, 0, 1]);
    assert_eq!(limits.reset(&Request::of("a").part("x")).await.unwrap(), 3);
    assert!(ask("a", "x").await.0);
    let top = limits.top("user", 10).await.unwrap().unwrap();
    assert_eq!(top.len(), 1);
    assert_eq!(top[0].0.subject.as_deref(), Some("a"));
    assert_eq!(limits.top("nobody", 10).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_whose_future_is_dropped_leaves_the_next_its_turn() {
    let server = Server::start();
    let limits = Arc::new(limits(&server.url(), a_hundred(), PATIENT));
    assert!(check(&limits, "a").await.decision.allowed);
    for _ in 0..50 {
        let dropped = {
            let limits = Arc::clone(&limits);
            tokio::spawn(async move { check(&limits, "a").await })
        };
        tokio::task::yield_now().await;
        dropped.abort();
        let next = check(&limits, "a").await;
        assert_eq!(next.by, DecidedBy::Store);
    }
}

/// Redis is a dependency, too: its breaker opens, and then nobody waits for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guarded_server_that_stands_still_is_not_waited_for() {
    let server = Server::start();
    let seawall = Seawall::builder().start().unwrap();
    let redis = Redis::open(server.url()).unwrap();
    let store = seawall.guard_store("limits-redis", redis).await.unwrap();
    let limits = SharedLimits::builder(store).limit(a_hundred()).build().unwrap();
    while check(&limits, "a").await.by != DecidedBy::Store {}
    server.pause();
    let is_open = || seawall.dependency("limits-redis").unwrap().state() == State::Open;
    let opens = async {
        while !is_open() {
            check(&limits, "a").await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), opens).await.expect("it opens");
    let clock = Clock::system();
    let begin = clock.now();
    for _ in 0..10 {
        assert_eq!(check(&limits, "a").await.by, DecidedBy::Failure(OnFailure::Closed));
    }
    // Waited for, they would take half a second.
    assert!(clock.now().since(begin) < Duration::from_millis(250));
    server.wake();
    let back = async { while check(&limits, "b").await.by != DecidedBy::Store {} };
    tokio::time::timeout(Duration::from_secs(2), back).await.expect("back within 2 s");
}

/// A reload: other settings, and what was spent is kept. So it is when a subject's tier changes.
#[tokio::test]
async fn what_was_spent_is_kept_by_other_settings() {
    let server = Server::start();
    let hour = Duration::from_secs(3600);
    let configs = [
        (Config::fixed_window(10, hour), Config::fixed_window(20, hour)),
        (Config::fixed_window(10, hour), Config::fixed_window(20, hour * 2)),
        (Config::sliding_window(10, hour), Config::sliding_window(20, hour * 2)),
        (Config::sliding_log(10, hour), Config::sliding_log(20, hour * 2)),
        (Config::token_bucket(10, 0.001), Config::token_bucket(20, 0.003)),
        (Config::leaky_bucket(10, 0.001), Config::leaky_bucket(20, 0.0001)),
    ];
    for (at, (before, after)) in configs.into_iter().enumerate() {
        let limit = |config| {
            SharedLimit::new("api", config).per(Per::Subject).on_failure(OnFailure::Closed)
        };
        let (before, after) = (before.unwrap(), after.unwrap());
        let subject = format!("s{at}");
        let with_tier = limits(&server.url(), limit(before).tier("premium", after), PATIENT);
        let reloaded = limits(&server.url(), limit(after), PATIENT);
        for left in (6..10).rev() {
            let decision = check(&with_tier, &subject).await.decision;
            assert_eq!((decision.allowed, decision.remaining), (true, left), "{before:?}");
        }
        let premium = Request::of(&subject).tier("premium");
        let decision = with_tier.check(&premium, 1).await.decision;
        assert_eq!((decision.limit, decision.remaining), (20, 15), "{before:?}, {after:?}");
        assert_eq!(check(&reloaded, &subject).await.decision.remaining, 14, "{after:?}");
        // Another algorithm begins anew.
        let other = Config::sliding_log(3, hour).unwrap();
        if before.name() != other.name() {
            let other = limits(&server.url(), limit(other), PATIENT);
            assert_eq!(check(&other, &subject).await.decision.remaining, 2);
        }
    }
}

/// As an application has them: by its policy file, with the store as a dependency whose policy has a section of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_of_a_policy_file_are_in_the_server_and_guarded() {
    let server = Server::start();
    let policy = format!(
        r#"
        [limits.api]
        store = "{}"
        namespace = "shop"
        decide_within = "5s"
        layers.all = {{ mode = "leased", lease = 10, fixed_window = {{ limit = 100, window = "30days" }} }}
        layers.user = {{ per = "subject", fixed_window = {{ limit = 3, window = "30days" }} }}

        ["limits.api"]
        bulkhead.max_concurrent = 77
        "#,
        server.url()
    );
    let start = || Seawall::builder().policy_text("f", &policy).start().unwrap();
    let (one, other) = (start(), start());
    let (first, second) = (one.limits("api").await.unwrap(), other.limits("api").await.unwrap());
    for limits in [&first, &second, &first] {
        assert!(check(limits, "ann").await.decision.allowed);
    }
    assert!(!check(&second, "ann").await.decision.allowed);
    let snapshot = one.dependency("limits.api").unwrap().snapshot();
    assert_eq!(snapshot.limit, 77);
    assert_eq!(spent(&server, "shop:{=ann}:user:-:fixed").unwrap().split(':').nth(1), Some("3"));
    let all =
        || spent(&server, "shop:{-all}:all:-:fixed").unwrap().split(':').nth(1).map(str::to_owned);
    assert_eq!(all().as_deref(), Some("20"), "two leases");
    // A shutdown gives back what is not used.
    one.shutdown(Duration::from_secs(5)).await;
    assert_eq!(all().as_deref(), Some("12"), "a lease, and the two that were used of the other");
    other.shutdown(Duration::from_secs(5)).await;
    assert_eq!(all().as_deref(), Some("3"));
}
