//! The slice of a budget's window that calls know of.

use crate::clock::Moment;
use crate::sync::{AtomicU64, Ordering};

/// A call that falls into it need not look at the budget. Of a slice and the next, a call may see the beginning of one and the
/// length of the other: then it looks once too often.
#[derive(Debug)]
pub(crate) struct KnownSlice {
    begins: AtomicU64,
    length: AtomicU64,
}

impl KnownSlice {
    /// None is known: the next call has to look.
    pub(crate) fn unknown() -> Self {
        Self { begins: AtomicU64::new(0), length: AtomicU64::new(0) }
    }

    /// Whether this moment is in it. One before it is not, so that a clock that goes back is noticed.
    #[inline(always)]
    pub(crate) fn holds(&self, now: Moment) -> bool {
        let begins = self.begins.load(Ordering::Relaxed);
        now.as_nanos().wrapping_sub(begins) < self.length.load(Ordering::Relaxed)
    }

    /// Begins then, and is so long, in nanoseconds.
    pub(super) fn set(&self, (begins, length): (u64, u64)) {
        self.begins.store(begins, Ordering::Relaxed);
        self.length.store(length, Ordering::Relaxed);
    }

    /// There is nothing that a call would have to look at.
    pub(crate) fn set_endless(&self) {
        self.set((0, u64::MAX));
    }

    /// None is known from now on.
    pub(crate) fn forget(&self) {
        self.set((0, 0));
    }
}

#[cfg(all(test, not(seawall_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_in_it_from_its_beginning_to_before_its_end() {
        let slice = KnownSlice::unknown();
        let holds = |slice: &KnownSlice, at: &[u64]| {
            at.iter().map(|at| slice.holds(Moment::from_nanos(*at))).collect::<Vec<_>>()
        };
        assert_eq!(holds(&slice, &[0, 1, u64::MAX]), [false; 3]);
        slice.set((100, 10));
        assert_eq!(holds(&slice, &[99, 100, 109, 110]), [false, true, true, false]);
        slice.set_endless();
        assert_eq!(holds(&slice, &[0, 1 << 63]), [true; 2]);
        slice.forget();
        assert_eq!(holds(&slice, &[0, 100]), [false; 2]);
    }
}
