//! The three services: real HTTP servers on loopback that act the script out.

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::extract::{Json, State};
use axum::http::StatusCode;
use axum::routing::post;
use seawall::entropy::Entropy;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::faults::{Act, Fault, Script, playing};
use crate::reading::NAMES;
use crate::stage::{Stage, sleep};

/// What each service answers to.
const PATHS: [&str; 3] = ["/charge", "/reserve", "/send"];
/// The fastest and the slowest healthy answer of each.
const LATENCY_MS: [(f64, f64); 3] = [(5.0, 20.0), (4.0, 14.0), (6.0, 18.0)];
/// How often each answers 503 on a good day. Only notification is safe to ask again.
const BLIPS: [f64; 3] = [0.0, 0.0, 0.005];

/// The running services.
#[derive(Debug)]
pub(crate) struct Services {
    addresses: [SocketAddr; 3],
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

/// One service's part.
struct Part {
    stage: Arc<Stage>,
    acts: Vec<Act>,
    latency_ms: (f64, f64),
    blips: f64,
    /// Forked by order, so that an order takes as long in one run as in the next.
    latencies: Entropy,
    chance: Entropy,
}

impl Services {
    /// Binds all three and serves them from a thread and a runtime of their own.
    pub(crate) fn start(
        stage: &Arc<Stage>,
        script: &Script,
        seed: u64,
    ) -> Result<Self, Box<dyn Error>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (mut addresses, mut listeners) = ([SocketAddr::from(([0; 4], 0)); 3], Vec::new());
        for address in &mut addresses {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
                .map_err(|error| format!("cannot listen on 127.0.0.1: {error}"))?;
            listener.set_nonblocking(true)?;
            *address = listener.local_addr()?;
            let _in_runtime = runtime.enter();
            listeners.push(tokio::net::TcpListener::from_std(listener)?);
        }
        let entropy = Entropy::seeded(seed);
        let routers: [Router; 3] = std::array::from_fn(|service| {
            let part = Part {
                stage: Arc::clone(stage),
                acts: script.of(service).to_vec(),
                latency_ms: LATENCY_MS[service],
                blips: BLIPS[service],
                latencies: entropy.fork(service as u64),
                chance: entropy.fork(100 + service as u64),
            };
            Router::new().route(PATHS[service], post(answer)).with_state(Arc::new(part))
        });
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new().name("services".to_owned()).spawn(move || {
            runtime.block_on(async {
                let mut servers = JoinSet::new();
                for (listener, router) in listeners.into_iter().zip(routers) {
                    servers.spawn(async move { axum::serve(listener, router).await });
                }
                // Either end of it, a message or a dropped sender, is the end of the show.
                let _ = stopped.await;
            });
        })?;
        Ok(Self { addresses, stop, thread })
    }

    /// Where one of the services answers.
    pub(crate) fn url(&self, service: usize) -> String {
        format!("http://{}{}", self.addresses[service], PATHS[service])
    }

    /// Closes all three, requests in flight included.
    pub(crate) fn stop(self) {
        let _ = self.stop.send(());
        if self.thread.join().is_err() {
            eprintln!("storefront: the services {NAMES:?} ended in a panic");
        }
    }
}

async fn answer(
    State(part): State<Arc<Part>>,
    Json(body): Json<Value>,
) -> (StatusCode, Json<Value>) {
    let order = body["order"].as_u64().unwrap_or_default();
    let (least, most) = part.latency_ms;
    let latency_ms = least + (most - least) * part.latencies.fork(order).unit();
    let mut latency = Duration::from_secs_f64(latency_ms / 1_000.0);
    let act = playing(&part.acts, part.stage.progress());
    let mut well = part.chance.unit() >= part.blips;
    match act.map(|act| (act.fault, act.to)) {
        None => {}
        Some((Fault::Slow(times) | Fault::Flood(times), _)) => latency *= times,
        Some((Fault::Refuse, _)) => well = false,
        Some((Fault::Hang, to)) => {
            part.stage.sleep_until(part.stage.at(to)).await;
            well = false;
        }
    }
    sleep(latency).await;
    if well {
        (StatusCode::OK, Json(json!({ "order": order })))
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "error": "try again later" })))
    }
}
