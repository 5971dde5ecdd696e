//! Runs the examples as a user does, and holds them to what they say.

use std::path::PathBuf;
use std::process::Command;

fn lines(name: &str) -> Vec<String> {
    let test = std::env::current_exe().expect("this test's own path");
    let profile = test.parent().and_then(|deps| deps.parent()).expect("target/PROFILE/deps/TEST");
    let path: PathBuf =
        profile.join("examples").join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    let output = Command::new(&path)
        // Its own collector, whatever the machine exports to.
        .env_remove("OTEL_EXPORTER_OTLP_ENDPOINT")
        .output()
        .unwrap_or_else(|error| panic!("{path:?}: {error}"));
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

#[test]
fn grpc() {
    assert_eq!(
        lines("grpc_client"),
        [
            "well: Serving",
            "the server was told to answer within 800m",
            "ill: no disk",
            "ill: no disk",
            "ill: no disk",
            "refused: Unavailable, search: rejected by the circuit breaker (open)",
            "the server has seen 4 calls",
            "well again: Serving",
            "watched: Serving, permits out: 1",
            "watched: NotServing, permits out: 1",
            "the stream has ended, permits out: 0",
        ]
    );
}

#[test]
fn http() {
    assert_eq!(
        lines("http_client"),
        [
            "price: 200 OK, 9.90 euro",
            "order: 503 Service Unavailable, try again",
            "attempts: 3 failed, 1 answered, 4 at the server",
            "calls: 1 answered, 1 failed, permits out: 0",
        ]
    );
}

#[test]
fn repository() {
    assert_eq!(
        lines("repository"),
        [
            "POST /orders      201 Created 1",
            "GET /orders/1  while it is well: 200 OK, Retry-After: false",
            "GET /orders/2  while it is well: 404 Not Found, Retry-After: false",
            "GET /orders/1  refused by an operator: 503 Service Unavailable, Retry-After: false",
            "GET /orders/1  after a reset: 200 OK, Retry-After: false",
            "GET /orders/1  after the shutdown: 503 Service Unavailable, Retry-After: false",
        ]
    );
}

#[test]
fn traces() {
    assert_eq!(
        lines("traces"),
        [
            "balance: 100",
            "bank balance: attempts=2 outcome=success",
            "attempt below bank balance: attempt=1 outcome=failure error.type=failure",
            "attempt below bank balance: attempt=2 http.request.resend_count=1 outcome=success",
        ]
    );
}

/// What an example with a server of its own says, if one is installed; with the time to come back left out.
fn with_a_server(name: &str, expected: &[&str]) {
    let said = lines(name);
    if said[0].starts_with("skipped: ") {
        return;
    }
    let said: Vec<_> =
        said.iter().map(|line| line.split(", retry after").next().unwrap_or(line)).collect();
    assert_eq!(said, expected);
}

#[test]
fn postgres() {
    with_a_server(
        "postgres",
        &[
            "ten orders refused by the server, SQLSTATE 23505: the breaker is closed",
            "the server is killed: 5 failures in a row, it opens at 5",
            "refused: orders: rejected by the circuit breaker (open)",
            "it is back: 1 order",
        ],
    );
}

#[test]
fn redis() {
    with_a_server(
        "redis",
        &[
            "rate: Some(\"1.08\")",
            "ten commands refused by the server, WRONGTYPE: the breaker is closed",
            "the server is killed: 5 failures in a row, it opens at 5",
            "refused: cache: rejected by the circuit breaker (open)",
            "it is back: rate: None",
        ],
    );
}
