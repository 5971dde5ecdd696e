//! What the bodies of generated methods call, each kept small so that a mistake in the user's trait is
//! reported in the user's words.

use std::convert::Infallible;
use std::fmt::Display;
use std::future::Future;

use crate::call::Call;
use crate::dependency::{HeldKey, MethodTable};
use crate::error::{CallError, EarlierError, Fault};

/// An error type that a [`Fault`] can be told as. Implemented for everything that is `From<Fault>`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot carry Seawall's own answers: it is not `From<seawall::Fault>`",
    label = "a call that is refused or times out ends in a `Fault`, which has to become a `{Self}`",
    note = "write `impl From<seawall::Fault> for {Self}`",
    note = "for a type that is not yours, name a function: `#[resilient(fault_with = path)]`",
    note = "or keep the two apart in a `CallError`: `#[resilient(errors = \"wrapped\")]`"
)]
pub trait TakesFault: Sized {
    /// The fault in the words of this type.
    fn take_fault(fault: Fault) -> Self;
}

#[diagnostic::do_not_recommend]
impl<E: From<Fault>> TakesFault for E {
    fn take_fault(fault: Fault) -> Self {
        Self::from(fault)
    }
}

/// An argument that is needed more than once. Implemented for everything that is `Clone`.
#[diagnostic::on_unimplemented(
    message = "this argument is needed more than once, and `{Self}` is not `Clone`",
    label = "every attempt gets its own, and so does a fallback",
    note = "implement `Clone` for `{Self}`, or take it by reference"
)]
pub trait Resend: Sized {
    /// Another one.
    #[must_use]
    fn another(&self) -> Self;
}

#[diagnostic::do_not_recommend]
impl<T: Clone> Resend for T {
    fn another(&self) -> Self {
        self.clone()
    }
}

/// What a breaker can be kept for. Implemented for everything that is `Display`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a breaker's key: it is not `Display`",
    label = "a key is text: two calls with the same text share a breaker",
    note = "implement `Display` for `{Self}`, or name a function: `#[call(key = path)]`"
)]
pub trait CallKey {
    /// The key of one call of this dependency.
    fn key(&self, methods: &MethodTable) -> Option<HeldKey>;
}

#[diagnostic::do_not_recommend]
impl<T: Display + ?Sized> CallKey for T {
    fn key(&self, methods: &MethodTable) -> Option<HeldKey> {
        methods.key(self)
    }
}

/// An error, if it has not been kept yet. What is asked is decided where its type is known: `(&mut Keep(Some(error))).keep()`
/// is that of [`KeepsError`] if it can be, and else, by one more reference, that of [`KeepsNothing`].
#[derive(Debug)]
pub struct Keep<E>(pub Option<E>);

/// Of errors that a fault can have as its source.
pub trait KeepsError {
    /// The error as such a source.
    fn keep(&mut self) -> Option<EarlierError>;
}

impl<E: Into<Box<dyn std::error::Error + Send + Sync>>> KeepsError for Keep<E> {
    fn keep(&mut self) -> Option<EarlierError> {
        self.0.take().map(EarlierError::new)
    }
}

/// Of all others.
pub trait KeepsNothing {
    /// There is none.
    fn keep(&mut self) -> Option<EarlierError>;
}

impl<E> KeepsNothing for &mut Keep<E> {
    fn keep(&mut self) -> Option<EarlierError> {
        None
    }
}

/// The key of one call, to be held until that has ended.
#[must_use]
pub fn key<K: CallKey + ?Sized>(methods: &MethodTable, key: &K) -> Option<HeldKey> {
    key.key(methods)
}

/// An argument for one more attempt.
#[must_use]
pub fn cloned<T: Resend>(argument: &T) -> T {
    argument.another()
}

/// The future of a method that answers with no `Result`, as one that never fails.
pub async fn certain<F: Future>(answer: F) -> Result<F::Output, Infallible> {
    Ok(answer.await)
}

/// The answer of such a method; of a fault, `on_fault` makes one.
#[must_use]
#[inline]
pub fn answer_or<T>(
    call: &mut Call<'_>,
    answer: Option<Result<T, Infallible>>,
    on_fault: impl FnOnce(Fault) -> T,
) -> T {
    match call.finish_wrapped(answer) {
        Ok(answer) => answer,
        Err(CallError::Fault(fault)) => on_fault(fault),
        Err(CallError::Inner(never)) => match never {},
    }
}
