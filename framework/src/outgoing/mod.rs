//! Guards around an HTTP or gRPC client: a tower `Layer`, made by [`Seawall::layer`](crate::Seawall::layer).
//!
//! For hyper's clients, tonic's channels, `reqwest::Client` (feature `reqwest`), and every other service that takes an
//! [`http::Request`] and answers with an [`http::Response`]. Where there is a trait in front of the client, annotate
//! that: see [Your trait, as it is](crate::guide::your_trait). [`layer`](crate::layer) is the other direction: a limit in front of your own
//! server.
//!
//! ```
//! use seawall::outgoing::Outgoing;
//! use seawall::{Seawall, SpawnError};
//! use tower_layer::Layer;
//!
//! /// `channel` is tonic's, say: `SearchClient::new(guarded(&seawall, channel).await?)`.
//! async fn guarded<S>(seawall: &Seawall, channel: S) -> Result<Outgoing<S>, SpawnError> {
//!     let layer = seawall.layer("search").methods(&["/search.v1.Search/Find"]).spawn().await?;
//!     Ok(layer.layer(channel))
//! }
//! ```
//!
//! # Methods
//!
//! Metrics, and the `[search.methods."/search.v1.Search/Find"]` of a policy, go by the methods that were declared. Which of them a
//! request is for is its path, which is what gRPC needs, or what the builder's `label` says. All other requests
//! are of the method `other`.
//!
//! # What an attempt is
//!
//! An attempt begins when the guards have let it in. It waits until the client is ready, and ends with the head of the response; that is
//! what its timeout bounds and its latency is. Then it is judged by its status, as
//! [`classify::status`](crate::classify::status) has it, or by the builder's `classify`. An error of the client is a failure.
//!
//! A call of gRPC says in its trailers how it went. Until they come the attempt is open: nothing is known of it, and if it is a probe of a
//! half-open breaker, it keeps its place. Its body ending without them, or in an error, is a failure. A stream that goes on for longer
//! than the attempt's timeout is a success with the first piece that comes after that. A response that is dropped before
//! its trailers says nothing.
//!
//! The permit goes with the body until that has ended or is dropped. So a bulkhead bounds how many responses are being read.
//!
//! # Retries
//!
//! Requests are sent again only for methods that the builder calls `idempotent`, if the function given there can copy
//! the request, and if the response's head is a failure: a call of gRPC that has sent its headers is not repeated (gRFC A6).
//! Switch off the retries of the client itself (`reqwest::retry::never()`): no budget sees them.
//!
//! # What the server is told
//!
//! How long the answer is waited for, at the time of sending: in `grpc-timeout`, and in requests that are not gRPC's in
//! `x-envoy-expected-rq-timeout-ms`, in milliseconds, or another field by the builder's `timeout_header`. A field that
//! the caller has written itself stays if it is shorter.
//!
//! # Errors
//!
//! The client's own error, or a [`Fault`](crate::Fault), both boxed: [`classify::fault_in`](crate::classify::fault_in) finds the fault. With the
//! feature `tonic` the fault of a call of gRPC is a `tonic::Status`, which is what tonic's clients look for.
//!
//! One box a request is allocated, for the future.

mod answered;
mod body;
mod guards;
mod head;
mod hold;
mod layer;
mod message;
mod resend;
mod service;
mod status;

pub use answered::BoxError;
pub use body::HeldBody;
pub(crate) use guards::Settings;
pub use head::RequestHead;
pub use layer::OutgoingLayer;
pub use message::{OutgoingRequest, OutgoingResponse};
pub use resend::{Resend, SentOnce};
pub use service::{Outgoing, ResponseFuture};
pub use status::ResponseStatus;
