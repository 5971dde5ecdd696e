//! Breakers that know of each other through a server, and what they have learned.

use std::io;
use std::time::Duration;

use redis::cmd;
use seawall::breaker::adaptive::{self, HistoryStore as _};
use seawall::breaker::{CircuitBreaker, Config};
use seawall::clock::Moment;
use seawall::distributed::{Redis, RedisHistory, SharedBreakers};
use seawall::runtime::Calls;
use seawall::{Seawall, State};

use super::server::Server;

const POLICY: &str = r#"
    payments.breaker = { failures = 3, first_open_for = "500ms", open_for = "500ms", half_open_calls = 1, success_threshold = 1 }
"#;

async fn call(calls: &Calls, works: bool) -> bool {
    let answer = calls.call("charge", async || {
        if works { Ok(()) } else { Err(io::Error::from(io::ErrorKind::ConnectionRefused)) }
    });
    answer.await.is_ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn breakers_open_and_close_together_by_way_of_the_server() {
    let server = Server::start();
    let settings = SharedBreakers::builder().look_every(Duration::from_millis(20)).build().unwrap();
    let mut instances = Vec::new();
    for _ in 0..3 {
        let seawall = Seawall::builder().policy_text("f", POLICY).start().unwrap();
        let calls = seawall.calls("payments", &["charge"]).await.unwrap();
        let redis = Redis::open(server.url()).unwrap();
        let sharing = seawall.share_breakers(redis, &["payments"], settings);
        instances.push((seawall, calls, sharing));
    }
    let is_everywhere =
        |state| instances.iter().all(|it| it.0.dependency("payments").unwrap().state() == state);
    for _ in 0..3 {
        call(&instances[0].1, false).await;
    }
    let open = async {
        while !is_everywhere(State::Open) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), open).await.expect("open everywhere");
    // One is let in when the time is up, and closes all.
    let closed = async {
        while !is_everywhere(State::Closed) {
            call(&instances[1].1, true).await;
            call(&instances[2].1, true).await;
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), closed).await.expect("closed everywhere");
    // Nothing stays behind for ever.
    let keys: Vec<String> = cmd("KEYS").arg("*breaker*").query(&mut server.connection()).unwrap();
    for key in keys {
        let alive: i64 = cmd("PTTL").arg(&key).query(&mut server.connection()).unwrap();
        assert!((0..=60_000).contains(&alive) || alive == -2, "{key}: {alive}");
    }
}

#[test]
fn what_a_breaker_has_learned_is_read_by_the_next_instance() {
    let server = Server::start();
    let [one, other] = [0; 2].map(|_| RedisHistory::open(&server.url(), "shop").unwrap());
    assert_eq!(one.load("payments").unwrap().history, None);
    let config = Config::builder().adaptive(adaptive::Config::builder().build().unwrap());
    let breaker = CircuitBreaker::new(config.build().unwrap(), Moment::ZERO);
    let history = breaker.history().unwrap();
    one.save("payments", &history).unwrap();
    assert_eq!(other.load("payments").unwrap().history, Some(history));
    assert_eq!(other.load("other").unwrap().history, None);
    let garbage = "shop:{breaker-payments}:history";
    let _: () = cmd("SET").arg(garbage).arg("x").query(&mut server.connection()).unwrap();
    let loaded = one.load("payments").unwrap();
    assert_eq!((loaded.history, loaded.rejected.len()), (None, 1));
    drop(server);
    assert!(one.load("payments").is_err());
    assert!(RedisHistory::open("redis://h", "a b").is_err());
}
