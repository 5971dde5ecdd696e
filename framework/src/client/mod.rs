//! What generated clients run on. Application code names nothing here except through `#[resilient]`.

mod leased;
mod on_thread;
mod oneway;
mod parts;
mod proxy;
mod stream;
mod support;

#[cfg(feature = "macros")]
pub use seawall_macros::resilient_part;

pub use crate::call::{AnswerKey, AnswerKeyPart, Call, KeepsAnswer, LastGood, OpenAttempt, Rules};
pub use crate::dependency::{HeldKey, MethodSpec, MethodTable};
pub use crate::error::{CallError, Fallible, Fault};
pub use crate::outcome::Class;
pub use leased::{Leased, LeasedAnswer, class_so_far, goes_on, leased};
pub use on_thread::{OnThread, Sendable, on_thread, sent, wait};
pub use oneway::{MergeCalls, send, sent_answer, sent_answer_usual, sent_answer_wrapped};
pub use parts::{all_methods, method_count};
pub use proxy::{Exclusive, ExclusiveGuard, Link, Proxy};
pub use stream::{FirstOf, Guarded, Holding, Opened, guarded, holding, open, open_or};
pub use support::{
    CallKey, Keep, KeepsError, KeepsNothing, Resend, TakesFault, answer_or, certain, cloned, key,
};
