//! Limits that count a request by what its answer was.

use std::fmt;
use std::sync::Arc;

use http::{Extensions, HeaderMap, Method, Request, StatusCode, Uri};

use crate::clock::{Clock, Moment};

use super::key::Head;
use super::limit::Limit;

type Counts = dyn Fn(StatusCode, &HeaderMap) -> bool + Send + Sync;
type Refund = dyn Fn(&Head<'_>, Taken, Moment) + Send + Sync;

/// What was taken for a request, and when.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    /// So much.
    pub cost: u64,
    /// At this moment.
    pub at: Moment,
}

/// Which answers count, and how what was taken for the others is given back.
pub(super) struct Counting {
    counts: Box<Counts>,
    refund: Box<Refund>,
}

impl Counting {
    pub(super) fn new<L: Limit + 'static>(
        limit: Arc<L>,
        counts: impl Fn(StatusCode, &HeaderMap) -> bool + Send + Sync + 'static,
    ) -> Self {
        let refund = move |head: &Head<'_>, taken: Taken, now| limit.refund(head, taken, now);
        Self { counts: Box::new(counts), refund: Box::new(refund) }
    }

    /// Remembers a request that was let in.
    pub(super) fn remember<A>(
        self: &Arc<Self>,
        request: &Request<A>,
        taken: Taken,
        clock: &Clock,
    ) -> Box<Remembered> {
        Box::new(Remembered {
            counting: Arc::clone(self),
            method: request.method().clone(),
            uri: request.uri().clone(),
            headers: request.headers().clone(),
            extensions: request.extensions().clone(),
            taken,
            clock: clock.clone(),
        })
    }
}

/// A request that was let in, for its keys to be found again.
pub(super) struct Remembered {
    counting: Arc<Counting>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    extensions: Extensions,
    taken: Taken,
    clock: Clock,
}

impl Remembered {
    /// Gives back what was taken, if an answer like this one does not count.
    pub(super) fn answered(&self, status: StatusCode, headers: &HeaderMap) {
        if !(self.counting.counts)(status, headers) {
            let head = Head {
                method: &self.method,
                uri: &self.uri,
                headers: &self.headers,
                extensions: &self.extensions,
            };
            (self.counting.refund)(&head, self.taken, self.clock.now());
        }
    }
}

impl fmt::Debug for Counting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counting").finish_non_exhaustive()
    }
}
