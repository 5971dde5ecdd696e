//! What generated clients run on. Application code names nothing here except through `#[resilient]`.

mod proxy;

pub use proxy::{Link, MethodSpec, Proxy};
