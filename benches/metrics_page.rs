//! The page of metrics of 1,000 dependencies with 5 methods, before any call and after a call of every method: its bytes,
//! as text and as gzip over HTTP, and the time for each, beside as many counters in the exporter crate's own recorder.

#![allow(clippy::print_stdout, reason = "a bench prints its figures")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use metrics::{Key, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use seawall::clock::Clock;
use seawall::prelude::*;
use seawall_benches::on_runtime;

const DEPENDENCIES: usize = 1_000;

/// The service: it answers at once.
#[derive(Debug, Clone)]
pub struct Ready;

/// Never made.
#[derive(Debug)]
pub struct Error;

impl From<Fault> for Error {
    fn from(_: Fault) -> Self {
        Self
    }
}

/// What the service offers.
#[resilient]
pub trait Service {
    /// One of five.
    async fn list(&self) -> Result<(), Error>;
    /// One of five.
    async fn get(&self) -> Result<(), Error>;
    /// One of five.
    async fn put(&self) -> Result<(), Error>;
    /// One of five.
    async fn delete(&self) -> Result<(), Error>;
    /// One of five.
    async fn search(&self) -> Result<(), Error>;
}

impl Service for Ready {
    async fn list(&self) -> Result<(), Error> {
        Ok(())
    }
    async fn get(&self) -> Result<(), Error> {
        Ok(())
    }
    async fn put(&self) -> Result<(), Error> {
        Ok(())
    }
    async fn delete(&self) -> Result<(), Error> {
        Ok(())
    }
    async fn search(&self) -> Result<(), Error> {
        Ok(())
    }
}

/// The bytes of a scrape's answer, its head among them.
fn scrape(address: SocketAddr) -> usize {
    let mut answer = Vec::new();
    let request = b"GET /metrics HTTP/1.1\r\nHost: bench\r\nAccept-Encoding: gzip\r\n\r\n";
    let done = TcpStream::connect(address).and_then(|mut stream| {
        stream.write_all(request)?;
        stream.read_to_end(&mut answer)
    });
    assert!(done.is_ok(), "no scrape: {done:?}");
    answer.len()
}

/// As many counters as all methods have: 10 outcomes of calls, and 6 of attempts.
fn counters_of_the_exporter() -> PrometheusHandle {
    let recorder = PrometheusBuilder::new().build_recorder();
    let metadata = Metadata::new("bench", Level::INFO, None);
    for dependency in 0..DEPENDENCIES {
        for method in ["list", "get", "put", "delete", "search"] {
            for outcome in 0..16 {
                let labels = vec![
                    Label::new("dependency", format!("dependency-{dependency}")),
                    Label::new("method", method),
                    Label::new("outcome", format!("outcome-{outcome}")),
                ];
                let key = Key::from_parts("peer_calls_total", labels);
                recorder.register_counter(&key, &metadata).increment(1);
            }
        }
    }
    recorder.handle()
}

/// The middle of the times that it takes, in milliseconds, and what it returned last.
fn timed(rounds: usize, mut run: impl FnMut() -> usize) -> (f64, usize) {
    let clock = Clock::system();
    let mut bytes = 0;
    let mut took: Vec<Duration> = (0..rounds)
        .map(|_| {
            let began = clock.now();
            bytes = run();
            clock.now().since(began)
        })
        .collect();
    took.sort_unstable();
    (took[took.len() / 2].as_secs_f64() * 1e3, bytes)
}

fn main() {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let rounds = if quick { 3 } else { 21 };
    let seawall = Seawall::builder().prometheus("127.0.0.1:0").start().expect("a free port");
    let clients: Vec<ServiceClient<Ready>> = (0..DEPENDENCIES)
        .map(|n| on_runtime(seawall.spawn(&format!("dependency-{n}"), Ready)).expect("a new name"))
        .collect();
    let address = seawall.metrics_address().expect("it serves");
    let peer = counters_of_the_exporter();

    println!("| methods | way | milliseconds | bytes |");
    println!("| --- | --- | --- | --- |");
    for methods in ["not called", "called"] {
        if methods == "called" {
            on_runtime(async {
                for client in &clients {
                    let calls = [client.list().await, client.get().await, client.put().await];
                    let more = [client.delete().await, client.search().await];
                    assert!(calls.iter().chain(&more).all(Result::is_ok));
                }
            });
        }
        let row = |way: &str, run: &mut dyn FnMut() -> usize| {
            let (took, bytes) = timed(rounds, run);
            println!("| {methods} | {way} | {took:.1} | {bytes} |");
        };
        row("`render_metrics`, text", &mut || seawall.render_metrics().len());
        row("scrape over HTTP, gzip", &mut || scrape(address));
        if methods == "called" {
            row("the exporter crate's recorder: their counters only", &mut || peer.render().len());
        }
    }
}
