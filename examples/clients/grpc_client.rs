//! Guards around tonic's client, by a layer in front of its channel. The server is the health service that gRPC defines; it
//! fails for a while, and the breaker keeps calls away from it.
#![expect(clippy::print_stdout, reason = "that is what it is for")]

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use seawall::{Seawall, Time};
use tokio_stream::StreamExt;
use tonic::transport::{Endpoint, Server, server::TcpIncoming};
use tonic::{Request, Response, Status};
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tower::Layer;

const POLICY: &str = r#"
[search]
deadline = "2s"
timeout = "800ms"
breaker = { failures = 3, first_open_for = "200ms" }
"#;

const CHECK: &str = "/grpc.health.v1.Health/Check";
const WATCH: &str = "/grpc.health.v1.Health/Watch";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = Arc::new(Moody::default());
    let channel = serve(Arc::clone(&server)).await?;

    // These three lines are all that a client of tonic's needs.
    let seawall = Seawall::builder().policy_text("example.toml", POLICY).start()?;
    let layer = seawall.layer("search").methods(&[CHECK, WATCH]).spawn().await?;
    let mut search = HealthClient::new(layer.layer(channel));

    let answer = search.check(HealthCheckRequest::default()).await?;
    println!("well: {:?}", answer.into_inner().status());
    println!("the server was told to answer within {}", server.told());

    server.ill.store(true, Ordering::SeqCst);
    let refused = loop {
        match search.check(HealthCheckRequest::default()).await {
            Err(status) if status.metadata().contains_key("grpc-retry-pushback-ms") => {
                break status;
            }
            Err(status) => println!("ill: {}", status.message()),
            Ok(_) => return Err("an ill server cannot answer".into()),
        }
    };
    println!("refused: {:?}, {}", refused.code(), words(refused.message()));
    println!("the server has seen {} calls", server.seen.load(Ordering::SeqCst));

    server.ill.store(false, Ordering::SeqCst);
    Time::system().sleep(pushback(&refused).ok_or("it says when to come back")?).await;
    let answer = search.check(HealthCheckRequest::default()).await?;
    println!("well again: {:?}", answer.into_inner().status());

    let active = || seawall.dependency("search").map_or(0, |search| search.snapshot().active);
    let mut stream = search.watch(HealthCheckRequest::default()).await?.into_inner();
    while let Some(health) = stream.next().await {
        println!("watched: {:?}, permits out: {}", health?.status(), active());
    }
    println!("the stream has ended, permits out: {}", active());
    seawall.shutdown(Duration::from_secs(1)).await;
    Ok(())
}

/// How long the refused call should wait.
fn pushback(status: &Status) -> Option<Duration> {
    let value = status.metadata().get("grpc-retry-pushback-ms")?.to_str().ok()?;
    value.parse().ok().map(Duration::from_millis)
}

/// A message without its figures, which are others in each run.
fn words(message: &str) -> &str {
    message.split(", retry after").next().unwrap_or(message)
}

// ---- the server ----

#[derive(Default)]
struct Moody {
    ill: AtomicBool,
    seen: AtomicU64,
    told: std::sync::Mutex<String>,
}

impl Moody {
    fn told(&self) -> String {
        self.told.lock().map(|told| told.clone()).unwrap_or_default()
    }
}

#[tonic::async_trait]
impl Health for Moody {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        self.seen.fetch_add(1, Ordering::SeqCst);
        let told = request.metadata().get("grpc-timeout").and_then(|told| told.to_str().ok());
        if let (Some(told), Ok(mut last)) = (told, self.told.lock()) {
            *last = told.to_owned();
        }
        if self.ill.load(Ordering::SeqCst) {
            return Err(Status::unavailable("no disk"));
        }
        Ok(Response::new(HealthCheckResponse { status: 1 }))
    }

    type WatchStream = tokio_stream::Iter<std::vec::IntoIter<Result<HealthCheckResponse, Status>>>;

    async fn watch(
        &self,
        _: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let told =
            vec![Ok(HealthCheckResponse { status: 1 }), Ok(HealthCheckResponse { status: 2 })];
        Ok(Response::new(tokio_stream::iter(told)))
    }
}

async fn serve(service: Arc<Moody>) -> Result<tonic::transport::Channel, Box<dyn Error>> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let server = Server::builder().add_service(HealthServer::from_arc(service));
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    Ok(Endpoint::from_shared(format!("http://{address}"))?.connect().await?)
}
