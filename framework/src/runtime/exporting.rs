//! How metrics get out.

use std::net::SocketAddr;
use std::sync::Arc;
#[cfg(feature = "prometheus")]
use std::sync::OnceLock;

use crate::actor::{ActorHandle, Job};
#[cfg(feature = "prometheus")]
use crate::telemetry::{Exporter, Server};

use super::error::StartError;
use super::registry::Registry;

/// The scrape endpoint, where there is one.
#[derive(Default)]
pub(super) struct Exporting {
    #[cfg(feature = "prometheus")]
    server: Option<Server>,
    /// Made by the first page that is asked for; the server's pages are of the same.
    #[cfg(feature = "prometheus")]
    exporter: Arc<OnceLock<Exporter>>,
    /// Held so that it goes on; its thread is the supervision's.
    pub(super) publisher: Option<ActorHandle<Job>>,
}

#[cfg(feature = "prometheus")]
fn render(exporter: &OnceLock<Exporter>, registry: &Registry) -> String {
    let exporter = exporter.get_or_init(Exporter::new);
    exporter.render_with(registry.dependencies(), &registry.watched())
}

#[cfg(feature = "prometheus")]
impl Exporting {
    pub(super) fn start(
        address: Option<String>,
        registry: &Arc<Registry>,
    ) -> Result<Self, StartError> {
        let Some(address) = address else { return Ok(Self::default()) };
        let exporter = Arc::<OnceLock<Exporter>>::default();
        let (served, registry) = (Arc::clone(&exporter), Arc::clone(registry));
        let page = move || render(&served, &registry);
        // The address is somebody's text: `bind` says what is wrong with it.
        match Server::bind(&*address, page) {
            Ok(server) => Ok(Self { server: Some(server), exporter, ..Self::default() }),
            Err(source) => Err(StartError::Metrics { address, source }),
        }
    }

    pub(super) fn render(&self, registry: &Registry) -> String {
        render(&self.exporter, registry)
    }

    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.server.as_ref().map(Server::local_addr)
    }

    pub(super) fn stop(&self) {
        if let Some(server) = &self.server {
            server.shutdown();
        }
    }
}

#[cfg(not(feature = "prometheus"))]
impl Exporting {
    #[expect(clippy::unnecessary_wraps, reason = "the same face as with the feature")]
    pub(super) fn start(_: Option<String>, _: &Arc<Registry>) -> Result<Self, StartError> {
        Ok(Self::default())
    }

    #[expect(clippy::unused_self, reason = "the same face as with the feature")]
    pub(super) fn address(&self) -> Option<SocketAddr> {
        None
    }

    #[expect(clippy::unused_self, reason = "the same face as with the feature")]
    pub(super) fn stop(&self) {}
}
