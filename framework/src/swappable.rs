//! A value that every call reads and that is hardly ever replaced.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwapOption;

use crate::sync::{AtomicU64, Ordering};

/// Reading costs a load of a line that nobody writes, as long as the value has never been replaced;
/// after that a few nanoseconds more. Replacing waits for no reader: one that is reading goes on with the
/// old value.
// What a reader reads lies together, with the first thing that the value begins with.
#[repr(C)]
pub(crate) struct Swappable<T> {
    /// Not zero once there is a later one, or the first has been left.
    is_replaced: AtomicU64,
    first: T,
    later: ArcSwapOption<T>,
}

impl<T> Swappable<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { first: value, is_replaced: AtomicU64::new(0), later: ArcSwapOption::empty() }
    }

    /// Where the first value is.
    #[cfg(all(test, not(seawall_loom)))]
    pub(crate) const FIRST: usize = std::mem::offset_of!(Self, first);

    /// Reads it.
    #[inline]
    pub(crate) fn with<R>(&self, read: impl FnOnce(&T) -> R) -> R {
        if self.is_replaced.load(Ordering::Acquire) == 0 {
            read(&self.first)
        } else {
            self.with_later(read)
        }
    }

    /// The value, if it is still the first: for a path on which a closure costs too much.
    #[inline]
    pub(crate) fn first(&self) -> Option<&T> {
        (self.is_replaced.load(Ordering::Acquire) == 0).then_some(&self.first)
    }

    /// The first value, though it may have been replaced: for a reader that has begun with it.
    pub(crate) fn at_first(&self) -> &T {
        &self.first
    }

    #[cold]
    fn with_later<R>(&self, read: impl FnOnce(&T) -> R) -> R {
        self.let_others_run();
        match &*self.later.load() {
            Some(later) => read(later),
            // Left, but not replaced.
            None => read(&self.first),
        }
    }

    /// The model checker does not know the atomics of `arc_swap`: it switches threads here instead.
    #[inline]
    fn let_others_run(&self) {
        #[cfg(all(test, seawall_loom))]
        self.is_replaced.fetch_add(0, Ordering::AcqRel);
    }

    /// From now on there is no first value, only the value: so that the fast path looks elsewhere too.
    pub(crate) fn leave_first(&self) {
        self.is_replaced.store(1, Ordering::Release);
    }

    /// Puts another in its place.
    pub(crate) fn replace(&self, value: T) {
        self.let_others_run();
        self.later.store(Some(Arc::new(value)));
        self.is_replaced.store(1, Ordering::Release);
    }
}

impl<T: fmt::Debug> fmt::Debug for Swappable<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with(|value| value.fmt(f))
    }
}
