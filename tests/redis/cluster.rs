//! Limits in a Cluster: of one subject together, through changes of who has what.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::{Value, cmd};
use seawall::distributed::{
    DecidedBy, Mode, OnFailure, Per, Redis, Request, SharedLimit, SharedLimits,
};
use seawall::limit::Config;

use super::server::Cluster;

fn store(cluster: &Cluster) -> Redis {
    Redis::builder(cluster.servers[0].url())
        .server(cluster.servers[1].url())
        .cluster()
        .build()
        .unwrap()
}

/// In a window so long that the test is not there when it ends.
fn window(limit: u64) -> Config {
    Config::fixed_window(limit, Duration::from_secs(30 * 24 * 3600)).unwrap()
}

fn limits(cluster: &Cluster) -> SharedLimits {
    let user = SharedLimit::new("user", window(100)).per(Per::Subject);
    let endpoint = SharedLimit::new("endpoint", window(50)).per(Per::SubjectAndPart);
    SharedLimits::builder(store(cluster))
        .limit(SharedLimit::new("global", window(100_000)).mode(Mode::Leased).lease(1_000))
        .limit(user.on_failure(OnFailure::Closed))
        .limit(endpoint.on_failure(OnFailure::Closed))
        .decide_within(Duration::from_millis(500))
        .build()
        .unwrap()
}

fn key(subject: &str) -> String {
    format!("seawall:{{={subject}}}:user:-:fixed")
}

async fn left(limits: &SharedLimits, subject: &str, part: &str) -> Option<u64> {
    let decision = limits.check(&Request::of(subject).part(part), 1).await;
    let is_decided = decision.by != DecidedBy::Failure(OnFailure::Closed);
    (is_decided && decision.decision.allowed).then_some(decision.decision.remaining)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_of_one_subject_hold_together_while_slots_move_and_masters_change() {
    let cluster = Cluster::start();
    let limits = limits(&cluster);
    // All servers have some of these.
    let users: Vec<_> = (0..24).map(|user| format!("u{user}")).collect();
    for user in &users {
        // The first may have to find its server.
        while left(&limits, user, "x").await.is_none() {}
        assert_eq!(left(&limits, user, "x").await, Some(48), "{user}");
        assert_eq!(left(&limits, user, "y").await, Some(49), "{user}");
    }
    // Others ask meanwhile, without a pause, by an instance of their own.
    let (busy, ends) = (many(&cluster), Arc::new(AtomicBool::new(false)));
    let load: Vec<_> = (0..8)
        .map(|number| {
            let (busy, ends) = (busy.clone(), Arc::clone(&ends));
            tokio::spawn(async move {
                let (subject, mut decided) = (format!("busy{number}"), 0_u64);
                while !ends.load(Ordering::Relaxed) {
                    let decision = busy.check(&Request::of(&subject), 1).await;
                    assert!(decision.decision.allowed, "{decision:?}");
                    decided += u64::from(decision.by == DecidedBy::Store);
                }
                decided
            })
        })
        .collect();
    moved_slots_are_followed(&cluster, &limits).await;
    let _cluster = a_killed_master_is_replaced(cluster, &limits, &users).await;
    // All of them are decided by their servers again.
    for number in 0..8 {
        let subject = format!("busy{number}");
        let back =
            async { while busy.check(&Request::of(&subject), 1).await.by != DecidedBy::Store {} };
        tokio::time::timeout(Duration::from_secs(2), back).await.expect("back within 2 s");
    }
    ends.store(true, Ordering::Relaxed);
    for task in load {
        assert!(task.await.expect("no panic") > 0);
    }
}

/// A limit that is never reached: without its server a request is admitted, too.
fn many(cluster: &Cluster) -> SharedLimits {
    let limit = SharedLimit::new("busy", window(100_000_000)).per(Per::Subject);
    SharedLimits::builder(store(cluster)).limit(limit).build().unwrap()
}

/// While a slot moves, keys that have gone are asked for at the new server (`ASK`); then the old one says so (`MOVED`).
async fn moved_slots_are_followed(cluster: &Cluster, limits: &SharedLimits) {
    let (from, _) = cluster.of(&key("u0"));
    let others: Vec<_> =
        ["u1", "u2", "u3", "u4", "u5", "u6"].map(|it| cluster.of(&key(it)).0).into();
    let to = *others.iter().find(|other| **other != from).unwrap();
    let (old, new) = (&cluster.servers[from], &cluster.servers[to]);
    let id = |at: usize| -> String {
        cmd("CLUSTER").arg("MYID").query(&mut cluster.servers[at].connection()).unwrap()
    };
    let slot: u64 =
        cmd("CLUSTER").arg("KEYSLOT").arg(key("u0")).query(&mut old.connection()).unwrap();
    let set = |at: usize, what: &str, node: &str| {
        let mut command = cmd("CLUSTER");
        command.arg("SETSLOT").arg(slot).arg(what).arg(node);
        let _: Value = command.query(&mut cluster.servers[at].connection()).unwrap();
    };
    set(to, "IMPORTING", &id(from));
    set(from, "MIGRATING", &id(to));
    let mut migrate = cmd("MIGRATE");
    migrate.arg("127.0.0.1").arg(new.port()).arg("").arg(0).arg(1_000).arg("KEYS");
    let keys: Vec<String> = cmd("CLUSTER")
        .arg("GETKEYSINSLOT")
        .arg(slot)
        .arg(100)
        .query(&mut old.connection())
        .unwrap();
    let _: Value = migrate.arg(keys).query(&mut old.connection()).unwrap();
    assert_eq!(left(limits, "u0", "x").await, Some(47));
    for at in [to, from] {
        set(at, "NODE", &id(to));
    }
    assert_eq!(left(limits, "u0", "x").await, Some(46));
    assert_eq!(left(limits, "u0", "x").await, Some(45));
    assert_eq!(limits.counts().failures, 0);
}

async fn a_killed_master_is_replaced(
    mut cluster: Cluster,
    limits: &SharedLimits,
    users: &[String],
) -> Cluster {
    let (master, replica) = cluster.of(&key("u1"));
    cluster.servers[master].kill();
    let _: Value = cmd("CLUSTER")
        .arg("FAILOVER")
        .arg("TAKEOVER")
        .query(&mut cluster.servers[replica].connection())
        .unwrap();
    let back = async { while left(limits, "u1", "z").await.is_none() {} };
    tokio::time::timeout(Duration::from_secs(2), back).await.expect("back within 2 s");
    // The others are there as before.
    for user in users {
        let decided = async { while left(limits, user, "z").await.is_none() {} };
        tokio::time::timeout(Duration::from_secs(2), decided).await.expect("decided");
    }
    cluster
}

#[test]
fn exact_limits_of_different_subjects_are_refused_by_a_cluster() {
    let redis = Redis::builder("redis://127.0.0.1:1").cluster().build().unwrap();
    let built = SharedLimits::builder(redis)
        .limit(SharedLimit::new("global", window(100)))
        .limit(SharedLimit::new("user", window(10)).per(Per::Subject))
        .build();
    let error = built.unwrap_err().to_string();
    assert!(error.contains("\"global\", Exact") && error.contains("on a Cluster"), "{error}");
}
