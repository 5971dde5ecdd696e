//! One call from the outside, through clients that `#[resilient]` made: every guard, every way to end,
//! every moment to be dropped.
#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod pipeline {
    pub(crate) mod build;

    mod allocation;
    mod blocking;
    mod breaker;
    mod calls;
    mod cancel;
    mod classify;
    mod crowd;
    mod data;
    mod deadline;
    mod earlier;
    mod fallback;
    mod guards;
    mod hedge;
    mod keys;
    mod last_good;
    mod late;
    mod leased;
    mod oneway;
    mod origin;
    mod outgoing;
    mod panics;
    mod quota;
    mod reloaded;
    mod reqwest;
    mod retry;
    mod shaping;
    mod storms;
    mod unanswered;
    mod unprocessed;
    mod upstream;
    mod waiting;
    mod weights;
}
