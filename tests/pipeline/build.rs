//! Policies in few words.

use std::time::Duration;

use seawall::backpressure::{self, Strategy};
use seawall::constraint::InvalidSettings;
use seawall::{Policy, breaker, bulkhead, limit, policy, retry};

pub(crate) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Timeout 1 s, deadline 10 s, 2 permits, a line of 2 that refuses, breaker after 3 failures for 5 s.
pub(crate) fn base() -> policy::Builder {
    Policy::builder()
        .timeout(secs(1))
        .deadline(secs(10))
        .breaker(trips_after(3))
        .bulkhead(permits(2))
        .mailbox(line(2, Strategy::Error))
        .retry(retries(3))
}

pub(crate) fn trips_after(failures: u32) -> breaker::Builder {
    breaker::Config::builder()
        .failures(failures)
        .first_open_for(secs(5))
        .open_for(secs(5))
        .half_open_calls(1)
        .success_threshold(1)
}

pub(crate) fn permits(max_concurrent: u32) -> bulkhead::Builder {
    bulkhead::Config::builder().max_concurrent(max_concurrent).max_wait(secs(4))
}

pub(crate) fn line(capacity: u32, on_full: Strategy) -> backpressure::Builder {
    backpressure::Config::builder().capacity(capacity).on_full(on_full)
}

/// 100 ms, 200 ms, 400 ms …, no chance in it.
pub(crate) fn retries(attempts: u32) -> retry::Builder {
    retry::Config::builder().max_attempts(attempts).base_delay(ms(100)).jitter(retry::Jitter::None)
}

/// As good as no refill.
pub(crate) fn tokens(capacity: u64) -> Result<limit::Config, InvalidSettings> {
    limit::Config::token_bucket(capacity, 1e-6)
}
