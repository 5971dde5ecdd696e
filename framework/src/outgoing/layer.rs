//! The layer.

use std::fmt;
use std::sync::Arc;

use tower_layer::Layer;

use crate::dependency::MethodTable;

use super::guards::{Guards, Settings};
use super::resend::SentOnce;
use super::service::Outgoing;

/// Puts the guards of a dependency around a client: a `tower::Layer`, made by `Seawall::layer`. Cheap to clone; the
/// dependency lives as long as any clone, any service made by one, or any call under way.
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
