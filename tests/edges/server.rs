//! An axum server behind a limit, on a port of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::get;
use seawall::clock::{Clock, Moment};
use seawall::layer::{Limit, RateLimitLayer};
use seawall::limit::{Rate, RateLimiter, TokenBucket};

/// What has come through, by the server's own clock.
#[derive(Debug, Default)]
pub(super) struct Seen {
    admitted: AtomicU64,
    /// When the first request came, in nanoseconds; zero: none has.
    first: AtomicU64,
    last: AtomicU64,
}

impl Seen {
    pub(super) fn admitted(&self) -> u64 {
        self.admitted.load(Ordering::SeqCst)
    }

    /// Seconds from the first request to the last answer.
    pub(super) fn seconds(&self) -> f64 {
        let [first, last] = [&self.first, &self.last].map(|it| it.load(Ordering::SeqCst));
        Moment::from_nanos(last).since(Moment::from_nanos(first)).as_secs_f64()
    }

    async fn watch(self: Arc<Self>, clock: Clock, request: Request, next: Next) -> Response {
        let now = clock.now().as_nanos();
        let _ = self.first.compare_exchange(0, now, Ordering::SeqCst, Ordering::SeqCst);
        let response = next.run(request).await;
        self.last.fetch_max(clock.now().as_nanos(), Ordering::SeqCst);
        response
    }
}

pub(super) struct Server {
    pub(super) address: SocketAddr,
    pub(super) seen: Arc<Seen>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    /// A server with `/`, `/users/{id}` and `/health` behind this layer.
    pub(super) async fn start<L: Limit + 'static>(layer: RateLimitLayer<L>) -> Self {
        let seen = Arc::new(Seen::default());
        let counted = Arc::clone(&seen);
        let hello = move || {
            counted.admitted.fetch_add(1, Ordering::SeqCst);
            async { "hello" }
        };
        let watching = Arc::clone(&seen);
        let clock = Clock::system();
        let watch = from_fn(move |request: Request, next: Next| {
            Arc::clone(&watching).watch(clock.clone(), request, next)
        });
        let app = Router::new()
            .route("/", get(hello.clone()))
            .route("/users/{id}", get(hello.clone()))
            .route("/health", get(hello))
            .layer(layer)
            .layer(watch)
            .into_make_service_with_connect_info::<SocketAddr>();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, seen, task }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(super) fn bucket(capacity: u64, per_second: f64) -> TokenBucket {
    TokenBucket::new(&Rate::new(capacity, per_second).unwrap())
}

pub(super) fn limiter(capacity: u64, per_second: f64) -> RateLimiter<TokenBucket> {
    RateLimiter::new(bucket(capacity, per_second), Clock::system().now())
}

/// A client that no proxy in the environment gets between.
pub(super) fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// Serves on a port of its own.
pub(super) async fn serve(app: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    address
}
