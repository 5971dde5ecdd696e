//! Which attempt a request is, and its lot, over a real hop.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::StatusCode;
use axum::routing::get;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use seawall::deadline::{self, Origin};
use seawall::layer::DeadlineLayer;
use seawall::{Policy, Seawall, breaker, retry};
use tower::{Layer, ServiceExt};

use super::server::serve;

#[tokio::test]
async fn a_retry_says_so_to_the_next_server_and_the_root_requests_lot_goes_along() {
    let seen: Arc<Mutex<Vec<Origin>>> = Arc::default();
    let told = Arc::clone(&seen);
    let answer = move || {
        let told = Arc::clone(&told);
        async move {
            told.lock().unwrap().push(deadline::origin());
            StatusCode::SERVICE_UNAVAILABLE
        }
    };
    let app = Router::new()
        .route("/price", get(answer))
        .layer(DeadlineLayer::new().or(Duration::from_secs(5)));
    let address = serve(app).await;
    let retry = retry::Config::builder().max_attempts(3).base_delay(Duration::ZERO);
    let breaker = breaker::Config::builder().failures(100);
    let policy = Policy::builder().retry(retry).breaker(breaker).build().unwrap();
    let seawall = Seawall::builder().policy("shop", policy).start().unwrap();
    let again = |request: &http::Request<Body>| {
        let mut copy = http::Request::new(Body::empty());
        copy.uri_mut().clone_from(request.uri());
        Some(copy)
    };
    let layer = seawall.layer("shop").idempotent(&["/price"], again).spawn().await.unwrap();
    let client: Client<_, Body> = Client::builder(TokioExecutor::new()).build_http();
    let ask = || {
        let request = http::Request::get(format!("http://{address}/price")).body(Body::empty());
        layer.layer(client.clone()).oneshot(request.unwrap())
    };
    let attempts = |origins: &[Origin]| origins.iter().map(Origin::attempt).collect::<Vec<_>>();

    // From here: a retry is told, and the server draws the lots.
    assert_eq!(ask().await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
    let of_ours = std::mem::take(&mut *seen.lock().unwrap());
    assert_eq!(attempts(&of_ours), [1, 2, 3]);
    assert!(of_ours.iter().all(|origin| origin.lot().is_some()));

    // In answer to a request: one lot for all, and a retry of a caller's is not retried.
    let root = Origin::default().with_lot(0.25);
    let scope = deadline::Deadline::after(Duration::from_secs(5)).from_origin(root);
    deadline::scope(scope, ask()).await.unwrap();
    let of_root = std::mem::take(&mut *seen.lock().unwrap());
    assert_eq!(attempts(&of_root), [1, 2, 3]);
    assert!(of_root.iter().all(|origin| origin.lot() == Some(0.25)), "{of_root:?}");
    let retried =
        deadline::Deadline::after(Duration::from_secs(5)).from_origin(Origin::of_attempt(2));
    deadline::scope(retried, ask()).await.unwrap();
    assert_eq!(attempts(&seen.lock().unwrap()), [2]);
}
