//! Seawalls in the states that these tests need.
#![allow(clippy::unwrap_used)] // a test may panic

use seawall::Seawall;

/// One without a policy.
pub(crate) fn seawall() -> Seawall {
    Seawall::builder().start().unwrap()
}

/// One whose idempotent calls are attempted `attempts` times at most, without much of a pause.
pub(crate) fn seawall_that_tries(attempts: usize) -> Seawall {
    let retry = format!("[defaults.retry]\nmax_attempts = {attempts}\nmax_delay = \"1ms\"\n");
    let never_opens = "[defaults.breaker]\nfailures = 1000\n";
    Seawall::builder().policy_text("test.toml", retry + never_opens).start().unwrap()
}

/// Has every call of a dependency refused.
pub(crate) async fn isolate(seawall: &Seawall, dependency: &str) {
    seawall.dependency(dependency).unwrap().force_open().await.unwrap();
}
