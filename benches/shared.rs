//! One limit over many machines: a decision of each mode beside what Redis and its client take by themselves.
//!
//! It starts a redis-server of its own on a free port; without one installed it says so and measures nothing.

#![allow(clippy::print_stdout, reason = "a bench prints its figures")]

use std::cell::Cell;
use std::hint::black_box;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Client, Script};
use seawall::clock::Clock;
use seawall::distributed::{Mode, Per, Redis, Request, SharedLimit, SharedLimits};
use seawall::limit::Config;
use seawall_benches::{Contender, Effort, compare_on};
use tokio::runtime::Runtime;

#[path = "../examples/shared_limit/server.rs"]
mod server;

use server::Server;

/// The usual fixed window, `INCR` and then `EXPIRE`, in one script.
const INCR_EXPIRE: &str = "local current = redis.call('INCR', KEYS[1]) \
    if current == 1 then redis.call('EXPIRE', KEYS[1], ARGV[2]) end \
    if current > tonumber(ARGV[1]) then return 0 end return 1";
/// Ours, as any client could call it.
const OURS: &str = concat!(
    include_str!("../framework/src/distributed/redis/lua/algorithms.lua"),
    include_str!("../framework/src/distributed/redis/lua/take.lua"),
);

/// What is asked, with whose key.
trait Asked: Fn(MultiplexedConnection, String) -> Self::Answer + Copy + Send + 'static {
    type Answer: Future<Output = ()> + Send;
}

impl<F, A> Asked for F
where
    F: Fn(MultiplexedConnection, String) -> A + Copy + Send + 'static,
    A: Future<Output = ()> + Send,
{
    type Answer = A;
}

/// `calls` of these, so many tasks at once, each with a key of its own.
fn raw(
    runtime: &Runtime,
    connection: &MultiplexedConnection,
    tasks: u32,
    calls: u32,
    ask: impl Asked,
) {
    runtime.block_on(async {
        let task = |number: u32| {
            let connection = connection.clone();
            async move {
                for _ in 0..calls / tasks {
                    ask(connection.clone(), format!("raw:{number}")).await;
                }
            }
        };
        let tasks: Vec<_> = (0..tasks).map(|number| tokio::spawn(task(number))).collect();
        for task in tasks {
            task.await.expect("no panic");
        }
    });
}

fn checks(runtime: &Runtime, limits: &SharedLimits, tasks: u32, calls: u32) {
    runtime.block_on(async {
        let task = |number: u32| {
            let limits = limits.clone();
            async move {
                let subject = format!("user:{number}");
                for _ in 0..calls / tasks {
                    let decision = limits.check(&Request::of(&subject), 1).await;
                    assert!(decision.decision.allowed, "{decision:?}");
                }
            }
        };
        let tasks: Vec<_> = (0..tasks).map(|number| tokio::spawn(task(number))).collect();
        for task in tasks {
            task.await.expect("no panic");
        }
    });
}

/// Of a group of their own: an instance before them may be taken for alive for a second.
fn limits(server: &Server, mode: Mode, group: u32) -> SharedLimits {
    let config = Config::token_bucket(1 << 32, 1e8).expect("valid");
    let limit = SharedLimit::new(mode.as_str(), config).per(Per::Subject).mode(mode);
    let store = Redis::open(server.url()).expect("an address");
    let builder = SharedLimits::builder(store)
        .limit(limit.lease(1_000_000))
        .group(format!("{}-{group}", mode.as_str()));
    builder.decide_within(Duration::from_secs(5)).build().expect("valid")
}

async fn incr(mut connection: MultiplexedConnection, key: String) {
    let _: i64 = redis::cmd("INCR").arg(key).query_async(&mut connection).await.expect("an answer");
}

thread_local! {
    static SCRIPTS: Cell<Option<(Script, Script)>> = const { Cell::new(None) };
}

/// Each thread's own: a `Script` computes its digest once.
fn with_script<R>(which: impl FnOnce(&(Script, Script)) -> R) -> R {
    SCRIPTS.with(|cell| {
        let scripts = cell.take().unwrap_or_else(|| (Script::new(INCR_EXPIRE), Script::new(OURS)));
        let result = which(&scripts);
        cell.set(Some(scripts));
        result
    })
}

async fn incr_expire(mut connection: MultiplexedConnection, key: String) {
    let script = with_script(|(script, _)| script.clone());
    let answer = script.key(key).arg(u32::MAX).arg(60).invoke_async::<i64>(&mut connection).await;
    black_box(answer.expect("an answer"));
}

async fn ours(mut connection: MultiplexedConnection, key: String) {
    let script = with_script(|(_, script)| script.clone());
    let mut call = script.key(key + ":ours");
    for argument in ["", "", "1", "bucket", "4294967296", "0", "10485", "1", ""] {
        call.arg(argument);
    }
    black_box(call.invoke_async::<Vec<i64>>(&mut connection).await.expect("an answer"));
}

fn beside(server: &Server, runtime: &Runtime, effort: Effort, tasks: u32) {
    let client = Client::open(server.url()).expect("an address");
    let connection = runtime.block_on(client.get_multiplexed_async_connection());
    let connection = &connection.expect("a connection");
    let (exact, leased) = (limits(server, Mode::Exact, tasks), limits(server, Mode::Leased, tasks));
    let local = limits(server, Mode::LocalShare, tasks);
    let contenders = [
        Contender::new("redis-rs, our script", |n| raw(runtime, connection, tasks, n, ours)),
        Contender::new("redis-rs, INCR and EXPIRE", |n| {
            raw(runtime, connection, tasks, n, incr_expire);
        }),
        Contender::new("redis-rs, INCR", |n| raw(runtime, connection, tasks, n, incr)),
        Contender::new("seawall, exact", |n| checks(runtime, &exact, tasks, n)),
        Contender::new("seawall, leased", |n| checks(runtime, &leased, tasks, n)),
        Contender::new("seawall, local_share", |n| checks(runtime, &local, tasks, n)),
    ];
    compare_on(&format!("{tasks} at once, each with a key of its own"), &[1], effort, &contenders);
}

/// How long a leased check takes, one by one.
fn latencies(server: &Server, runtime: &Runtime, count: usize) {
    let limits = limits(server, Mode::Leased, 0);
    let clock = Clock::system();
    let mut took: Vec<u64> = runtime.block_on(async {
        let request = Request::of("user:1");
        limits.check(&request, 1).await;
        let mut took = Vec::with_capacity(count);
        for _ in 0..count {
            let begin = clock.now();
            black_box(limits.check(&request, 1).await);
            took.push(clock.now().since(begin).as_nanos() as u64);
        }
        took
    });
    took.sort_unstable();
    let at = |part: f64| took.get((count as f64 * part) as usize).copied().unwrap_or(0);
    println!(
        "\na leased check, one by one: p50 {} ns, p99 {} ns, p99.9 {} ns",
        at(0.5),
        at(0.99),
        at(0.999)
    );
}

fn main() {
    let server = match Server::start() {
        Ok(server) => server,
        Err(error) => return println!("shared: nothing is measured: {error}"),
    };
    let quick = std::env::args().any(|argument| argument == "--quick");
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let effort = |operations| {
        if quick { Effort { rounds: 2, operations: 320 } } else { Effort { rounds: 9, operations } }
    };
    beside(&server, &runtime, effort(4_000), 1);
    beside(&server, &runtime, effort(32_000), 64);
    latencies(&server, &runtime, if quick { 1_000 } else { 1_000_000 });
}
