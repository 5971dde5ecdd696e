//! Rate-limit tokens: the dependency's own, and those that other instances take from, too.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::futures::Notified;

use crate::clock::Moment;
use crate::dependency::refusals::Refused;
use crate::dependency::shared_tokens::SharedTokens;
use crate::limit::{self, AnyAlgorithm, RateLimiter};
use crate::sync::Ordering;

use super::Gate;

/// A rate-limit token, with the number of the limiter that gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// Valid now.
    Now(u32),
    /// Valid from this moment on.
    At(Moment, u32),
    /// Valid now, but the dependency's own quota is to be asked too.
    Paced(u32),
}

impl Gate {
    /// From now on each attempt takes a token from these, too. False: it does so from others.
    pub(crate) fn share_tokens(&self, tokens: Arc<dyn SharedTokens>) -> bool {
        let is_first = self.shared.set(Box::new(tokens)).is_ok();
        self.limiter.leave_first();
        is_first
    }

    /// Takes a token of limiter 0, if that can be done at a look. False says nothing: [`Gate::take_token`] is to be asked then.
    #[inline(always)]
    pub(crate) fn take_token_at_once(&self, now: Moment) -> bool {
        match self.limiter.first() {
            Some(Some(limiter)) => limiter.take_one_at_once(now),
            Some(None) => true,
            None => false,
        }
    }

    /// Takes a token. A limiter that shapes gives one that is valid at `latest`, or before; only such a limiter asks for
    /// that.
    #[inline]
    pub(crate) fn take_token(
        &self,
        now: Moment,
        latest: impl FnOnce() -> Moment,
    ) -> Result<Token, Refused> {
        match self.limiter.first() {
            Some(limiter) => self.ask(limiter.as_ref(), 0, now, latest),
            None => self.take_token_slow(now, latest),
        }
    }

    /// Whether [`Gate::take_token`] would give one that is valid now. False where that is not known at a look.
    pub(crate) fn has_token(&self, now: Moment) -> bool {
        match self.limiter.first() {
            Some(None) => true,
            Some(Some(limiter)) => {
                self.rate_limit_max_wait.load(Ordering::Relaxed) == 0 && limiter.has_one(now)
            }
            None => false,
        }
    }

    /// With a limiter that has been replaced, or a quota or a shared limit beside it.
    #[cold]
    fn take_token_slow(
        &self,
        now: Moment,
        latest: impl FnOnce() -> Moment,
    ) -> Result<Token, Refused> {
        let number = self.limiter_number();
        let limiter = &self.limiter;
        let shared = self.shared.get();
        shared.map_or(Ok(()), |shared| shared.try_take(now))?;
        let token = limiter.with(|limiter| self.ask(limiter.as_ref(), number, now, latest));
        if let (Some(shared), Err(_)) = (shared, &token) {
            shared.give_back(now);
        }
        match token? {
            Token::Now(number) if self.quota.is_on() => Ok(Token::Paced(number)),
            token => Ok(token),
        }
    }

    #[inline]
    fn ask(
        &self,
        limiter: Option<&RateLimiter<AnyAlgorithm>>,
        number: u32,
        now: Moment,
        latest: impl FnOnce() -> Moment,
    ) -> Result<Token, Refused> {
        let Some(limiter) = limiter else { return Ok(Token::Now(number)) };
        let longest = self.rate_limit_max_wait.load(Ordering::Relaxed);
        if longest == 0 {
            limiter.try_take(now, 1)?;
            return Ok(Token::Now(number));
        }
        let wait = Self::reserve_token(limiter, now, latest(), longest)?;
        Ok(if wait.is_zero() { Token::Now(number) } else { Token::At(now + wait, number) })
    }

    #[cold]
    fn reserve_token(
        limiter: &RateLimiter<AnyAlgorithm>,
        now: Moment,
        latest: Moment,
        longest: u64,
    ) -> Result<Duration, limit::Refusal> {
        let left = latest.nanos_since(now);
        let patience = Duration::from_nanos(longest.min(left));
        limiter.reserve(now, 1, patience).map_err(|refusal| limit::Refusal {
            // The refusal says when the same wait would be granted. A call that must begin sooner than `max_wait`
            // allows will have less time then, so it is told when it would not have to wait at all.
            retry_after: refusal
                .retry_after
                .map(|after| if left < longest { after.saturating_add(patience) } else { after }),
        })
    }

    /// The lower half of the limiter's number. It is enough: no token is held for 2^31 reloads.
    fn limiter_number(&self) -> u32 {
        self.limiters.load(Ordering::Acquire) as u32
    }

    /// Whether the limiter of this number has been replaced.
    pub(crate) fn is_replaced(&self, number: u32) -> bool {
        self.limiter_number() != number
    }

    /// Ends when a call that waits for a token must look again. Hears what happens after this call.
    pub(crate) fn limit_changed(&self) -> Notified<'_> {
        self.limit_changed.next()
    }

    /// Gives back the token of an attempt that was never dispatched. A limiter that has been replaced gets nothing back,
    /// and neither limiter gets back what was taken while one was being replaced.
    pub(crate) fn refund(&self, number: u32, now: Moment, taken_for: Moment) {
        let limiter = &self.limiter;
        match limiter.first() {
            // Where there never was one there is nothing to give back to.
            Some(None) => {}
            Some(first) => self.refund_to(first.as_ref(), number, now, taken_for),
            None => {
                if let Some(shared) = self.shared.get() {
                    shared.give_back(now);
                }
                limiter.with(|limiter| self.refund_to(limiter.as_ref(), number, now, taken_for));
            }
        }
    }

    fn refund_to(
        &self,
        limiter: Option<&RateLimiter<AnyAlgorithm>>,
        number: u32,
        now: Moment,
        taken_for: Moment,
    ) {
        // Looked at with the limiter in hand: the number is still this one, so the limiter is.
        if let Some(limiter) = limiter
            && number.is_multiple_of(2)
            && !self.is_replaced(number)
        {
            limiter.refund(now, 1, taken_for);
        }
    }
}
