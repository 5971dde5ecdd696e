//! Streams behind the guards: the wait for the first item is the attempt, and the permit is held until the stream ends.

use std::convert::Infallible;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use crate::call::{Call, Rules};
use crate::dependency::{HeldPermit, MethodTable};
use crate::error::{CallError, Fallible, Fault};

/// A stream that passes the guards when it is first polled. A refusal, or a first item that does not come in time, is one
/// item; a stream that ends without any is a success.
pub struct Guarded<F, St> {
    opening: Option<Pin<Box<F>>>,
    rest: Option<Rest<St>>,
}

type Rest<St> = (St, HeldPermit);

/// The first item of a stream, and the stream that goes on after it.
pub struct Opened<St: Stream> {
    first: Option<St::Item>,
    rest: Option<Rest<St>>,
}

impl<St: Stream> fmt::Debug for Opened<St> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened").field("goes_on", &self.rest.is_some()).finish_non_exhaustive()
    }
}

impl<F, St> fmt::Debug for Guarded<F, St> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guarded").field("is_open", &self.rest.is_some()).finish_non_exhaustive()
    }
}

/// The stream that `opening` opens once it is polled.
pub fn guarded<F, St>(opening: F) -> Guarded<F, St>
where
    F: Future<Output = Opened<St>>,
    St: Stream + Unpin,
{
    Guarded { opening: Some(Box::pin(opening)), rest: None }
}

impl<F, St> Stream for Guarded<F, St>
where
    F: Future<Output = Opened<St>>,
    St: Stream + Unpin,
{
    type Item = St::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<St::Item>> {
        let this = self.get_mut();
        if let Some(opening) = &mut this.opening {
            let Opened { first, rest } = ready!(opening.as_mut().poll(cx));
            (this.opening, this.rest) = (None, rest);
            return Poll::Ready(first);
        }
        poll_rest(&mut this.rest, cx)
    }
}

fn poll_rest<St: Stream + Unpin>(
    rest: &mut Option<Rest<St>>,
    cx: &mut Context<'_>,
) -> Poll<Option<St::Item>> {
    let Some((stream, _)) = rest else { return Poll::Ready(None) };
    let item = ready!(Pin::new(stream).poll_next(cx));
    if item.is_none() {
        // The permit is given back now, and not when somebody gets round to dropping the stream.
        *rest = None;
    }
    Poll::Ready(item)
}

/// A stream that is an answer itself: it has a permit of its own until it ends or is dropped.
pub struct Holding<St>(Option<Rest<St>>);

/// Gives a stream a permit, taken by the attempt that answers with it.
pub fn holding<St: Stream + Unpin>(methods: &MethodTable, index: usize, stream: St) -> Holding<St> {
    Holding(Some((stream, HeldPermit::of(methods, index))))
}

impl<St: Stream + Unpin> Stream for Holding<St> {
    type Item = St::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<St::Item>> {
        poll_rest(&mut self.get_mut().0, cx)
    }
}

impl<St> fmt::Debug for Holding<St> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Holding").field("is_open", &self.0.is_some()).finish_non_exhaustive()
    }
}

/// Opens a stream of `Result`s by one call of the method of this index.
pub async fn open<St>(
    methods: &MethodTable,
    index: usize,
    make: impl FnOnce() -> St,
    rules: &Rules<FirstOf<St::Item>>,
    fault_with: impl FnOnce(Fault) -> <St::Item as Fallible>::Err,
) -> Opened<St>
where
    St: Stream + Unpin,
    St::Item: Fallible,
{
    let mut rest = None;
    let mut call = Call::begin(methods, index);
    let attempt = || async {
        let first = first(make, &mut rest, || HeldPermit::of(methods, index)).await;
        first.map(St::Item::into_result).transpose()
    };
    let answer = call.once(attempt, rules).await;
    let first = match call.finish_wrapped(answer) {
        Ok(first) => first.map(Ok),
        Err(CallError::Inner(error)) => Some(Err(error)),
        Err(CallError::Fault(fault)) => Some(Err(fault_with(fault))),
    };
    Opened { first: first.map(St::Item::from_result), rest }
}

/// What the attempt of a stream of `Result`s answers with: its first item, if there is one.
pub type FirstOf<R> = Result<Option<<R as Fallible>::Ok>, <R as Fallible>::Err>;

/// Opens a stream of other items; of a fault, `on_fault` makes one.
pub async fn open_or<St>(
    methods: &MethodTable,
    index: usize,
    make: impl FnOnce() -> St,
    on_fault: impl FnOnce(Fault) -> St::Item,
) -> Opened<St>
where
    St: Stream + Unpin,
{
    let mut rest = None;
    let mut call = Call::begin(methods, index);
    let attempt = || async {
        Ok::<_, Infallible>(first(make, &mut rest, || HeldPermit::of(methods, index)).await)
    };
    let answer = call.once(attempt, &Rules::USUAL).await;
    let first = match call.finish_wrapped(answer) {
        Ok(first) => first,
        Err(CallError::Fault(fault)) => Some(on_fault(fault)),
        Err(CallError::Inner(never)) => match never {},
    };
    Opened { first, rest }
}

/// Waits for the first item. The rest of the stream stays in `rest`, with a permit of its own.
async fn first<St: Stream + Unpin>(
    make: impl FnOnce() -> St,
    rest: &mut Option<Rest<St>>,
    permit: impl FnOnce() -> HeldPermit,
) -> Option<St::Item> {
    let mut stream = make();
    let item = poll_fn(|cx| Pin::new(&mut stream).poll_next(cx)).await?;
    *rest = Some((stream, permit()));
    Some(item)
}
