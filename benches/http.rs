//! A whole system: HTTP requests over loopback by a real client to a real server, bare, through our client, and through the
//! glue. 64 tasks ask one after the other, on two threads that the server shares: as much as the machine can do.

#![allow(clippy::print_stdout, reason = "a bench prints its figures")]

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use seawall::clock::Clock;
use seawall::prelude::*;
use seawall_benches::{Effort, Glue, all_guards, median};
use tokio::runtime::Runtime;

/// Requests that are under way at once.
const TASKS: usize = 64;

/// What a web service is to its users.
#[resilient]
trait Shop {
    /// The price of a thing.
    #[call(idempotent)]
    async fn price(&self, thing: u32) -> Result<String, Error>;
}

/// What can go wrong.
#[derive(Debug)]
enum Error {
    Http(#[expect(dead_code, reason = "printed")] reqwest::Error),
    Fault(#[expect(dead_code, reason = "printed")] Fault),
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// The bare client.
#[derive(Clone)]
struct HttpShop {
    client: reqwest::Client,
    url: String,
}

impl HttpShop {
    /// With connections of its own.
    fn new(server: SocketAddr) -> Self {
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        Self { client, url: format!("http://{server}/price/") }
    }
}

impl Shop for HttpShop {
    async fn price(&self, thing: u32) -> Result<String, Error> {
        let answer = self.client.get(format!("{}{thing}", self.url)).send().await;
        let answer = answer.and_then(reqwest::Response::error_for_status).map_err(Error::Http)?;
        answer.text().await.map_err(Error::Http)
    }
}

async fn serve() -> SocketAddr {
    let price = async |thing: axum::extract::Path<u32>| format!("{}.99", thing.0);
    let router = axum::Router::new().route("/price/{thing}", axum::routing::get(price));
    let listener =
        tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// What a round came to.
struct Round {
    per_second: f64,
    p50: f64,
    p99: f64,
}

/// So many requests by each task, one after the other.
async fn round<F: Future + Send>(
    requests: u32,
    ask: impl Fn(u32) -> F + Clone + Send + 'static,
) -> Round {
    let clock = Clock::system();
    let began = clock.now();
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let (ask, clock) = (ask.clone(), clock.clone());
            tokio::spawn(async move {
                let mut took = Vec::with_capacity(requests as usize);
                for thing in 0..requests {
                    let began = clock.now();
                    ask(thing).await;
                    took.push(clock.now().since(began));
                }
                took
            })
        })
        .collect();
    let mut took = Vec::new();
    for task in tasks {
        took.extend(task.await.expect("no panic"));
    }
    let whole = clock.now().since(began);
    took.sort_unstable();
    let micros = |share: f64| {
        let length: Duration = took[((took.len() - 1) as f64 * share) as usize];
        length.as_secs_f64() * 1e6
    };
    Round {
        per_second: took.len() as f64 / whole.as_secs_f64(),
        p50: micros(0.5),
        p99: micros(0.99),
    }
}

/// Runs a round.
type Contender = Box<dyn Fn() -> Pin<Box<dyn Future<Output = Round>>>>;

fn contender<F: Future + Send + 'static>(
    requests: u32,
    ask: impl Fn(u32) -> F + Clone + Send + 'static,
) -> Contender {
    Box::new(move || Box::pin(round(requests, ask.clone())))
}

async fn contenders(requests: u32) -> (Seawall, [(&'static str, Contender); 3]) {
    let server = serve().await;
    let seawall = Seawall::builder().policy("shop", all_guards()).start().expect("starts");
    let client: ShopClient<HttpShop> =
        seawall.spawn("shop", HttpShop::new(server)).await.expect("spawned");
    let bare = HttpShop::new(server);
    let glue = Arc::new((Glue::new(), HttpShop::new(server)));
    let by_bare = contender(requests, move |thing| {
        let bare = bare.clone();
        async move { bare.price(thing).await.expect("answers") }
    });
    let by_client = contender(requests, move |thing| {
        let client = client.clone();
        async move { client.price(thing).await.expect("answers") }
    });
    let by_glue = contender(requests, move |thing| {
        let glue = Arc::clone(&glue);
        async move {
            let (guards, shop) = &*glue;
            guards.call(|| shop.price(thing)).await.expect("not refused").expect("answers")
        }
    });
    let named = [
        ("bare reqwest", by_bare),
        ("seawall, all guards, with metrics", by_client),
        ("glue, without metrics", by_glue),
    ];
    (seawall, named)
}

fn main() {
    let (rounds, requests) = if Effort::from_args().rounds > 3 { (31, 300) } else { (2, 20) };
    let runtime: Runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let (_seawall, contenders) = contenders(requests).await;
        let mut figures = [const { Vec::new() }; 3];
        for turn in 0..=rounds {
            // Each is first in turn: what one leaves behind meets each of the others.
            for at in (0..3).map(|at| (turn + at) % 3) {
                let round = contenders[at].1().await;
                // The first round makes the connections.
                if turn > 0 {
                    figures[at].push(round);
                }
            }
        }
        print(&contenders.map(|(name, _)| name), &figures);
    });
}

fn print(names: &[&str], figures: &[Vec<Round>]) {
    println!("\nHTTP over loopback, {TASKS} requests at a time, server and client on two threads");
    println!("| contender | requests/s | ÷ bare | p50 µs | p99 µs | p99 ÷ bare |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for (name, rounds) in names.iter().zip(figures) {
        let of = |what: fn(&Round) -> f64| median(rounds.iter().map(what));
        let to_bare = |what: fn(&Round) -> f64| {
            median(rounds.iter().zip(&figures[0]).map(|(own, bare)| what(own) / what(bare)))
        };
        println!(
            "| {name} | {:.0} | {:.3} | {:.0} | {:.0} | {:.3} |",
            of(|round| round.per_second),
            to_bare(|round| round.per_second),
            of(|round| round.p50),
            of(|round| round.p99),
            to_bare(|round| round.p99),
        );
    }
}
