//! One call: its attempts in their fixed order, the waits before them, the lease that each attempt holds.

mod attempt;
#[expect(clippy::module_inception, reason = "the call itself, among the parts of a call")]
mod call;
mod fast_path;
mod hedge;
mod inherited;
mod last_good;
mod lease;
mod open_attempt;
mod rate_limit_wait;
mod refused;
mod retry;
mod rules;
mod spans;
#[cfg(all(test, not(seawall_loom)))]
mod tests;

pub use call::Call;
pub use last_good::{AnswerKey, AnswerKeyPart, KeepsAnswer, LastGood};
pub use open_attempt::OpenAttempt;
pub use rules::Rules;
pub(crate) use spans::want_spans;
