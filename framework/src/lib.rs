//! Seawall keeps an application standing when the services it depends on are slow, broken or flooded.
//!
//! A *dependency* is a service that your application calls: a database, a payment provider, another team's API. Each gets a
//! circuit breaker, a bulkhead with a bounded mailbox, retries, rate limits and time limits, and one supervising actor that
//! looks after them. [`macro@resilient`] turns the trait that you call it through into a client that implements the trait
//! and guards every call.
//!
//! ```
//! # #[cfg(feature = "macros")] mod example {
//! use seawall::prelude::*;
//!
//! #[resilient]
//! pub trait Rates {
//!     /// Safe to repeat, so it is retried.
//!     #[call(idempotent, timeout = "300ms")]
//!     async fn euro_in(&self, currency: &str) -> Result<f64, std::io::Error>;
//! }
//!
//! struct Bank; // yours: an HTTP client, a driver, a mock
//!
//! impl Rates for Bank {
//!     async fn euro_in(&self, _currency: &str) -> Result<f64, std::io::Error> {
//!         Ok(1.08)
//!     }
//! }
//!
//! #[tokio::main(flavor = "current_thread")]
//! # pub
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let seawall = Seawall::builder().start()?;
//!     let rates: RatesClient<Bank> = seawall.spawn("rates", Bank).await?;
//!     assert_eq!(rates.euro_in("USD").await?, 1.08);
//!     seawall.shutdown(std::time::Duration::from_secs(5)).await;
//!     Ok(())
//! }
//! # }
//! # #[cfg(feature = "macros")]
//! # example::main()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What a call can end with
//!
//! An *attempt* is one execution of your method. One call of the client makes one, or several if the method is marked
//! `idempotent` and fails.
//!
//! A *fault* is what a call ends with when it has neither an answer nor an error of yours: rejected by a guard (which one, and
//! when to come back), timed out, past its deadline, or unavailable. It is one plain type, [`Fault`]. Your error type takes it
//! by `From<Fault>`.
//!
//! # What is set where
//!
//! A *policy* is all the settings of a dependency: [`Policy`]. It comes from a TOML file, from code, or from nothing: every key
//! has a default. Settings are laid over each other: built-in < `[defaults]` < `[name]` < `#[call(…)]` <
//! `[name.methods.method]`.
//!
//! # Where to go on
//!
//! | you want to | look at |
//! | --- | --- |
//! | begin, in five minutes | [`guide::getting_started`] |
//! | know which guard helps against what | [`guide::choosing`] |
//! | look a setting up | [`guide::policy_reference`] |
//! | guard reqwest, tonic, a database, Redis | [`guide::recipes`] |
//! | come from tower, Resilience4j or Polly | [`guide::coming_from`] |
//! | see what the macro takes | [`macro@resilient`] |
//! | start, reload and stop, and give orders by hand | [`Seawall`], [`DependencyHandle`] |
//! | put a trait that you have behind guards | [`guide::your_trait`] |
//! | guard one call, without a trait | [`guide::without_a_trait`] |
//! | guard an HTTP or gRPC client, as a tower layer | `outgoing` (feature `tower`) |
//! | choose a breaker's settings | [`breaker::guide`] |
//! | choose how to retry, and at whose expense | [`retry::guide`] |
//! | choose a rate limit | [`limit::guide`] |
//! | keep one limit on many machines | [`distributed`] |
//! | limit requests that come in to your server | `layer` (features `tower`, `axum`) |
//! | guard blocking calls | `#[call(blocking)]` ([`guide::your_trait`]), [`blocking`] for a function |
//! | make calls that nobody waits for | `#[call(oneway)]` ([`backpressure::guide`]) |
//! | keep a permit until a download has ended | [`Leased`] |
//! | give all calls of a request one deadline | [`deadline`] |
//! | answer with the last good answer | [`last_good`] |
//! | know whether an answer is a fallback's | [`mod@degraded`] |
//! | watch it: alerts, log lines, traces, a runbook | [`guide::operating`], [`telemetry`], [`Event`], [`Snapshot`] |
//! | see what a policy does in trouble, before it happens | `simulation`, `guide::simulation` (feature `simulation`) |
//! | test your code, with time under control | [`guide::testing`], [`Time`], [`ManualTime`] |
//!
//! # Features
//!
//! | feature | default | what it adds |
//! | --- | --- | --- |
//! | `macros` | yes | [`macro@resilient`] |
//! | `prometheus` | yes | a scrape endpoint |
//! | `http` | | classifiers for HTTP statuses, and `Retry-After` |
//! | `reqwest` | | classifiers for reqwest's errors and answers |
//! | `tonic` | | faults as statuses, and classifiers for them |
//! | `tower` | | `layer`: rate limits in front of a tower service; `outgoing`: guards around a client that is one |
//! | `axum` | | keys by axum's peer and route, axum answers for faults |
//! | `http2` | | whether a server of HTTP/2 says that it has not begun a request; `reqwest` and `tonic` bring it |
//! | `redis` | | a store for [`distributed`] limits in Redis or Valkey; `redis-tls` adds TLS |
//! | `simulation` | | `simulation`: servers, loads and policies in virtual time |

// So that generated code, which says `seawall::`, works in this crate's own docs and tests.
extern crate self as seawall;

// Row 0, ground: no tokio, no actix, no I/O.
pub mod classify;
pub mod clock;
pub mod constraint;
pub mod entropy;
pub mod error;
pub mod event;
pub mod outcome;
mod striped;
mod swappable;
mod sync;

// Row 1, policies: plain values that take `now`; they never wait.
pub mod backpressure;
pub mod breaker;
pub mod bulkhead;
pub mod limit;
pub mod retry;

// Row 2: every setting above in one place; the present moment and sleeps; whether an answer is a fallback's.
pub mod degraded;
mod listeners;
pub mod policy;
pub mod time;

// Row 3: threads for blocking calls; permits, and a queue, that can be waited for.
pub mod blocking;
pub mod permit;
pub mod queue;

// Row 4: what all calls of a dependency share; limits that can be waited for; what a task tells the calls in it, and
// they it.
pub mod deadline;
pub mod dependency;
pub mod last_good;
pub mod paced;

// Row 5: one call; a function that is retried.
mod call;
pub mod retrying;

// Row 6: supervision.
pub mod actor;

// Row 7: limits that several instances keep to together.
pub mod distributed;

// Row 8: edges.
#[doc(hidden)]
pub mod client;
#[cfg(feature = "tower")]
pub mod layer;
#[cfg(feature = "tower")]
pub mod outgoing;
#[cfg(feature = "simulation")]
pub mod simulation;
pub mod telemetry;

// Row 9: the composition root.
pub mod runtime;

pub mod prelude;

/// Pages for users.
pub mod guide {
    #[doc = include_str!("guide/getting_started.md")]
    #[cfg(feature = "macros")]
    pub mod getting_started {}

    #[doc = include_str!("guide/choosing.md")]
    pub mod choosing {}

    #[doc = include_str!("guide/policy_reference.md")]
    ///
    /// The keys of limits that several instances share, `[limits.name]`, are in [their own guide](crate::distributed::guide).
    ///
    /// # The whole of a file
    ///
    /// ```toml
    #[doc = include_str!("guide/policy.toml")]
    /// ```
    pub mod policy_reference {}

    #[doc = include_str!("guide/testing.md")]
    #[cfg(feature = "macros")]
    pub mod testing {}

    #[doc = include_str!("guide/simulation.md")]
    #[cfg(feature = "simulation")]
    pub mod simulation {}

    #[doc = include_str!("guide/operating.md")]
    pub mod operating {}

    #[doc = include_str!("guide/recipes.md")]
    pub mod recipes {}

    #[doc = include_str!("guide/coming_from.md")]
    pub mod coming_from {}

    #[doc = include_str!("guide/your_trait.md")]
    #[cfg(feature = "macros")]
    pub mod your_trait {}

    #[doc = include_str!("guide/without_a_trait.md")]
    #[cfg(feature = "macros")]
    pub mod without_a_trait {}
}

pub use backpressure::Priority;
pub use client::{Leased, Proxy};
pub use degraded::{Degraded, degraded};
pub use dependency::{MethodSnapshot, Snapshot};
pub use error::{CallError, Fault, RejectedBy};
pub use event::{Command, Event, Observer, State, Transition};
pub use outcome::{CallOutcome, Class, Outcome};
pub use policy::Policy;
pub use retrying::retry;
pub use runtime::{DependencyHandle, Seawall, ShutdownReport, SpawnError, StartError};
#[cfg(feature = "macros")]
pub use seawall_macros::{resilient, retry};
pub use time::{ManualTime, Time};

/// The README's example, compiled and run.
#[cfg(all(doctest, feature = "macros"))]
#[doc = include_str!("../../README.md")]
struct Readme;
