//! A guard's refusal, and the name that it is answered with. Refusing is what a process does most when a dependency is in trouble.
//!
//! Each thread takes the dependency's name from its own stripe (`stats.rs`), where it counts the refusal too: a counter, or a
//! reference count, that all threads share would cost more than the rest of a refusal.

use std::sync::Arc;
use std::time::Duration;

use crate::breaker;
use crate::error::{DependencyName, RejectedBy};
use crate::limit;

/// A guard's refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) by: RejectedBy,
    pub(crate) retry_after: Option<Duration>,
}

impl From<breaker::NotAdmitted> for Refused {
    fn from(refusal: breaker::NotAdmitted) -> Self {
        Self { by: RejectedBy::Breaker, retry_after: refusal.retry_after }
    }
}

impl From<limit::Refusal> for Refused {
    fn from(refusal: limit::Refusal) -> Self {
        Self { by: RejectedBy::RateLimit, retry_after: refusal.retry_after }
    }
}

/// A copy of a name, not a clone: what threads must not share is a reference count. Nor may two of those lie in one line
/// of the cache, where the allocator likes to put them: that cost twice the time of a refusal on two threads.
pub(super) fn apart<'a>(
    name: &str,
    others: impl Iterator<Item = &'a DependencyName>,
) -> DependencyName {
    let line = |name: &DependencyName| Arc::as_ptr(name).cast::<u8>().addr() / LINE;
    let taken: Vec<usize> = others.map(line).collect();
    // Kept until the end, so that the next one lies elsewhere.
    let mut too_near = Vec::new();
    loop {
        let copy = Arc::from(name);
        let is_near = taken.iter().any(|other| other.abs_diff(line(&copy)) <= 1);
        if !is_near || too_near.len() == TRIES {
            return copy;
        }
        too_near.push(copy);
    }
}

/// Two lines of the cache: the processor fetches them in pairs.
const LINE: usize = 128;
/// How often a copy is made anew, at most. Near another name there is room for 3 lines of copies, of 16 bytes at the least; so with
/// the 16 others that there can be, no more than 384 are near, whatever the allocator does.
const TRIES: usize = 384;

#[cfg(all(test, not(seawall_loom)))]
mod tests {
    use super::*;

    #[test]
    fn copies_of_a_name_lie_in_lines_of_their_own() {
        for length in [0, 1, 8, 40, 300] {
            let name = "x".repeat(length);
            let mut names = Vec::new();
            for _ in 0..16 {
                names.push(apart(&name, names.iter()));
            }
            assert!(names.iter().all(|copy| **copy == *name));
            let mut lines: Vec<_> =
                names.iter().map(|copy| Arc::as_ptr(copy).cast::<u8>().addr() / LINE).collect();
            lines.sort_unstable();
            assert!(lines.windows(2).all(|pair| pair[1] - pair[0] > 1), "{lines:?}");
        }
    }
}
