//! What a response holds until its body has ended: a permit, or an attempt whose last word is to come.

use std::mem;
use std::sync::Arc;

use http::{HeaderMap, StatusCode};

use crate::call::OpenAttempt;
use crate::clock::Moment;
use crate::dependency::HeldPermit;
use crate::outcome::Class;

use super::guards::Guards;
use super::status::ResponseStatus;

/// See the module.
#[derive(Debug)]
pub struct Hold(Held);

#[derive(Debug)]
enum Held {
    /// The attempt has ended, and so has the body.
    Nothing,
    /// The attempt has ended with the head.
    Permit(#[expect(dead_code, reason = "held, not read")] HeldPermit),
    /// The attempt ends with the trailers.
    Open(Open),
}

/// An attempt that ends with the trailers, or when its response has gone on for longer than its timeout.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) attempt: OpenAttempt,
    pub(super) guards: Arc<Guards>,
    pub(super) status: StatusCode,
    /// When its time is up.
    pub(super) until: Moment,
}

impl Hold {
    pub(super) fn nothing() -> Self {
        Self(Held::Nothing)
    }

    pub(super) fn permit(permit: HeldPermit) -> Self {
        Self(Held::Permit(permit))
    }

    pub(super) fn open(open: Open) -> Self {
        Self(Held::Open(open))
    }

    #[cfg(feature = "reqwest")]
    pub(super) fn is_nothing(&self) -> bool {
        matches!(self.0, Held::Nothing)
    }

    pub(super) fn open_attempt(&self) -> Option<&OpenAttempt> {
        match &self.0 {
            Held::Open(open) => Some(&open.attempt),
            Held::Nothing | Held::Permit(_) => None,
        }
    }

    /// A piece of the body has come. A stream that is still well after its timeout was a success.
    pub(super) fn flow(&mut self) {
        if let Held::Open(open) = &mut self.0
            && open.guards.now() >= open.until
        {
            self.0 = Held::Permit(open.attempt.succeed_early());
        }
    }

    /// The trailers have come, and are the last.
    pub(super) fn trailers(&mut self, trailers: &HeaderMap) {
        if let Held::Open(mut open) = mem::replace(&mut self.0, Held::Nothing) {
            let status = ResponseStatus::of_grpc(open.status, trailers, true);
            let class = status.map_or(Class::Failure, |status| open.guards.class(&status));
            open.attempt.end(class, status.and_then(|status| status.retry_after()));
        }
    }

    /// There is no more: the body has ended without trailers, or is broken.
    pub(super) fn ended(&mut self) {
        if let Held::Open(mut open) = mem::replace(&mut self.0, Held::Nothing) {
            open.attempt.end(Class::Failure, None);
        }
    }
}
