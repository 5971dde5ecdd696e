//! Policies from the outside, by themselves and through clients.
#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod policies {
    mod breakers;
    mod keyed_limiters;
}
