//! The endpoint, over raw sockets.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use super::Driven;
use super::parser::parse;
use crate::telemetry::prometheus::Exporter;
use crate::telemetry::server::{Limits, Server};

const ANY_PORT: &str = "127.0.0.1:0";

fn connect(addr: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(addr).unwrap();
    // Far longer than any answer takes: only a hang runs into it.
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream
}

/// Everything that the server says until it closes.
fn hear(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
        Err(error) => panic!("{error}"),
    }
    String::from_utf8(answer).unwrap()
}

fn ask(addr: SocketAddr, request: &str) -> (String, String) {
    let mut stream = connect(addr);
    stream.write_all(request.as_bytes()).unwrap();
    split(&hear(stream))
}

fn split(answer: &str) -> (String, String) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
    (head.to_ascii_lowercase(), body.into())
}

fn get(addr: SocketAddr, path: &str) -> (String, String) {
    ask(addr, &format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"))
}

fn assert_serves(addr: SocketAddr, page: &str) {
    let (head, body) = get(addr, "/metrics");
    assert!(head.starts_with("http/1.1 200 ok"), "{head}");
    assert_eq!(body, page);
}

#[test]
fn a_scraper_gets_the_page_as_prometheus_text() {
    let payments = Driven::new("payments");
    payments.call(0, Duration::from_millis(1), Ok(1));
    let dependency = Arc::clone(payments.dependency());
    let exporter = Exporter::new();
    let server = Server::bind(ANY_PORT, move || exporter.render([&dependency])).unwrap();
    for path in ["/metrics", "/metrics?name=x"] {
        let (head, body) = get(server.local_addr(), path);
        assert!(head.starts_with("http/1.1 200 ok"), "{head}");
        assert!(head.contains("\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8"));
        assert!(head.contains(&format!("\r\ncontent-length: {}", body.len())), "{head}");
        parse(&body).assert_one_state_each();
    }
}

#[test]
fn a_scraper_that_takes_gzip_gets_the_page_compressed() {
    let page = "seawall_calls_total{dependency=\"payments\"} 0\n".repeat(1_000);
    let served = page.clone();
    let server = Server::bind(ANY_PORT, move || served.clone()).unwrap();
    let mut stream = connect(server.local_addr());
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept-Encoding: deflate, gzip\r\n\r\n")
        .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    let (head, body) = answer.split_at(end);
    let head = std::str::from_utf8(head).unwrap().to_ascii_lowercase();
    assert!(head.contains("\r\ncontent-encoding: gzip\r\n"), "{head}");
    assert!(head.contains("\r\nvary: accept-encoding\r\n"), "{head}");
    assert!(head.contains(&format!("\r\ncontent-length: {}\r\n", body.len())), "{head}");
    assert!(body.len() * 20 < page.len(), "{} of {}", body.len(), page.len());
    let mut text = String::new();
    flate2::read::GzDecoder::new(body).read_to_string(&mut text).unwrap();
    assert_eq!(text, page);
    let (head, body) = get(server.local_addr(), "/metrics");
    assert!(!head.contains("content-encoding") && body == page, "{head}");
}

#[test]
fn the_other_requests_of_a_well_meaning_peer() {
    let server = Server::bind(ANY_PORT, || "x 1\n".into()).unwrap();
    let addr = server.local_addr();
    let (head, body) = ask(addr, "HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(head.starts_with("http/1.1 200 ok"), "{head}");
    assert!(head.contains("content-length: 4") && body.is_empty(), "{head} {body}");
    let (head, body) = get(addr, "/");
    assert!(head.starts_with("http/1.1 200") && body.contains("href=\"/metrics\""), "{head}");
    for path in ["/metric", "/metrics/", "/favicon.ico", "//metrics", "/../metrics"] {
        assert!(get(addr, path).0.starts_with("http/1.1 404"), "{path}");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "BREW"] {
        let request =
            format!("{method} /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi");
        let (head, _) = ask(addr, &request);
        assert!(head.starts_with("http/1.1 405"), "{head}");
        assert!(head.contains("\r\nallow: get, head"), "{head}");
    }
    let (head, body) = ask(addr, "GET /metrics HTTP/1.0\r\n\r\n");
    assert!(head.starts_with("http/1.0 200") && body == "x 1\n", "{head}");
}

#[test]
fn garbage_is_refused_and_the_next_scrape_served() {
    let server = Server::bind(ANY_PORT, || "x 1\n".into()).unwrap();
    let addr = server.local_addr();
    let long = format!("GET /metrics HTTP/1.1\r\nX: {}\r\n\r\n", "y".repeat(1_000_000));
    for garbage in
        ["\0\x01\x02\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "\r\n", "", &long]
    {
        let mut stream = connect(addr);
        // It may close before it has all of it.
        let _ = stream.write_all(garbage.as_bytes());
        let _ = stream.shutdown(Shutdown::Write);
        let (head, body) = split(&hear(stream));
        assert!(head.is_empty() || head.starts_with("http/1.1 4"), "{head}");
        assert_ne!(body, "x 1\n");
    }
    assert_serves(addr, "x 1\n");
}

#[test]
fn dawdlers_are_shut_out_and_the_scraper_gets_its_turn() {
    let short = Duration::from_millis(50);
    let limits = Limits { connections: 4, head: short, ..Limits::default() };
    let server = Server::bind_with(ANY_PORT, || "x 1\n".into(), limits).unwrap();
    let dawdlers: Vec<_> = (0..20)
        .map(|n| {
            let mut stream = connect(server.local_addr());
            stream.write_all(&b"GET /metrics HTTP/1.1\r\nHo"[..n]).unwrap();
            stream
        })
        .collect();
    assert_serves(server.local_addr(), "x 1\n");
    for dawdler in dawdlers {
        assert!(!hear(dawdler).contains("200 OK"));
    }
}

#[test]
fn a_scrape_among_hundreds_of_idle_connections_takes_no_time() {
    let patient = Limits { head: Duration::from_secs(600), ..Limits::default() };
    let patient = Limits { connection: Duration::from_secs(600), ..patient };
    let server = Server::bind_with(ANY_PORT, || "page".into(), patient).unwrap();
    // Each scrape would wait for ten minutes behind them, were no connection to give way.
    let mut idle: Vec<_> = (0..200).map(|_| connect(server.local_addr())).collect();
    assert_serves(server.local_addr(), "page");
    idle.extend((0..100).map(|_| connect(server.local_addr())));
    assert_serves(server.local_addr(), "page");
    // Those that came first gave way, the last ones are still there and are served.
    let mut last = idle.pop().unwrap();
    last.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    assert_eq!(split(&hear(last)).1, "page");
    assert_eq!(hear(idle.swap_remove(0)), "", "closed");
}

#[test]
fn one_who_never_reads_is_cut_off() {
    let limits =
        Limits { connections: 1, connection: Duration::from_millis(200), ..Limits::default() };
    let asked = AtomicUsize::new(0);
    let render = move || match asked.fetch_add(1, Ordering::Relaxed) {
        // More than the system's buffers take.
        0 => "x 1\n".repeat(16 << 20),
        _ => "x 1\n".into(),
    };
    let server = Server::bind_with(ANY_PORT, render, limits).unwrap();
    let mut deaf = connect(server.local_addr());
    deaf.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut first = [0];
    deaf.read_exact(&mut first).unwrap();
    assert_serves(server.local_addr(), "x 1\n");
}

#[test]
fn a_large_page_arrives_whole() {
    let page = "seawall_calls_total{dependency=\"payments\"} 1\n".repeat(200_000);
    let served = page.clone();
    let server = Server::bind(ANY_PORT, move || served.clone()).unwrap();
    assert_serves(server.local_addr(), &page);
}

#[test]
fn many_at_once_are_all_served() {
    let server = Server::bind(ANY_PORT, || "x 1\n".into()).unwrap();
    // More than it serves at once; as many more as that and the system's backlog would turn some away.
    let asked = || {
        let mut stream = connect(server.local_addr());
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        stream
    };
    let streams: Vec<_> = (0..150).map(|_| asked()).collect();
    for stream in streams.into_iter().rev() {
        assert_eq!(split(&hear(stream)).1, "x 1\n");
    }
}

#[test]
fn a_page_that_panics_is_an_error_500_and_the_next_one_is_served() {
    let asked = AtomicUsize::new(0);
    let server = Server::bind(ANY_PORT, move || {
        assert!(asked.fetch_add(1, Ordering::Relaxed) % 2 == 1, "on purpose");
        "x 1\n".into()
    })
    .unwrap();
    for _ in 0..3 {
        let (head, body) = get(server.local_addr(), "/metrics");
        assert!(head.starts_with("http/1.1 500"), "{head}");
        assert!(!body.contains("on purpose"), "no insides to strangers");
        assert_serves(server.local_addr(), "x 1\n");
    }
}

#[test]
fn an_address_in_use_is_an_error_at_once() {
    let taken = TcpListener::bind(ANY_PORT).unwrap();
    let error = Server::bind(taken.local_addr().unwrap(), String::new).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    assert!(Server::bind("no address", String::new).is_err());
}

#[test]
fn the_port_is_free_once_it_has_been_joined() {
    let server = Server::bind(ANY_PORT, String::new).unwrap();
    let addr = server.local_addr();
    server.shutdown();
    server.shutdown();
    server.join();
    assert!(TcpStream::connect(addr).is_err());
    Server::bind(addr, String::new).unwrap().join();
}

#[test]
fn dropping_it_does_not_wait_for_a_page_and_ends_the_thread() {
    let (in_render, rendering) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let held = Arc::new(());
    let guard = Arc::clone(&held);
    let server = Server::bind(ANY_PORT, move || {
        let _ = &guard;
        in_render.send(()).unwrap();
        let _ = released.lock().unwrap().recv();
        String::new()
    })
    .unwrap();
    let mut stream = connect(server.local_addr());
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    rendering.recv().unwrap();
    drop(server); // The thread is in the middle of a page, and stays there until released.
    drop(release);
    let heard = hear(stream);
    assert!(!heard.contains(" 200 "), "a page of what is being taken apart: {heard}");
    assert!(rendering.recv().is_err(), "the closure was dropped with the thread");
}

#[tokio::test]
async fn it_starts_and_fails_and_stops_within_a_runtime() {
    let server = Server::bind(ANY_PORT, String::new).unwrap();
    assert!(Server::bind(server.local_addr(), String::new).is_err());
    drop(server);
}
