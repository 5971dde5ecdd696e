//! The `#[resilient]` attribute: turns a trait of async methods into a guarded client.
//! Use it through the `seawall` crate, which re-exports it.
