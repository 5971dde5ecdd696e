//! What is learned, against plain lists; what is improbable, against plain sums; and what the breaker
//! makes of both.

#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod breaker;
mod keeping;
mod learning;
mod tails;
mod weeks;
