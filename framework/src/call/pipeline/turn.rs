//! Waiting for a turn: under the dependency's rate limit, and by the quota that it tells of itself.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;

use crate::call::gate::Knock;
use crate::call::lease::Lease;
use crate::call::quota::Unused;
use crate::call::room::TurnedAway;
use crate::clock::Moment;
use crate::error::Fault;

use super::Call;

impl<'a> Call<'a> {
    /// Waits for its turn under the rate limit; and for another, if the limit has changed meanwhile.
    #[cold]
    pub(super) async fn await_turn(&mut self, lease: &mut Lease<'a>) -> Result<(), Fault> {
        let gate = self.dependency.gate();
        loop {
            let is_replaced = || gate.is_replaced(lease.limiter());
            self.sleep_until_turn(lease.taken_for(), is_replaced).await?;
            if !is_replaced() {
                return Ok(());
            }
            // A turn by a limit that holds no more is nothing to give back.
            lease.forget_token();
            match gate.knock(self.key, self.now, self.deadline) {
                Ok(Knock::Open(limiter) | Knock::Paced(limiter)) => {
                    lease.take_token(self.now, limiter);
                    return Ok(());
                }
                Ok(Knock::At(turn, limiter)) => lease.take_token(turn, limiter),
                Err(refused) => return Err(self.dependency.refuse(refused, self.now)),
            }
        }
    }

    /// Waits for its turn by the dependency's own quota, if that is gone by. It is on the caller to have it seen, or dropped.
    #[cold]
    pub(super) async fn pace(&mut self) -> Result<Unused<'a>, Fault> {
        let dependency = self.dependency;
        let quota = dependency.gate().quota();
        let turn = match quota.pace(self.now, self.deadline) {
            Ok(turn) => Unused::new(dependency, turn),
            Err(refusal) => return Err(dependency.refuse(refusal.into(), self.now)),
        };
        if !turn.wait().is_zero() {
            self.sleep_until_turn(self.now + turn.wait(), || !quota.is_on()).await?;
        }
        Ok(turn)
    }

    /// Sleeps until then, or until `is_changed` says that there is no more need to.
    async fn sleep_until_turn(
        &mut self,
        turn: Moment,
        is_changed: impl Fn() -> bool,
    ) -> Result<(), Fault> {
        let dependency = self.dependency;
        self.pend();
        let turned_away = {
            let mut sleep = dependency.time().sleep_until(turn);
            let mut changed = pin!(dependency.gate().turns());
            poll_fn(|cx| {
                loop {
                    // Armed before looking: a nudge or a change that comes in between finds it.
                    let over = Pin::new(&mut sleep).poll(cx);
                    let news = changed.as_mut().poll(cx);
                    let now = dependency.now();
                    if dependency.is_cancelled() {
                        return Poll::Ready(Some(TurnedAway::ShutDown));
                    }
                    if dependency.gate().check(self.key, now).is_err() {
                        return Poll::Ready(Some(TurnedAway::Flushed));
                    }
                    match (over, news) {
                        (Poll::Ready(()), _) => return Poll::Ready(None),
                        _ if is_changed() => return Poll::Ready(None),
                        (_, Poll::Pending) => return Poll::Pending,
                        // Nothing that concerns it: another key's, or it has closed again already.
                        (_, Poll::Ready(())) => changed.set(dependency.gate().turns()),
                    }
                }
            })
            .await
        };
        self.now = dependency.now();
        if let Some(end) = turned_away {
            return Err(self.turned_away(end));
        }
        // The turn was to come before the deadline, but on a busy machine it came when it did.
        if self.now >= self.deadline {
            return Err(dependency.deadline_exceeded(self.method.plan.deadline()));
        }
        Ok(())
    }

    /// Gives a turn by the quota back that the dependency was not to see after all.
    #[cold]
    pub(super) fn give_turn_back(&mut self) {
        if let Some(turn) = self.turn.take() {
            self.dependency.gate().quota().refund(turn);
        }
    }
}
