//! Seawalls in the states that these tests need: the only place here that knows how to get one there.
#![allow(clippy::unwrap_used)] // a test may panic

use seawall::Seawall;

/// One without a policy.
pub(crate) fn seawall() -> Seawall {
    Seawall::default()
}

/// One whose idempotent calls are attempted `attempts` times at most.
pub(crate) fn seawall_that_tries(attempts: usize) -> Seawall {
    let seawall = Seawall::default();
    seawall.core.attempts.store(attempts, std::sync::atomic::Ordering::Relaxed);
    seawall
}

/// One that refuses every call.
pub(crate) fn seawall_that_refuses() -> Seawall {
    let seawall = Seawall::default();
    let fault = seawall::Fault::Rejected {
        dependency: "some".into(),
        by: seawall::error::RejectedBy::Breaker,
        retry_after: None,
    };
    *seawall.core.faults.lock().unwrap() = vec![fault; 100];
    seawall
}
