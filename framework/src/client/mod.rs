//! What generated clients run on. Application code names nothing here except through `#[resilient]`.

mod proxy;
mod support;

pub use crate::call::{Call, Rules};
pub use crate::dependency::{Key, MethodSpec, MethodTable};
pub use crate::error::{CallError, Fallible, Fault};
pub use crate::outcome::Class;
pub use proxy::{Exclusive, ExclusiveGuard, Link, Proxy};
pub use support::{
    CallKey, Resend, TakesFault, answer, answer_or, answer_with, certain, cloned, key,
};
