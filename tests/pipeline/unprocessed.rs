//! What a server says that it has not begun is sent once more, though it is not idempotent. Against a real server of HTTP/2.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use seawall::outcome::AttemptKind;
use seawall::prelude::*;
use seawall::{CallError, CallOutcome, Outcome, Policy, Snapshot, classify, resilient, retry};
use seawall_tests::PATIENCE;
use tokio::net::TcpListener;

use super::build::*;

/// What has come to the server.
#[derive(Default)]
struct Seen {
    streams: AtomicU32,
    executed: AtomicU32,
}

/// How a server treats its first streams.
#[derive(Clone, Copy)]
enum First {
    /// So many are reset with REFUSED_STREAM.
    Refused(u32),
    /// So many are reset with INTERNAL_ERROR, which does not say that nothing was done.
    Broken(u32),
}

/// Executes a request, and answers 200; but for the first.
async fn serve(first: First) -> (SocketAddr, Arc<Seen>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Arc::new(Seen::default());
    let counted = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let seen = Arc::clone(&counted);
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(socket).await.unwrap();
                while let Some(Ok((_request, mut respond))) = connection.accept().await {
                    let stream = seen.streams.fetch_add(1, Ordering::SeqCst);
                    match first {
                        First::Refused(some) if stream < some => {
                            respond.send_reset(h2::Reason::REFUSED_STREAM);
                        }
                        First::Broken(some) if stream < some => {
                            respond.send_reset(h2::Reason::INTERNAL_ERROR);
                        }
                        _ => {
                            seen.executed.fetch_add(1, Ordering::SeqCst);
                            let response = axum::http::Response::new(());
                            respond.send_response(response, true).unwrap();
                        }
                    }
                }
            });
        }
    });
    (address, seen)
}

#[resilient(errors = "wrapped", classify = classify::reqwest)]
trait Bank {
    /// Charging twice would charge twice.
    #[call(unprocessed = not_begun)]
    async fn charge(&self, account: String, cents: u64) -> Result<u16, reqwest::Error>;
    async fn withdraw(&self, cents: u64) -> Result<u16, reqwest::Error>;
    #[call(idempotent)]
    async fn balance(&self) -> Result<u16, reqwest::Error>;
}

fn not_begun(error: &reqwest::Error) -> bool {
    classify::unprocessed(error)
}

struct Http {
    client: reqwest::Client,
    url: String,
}

impl Http {
    fn new(address: SocketAddr, retries: reqwest::retry::Builder) -> Self {
        let client = reqwest::Client::builder().http2_prior_knowledge().no_proxy().retry(retries);
        Self { client: client.build().unwrap(), url: format!("http://{address}/") }
    }

    async fn post(&self, body: String) -> Result<u16, reqwest::Error> {
        Ok(self.client.post(&self.url).body(body).send().await?.status().as_u16())
    }
}

impl Bank for Http {
    async fn charge(&self, account: String, cents: u64) -> Result<u16, reqwest::Error> {
        self.post(format!("{account} {cents}")).await
    }
    async fn withdraw(&self, cents: u64) -> Result<u16, reqwest::Error> {
        self.post(cents.to_string()).await
    }
    async fn balance(&self) -> Result<u16, reqwest::Error> {
        self.post(String::new()).await
    }
}

fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(PATIENCE, test).await.unwrap() })
}

fn policy(attempts: u32) -> Policy {
    let retry = retry::Config::builder().max_attempts(attempts).base_delay(Duration::ZERO);
    base().breaker(trips_after(100)).retry(retry).build().unwrap()
}

/// A client of such a server, whose own retries are off.
async fn bank(first: First, policy: Policy) -> (Seawall, BankClient<Http>, Arc<Seen>) {
    let (address, seen) = serve(first).await;
    let seawall = Seawall::builder().policy("bank", policy).start().unwrap();
    let service = Http::new(address, reqwest::retry::never());
    let client = seawall.spawn("bank", service).await.unwrap();
    (seawall, client, seen)
}

fn snapshot(seawall: &Seawall) -> Snapshot {
    seawall.dependency("bank").unwrap().snapshot()
}

fn counts(seen: &Seen) -> (u32, u32) {
    (seen.streams.load(Ordering::SeqCst), seen.executed.load(Ordering::SeqCst))
}

#[test]
fn a_charge_that_is_refused_once_is_sent_again_once_and_executed_once() {
    run(async {
        let (seawall, bank, seen) = bank(First::Refused(1), policy(3)).await;
        assert_eq!(bank.charge("7".into(), 1299).await.unwrap(), 200);
        assert_eq!(counts(&seen), (2, 1));
        let now = snapshot(&seawall);
        assert_eq!(now.attempts_of(AttemptKind::Original, Outcome::Unprocessed), 1);
        assert_eq!(now.attempts_of(AttemptKind::Retry, Outcome::Success), 1);
        assert_eq!((now.retries, now.calls(CallOutcome::Success)), (1, 1));
        // What our metrics count is what the server has seen: nobody retries unseen.
        let counted: u64 = Outcome::ALL.iter().map(|outcome| now.attempts(*outcome)).sum();
        assert_eq!(counted, u64::from(counts(&seen).0));
    });
}

#[test]
fn it_is_sent_again_once_only_and_not_without_retries_in_the_policy() {
    run(async {
        let (_seawall, bank, seen) = bank(First::Refused(9), policy(9)).await;
        let error = bank.charge("7".into(), 1).await.unwrap_err();
        assert!(matches!(error, CallError::Inner(_)), "{error:?}");
        assert_eq!(counts(&seen), (2, 0));
    });
    run(async {
        let (_seawall, bank, seen) = bank(First::Refused(1), policy(2)).await;
        assert!(bank.charge("7".into(), 1).await.is_ok());
        assert_eq!(counts(&seen), (2, 1));
    });
    run(async {
        let (_seawall, bank, seen) = bank(First::Refused(1), policy(1)).await;
        assert!(bank.charge("7".into(), 1).await.is_err());
        assert_eq!(counts(&seen), (1, 0));
    });
}

#[test]
fn what_may_have_been_begun_and_what_does_not_say_is_not_sent_again() {
    run(async {
        let (_seawall, bank, seen) = bank(First::Broken(1), policy(3)).await;
        assert!(bank.charge("7".into(), 1).await.is_err());
        assert_eq!(counts(&seen), (1, 0));
    });
    run(async {
        let (_seawall, bank, seen) = bank(First::Refused(1), policy(3)).await;
        assert!(bank.withdraw(1).await.is_err());
        assert_eq!(counts(&seen), (1, 0));
        // An idempotent method goes by the policy, as ever.
        assert_eq!(bank.balance().await.unwrap(), 200);
    });
}

#[test]
fn a_refused_connection_is_not_begun_either() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let seawall = Seawall::builder().policy("bank", policy(3)).start().unwrap();
        let service = Http::new(address, reqwest::retry::never());
        let bank: BankClient<Http> = seawall.spawn("bank", service).await.unwrap();
        assert!(bank.charge("7".into(), 1).await.is_err());
        let now = snapshot(&seawall);
        assert_eq!((now.attempts(Outcome::Unprocessed), now.retries), (2, 1));
    });
}

/// Why the guide says to switch a client's own retries off.
#[test]
fn a_client_that_retries_by_itself_is_seen_by_nobody() {
    run(async {
        let (address, seen) = serve(First::Refused(1)).await;
        let seawall = Seawall::builder().policy("bank", policy(1)).start().unwrap();
        let client = reqwest::Client::builder().http2_prior_knowledge().no_proxy().build().unwrap();
        let service = Http { client, url: format!("http://{address}/") };
        let bank: BankClient<Http> = seawall.spawn("bank", service).await.unwrap();
        assert_eq!(bank.charge("7".into(), 1).await.unwrap(), 200);
        let counted: u64 = Outcome::ALL.iter().map(|it| snapshot(&seawall).attempts(*it)).sum();
        assert_eq!((counted, counts(&seen)), (1, (2, 1)), "two at the server, one in the metrics");
    });
}
