//! A test of a user's, with tokio's clock paused and nothing else said.

use std::time::Duration;

use seawall::prelude::*;
use seawall::{CallOutcome, State};

#[resilient]
trait Bank {
    #[call(timeout = "1s")]
    async fn balance(&self) -> std::io::Result<u32>;
}

struct Slow;

impl Bank for Slow {
    #[allow(clippy::disallowed_methods, reason = "as a user's service does")]
    async fn balance(&self) -> std::io::Result<u32> {
        tokio::time::sleep(Duration::from_secs(3600)).await;
        Ok(1)
    }
}

#[tokio::test(start_paused = true)]
#[allow(clippy::disallowed_methods, reason = "as a user's test does")]
async fn a_seawall_started_on_a_paused_clock_follows_it() {
    let began = tokio::time::Instant::now();
    let seawall = Seawall::builder().start().unwrap();
    let bank: BankClient<Slow> = seawall.spawn("bank", Slow).await.unwrap();
    for _ in 0..5 {
        let error = bank.balance().await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    }
    assert_eq!(began.elapsed(), Duration::from_secs(5));
    let handle = seawall.dependency("bank").unwrap();
    assert_eq!(handle.state(), State::Open);
    bank.balance().await.unwrap_err();
    assert_eq!(began.elapsed(), Duration::from_secs(5), "refused at once");
    // Open for 1 s, rounded up to whole milliseconds.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    bank.balance().await.unwrap_err();
    assert_eq!(began.elapsed(), Duration::from_millis(7_100), "a probe");
    assert_eq!(handle.snapshot().calls(CallOutcome::TimedOut), 6);
}

#[tokio::test]
async fn a_seawall_started_on_a_clock_that_runs_goes_by_the_systems() {
    let seawall = Seawall::builder().start().unwrap();
    let before = seawall.now();
    while seawall.now() == before {
        std::hint::spin_loop();
    }
}
