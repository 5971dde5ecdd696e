//! What all services made by one layer share.

use std::fmt;
use std::sync::Arc;

use http::HeaderName;

use crate::clock::Moment;
use crate::dependency::MethodTable;
use crate::outcome::Class;

use super::head::RequestHead;
use super::status::ResponseStatus;

/// Which of the declared methods a request is for.
pub(crate) type Label = dyn for<'a> Fn(&RequestHead<'a>) -> &'a str + Send + Sync;
/// What a response says about the server's health.
pub(crate) type Classify = dyn Fn(&ResponseStatus<'_>) -> Class + Send + Sync;

/// How requests are told apart, and responses read.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) label: Arc<Label>,
    pub(crate) classify: Arc<Classify>,
    /// Where requests that are not gRPC's say how long an answer is waited for.
    pub(crate) timeout_header: Option<HeaderName>,
    /// Whether the service is ready only while a request would be let in.
    pub(crate) waits_until_ready: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            label: Arc::new(|head| head.path),
            classify: Arc::new(|status| status.class()),
            timeout_header: Some(crate::deadline::PLAIN_TIMEOUT),
            waits_until_ready: false,
        }
    }
}

/// The dependency's guards, and the settings of the layer.
pub(super) struct Guards {
    pub(super) methods: Arc<MethodTable>,
    pub(super) settings: Settings,
}

impl Guards {
    /// The index of the declared method that a request is for; of any other request, the last.
    pub(super) fn method_of(&self, head: &RequestHead<'_>) -> usize {
        self.methods.index_or_last((self.settings.label)(head))
    }

    pub(super) fn class(&self, status: &ResponseStatus<'_>) -> Class {
        (self.settings.classify)(status)
    }

    pub(super) fn now(&self) -> Moment {
        self.methods.dependency().now()
    }
}

impl fmt::Debug for Guards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guards").field("methods", &self.methods).finish_non_exhaustive()
    }
}
