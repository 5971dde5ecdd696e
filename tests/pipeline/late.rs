//! Answers that lie in their sockets while every thread that could read them is busy. An end that is noticed late must
//! not win against them.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use seawall::prelude::*;
use seawall::{State, Time};
use seawall::{backpressure, bulkhead, resilient};
use seawall_tests::PATIENCE;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::{self, Runtime};

const LIMIT: Duration = Duration::from_millis(100);
const CALLS: usize = 10;

#[resilient]
trait Echo {
    async fn ask(&self) -> std::io::Result<String>;
}

/// Asks over a socket of its own.
struct Raw(SocketAddr);

impl Echo for Raw {
    async fn ask(&self) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(self.0).await?;
        stream.write_all(b"ask\n").await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }
}

/// Asks over HTTP: the socket belongs to a task of the client's own, and head and body come one after the other.
struct OverHttp(SocketAddr, reqwest::Client);

impl Echo for OverHttp {
    async fn ask(&self) -> std::io::Result<String> {
        let answer = self.1.get(format!("http://{}/", self.0)).send().await;
        answer.map_err(std::io::Error::other)?.text().await.map_err(std::io::Error::other)
    }
}

/// A server on threads of its own, which answers the first [`CALLS`] requests when it is told to, and later ones at once.
struct Server {
    address: SocketAddr,
    /// A request has been read.
    asked: Receiver<()>,
    /// Tells one held connection to answer.
    answer: Sender<()>,
    /// A held connection has answered: the bytes are in the client's socket.
    answered: Receiver<()>,
}

impl Server {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (has_asked, asked) = channel();
        let (answer, may_answer) = channel::<()>();
        let (has_answered, answered) = channel();
        let may_answer = Arc::new(std::sync::Mutex::new(may_answer));
        std::thread::spawn(move || {
            for (number, connection) in listener.incoming().enumerate() {
                let (has_asked, has_answered) = (has_asked.clone(), has_answered.clone());
                let may_answer = Arc::clone(&may_answer);
                std::thread::spawn(move || {
                    let mut connection = connection.unwrap();
                    let mut request = [0; 1024];
                    assert!(connection.read(&mut request).unwrap() > 0);
                    let _ = has_asked.send(());
                    if number < CALLS && may_answer.lock().unwrap().recv().is_err() {
                        return;
                    }
                    let text: &[u8] = if request.starts_with(b"GET") {
                        b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\nfine"
                    } else {
                        b"fine"
                    };
                    connection.write_all(text).unwrap();
                    let _ = connection.shutdown(Shutdown::Write);
                    let _ = has_answered.send(());
                });
            }
        });
        Self { address, asked, answer, answered }
    }

    fn await_requests(&self) {
        for _ in 0..CALLS {
            self.asked.recv_timeout(PATIENCE).unwrap();
        }
    }

    fn answer_all(&self) {
        (0..CALLS).for_each(|_| self.answer.send(()).unwrap());
        for _ in 0..CALLS {
            self.answered.recv_timeout(PATIENCE).unwrap();
        }
    }
}

fn one_thread() -> Runtime {
    runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn two_threads() -> Runtime {
    runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Blocks this many of the runtime's threads until every limit of a call that began before has passed by far.
async fn block(threads: usize, server: Server) {
    let busy = Arc::new(Barrier::new(threads));
    let blockers: Vec<_> = (1..threads)
        .map(|_| {
            let busy = Arc::clone(&busy);
            tokio::spawn(async move { spin(&busy) })
        })
        .collect();
    let last = tokio::spawn(async move {
        server.answer_all();
        spin(&busy);
        server
    });
    for blocker in blockers {
        blocker.await.unwrap();
    }
    drop(last.await.unwrap());
}

fn spin(together: &Barrier) {
    together.wait();
    let time = Time::system();
    let until = time.now() + LIMIT + Duration::from_millis(50);
    while time.now() < until {
        std::hint::spin_loop();
    }
}

/// How many of the calls were answered, and the breaker's state afterwards.
fn answered<S: Echo + Send + Sync + 'static>(
    runtime: &Runtime,
    blocked: usize,
    calls: usize,
    policy: Policy,
    service: impl FnOnce(SocketAddr) -> S,
) -> (usize, State) {
    let server = Server::start();
    runtime.block_on(async {
        let seawall = Seawall::builder().policy("echo", policy).start().unwrap();
        let client: EchoClient<S> = seawall.spawn("echo", service(server.address)).await.unwrap();
        let calls: Vec<_> = (0..calls)
            .map(|_| {
                let client = client.clone();
                tokio::spawn(async move { client.ask().await })
            })
            .collect();
        let server = tokio::task::spawn_blocking(move || {
            server.await_requests();
            server
        });
        block(blocked, server.await.unwrap()).await;
        let mut answered = 0;
        for call in calls {
            answered += usize::from(call.await.unwrap().is_ok_and(|answer| answer == "fine"));
        }
        (answered, seawall.dependency("echo").unwrap().state())
    })
}

fn timeout() -> Policy {
    Policy::builder().timeout(LIMIT).build().unwrap()
}

fn deadline() -> Policy {
    Policy::builder().timeout(LIMIT).deadline(LIMIT).build().unwrap()
}

fn max_wait() -> Policy {
    Policy::builder()
        .bulkhead(bulkhead::Config::builder().max_concurrent(CALLS as u32).max_wait(LIMIT).build())
        .mailbox(backpressure::Config::builder().capacity(100).build())
        .build()
        .unwrap()
}

fn http(address: SocketAddr) -> OverHttp {
    OverHttp(address, reqwest::Client::builder().no_proxy().build().unwrap())
}

#[test]
fn answers_in_the_sockets_of_a_busy_thread_beat_the_timeout() {
    assert_eq!(answered(&one_thread(), 1, CALLS, timeout(), Raw), (CALLS, State::Closed));
    assert_eq!(answered(&one_thread(), 1, CALLS, timeout(), http), (CALLS, State::Closed));
}

#[test]
fn answers_in_the_sockets_of_a_busy_thread_beat_the_deadline() {
    assert_eq!(answered(&one_thread(), 1, CALLS, deadline(), Raw), (CALLS, State::Closed));
    assert_eq!(answered(&one_thread(), 1, CALLS, deadline(), http), (CALLS, State::Closed));
}

#[test]
fn permits_that_a_busy_thread_could_not_give_back_beat_max_wait() {
    let all = 2 * CALLS;
    assert_eq!(answered(&one_thread(), 1, all, max_wait(), Raw), (all, State::Closed));
    assert_eq!(answered(&one_thread(), 1, all, max_wait(), http), (all, State::Closed));
}

#[test]
fn the_same_with_one_or_both_of_two_workers_blocked() {
    for blocked in [1, 2] {
        for policy in [timeout(), deadline()] {
            let runtime = two_threads();
            assert_eq!(
                answered(&runtime, blocked, CALLS, policy.clone(), Raw),
                (CALLS, State::Closed)
            );
            assert_eq!(answered(&runtime, blocked, CALLS, policy, http), (CALLS, State::Closed));
        }
        let all = 2 * CALLS;
        assert_eq!(answered(&two_threads(), blocked, all, max_wait(), Raw), (all, State::Closed));
    }
}
