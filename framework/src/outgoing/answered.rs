//! A response as the call reads it.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use crate::call::{OpenAttempt, Rules};
use crate::classify;
use crate::clock::Moment;
use crate::dependency::HeldPermit;
use crate::error::EarlierError;
use crate::limit::headers::header_report;
use crate::outcome::Class;

use super::guards::Guards;
use super::hold::{Hold, Open};
use super::message::OutgoingResponse;
use super::status::ResponseStatus;

/// An error of any kind, as tower's middleware has it.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// A response, what its head says about the server, and what it holds.
pub(super) struct Answered<R> {
    response: R,
    class: Class,
    retry_after: Option<Duration>,
    hold: Hold,
}

impl<R: OutgoingResponse + 'static> Answered<R> {
    pub(super) const RULES: &'static Rules<Result<Self, BoxError>> = &Rules {
        keep: |error| Some(EarlierError::new(error)),
        classify: |answer| match answer {
            Ok(answered) => answered.class,
            Err(error) => classify::fault_in(&**error).map_or(Class::Failure, classify::nested),
        },
        retry_if: |_| true,
        unprocessed: |_| false,
        retry_after: |answer| answer.as_ref().ok()?.retry_after,
        quota: |answer| header_report(answer.as_ref().ok()?.response.headers()),
        goes_on: |answer| answer.as_ref().ok()?.hold.open_attempt(),
    };

    /// Reads a head, while the attempt still holds its permit. `until`: of a call of gRPC, when its time is up.
    pub(super) fn read(
        response: R,
        guards: &Arc<Guards>,
        method: usize,
        until: Option<Moment>,
    ) -> Self {
        let (http, headers, is_over) =
            (response.status(), response.headers(), response.has_ended());
        let status = match until {
            None => Some(ResponseStatus::of_http(http, headers)),
            Some(_) => ResponseStatus::of_grpc(http, headers, is_over),
        };
        let class = status.map(|status| guards.class(&status));
        let retry_after = status.and_then(|status| status.retry_after());
        let hold = match (class, until) {
            (None, Some(until)) => Hold::open(Open {
                attempt: OpenAttempt::new(&guards.methods, method),
                guards: Arc::clone(guards),
                status: http,
                until,
            }),
            _ if is_over => Hold::nothing(),
            _ => Hold::permit(HeldPermit::of(&guards.methods, method)),
        };
        // What has not been said yet is nothing, for now.
        Self { response, class: class.unwrap_or(Class::Ignored), retry_after, hold }
    }

    /// Whether the attempt goes on with the body.
    pub(super) fn goes_on(&self) -> bool {
        self.hold.open_attempt().is_some_and(OpenAttempt::is_begun)
    }

    pub(super) fn into_response(self) -> R::Guarded {
        self.response.hold(self.hold)
    }
}
