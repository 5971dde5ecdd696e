//! Counters that each thread adds to in a stripe of its own.
//!
//! A stripe has one writer at a time, so adding is a load and a store; a locked instruction costs ten times as much. The
//! first threads to count take the stripes, and a thread that ends leaves its stripe to the next one that begins to count.
//! Threads beyond that add to one more stripe, which they share, by locked instructions.

use std::cell::Cell;
use std::sync::OnceLock;

use crate::sync::{AtomicU64, Mutex, Ordering};

/// How many threads at once have a stripe of their own.
const OWN: usize = 16;
/// The stripe of all others.
const SHARED: usize = OWN;
const UNKNOWN: usize = usize::MAX;

/// A count in a stripe.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Adds so many. By the thread whose own stripe it is in, if it is one's own.
    #[inline]
    pub(crate) fn add(&self, by: u64, of: Owner) {
        match of {
            Owner::ThisThread => {
                self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(by), Ordering::Relaxed);
            }
            Owner::Nobody => {
                self.0.fetch_add(by, Ordering::Relaxed);
            }
        }
    }

    /// How many it counted.
    #[inline]
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Who may write a stripe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    ThisThread,
    /// Everybody who has none.
    Nobody,
}

/// One of these for each thread that has counted. Nothing is allocated before the first does.
#[derive(Debug)]
pub(crate) struct Striped<T>(OnceLock<Box<[OnceLock<Box<T>>; OWN + 1]>>);

impl<T> Default for Striped<T> {
    fn default() -> Self {
        Self(OnceLock::new())
    }
}

impl<T> Striped<T> {
    /// The calling thread's, made by `new` if it has none yet. `new` is shown those that there are.
    #[inline]
    pub(crate) fn mine(&self, new: impl FnOnce(&Self) -> T) -> (&T, Owner) {
        let at = number();
        let owner = if at == SHARED { Owner::Nobody } else { Owner::ThisThread };
        let made = self.0.get().and_then(|all| all[at].get()).map(|one| &**one);
        (made.unwrap_or_else(|| self.make(at, new)), owner)
    }

    #[cold]
    fn make(&self, at: usize, new: impl FnOnce(&Self) -> T) -> &T {
        let all = self.0.get_or_init(|| Box::new(std::array::from_fn(|_| OnceLock::new())));
        all[at].get_or_init(|| Box::new(new(self)))
    }

    /// All that there are.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0
            .get()
            .into_iter()
            .flat_map(|all| all.iter().filter_map(OnceLock::get).map(|one| &**one))
    }
}

/// Which stripe is the calling thread's. For its whole life, but for its last destructors, which share.
#[inline]
fn number() -> usize {
    // Without a destructor, so it can be read to the very end of the thread.
    match NUMBER.get() {
        UNKNOWN => take_number(),
        number => number,
    }
}

thread_local! {
    static NUMBER: Cell<usize> = const { Cell::new(UNKNOWN) };
    static OWNED: Owned = Owned(numbers().take());
}

#[cold]
fn take_number() -> usize {
    // Fails where the thread has given it back already.
    let number = OWNED.try_with(|owned| owned.0).unwrap_or(SHARED);
    NUMBER.set(number);
    number
}

/// The number that a thread has, given back when that ends.
struct Owned(usize);

impl Drop for Owned {
    fn drop(&mut self) {
        NUMBER.set(SHARED);
        numbers().give_back(self.0);
    }
}

fn numbers() -> &'static Numbers {
    static NUMBERS: OnceLock<Numbers> = OnceLock::new();
    NUMBERS.get_or_init(Numbers::default)
}

/// The numbers that are taken, a bit each. What a thread has written before it gives its number back is seen by the next
/// that takes it: both hold the lock.
#[derive(Debug, Default)]
struct Numbers(Mutex<u32>);

impl Numbers {
    /// The lowest that is free, or that of the shared stripe.
    fn take(&self) -> usize {
        let mut taken = self.0.lock();
        let lowest = taken.trailing_ones() as usize;
        if lowest >= OWN {
            return SHARED;
        }
        *taken |= 1 << lowest;
        lowest
    }

    fn give_back(&self, number: usize) {
        if number < OWN {
            *self.0.lock() &= !(1 << number);
        }
    }
}

#[cfg(all(test, seawall_loom))]
mod loom {
    use std::sync::Arc;

    use ::loom::thread;

    use super::*;
    use crate::sync::model;

    /// Two threads count in one stripe, one after the other or, if the first still has it, the second in the shared one; a
    /// third reads.
    #[test]
    fn loom_a_stripe_that_changes_hands_loses_no_count() {
        model("a stripe that changes hands", || {
            let numbers = Arc::new(Numbers(Mutex::new(!0 << 1)));
            let stripes = Arc::new([Counter::default(), Counter::default()]);
            let count = |numbers: &Numbers, stripes: &[Counter; 2]| {
                let number = numbers.take();
                match number {
                    0 => stripes[0].add(1, Owner::ThisThread),
                    _ => stripes[1].add(1, Owner::Nobody),
                }
                numbers.give_back(number);
            };
            let threads: Vec<_> = (0..2)
                .map(|_| {
                    let (numbers, stripes) = (Arc::clone(&numbers), Arc::clone(&stripes));
                    thread::spawn(move || count(&numbers, &stripes))
                })
                .collect();
            let read = || stripes.iter().map(Counter::get).sum::<u64>();
            let (first, then) = (stripes[0].get(), stripes[0].get());
            assert!(first <= then, "it never falls");
            for thread in threads {
                thread.join().unwrap();
            }
            assert_eq!(read(), 2);
        });
    }
}

#[cfg(all(test, not(seawall_loom)))]
#[allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]
mod tests {
    use std::sync::{Arc, Barrier};

    use super::*;

    #[test]
    fn numbers_are_taken_from_the_lowest_and_come_back() {
        let numbers = Numbers::default();
        let taken: Vec<_> = (0..OWN + 2).map(|_| numbers.take()).collect();
        assert_eq!(taken, (0..OWN).chain([SHARED, SHARED]).collect::<Vec<_>>());
        numbers.give_back(SHARED);
        assert_eq!(numbers.take(), SHARED, "that is never free");
        numbers.give_back(5);
        numbers.give_back(3);
        assert_eq!([numbers.take(), numbers.take(), numbers.take()], [3, 5, SHARED]);
    }

    /// Counts while the thread's own destructors run, before and after its number has been given back.
    struct CountsAtTheEnd(Arc<Striped<Counter>>);

    impl Drop for CountsAtTheEnd {
        fn drop(&mut self) {
            add_one(&self.0);
        }
    }

    fn add_one(striped: &Striped<Counter>) {
        let (counter, owner) = striped.mine(|_| Counter::default());
        counter.add(1, owner);
    }

    thread_local! {
        static FIRST: Cell<Option<CountsAtTheEnd>> = const { Cell::new(None) };
        static LAST: Cell<Option<CountsAtTheEnd>> = const { Cell::new(None) };
    }

    #[test]
    fn no_count_is_lost_among_many_threads_that_come_and_go() {
        const EACH: u64 = 1_000;
        let striped = Arc::new(Striped::default());
        let threads = 3 * OWN;
        for _ in 0..2 {
            let start = Arc::new(Barrier::new(threads));
            let threads: Vec<_> = (0..threads)
                .map(|_| {
                    let (striped, start) = (Arc::clone(&striped), Arc::clone(&start));
                    std::thread::spawn(move || {
                        FIRST.set(Some(CountsAtTheEnd(Arc::clone(&striped))));
                        start.wait();
                        (0..EACH).for_each(|_| add_one(&striped));
                        LAST.set(Some(CountsAtTheEnd(striped)));
                    })
                })
                .collect();
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        }
        let counted: u64 = striped.iter().map(Counter::get).sum();
        assert_eq!(counted, 2 * threads as u64 * (EACH + 2));
        assert!(striped.iter().count() <= OWN + 1);
    }

    #[test]
    fn nothing_is_allocated_before_the_first_count() {
        assert!(size_of::<Striped<[Counter; 100]>>() <= 16);
        assert_eq!(Striped::<Counter>::default().iter().count(), 0);
    }
}
