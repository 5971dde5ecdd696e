//! Supervision from the outside: where it runs, what its actors do by themselves, what becomes of calls
//! when they are stalled, killed or gone, and how everything ends.
#![allow(clippy::unwrap_used)] // a test may panic
#![expect(clippy::unwrap_used, reason = "a helper of a test fails with the test")]

#[path = "pipeline/build.rs"]
mod build;

mod actors {
    mod adopted;
    mod control;
    mod events;
    mod growth;
    mod history;
    mod life;
    mod load;
    mod paused;
    mod places;
    mod reload;
    mod shared_rate;
    mod sharing;
    mod shutdown;
    mod stalled;
}
