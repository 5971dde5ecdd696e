//! The slow start of a recovered dependency: more and more of its calls, evenly spread.

use std::time::Duration;

use crate::sync::{AtomicU64, Ordering};

use super::config::Ramp;

/// The share of calls to let through with this much of the ramp `left`.
pub(super) fn share(ramp: Ramp, left: Duration) -> f64 {
    // Both are at most 30 days, and the ramp is at least 1 ms.
    let left = (left.as_secs_f64() / ramp.over.as_secs_f64()).min(1.0);
    ramp.from + (1.0 - left) * (1.0 - ramp.from)
}

/// One call, in fixed point.
const WHOLE: u64 = 1 << 32;

/// Lets a share of calls through without rolling dice: each call adds its share, and the call that brings
/// the sum past the next whole number is let through. So any stretch of calls is thinned to its share
/// within one call, whichever threads they come from and however the share changes.
#[derive(Debug)]
pub(super) struct Thinner(AtomicU64);

impl Default for Thinner {
    fn default() -> Self {
        Self(AtomicU64::new(0))
    }
}

impl Thinner {
    pub(super) fn admits(&self, share: f64) -> bool {
        let share = (share.clamp(0.0, 1.0) * WHOLE as f64) as u64;
        let before = self.0.fetch_add(share, Ordering::Relaxed) % WHOLE;
        before + share >= WHOLE
    }
}
