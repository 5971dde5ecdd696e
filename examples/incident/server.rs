//! An HTTP server on loopback that falls ill when it is told to.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use seawall::Time;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::virtual_time::Chance;

/// How it answers while it is well.
const USUALLY: Duration = Duration::from_millis(5);
/// How it answers while it is slow: 16 times as long, and within every timeout.
const SLOWLY: Duration = Duration::from_millis(80);

/// What is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Illness {
    /// Nothing.
    None,
    /// It takes requests and never answers them.
    Hangs,
    /// Its process is gone: its connections end, and new ones are refused.
    Refuses,
    /// It answers 503 at once.
    Unavailable,
    /// It answers well, and late.
    Slow,
    /// It answers one request in two with a 500.
    HalfFails,
}

/// See the module. Each has a runtime of its own, so that it can be killed with all its connections.
pub(crate) struct Server {
    address: SocketAddr,
    runtime: Option<Runtime>,
    illness: watch::Sender<Illness>,
}

impl Server {
    /// A healthy one, on a free port.
    pub(crate) fn start() -> Result<Self, Box<dyn Error>> {
        let (illness, _) = watch::channel(Illness::None);
        let mut server =
            Self { address: SocketAddr::from(([127, 0, 0, 1], 0)), runtime: None, illness };
        server.listen()?;
        Ok(server)
    }

    fn listen(&mut self) -> Result<(), Box<dyn Error>> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind(self.address))?;
        self.address = listener.local_addr()?;
        let illness = self.illness.subscribe();
        let chance = Arc::new(Mutex::new(Chance(1)));
        let answer = move || answer(illness.clone(), Arc::clone(&chance));
        let app = Router::new().route("/", get(answer));
        runtime.spawn(async { axum::serve(listener, app).await });
        self.runtime = Some(runtime);
        Ok(())
    }

    /// Where it listens, as a URL.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Makes it fall ill.
    pub(crate) fn fall_ill(&mut self, illness: Illness) {
        if illness == Illness::Refuses {
            self.stop();
        }
        self.illness.send_replace(illness);
    }

    /// Makes it well again. What it has left unanswered stays so.
    pub(crate) fn recover(&mut self) -> Result<(), Box<dyn Error>> {
        self.illness.send_replace(Illness::None);
        if self.runtime.is_none() { self.listen() } else { Ok(()) }
    }

    fn stop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn answer(illness: watch::Receiver<Illness>, chance: Arc<Mutex<Chance>>) -> StatusCode {
    let illness = *illness.borrow();
    match illness {
        Illness::Hangs => std::future::pending().await,
        Illness::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Illness::Slow => {
            Time::system().sleep(SLOWLY).await;
            StatusCode::OK
        }
        Illness::HalfFails if is_heads(&chance) => StatusCode::INTERNAL_SERVER_ERROR,
        Illness::None | Illness::Refuses | Illness::HalfFails => {
            Time::system().sleep(USUALLY).await;
            StatusCode::OK
        }
    }
}

/// The same tosses every time.
fn is_heads(chance: &Mutex<Chance>) -> bool {
    chance.lock().unwrap_or_else(PoisonError::into_inner).unit() < 0.5
}
