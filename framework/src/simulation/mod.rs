//! Dependencies, loads and troubles in virtual time: what a policy does before it does it to you.
//!
//! A [`Scenario`] describes servers (workers, how long they work, what befalls them), clients (policies) and loads. It runs in
//! virtual time, far faster than real time, and the same seed gives the same report, bit for bit. Nothing of Seawall is
//! imitated: calls go through the same pipeline, breaker, limiters, permits and budget as in production. What is simulated is
//! the servers, the clock and chance.
//!
//! The guide has a [test of a policy](crate::guide::simulation). For experiments that are no scenario there is the [`World`]
//! beneath: tasks, a clock, and nobody who waits.

mod caller;
mod client;
mod distribution;
#[cfg(test)]
mod grace;
mod load;
#[cfg(test)]
mod orders;
#[cfg(test)]
mod permits;
mod picture;
#[cfg(test)]
mod properties;
mod report;
mod scenario;
mod server;
mod table;
mod trouble;
mod world;

pub use client::{Client, Fleet};
pub use distribution::Distribution;
pub use load::Load;
pub use report::{CallEnd, ClientReport, Report, ServerReport};
pub use scenario::{Clients, Scenario, ScenarioError};
pub use server::{Server, ServerError};
pub use trouble::Trouble;
pub use world::{TaskContext, World};
