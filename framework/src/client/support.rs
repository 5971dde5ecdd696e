//! What the bodies of generated methods call, each kept small so that a mistake in the user's trait is
//! reported in the user's words.

use crate::error::{CallError, Fallible, Fault};

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
    fn again(&self) -> Self;
}

#[diagnostic::do_not_recommend]
impl<T: Clone> Resend for T {
    fn again(&self) -> Self {
        self.clone()
    }
}

/// An argument for one more attempt.
#[must_use]
pub fn cloned<T: Resend>(argument: &T) -> T {
    argument.again()
}

/// A call's result as the method's own return type, with a fault told as its error.
#[must_use]
pub fn answer<R: Fallible>(result: Result<R::Ok, CallError<R::Err>>) -> R
where
    R::Err: TakesFault,
{
    answer_with(result, R::Err::take_fault)
}

/// A call's result as the method's own return type, with a fault told by `fault_with`.
#[must_use]
pub fn answer_with<R: Fallible>(
    result: Result<R::Ok, CallError<R::Err>>,
    fault_with: impl FnOnce(Fault) -> R::Err,
) -> R {
    R::from_result(result.map_err(|error| match error {
        CallError::Inner(error) => error,
        CallError::Fault(fault) => fault_with(fault),
    }))
}
