//! The waits for the dependency's rate limit, and for the quota that the dependency's own answers tell of.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;

use super::lease::Lease;
use crate::clock::Moment;
use crate::dependency::{Refused, Token, UnusedReservation, WaitError};
use crate::error::RejectedBy;

use super::call::Call;

impl<'a> Call<'a> {
    /// Waits until its token is valid. If the limit changes meanwhile, asks for another one. Whether it has one.
    #[cold]
    pub(super) async fn wait_for_token(&mut self, lease: &mut Lease<'a>) -> bool {
        let gate = self.dependency.gate();
        loop {
            let is_replaced = || gate.is_replaced(lease.limiter());
            if !self.sleep_until_start(lease.taken_for(), is_replaced).await {
                return false;
            }
            if !is_replaced() {
                return true;
            }
            // The limit that gave this token is gone, so there is nothing to give it back to.
            lease.forget_token();
            match gate.take_token(self.key, self.now, || self.start_by().token_by) {
                Ok(Token::Now(limiter) | Token::Paced(limiter)) => {
                    lease.hold_token(self.now, limiter);
                    return true;
                }
                Ok(Token::At(start, limiter)) => lease.hold_token(start, limiter),
                Err(refused) => {
                    self.refuse(refused);
                    return false;
                }
            }
        }
    }

    /// Waits for its reserved start by the dependency's own quota, if the policy has one. `None`: refused.
    #[cold]
    pub(super) async fn pace(&mut self) -> Option<UnusedReservation<'a>> {
        let dependency = self.dependency;
        let quota = dependency.gate().quota();
        let reservation = match quota.pace(self.now, self.start_by().token_by) {
            Ok(reservation) => UnusedReservation::new(quota, reservation),
            Err(refusal) => {
                self.refuse(refusal.into());
                return None;
            }
        };
        if !reservation.wait().is_zero()
            && !self.sleep_until_start(self.now + reservation.wait(), || !quota.is_on()).await
        {
            return None;
        }
        Some(reservation)
    }

    /// Sleeps until `start`, or until `is_changed` says that there is no need to any more. Whether it goes on.
    async fn sleep_until_start(&mut self, start: Moment, is_changed: impl Fn() -> bool) -> bool {
        let dependency = self.dependency;
        self.pend();
        let wait_error = {
            let mut sleep = dependency.time().sleep_until(start);
            let mut changed = pin!(dependency.gate().limit_changed());
            poll_fn(|cx| {
                loop {
                    // Armed before looking: a nudge or a change in between finds the timer.
                    let over = Pin::new(&mut sleep).poll(cx);
                    let news = changed.as_mut().poll(cx);
                    let now = dependency.now();
                    if dependency.is_cancelled() {
                        return Poll::Ready(Some(WaitError::ShutDown));
                    }
                    if dependency.gate().check(self.key, now).is_err() {
                        return Poll::Ready(Some(WaitError::BreakerOpen));
                    }
                    match (over, news) {
                        (Poll::Ready(()), _) => return Poll::Ready(None),
                        _ if is_changed() => return Poll::Ready(None),
                        (_, Poll::Pending) => return Poll::Pending,
                        // Nothing that concerns this call: another key's breaker, or one that has closed again.
                        (_, Poll::Ready(())) => changed.set(dependency.gate().limit_changed()),
                    }
                }
            })
            .await
        };
        self.now = dependency.now();
        if let Some(error) = wait_error {
            self.wait_error(error);
            return false;
        }
        let refused = Refused { by: RejectedBy::RateLimit, retry_after: None };
        self.still_in_time(|call| call.refuse(refused))
    }

    /// Gives back the reservation of an attempt that the dependency does not see after all.
    #[cold]
    pub(super) fn return_reservation(&mut self) {
        if let Some(reservation) = self.reservation.take() {
            self.dependency.gate().quota().refund(reservation);
        }
    }
}
