//! The breaker against plain lists and a plain state machine; on real threads; and against what
//! other breakers got wrong.

#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod bounded_run;
mod causes;
mod elsewhere;
mod for_key;
mod machine;
mod probes;
mod recovery;
mod threads;
mod windows;

use std::time::Duration;

use crate::clock::Moment;

fn at(time: Duration) -> Moment {
    Moment::ZERO + time
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn millis(ms: u64) -> Duration {
    Duration::from_millis(ms)
}
