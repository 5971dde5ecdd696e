//! The scrape endpoint: a thread of its own, and as little HTTP as a scraper needs.
//!
//! On a thread of its own because it must answer when the application's runtime is the thing in trouble.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt;
use std::future::{Future, pending, poll_fn};
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::task::Poll;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{ALLOW, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, VARY};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::clock::Moment;
use crate::sync::Mutex;
use crate::time::Time;

use super::gzip;

const TEXT: &str = "text/plain; charset=utf-8";
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";

const INDEX: &str =
    "<!doctype html><title>Seawall</title><p><a href=\"/metrics\">Metrics</a></p>\n";

/// The most bytes of a request's head that are kept.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// How much a peer can ask of the endpoint.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Connections at once.
    pub(super) connections: usize,
    /// How long a request's head may take to arrive.
    pub(super) head: Duration,
    /// How long a connection may last, the slowest reader's too.
    pub(super) connection: Duration,
    /// How long to leave the listener alone after it failed (out of descriptors, mostly).
    pub(super) pause: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 64,
            head: Duration::from_secs(5),
            connection: Duration::from_secs(30),
            pause: Duration::from_millis(100),
        }
    }
}

/// What both sides of the endpoint know.
struct Desk {
    render: Box<dyn Fn() -> String + Send + Sync>,
    /// No page that is made from now on may go out: what it tells of is being taken apart.
    closed: AtomicBool,
    stop: Notify,
}

impl Desk {
    /// The page; `None` once it is closed.
    fn page(&self) -> Option<thread::Result<String>> {
        // Every change it makes is made under a lock that does not poison, so it can be asked again.
        let page = catch_unwind(AssertUnwindSafe(&self.render));
        (!self.closed.load(Ordering::Acquire)).then_some(page)
    }
}

/// Serves a page of metrics over HTTP/1, from a thread named `seawall-exporter`.
///
/// | request | answer |
/// | --- | --- |
/// | `GET /metrics` | 200, the page; 500 if making it panicked; 503 if it was told to end before the page was made |
/// | `GET /` | 200, a link to it |
/// | another path | 404 |
/// | a method other than `GET` and `HEAD` | 405 |
///
/// One request a connection, then it is closed: a scrape comes every few seconds. At most 64 connections at once, 5 s for
/// a request's head of at most 16 KiB, 30 s for a connection in all. When all places are taken, the connection that has
/// waited longest for its request's head, and at least 50 ms, is closed, so idle connections keep no scraper waiting. Request bodies are not
/// read. Pages are made one at a time, on that thread, and compressed with gzip for peers that accept it.
///
/// **It does not authenticate.** The page names dependencies and methods and tells how they fare. Bind
/// it to loopback, or to an address that only your scraper reaches; any other address is your choice.
///
/// Dropped, or told to [`Server::shutdown`], it stops accepting and ends; an answer on its way may be cut
/// short. Neither waits for it: [`Server::join`] does.
pub struct Server {
    local_addr: SocketAddr,
    desk: Arc<Desk>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens on `addr`, and answers with what `render` returns. Port 0 takes any free port; see
    /// [`Server::local_addr`]. Listens by the time it returns. Blocks for the start of a thread, and to
    /// resolve `addr` if that is a host's name.
    ///
    /// # Errors
    /// If the address cannot be had, or there is no thread or poller to be had from the system.
    pub fn bind(
        addr: impl ToSocketAddrs,
        render: impl Fn() -> String + Send + Sync + 'static,
    ) -> io::Result<Self> {
        Self::bind_with(addr, render, Limits::default())
    }

    pub(super) fn bind_with(
        addr: impl ToSocketAddrs,
        render: impl Fn() -> String + Send + Sync + 'static,
        limits: Limits,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(addr)?;
        listener.set_nonblocking(true)?;
        let local_addr = listener.local_addr()?;
        let desk = Arc::new(Desk {
            render: Box::new(render),
            closed: AtomicBool::new(false),
            stop: Notify::new(),
        });
        let own = Arc::clone(&desk);
        let (started, start) = mpsc::sync_channel(1);
        let thread = thread::Builder::new().name("seawall-exporter".into()).spawn(move || {
            // Made here, not by the caller: dropping a runtime within another one's task panics.
            let (runtime, listener) = match prepare(listener) {
                Ok(ready) => ready,
                Err(error) => return drop(started.send(Err(error))),
            };
            drop(started.send(Ok(())));
            runtime.block_on(run(listener, own, limits));
        })?;
        start.recv().unwrap_or_else(|_| Err(io::Error::other("the exporter's thread died")))?;
        Ok(Self { local_addr, desk, thread: Some(thread) })
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Tells it to end, and does not wait until it has. Telling it again changes nothing.
    pub fn shutdown(&self) {
        self.desk.closed.store(true, Ordering::Release);
        self.desk.stop.notify_one();
    }

    /// Tells it to end and waits until it has: for a page that is just being made, at most. Blocks; the
    /// port is free afterwards. Not for the thread of an async task.
    pub fn join(mut self) {
        self.shutdown();
        if let Some(thread) = self.thread.take() {
            // A panic of that thread has been told of by the panic hook.
            let _ = thread.join();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shutdown();
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("local_addr", &self.local_addr).finish_non_exhaustive()
    }
}

fn prepare(
    listener: TcpListener,
) -> io::Result<(tokio::runtime::Runtime, tokio::net::TcpListener)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let context = runtime.enter();
    let listener = tokio::net::TcpListener::from_std(listener)?;
    drop(context);
    Ok((runtime, listener))
}

/// Accepts until told to stop. What is being served then goes with the runtime.
async fn run(listener: tokio::net::TcpListener, desk: Arc<Desk>, limits: Limits) {
    let places = Arc::new(Semaphore::new(limits.connections));
    let headless = Arc::new(Headless::default());
    let accept = async {
        loop {
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                // The peer's or the system's trouble; it passes.
                Err(_) => {
                    Time::tokio().sleep(limits.pause).await;
                    continue;
                }
            };
            if places.available_permits() == 0 {
                headless.dismiss_oldest();
            }
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            tokio::spawn(serve(stream, Arc::clone(&desk), limits, headless.join(), place));
        }
    };
    first(desk.stop.notified(), accept).await;
}

/// The connections whose request's head has not arrived, the oldest first. When all places are taken, the oldest gives
/// way: idle connections must not keep a scraper waiting.
#[derive(Default)]
struct Headless(Mutex<VecDeque<Arc<Notify>>>);

impl Headless {
    fn join(self: &Arc<Self>) -> AwaitsHead {
        let dismissed = Arc::new(Notify::new());
        self.0.lock().push_back(Arc::clone(&dismissed));
        let (headless, arrived) = (Arc::clone(self), AtomicBool::new(false));
        AwaitsHead { headless, dismissed, arrived, since: Time::tokio().now() }
    }

    fn dismiss_oldest(&self) {
        let oldest = self.0.lock().pop_front();
        oldest.iter().for_each(|dismissed| dismissed.notify_one());
    }
}

/// One of them, until its head has arrived or it has ended.
struct AwaitsHead {
    headless: Arc<Headless>,
    dismissed: Arc<Notify>,
    arrived: AtomicBool,
    since: Moment,
}

/// How long each connection has for its head, whatever else comes.
const GRACE: Duration = Duration::from_millis(50);

impl AwaitsHead {
    /// Ends when the connection must give way, and its head does not come even now.
    async fn dismissal(&self) {
        self.dismissed.notified().await;
        // A head may lie in the socket: the limit gives the I/O driver a turn before it is over.
        Time::tokio().limit(self.since + GRACE).await;
        if self.arrived.load(Ordering::Relaxed) {
            pending().await
        }
    }

    fn has_arrived(&self) {
        self.arrived.store(true, Ordering::Relaxed);
        self.headless.0.lock().retain(|other| !Arc::ptr_eq(other, &self.dismissed));
    }
}

impl Drop for AwaitsHead {
    fn drop(&mut self) {
        self.has_arrived();
    }
}

/// Serves one connection for as long as it may last.
async fn serve(
    stream: TcpStream,
    desk: Arc<Desk>,
    limits: Limits,
    head: AwaitsHead,
    _place: OwnedSemaphorePermit,
) {
    let answer = service_fn(|request: Request<_>| {
        head.has_arrived();
        let answer = respond(&request, &desk);
        async { Ok::<_, Infallible>(answer) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(HEAD_BYTES_MAX)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), answer);
    let over = first(Time::tokio().sleep(limits.connection), head.dismissal());
    // Whatever ends it, it is the peer's doing.
    first(connection, over).await;
}

/// Runs both until one has ended.
async fn first(one: impl Future, other: impl Future) {
    let (mut one, mut other) = (pin!(one), pin!(other));
    poll_fn(|cx| {
        let is_over = one.as_mut().poll(cx).is_ready() || other.as_mut().poll(cx).is_ready();
        if is_over { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

fn respond<B>(request: &Request<B>, desk: &Desk) -> Response<Full<Bytes>> {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    match request.uri().path() {
        "/" | "/metrics" if !is_read => {
            let mut answer = page(StatusCode::METHOD_NOT_ALLOWED, TEXT, "method not allowed\n");
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            answer
        }
        "/" => page(StatusCode::OK, HTML, INDEX),
        "/metrics" => match desk.page() {
            None => page(StatusCode::SERVICE_UNAVAILABLE, TEXT, "shutting down\n"),
            Some(Ok(text)) => metrics(request, text),
            Some(Err(_)) => {
                tracing::error!(target: "seawall", "making the page of metrics panicked");
                page(StatusCode::INTERNAL_SERVER_ERROR, TEXT, "the page could not be made\n")
            }
        },
        _ => page(StatusCode::NOT_FOUND, TEXT, "not found; the metrics are at /metrics\n"),
    }
}

fn metrics<B>(request: &Request<B>, text: String) -> Response<Full<Bytes>> {
    let is_gzip = gzip::is_wanted(request.headers(), text.len());
    let body = if is_gzip { gzip::compress(&text) } else { text.into_bytes() };
    let mut answer = page(StatusCode::OK, METRICS, body);
    let headers = answer.headers_mut();
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    if is_gzip {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    answer
}

fn page(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
