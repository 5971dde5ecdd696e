//! Guards around reqwest, by a layer around its client. The server fails now and then: what may be repeated is, what may
//! not is not.
#![expect(clippy::print_stdout, reason = "that is what it is for")]

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use reqwest::{Client, Request};
use seawall::{CallOutcome, Outcome, Seawall};
use tower::{Layer, Service};

const POLICY: &str = r#"
[shop]
deadline = "2s"
timeout = "800ms"
retry = { max_attempts = 3, base_delay = "10ms" }
"#;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let attempts = Arc::new(AtomicU64::new(0));
    let address = serve(Arc::clone(&attempts)).await?;

    // The client's own retries are off: no budget would see them.
    let client = Client::builder().retry(reqwest::retry::never()).no_proxy().build()?;
    let seawall = Seawall::builder().policy_text("example.toml", POLICY).start()?;
    let layer = seawall
        .layer("shop")
        .methods(&["order"])
        .idempotent(&["price"], Request::try_clone)
        .label(|request| match request.path {
            path if path.starts_with("/price/") => "price",
            "/orders" => "order",
            _ => "other",
        })
        .spawn()
        .await?;
    let mut shop = layer.layer(client.clone());

    let url = |path: &str| format!("http://{address}{path}");
    let price = shop.call(client.get(url("/price/hammer")).build()?).await?;
    println!("price: {}, {}", price.status(), price.text().await?);
    let order = shop.call(client.post(url("/orders")).build()?).await?;
    println!("order: {}, {}", order.status(), order.text().await?);

    let snapshot = seawall.dependency("shop").ok_or("it was spawned")?.snapshot();
    let failed = snapshot.attempts(Outcome::Failure);
    let answered = snapshot.attempts(Outcome::Success);
    println!("attempts: {failed} failed, {answered} answered, {} at the server", {
        attempts.load(Ordering::SeqCst)
    });
    let (well, ill) = (snapshot.calls(CallOutcome::Success), snapshot.calls(CallOutcome::Failure));
    println!("calls: {well} answered, {ill} failed, permits out: {}", snapshot.active);
    seawall.shutdown(Duration::from_secs(1)).await;
    Ok(())
}

// ---- the server ----

/// Fails twice, then answers once, and so on.
async fn serve(attempts: Arc<AtomicU64>) -> std::io::Result<SocketAddr> {
    let answer = |State(attempts): State<Arc<AtomicU64>>, headers: HeaderMap| async move {
        let waited_for = headers.get("x-envoy-expected-rq-timeout-ms").is_some();
        match (attempts.fetch_add(1, Ordering::SeqCst) % 3, waited_for) {
            (2, true) => (StatusCode::OK, "9.90 euro"),
            _ => (StatusCode::SERVICE_UNAVAILABLE, "try again"),
        }
    };
    let app = Router::new()
        .route("/price/{article}", get(answer))
        .route("/orders", post(answer))
        .with_state(attempts);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(address)
}
