//! The layer outside of others that make bodies of their own, and in front of a gRPC server.

use std::convert::Infallible;
use std::future::Ready;
use std::task::{Context, Poll};

use axum::Router;
use axum::routing::get;
use seawall::layer::RateLimitLayer;
use tonic::body::Body;
use tonic::server::NamedService;
use tower::Service;
use tower_http::compression::CompressionLayer;
use tower_http::trace::TraceLayer;

use super::server::{client, limiter, serve};

#[tokio::test]
async fn the_layer_stands_outside_of_layers_that_change_the_body() {
    let inner = tower::ServiceBuilder::new()
        .layer(RateLimitLayer::new(limiter(1, 0.01)))
        .layer(TraceLayer::new_for_http())
        .layer(CompressionLayer::new());
    let app = Router::new().route("/", get(|| async { "hello" })).layer(inner);
    let url = format!("http://{}/", serve(app).await);
    let first = client().get(&url).send().await.unwrap();
    assert_eq!((first.status().as_u16(), first.text().await.unwrap().as_str()), (200, "hello"));
    let refused = client().get(&url).send().await.unwrap();
    assert_eq!(refused.status().as_u16(), 429);
    assert!(refused.text().await.unwrap().contains("quota-exceeded"));
}

/// A gRPC service by hand: every method answers with an empty message.
#[derive(Clone)]
struct Greeter;

impl NamedService for Greeter {
    const NAME: &'static str = "test.Greeter";
}

impl Service<http::Request<Body>> for Greeter {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: http::Request<Body>) -> Self::Future {
        let response = http::Response::builder()
            .header("content-type", "application/grpc")
            .header("grpc-status", "0");
        std::future::ready(Ok(response.body(Body::empty()).unwrap()))
    }
}

#[tokio::test]
async fn a_tonic_server_refuses_in_grpc() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tonic::transport::Server::builder()
        .layer(RateLimitLayer::new(limiter(1, 0.01)))
        .add_service(Greeter);
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    tokio::spawn(server.serve_with_incoming(incoming));

    let channel = tonic::transport::Endpoint::from_shared(format!("http://{address}")).unwrap();
    let mut channel = channel.connect().await.unwrap();
    let mut statuses = Vec::new();
    for _ in 0..2 {
        let request = http::Request::post("/test.Greeter/Hello")
            .header("content-type", "application/grpc")
            .body(Body::empty())
            .unwrap();
        std::future::poll_fn(|cx| channel.poll_ready(cx)).await.unwrap();
        let response = channel.call(request).await.unwrap();
        let text = |name: &str| {
            response.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
        };
        let status = text("grpc-status");
        statuses.push((response.status().as_u16(), status, text("grpc-retry-pushback-ms")));
    }
    assert_eq!(statuses[0], (200, Some("0".into()), None));
    assert_eq!(statuses[1], (200, Some("8".into()), Some("100000".into())));
}
