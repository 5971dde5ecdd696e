//! The layer around clients that are not ours: tonic's and hyper's, against real servers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use seawall::{CallOutcome, Seawall, Snapshot};
use tonic::transport::{Channel, Endpoint, Server, server::TcpIncoming};
use tonic::{Code, Request, Response, Status};
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tower::{Layer, ServiceExt};

use super::server::serve;

const WATCH: &str = "/grpc.health.v1.Health/Watch";
const CHECK: &str = "/grpc.health.v1.Health/Check";

/// Answers once, and then fails in its trailers.
#[derive(Default)]
struct Failing {
    seen: AtomicU64,
}

#[tonic::async_trait]
impl Health for Failing {
    async fn check(
        &self,
        _: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        self.seen.fetch_add(1, Ordering::SeqCst);
        Ok(Response::new(HealthCheckResponse { status: 1 }))
    }

    type WatchStream = BoxStream<'static, Result<HealthCheckResponse, Status>>;

    async fn watch(
        &self,
        _: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        self.seen.fetch_add(1, Ordering::SeqCst);
        let told = [Ok(HealthCheckResponse { status: 1 }), Err(Status::data_loss("no disk"))];
        Ok(Response::new(stream::iter(told).boxed()))
    }
}

async fn channel(service: Arc<Failing>) -> Channel {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::builder().add_service(HealthServer::from_arc(service));
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap()
}

fn snapshot(seawall: &Seawall) -> Snapshot {
    seawall.dependency("health").unwrap().snapshot()
}

#[tokio::test]
async fn tonics_calls_are_counted_by_the_trailers_of_a_real_server() {
    let policy =
        "[health]\nbreaker = { failures = 2, first_open_for = \"60s\", open_for = \"60s\" }";
    let seawall = Seawall::builder().policy_text("test.toml", policy).start().unwrap();
    let layer = seawall.layer("health").methods(&[CHECK, WATCH]).spawn().await.unwrap();
    let server = Arc::new(Failing::default());
    let mut health = HealthClient::new(layer.layer(channel(Arc::clone(&server)).await));

    health.check(HealthCheckRequest::default()).await.unwrap();
    assert_eq!(snapshot(&seawall).calls(CallOutcome::Success), 1, "a unary call has its trailers");
    for failures in 1..=2 {
        let watched = health.watch(HealthCheckRequest::default()).await.unwrap();
        let mut watched = watched.into_inner();
        assert!(watched.next().await.unwrap().is_ok());
        let now = snapshot(&seawall);
        assert_eq!((now.calls(CallOutcome::Failure), now.active), (failures - 1, 1));
        assert_eq!(watched.next().await.unwrap().unwrap_err().code(), Code::DataLoss);
        let now = snapshot(&seawall);
        assert_eq!((now.calls(CallOutcome::Failure), now.active), (failures, 0));
    }
    let refused = health.check(HealthCheckRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    assert!(refused.metadata().contains_key("grpc-retry-pushback-ms"), "{refused:?}");
    assert_eq!(server.seen.load(Ordering::SeqCst), 3, "it has not seen the last");
}

#[tokio::test]
async fn hypers_client_is_a_client_too() {
    let app = Router::new().route("/health", get(|| async { "well" }));
    let address = serve(app).await;
    let seawall = Seawall::builder().start().unwrap();
    let layer = seawall.layer("health").methods(&["/health"]).spawn().await.unwrap();
    let client: Client<_, Body> = Client::builder(TokioExecutor::new()).build_http();
    let request = http::Request::get(format!("http://{address}/health")).body(Body::empty());
    let response = layer.layer(client).oneshot(request.unwrap()).await.unwrap();
    assert_eq!(snapshot(&seawall).active, 1, "its body is being read");
    let body = axum::body::to_bytes(Body::new(response.into_body()), 1_000).await.unwrap();
    assert_eq!((&*body, snapshot(&seawall).active), (&b"well"[..], 0));
}
