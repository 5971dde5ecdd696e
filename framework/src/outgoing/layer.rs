//! The layer, and whether it can send a request again.

use std::fmt;
use std::sync::Arc;

use tower_layer::Layer;

use crate::dependency::MethodTable;

use super::guards::{Guards, Settings};
use super::service::Outgoing;

/// Another copy of a request, to be sent again. Implemented for functions from `&Request` to `Option<Request>`
/// (`reqwest::Request::try_clone` is one), and for [`SentOnce`].
pub trait Resend<Q>: Clone {
    /// `None`: this one cannot be copied, and is sent once.
    fn resend(&self, request: &Q) -> Option<Q>;
}

/// No request is sent again.
#[derive(Clone, Copy, Debug, Default)]
pub struct SentOnce;

impl<Q> Resend<Q> for SentOnce {
    fn resend(&self, _: &Q) -> Option<Q> {
        None
    }
}

impl<Q, F: Fn(&Q) -> Option<Q> + Clone> Resend<Q> for F {
    fn resend(&self, request: &Q) -> Option<Q> {
        self(request)
    }
}

/// Puts the guards of a dependency around a client: a `tower::Layer`, made by `Seawall::layer`. Cheap to clone; the
/// dependency lives as long as any clone, any service made by one, or any response that is still being read.
pub struct OutgoingLayer<F = SentOnce> {
    guards: Arc<Guards>,
    resend: F,
}

impl<F> OutgoingLayer<F> {
    pub(crate) fn new(methods: Arc<MethodTable>, settings: Settings, resend: F) -> Self {
        Self { guards: Arc::new(Guards { methods, settings }), resend }
    }
}

impl<S, F: Clone> Layer<S> for OutgoingLayer<F> {
    type Service = Outgoing<S, F>;

    fn layer(&self, inner: S) -> Self::Service {
        Outgoing::new(Arc::clone(&self.guards), inner, self.resend.clone())
    }
}

impl<F: Clone> Clone for OutgoingLayer<F> {
    fn clone(&self) -> Self {
        Self { guards: Arc::clone(&self.guards), resend: self.resend.clone() }
    }
}

impl<F> fmt::Debug for OutgoingLayer<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutgoingLayer").field("guards", &self.guards).finish_non_exhaustive()
    }
}
