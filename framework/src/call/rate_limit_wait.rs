//! The waits for the dependency's rate limit, and for the quota that the dependency's own answers tell of.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;

use super::lease::Lease;
use crate::clock::Moment;
use crate::dependency::{Refused, Token, UnusedReservation, WaitError};
use crate::error::RejectedBy;

use super::attempt::Readiness;
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
            let token = gate
                .check_first(self.key, self.now)
                .and_then(|()| gate.take_token(self.now, || self.start_by().token_by));
            match token {
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

    /// Reserves a start by the dependency's own quota, if the policy has one. `None`: refused.
    fn reserve(&mut self) -> Option<UnusedReservation<'a>> {
        let quota = self.dependency.gate().quota();
        match quota.pace(self.now, self.start_by().token_by) {
            Ok(reservation) => Some(UnusedReservation::new(quota, reservation)),
            Err(refusal) => {
                self.refuse(refusal.into());
                None
            }
        }
    }

    /// With a token in hand, goes by the quota and takes a permit, if neither has to be waited for.
    #[cold]
    pub(super) fn enter_paced(&mut self, lease: &mut Lease<'a>) -> Readiness {
        let Some(reservation) = self.reserve() else { return Readiness::Refused };
        let is_now = reservation.wait().is_zero();
        self.reservation = reservation.take();
        if is_now && self.dependency.gate().waiting_room().try_enter(self.method.weight()) {
            lease.hold_permit();
            return Readiness::Free;
        }
        Readiness::StartLater
    }

    /// Waits for its reserved start. `None`: there is no answer.
    #[cold]
    pub(super) async fn pace(&mut self) -> Option<UnusedReservation<'a>> {
        let quota = self.dependency.gate().quota();
        let reservation = match self.reservation.take() {
            reserved @ Some(_) => UnusedReservation::new(quota, reserved),
            None => self.reserve()?,
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
