//! Retries around a function, without a dependency: for a job, a start-up, a test. A call of a service is better retried by
//! its client, which has a breaker, a budget and a deadline beside it.

#[cfg(all(test, not(seawall_loom)))]
#[allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]
mod tests;

use std::fmt;
use std::future::Future;
use std::time::Duration;

use crate::clock::Moment;
use crate::deadline;
use crate::entropy::Entropy;
use crate::outcome::Outcome;
use crate::retry::{Budget, Config, Progress};
use crate::time::{Sleep, Time, block_on};

/// Retries `operation` by these settings: [`Retrying::run`] for an async one, [`Retrying::run_blocking`] for one that
/// blocks.
///
/// ```
/// use std::time::Duration;
/// use seawall::retry::Config;
///
/// # async fn read() -> std::io::Result<String> { Ok(String::new()) }
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let config = Config::builder().max_attempts(5).base_delay(Duration::from_millis(100)).build()?;
/// let text = seawall::retry(&config, || read())
///     .when(|error: &std::io::Error| error.kind() == std::io::ErrorKind::ConnectionReset)
///     .run()
///     .await?;
/// # Ok(())
/// # }
/// ```
///
/// `operation` is called for every attempt, so it must be safe to repeat. Of the settings, `max_attempts`, the backoff, the
/// jitter and the delays count here, and not `retry_rejections`, because there are no guards; a budget is given as
/// [`Retrying::budget`], because it is shared.
///
/// No retry is begun whose backoff would end after [`Retrying::within`] or the settings' `max_elapsed`, or after the deadline of the scope around it
/// ([`crate::deadline`]): then the last error is the answer.
pub fn retry<Op, E>(config: &Config, operation: Op) -> Retrying<'_, Op, E> {
    Retrying { config, operation, budget: None, more: None }
}

/// An operation that is retried. Made by [`retry`].
#[must_use = "nothing is done before `run` or `run_blocking`"]
pub struct Retrying<'a, Op, E> {
    config: &'a Config,
    operation: Op,
    budget: Option<&'a Budget>,
    /// What few say. In a box: what is moved into the future and dropped with it is small.
    more: Option<Box<More<'a, E>>>,
}

type When<'a, E> = Box<dyn Fn(&E) -> bool + Send + 'a>;
type After<'a, E> = Box<dyn Fn(&E) -> Option<Duration> + Send + 'a>;
type OnRetry<'a, E> = Box<dyn FnMut(&E, Duration) + Send + 'a>;

struct More<'a, E> {
    when: Option<When<'a, E>>,
    retry_after: Option<After<'a, E>>,
    on_retry: Option<OnRetry<'a, E>>,
    within: Option<Duration>,
    time: Option<Time>,
    entropy: Option<&'a Entropy>,
}

impl<E> Default for More<'_, E> {
    fn default() -> Self {
        Self {
            when: None,
            retry_after: None,
            on_retry: None,
            within: None,
            time: None,
            entropy: None,
        }
    }
}

impl<'a, Op, E> Retrying<'a, Op, E> {
    fn more(&mut self) -> &mut More<'a, E> {
        self.more.get_or_insert_default()
    }

    /// Which errors are worth another attempt. Default: all.
    pub fn when(mut self, is_worth_it: impl Fn(&E) -> bool + Send + 'a) -> Self {
        self.more().when = Some(Box::new(is_worth_it));
        self
    }

    /// For how long the server has asked to be left alone, by its error: no retry comes sooner, and the jitter spreads it
    /// after that. Default: it has not.
    pub fn retry_after(mut self, asked: impl Fn(&E) -> Option<Duration> + Send + 'a) -> Self {
        self.more().retry_after = Some(Box::new(asked));
        self
    }

    /// Is told of every retry before its backoff: the error, and how long the backoff is. Default: nobody.
    pub fn on_retry(mut self, told: impl FnMut(&E, Duration) + Send + 'a) -> Self {
        self.more().on_retry = Some(Box::new(told));
        self
    }

    /// Counts this call, and takes its retries, in a budget that is shared with others. Default: none.
    pub fn budget(mut self, budget: &'a Budget) -> Self {
        self.budget = Some(budget);
        self
    }

    /// How long after the first attempt began the last one may begin. Default: whatever the scope's deadline leaves.
    pub fn within(mut self, length: Duration) -> Self {
        self.more().within = Some(length);
        self
    }

    /// What its backoffs are slept by. Default: the system's time, or tokio's where a test has paused that.
    pub fn time(mut self, time: Time) -> Self {
        self.more().time = Some(time);
        self
    }

    /// Where its jitter comes from. Default: the system's chance.
    pub fn entropy(mut self, entropy: &'a Entropy) -> Self {
        self.more().entropy = Some(entropy);
        self
    }

    /// Makes attempts until one succeeds or none is to follow.
    ///
    /// # Errors
    /// The last attempt's.
    ///
    /// # Cancellation
    /// Dropped, it drops the attempt under way and makes no other.
    #[expect(clippy::manual_async_fn, reason = "an `async fn` keeps its argument twice")]
    pub fn run<Fut, T>(mut self) -> impl Future<Output = Result<T, E>>
    where
        Op: FnMut() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        async move {
            // A call that is not counted has nothing to keep, and nothing to drop.
            let (begun, error) = if self.is_counted() {
                let begun = self.begin();
                match (self.operation)().await {
                    Ok(answer) => {
                        self.succeeded(begun.as_ref(), false);
                        return Ok(answer);
                    }
                    Err(error) => (begun, error),
                }
            } else {
                match (self.operation)().await {
                    Ok(answer) => return Ok(answer),
                    Err(error) => (None, error),
                }
            };
            // In a box: a call that needs no retry has a small future.
            Box::pin(self.run_on(begun, error)).await
        }
    }

    /// Goes on after the first attempt has failed.
    async fn run_on<Fut, T>(mut self, begun: Option<Begun>, mut error: E) -> Result<T, E>
    where
        Op: FnMut() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        let mut call = self.under_way(begun);
        loop {
            let Some(backoff) = self.backoff(&mut call, &error) else { return Err(error) };
            // What a failed attempt holds does not wait too.
            drop(error);
            backoff.await;
            match (self.operation)().await {
                Ok(answer) => {
                    self.succeeded(Some(&call.begun), true);
                    return Ok(answer);
                }
                Err(next) => error = next,
            }
        }
    }

    /// The same for an operation that blocks, on this thread, which sleeps through the backoffs. Not for an async task.
    ///
    /// # Errors
    /// The last attempt's.
    pub fn run_blocking<T>(mut self) -> Result<T, E>
    where
        Op: FnMut() -> Result<T, E>,
    {
        let begun = self.begin();
        let mut error = match (self.operation)() {
            Ok(answer) => {
                self.succeeded(begun.as_ref(), false);
                return Ok(answer);
            }
            Err(error) => error,
        };
        let mut call = self.under_way(begun);
        loop {
            let Some(backoff) = self.backoff(&mut call, &error) else { return Err(error) };
            drop(error);
            block_on(backoff);
            match (self.operation)() {
                Ok(answer) => {
                    self.succeeded(Some(&call.begun), true);
                    return Ok(answer);
                }
                Err(next) => error = next,
            }
        }
    }

    fn is_counted(&self) -> bool {
        self.budget.is_some()
            || self.config.max_elapsed().is_some()
            || self.more.as_ref().is_some_and(|more| more.within.is_some())
    }

    /// A call begins. One that has nothing to count from reads no clock before its first error.
    #[inline]
    fn begin(&mut self) -> Option<Begun> {
        if !self.is_counted() {
            return None;
        }
        let begun = self.begun_now();
        if let Some(budget) = self.budget {
            budget.call(begun.started);
        }
        Some(begun)
    }

    #[inline(never)]
    fn begun_now(&mut self) -> Begun {
        let time = self.more.as_mut().and_then(|more| more.time.take()).unwrap_or_else(Time::usual);
        Begun { started: time.now(), time }
    }

    fn under_way(&mut self, begun: Option<Begun>) -> UnderWay {
        UnderWay {
            begun: begun.unwrap_or_else(|| self.begun_now()),
            chance: Entropy::system(),
            retries: Progress::default(),
        }
    }

    /// An attempt has succeeded.
    #[inline]
    fn succeeded(&self, begun: Option<&Begun>, is_retry: bool) {
        if let (Some(budget), Some(begun)) = (self.budget, begun)
            && budget.listens()
        {
            let after = is_retry.then_some(Outcome::Failure);
            budget.ended(begun.time.now(), Outcome::Success, after);
        }
    }

    /// The backoff after this error; `None` if no other attempt is to follow.
    fn backoff(&mut self, call: &mut UnderWay, error: &E) -> Option<Sleep> {
        let now = call.begun.time.now();
        if let Some(budget) = self.budget {
            let after = (call.retries.given() > 0).then_some(Outcome::Failure);
            budget.ended(now, Outcome::Failure, after);
        }
        let more = self.more.as_deref();
        let is_worth_it = more.and_then(|more| more.when.as_ref()).is_none_or(|it| it(error));
        if !is_worth_it || call.retries.is_over(self.config.max_attempts()) {
            return None;
        }
        let asked = more.and_then(|more| more.retry_after.as_ref()).and_then(|asked| asked(error));
        let chance = more.and_then(|more| more.entropy).unwrap_or(&call.chance);
        let delay = call.retries.next(self.config, asked, chance.unit());
        let begins = now + delay;
        let bounds = [more.and_then(|more| more.within), self.config.max_elapsed()];
        let is_late = bounds.into_iter().flatten().any(|it| begins > call.begun.started + it)
            || delay >= deadline::left().unwrap_or(Duration::MAX);
        let may = |budget: &Budget| budget.try_retry(now, Outcome::Failure, chance.unit());
        // The budget last: what it gives is spent.
        if is_late || !self.budget.is_none_or(may) {
            return None;
        }
        if let Some(told) = self.more.as_mut().and_then(|more| more.on_retry.as_mut()) {
            told(error, delay);
        }
        Some(call.begun.time.sleep_until(begins))
    }
}

/// When a call has begun, and by which time.
struct Begun {
    time: Time,
    started: Moment,
}

/// A call whose first attempt has failed.
struct UnderWay {
    begun: Begun,
    chance: Entropy,
    retries: Progress,
}

impl<Op, E> fmt::Debug for Retrying<'_, Op, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retrying").field("config", self.config).finish_non_exhaustive()
    }
}
