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
/// No retry is begun whose backoff would end after [`Retrying::within`], or after the deadline of the scope around it
/// ([`crate::deadline`]): then the last error is the answer.
pub fn retry<Op, E>(config: &Config, operation: Op) -> Retrying<'_, Op, E> {
    Retrying {
        config,
        operation,
        when: None,
        retry_after: None,
        on_retry: None,
        budget: None,
        within: None,
        time: None,
        entropy: None,
    }
}

type When<'a, E> = Box<dyn Fn(&E) -> bool + Send + 'a>;
type After<'a, E> = Box<dyn Fn(&E) -> Option<Duration> + Send + 'a>;
type OnRetry<'a, E> = Box<dyn FnMut(&E, Duration) + Send + 'a>;

/// An operation that is retried. Made by [`retry`].
#[must_use = "nothing is done before `run` or `run_blocking`"]
pub struct Retrying<'a, Op, E> {
    config: &'a Config,
    operation: Op,
    when: Option<When<'a, E>>,
    retry_after: Option<After<'a, E>>,
    on_retry: Option<OnRetry<'a, E>>,
    budget: Option<&'a Budget>,
    within: Option<Duration>,
    time: Option<Time>,
    entropy: Option<&'a Entropy>,
}

impl<'a, Op, E> Retrying<'a, Op, E> {
    /// Which errors are worth another attempt. Default: all.
    pub fn when(mut self, is_worth_it: impl Fn(&E) -> bool + Send + 'a) -> Self {
        self.when = Some(Box::new(is_worth_it));
        self
    }

    /// For how long the server has asked to be left alone, by its error: no retry comes sooner, and the jitter spreads it
    /// after that. Default: it has not.
    pub fn retry_after(mut self, asked: impl Fn(&E) -> Option<Duration> + Send + 'a) -> Self {
        self.retry_after = Some(Box::new(asked));
        self
    }

    /// Is told of every retry before its backoff: the error, and how long the backoff is. Default: nobody.
    pub fn on_retry(mut self, told: impl FnMut(&E, Duration) + Send + 'a) -> Self {
        self.on_retry = Some(Box::new(told));
        self
    }

    /// Counts this call, and takes its retries, in a budget that is shared with others. Default: none.
    pub fn budget(mut self, budget: &'a Budget) -> Self {
        self.budget = Some(budget);
        self
    }

    /// How long after the first attempt began the last one may begin. Default: whatever the scope's deadline leaves.
    pub fn within(mut self, length: Duration) -> Self {
        self.within = Some(length);
        self
    }

    /// What its backoffs are slept by. Default: the system's time, or tokio's where a test has paused that.
    pub fn time(mut self, time: Time) -> Self {
        self.time = Some(time);
        self
    }

    /// Where its jitter comes from. Default: the system's chance.
    pub fn entropy(mut self, entropy: &'a Entropy) -> Self {
        self.entropy = Some(entropy);
        self
    }

    /// Makes attempts until one succeeds or none is to follow.
    ///
    /// # Errors
    /// The last attempt's.
    ///
    /// # Cancellation
    /// Dropped, it drops the attempt under way and makes no other.
    pub async fn run<Fut, T>(mut self) -> Result<T, E>
    where
        Op: FnMut() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        let mut call = self.begin();
        loop {
            let error = match (self.operation)().await {
                Ok(answer) => {
                    self.ended(call.as_ref(), Outcome::Success);
                    return Ok(answer);
                }
                Err(error) => error,
            };
            self.ended(call.as_ref(), Outcome::Failure);
            let Some(backoff) = self.backoff(&mut call, &error) else { return Err(error) };
            // What a failed attempt holds does not wait too.
            drop(error);
            backoff.await;
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
        let mut call = self.begin();
        loop {
            let error = match (self.operation)() {
                Ok(answer) => {
                    self.ended(call.as_ref(), Outcome::Success);
                    return Ok(answer);
                }
                Err(error) => error,
            };
            self.ended(call.as_ref(), Outcome::Failure);
            let Some(backoff) = self.backoff(&mut call, &error) else { return Err(error) };
            drop(error);
            block_on(backoff);
        }
    }

    /// A call begins. One that has nothing to count from reads no clock before its first error.
    fn begin(&mut self) -> Option<UnderWay> {
        let is_counted = self.within.is_some() || self.budget.is_some();
        let call = is_counted.then(|| self.under_way());
        if let (Some(budget), Some(call)) = (self.budget, &call) {
            budget.call(call.started);
        }
        call
    }

    /// An attempt has ended.
    fn ended(&self, call: Option<&UnderWay>, outcome: Outcome) {
        if let (Some(budget), Some(call)) = (self.budget.filter(|it| it.listens()), call) {
            let after = call.is_retry.then_some(Outcome::Failure);
            budget.ended(call.time.now(), outcome, after);
        }
    }

    fn under_way(&mut self) -> UnderWay {
        let time = self.time.take().unwrap_or_else(Time::usual);
        UnderWay {
            started: time.now(),
            time,
            chance: Entropy::system(),
            retries: Progress::default(),
            is_retry: false,
        }
    }

    /// The backoff after this error; `None` if no other attempt is to follow.
    fn backoff(&mut self, call: &mut Option<UnderWay>, error: &E) -> Option<Sleep> {
        if self.when.as_ref().is_some_and(|is_worth_it| !is_worth_it(error)) {
            return None;
        }
        let call = call.get_or_insert_with(|| self.under_way());
        if call.retries.is_over(self.config.max_attempts()) {
            return None;
        }
        let asked = self.retry_after.as_ref().and_then(|asked| asked(error));
        let unit = self.entropy.unwrap_or(&call.chance).unit();
        let delay = call.retries.next(self.config, asked, unit);
        let (now, left) = (call.time.now(), deadline::left().unwrap_or(Duration::MAX));
        let begins = now + delay;
        let is_late = self.within.is_some_and(|length| begins > call.started + length);
        let chance = self.entropy.unwrap_or(&call.chance);
        let may = |budget: &Budget| budget.try_retry(now, Outcome::Failure, chance.unit());
        // The budget last: what it gives is spent.
        if is_late || delay >= left || !self.budget.is_none_or(may) {
            return None;
        }
        call.is_retry = true;
        if let Some(told) = &mut self.on_retry {
            told(error, delay);
        }
        Some(call.time.sleep_until(begins))
    }
}

/// A call that has begun.
struct UnderWay {
    time: Time,
    started: Moment,
    chance: Entropy,
    retries: Progress,
    /// An attempt has been made before the present one.
    is_retry: bool,
}

impl<Op, E> fmt::Debug for Retrying<'_, Op, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retrying").field("config", self.config).finish_non_exhaustive()
    }
}
