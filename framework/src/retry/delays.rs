//! The delays between one call's attempts, as an iterator.

use std::time::Duration;

use crate::entropy::Entropy;

use super::config::Config;

/// How far a call has come with its delays.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Progress {
    /// Delays given so far: retries.
    given: u32,
    /// The last of them, but for what others had asked for: one long `Retry-After` would push every later one to its limit.
    previous: Duration,
}

impl Progress {
    /// Delays given so far.
    pub(crate) fn given(self) -> u32 {
        self.given
    }

    /// The next delay; not before `asked`, if somebody has asked for that. `unit` is chance, in `[0, 1)`.
    pub(crate) fn next(&mut self, config: &Config, asked: Option<Duration>, unit: f64) -> Duration {
        let (attempt, before) = (self.given, self.previous);
        let own = config.delay(attempt, before, unit);
        *self = Self { given: attempt.saturating_add(1), previous: own };
        asked.map_or(own, |asked| config.delay_after(asked, own, attempt, before))
    }

    /// Whether the attempt that has just ended was the last.
    pub(crate) fn is_over(self, max_attempts: u32) -> bool {
        self.given.saturating_add(1) >= max_attempts
    }
}

/// The delays between the attempts of one call: one fewer than its attempts. Made by [`Config::delays`].
#[derive(Clone, Debug)]
pub struct Delays<'a> {
    config: &'a Config,
    entropy: &'a Entropy,
    progress: Progress,
}

impl Config {
    /// The delays to wait between the attempts of a call, for a loop of your own. Of two calls each has its own: chance
    /// is drawn from `entropy` for every delay.
    ///
    /// ```
    /// use std::time::Duration;
    /// use seawall::entropy::Entropy;
    /// use seawall::retry::{Backoff, Config, Jitter};
    ///
    /// let config = Config::builder().max_attempts(6).backoff(Backoff::Fibonacci).jitter(Jitter::None).build()?;
    /// let entropy = Entropy::system();
    /// let seconds: Vec<u64> = config.delays(&entropy).map(|delay| delay.as_secs()).collect();
    /// assert_eq!(seconds, [1, 1, 2, 3, 5]);
    /// # Ok::<(), seawall::constraint::InvalidSettings>(())
    /// ```
    #[must_use]
    pub fn delays<'a>(&'a self, entropy: &'a Entropy) -> Delays<'a> {
        Delays { config: self, entropy, progress: Progress::default() }
    }
}

impl Delays<'_> {
    /// The next delay, where the server has asked to be left alone for this long: not before that, and spread after it.
    /// `None` after the last attempt.
    pub fn next_after(&mut self, asked: Option<Duration>) -> Option<Duration> {
        if self.progress.is_over(self.config.max_attempts()) {
            return None;
        }
        Some(self.progress.next(self.config, asked, self.entropy.unit()))
    }
}

impl Iterator for Delays<'_> {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.next_after(None)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left =
            self.config.max_attempts().saturating_sub(self.progress.given().saturating_add(1));
        (left as usize, Some(left as usize))
    }
}

impl ExactSizeIterator for Delays<'_> {}
