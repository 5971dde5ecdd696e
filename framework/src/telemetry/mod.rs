//! What happened, in the words of metrics and traces.
//!
//! Calls pay for none of this: they add to counters of their dependency's own, and a reader that wants to know
//! reads those. [`Publisher`] brings them into any recorder of the `metrics` facade; `Exporter` makes
//! Prometheus text of them; `Server` serves that text over HTTP;
//! [`Tracing`] logs what is rare enough to be told of at once; an [`EventStream`] hands it to its subscribers.
//!
//! [`names`] is the contract: every series, its kind, unit, labels and meaning. Labels hold what the
//! configuration and the code name (dependencies, methods, states), never what comes in with a call.

mod families;
#[cfg(feature = "prometheus")]
mod gzip;
mod limits;
pub mod names;
mod pools;
#[cfg(feature = "prometheus")]
mod prometheus;
mod publish;
mod queues;
mod series;
#[cfg(feature = "prometheus")]
mod server;
mod spans;
mod stream;
#[cfg(feature = "prometheus")]
mod text;
mod watched;

pub use limits::WatchedLimit;
#[cfg(feature = "prometheus")]
pub use prometheus::Exporter;
pub use publish::{GlobalRecorder, Publisher};
pub use queues::WatchedQueue;
#[cfg(feature = "prometheus")]
pub use server::Server;
pub use spans::Tracing;
pub(crate) use stream::Events;
pub use stream::{DEFAULT_CAPACITY, EventStream, MAX_CAPACITY, Received, TryRecvError};
pub use watched::Watched;

#[cfg(test)]
mod tests;
