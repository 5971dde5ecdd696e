//! An answer that goes on after its call: it carries the permit and the attempt along.

use std::fmt;
use std::mem;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use crate::call::OpenAttempt;
use crate::clock::Moment;
use crate::dependency::{HeldPermit, MethodTable};
use crate::error::Fallible;
use crate::outcome::Class;

/// An answer that goes on after its call: a response whose body is still to be read, a cursor, a connection. It carries the attempt's
/// permit, and the attempt itself, until it ends.
///
/// ```
/// use seawall::prelude::*;
/// use seawall::{Leased, resilient};
/// # struct Download; struct Broken;
/// # impl From<seawall::Fault> for Broken { fn from(_: seawall::Fault) -> Self { Self } }
///
/// #[resilient]
/// trait Files {
///     async fn open(&self, path: &str) -> Result<Leased<Download>, Broken>;
/// }
///
/// # struct Disk;
/// impl Files for Disk {
///     async fn open(&self, path: &str) -> Result<Leased<Download>, Broken> {
///         Ok(Leased::new(Download)) // The client gives it what it holds.
///     }
/// }
/// ```
///
/// A method answers with `Result<Leased<T>, E>`, written so: a type alias that hides the word `Leased` hides it from the macro too.
/// The timeout is for the method's future only. After that:
///
/// - The permit is in use until the `Leased` has ended: `max_concurrent` bounds downloads, and not only requests for them.
/// - The attempt ends with it, as a success if it is dropped, [ended](Self::end), or a stream's end is reached; as a failure by
///   [`fail`](Self::fail), or by the first error of a stream of `Result`s. Its latency is that of the method's future.
/// - A stream that is still read when the attempt's timeout is over counts as a success from then on, and keeps its permit only: the breaker
///   does not wait for what may never end.
///
/// The attempt ends with the method's future, and only the permit is carried along, if the method has a `key`. One that was
/// not made by a client's call holds nothing.
pub struct Leased<T> {
    value: T,
    held: Held,
}

/// Ends as a success, unless it has ended before.
struct Held(Holds);

enum Holds {
    Nothing,
    Attempt {
        open: OpenAttempt,
        /// From then on it counts as a success.
        until: Moment,
    },
    Permit(#[expect(dead_code, reason = "held, not read")] HeldPermit),
}

impl Held {
    fn end(&mut self, class: Class) {
        if let Holds::Attempt { mut open, .. } = mem::replace(&mut self.0, Holds::Nothing) {
            open.end(class, None);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.end(Class::Success);
    }
}

impl<T> Leased<T> {
    /// An answer that holds nothing yet.
    #[must_use]
    pub const fn new(value: T) -> Self {
        Self { value, held: Held(Holds::Nothing) }
    }

    /// Whether it holds a permit.
    #[must_use]
    pub fn is_held(&self) -> bool {
        match &self.held.0 {
            Holds::Nothing => false,
            Holds::Attempt { open, .. } => open.is_begun(),
            Holds::Permit(_) => true,
        }
    }

    /// Ends the attempt as a success now, and gives the permit back. The value stays.
    pub fn end(&mut self) {
        self.held.end(Class::Success);
    }

    /// Ends the attempt as a failure, and gives the permit back: what followed the answer was broken. The value stays. Does nothing
    /// to an attempt that has ended.
    pub fn fail(&mut self) {
        self.held.end(Class::Failure);
    }

    /// Another answer made of this one, which holds what this one held: `response.map(Response::bytes_stream)`.
    #[must_use]
    pub fn map<U>(self, make: impl FnOnce(T) -> U) -> Leased<U> {
        let Self { value, held } = self;
        Leased { value: make(value), held }
    }

    /// Makes it hold a call of the method of this index, once that ends with it.
    pub(super) fn hold(&mut self, methods: &Arc<MethodTable>, index: usize) {
        let open = OpenAttempt::new(methods, index);
        let until = open.until();
        self.held = Held(Holds::Attempt { open, until });
    }

    pub(super) fn open_attempt(&self) -> Option<&OpenAttempt> {
        match &self.held.0 {
            Holds::Attempt { open, .. } => Some(open),
            Holds::Nothing | Holds::Permit(_) => None,
        }
    }

    /// It is still read.
    fn goes_on(&mut self) {
        if let Holds::Attempt { open, until } = &mut self.held.0
            && open.is_begun()
            && open.is_after(*until)
        {
            self.held.0 = Holds::Permit(open.succeed_early());
        }
    }
}

/// A stream of `Result`s ends the attempt by itself: with its first error as a failure, with its end as a success. Of any other stream
/// use the value, and [`Leased::end`].
impl<St> Stream for Leased<St>
where
    St: Stream + Unpin,
    St::Item: Fallible,
{
    type Item = St::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<St::Item>> {
        let this = self.get_mut();
        let item = ready!(Pin::new(&mut this.value).poll_next(cx));
        match &item {
            None => this.end(),
            Some(item) if item.as_result().is_err() => this.fail(),
            Some(_) => this.goes_on(),
        }
        Poll::Ready(item)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.value.size_hint()
    }
}

impl<T: Unpin> Unpin for Leased<T> {}

impl<T> From<T> for Leased<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<T> Deref for Leased<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Leased<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T> fmt::Debug for Leased<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leased").field("is_held", &self.is_held()).finish_non_exhaustive()
    }
}

/// A `Result` of a [`Leased`], in its method's return type.
#[diagnostic::on_unimplemented(
    message = "a method that answers with `Leased` answers with `Result<seawall::Leased<T>, E>`",
    label = "this is read as a `Result` of `seawall::Leased`, by its name"
)]
pub trait LeasedAnswer: Fallible {
    /// Makes a good answer hold a call of the method of this index.
    fn hold(&mut self, methods: &Arc<MethodTable>, index: usize);
    /// What it holds.
    fn open_attempt(&self) -> Option<&OpenAttempt>;
}

impl<T, E> LeasedAnswer for Result<Leased<T>, E> {
    fn hold(&mut self, methods: &Arc<MethodTable>, index: usize) {
        if let Ok(leased) = self {
            leased.hold(methods, index);
        }
    }

    fn open_attempt(&self) -> Option<&OpenAttempt> {
        self.as_ref().ok()?.open_attempt()
    }
}

/// Makes an attempt's answer hold a call of the method of this index.
pub fn leased<R: LeasedAnswer>(mut answer: R, methods: &Arc<MethodTable>, index: usize) -> R {
    answer.hold(methods, index);
    answer
}

/// What an answer says before it has ended: nothing, if it is a success so far.
#[must_use]
pub fn class_so_far(class: Class) -> Class {
    match class {
        Class::Success => Class::Ignored,
        other => other,
    }
}

/// The attempt that goes on in an answer of this class.
#[must_use]
pub fn goes_on<R: LeasedAnswer>(answer: &R, class: Class) -> Option<&OpenAttempt> {
    if class == Class::Success { answer.open_attempt() } else { None }
}
