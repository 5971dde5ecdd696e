//! Counters that each thread adds to in a stripe of its own.
//!
//! A stripe has one writer at a time, so adding is a load and a store; a locked instruction costs ten times as much. The
//! first threads to count take the stripes, and a thread that ends leaves its stripe to the next one that begins to count.
//! Threads beyond that add to one more stripe, which they share, by locked instructions.

use std::cell::Cell;
use std::sync::OnceLock;

use once_cell::race::OnceBox;

use crate::sync::{AtomicU64, CachePadded, Mutex, Ordering};

/// How many threads at once have a stripe of their own.
const OWN: usize = 16;
/// How many of these are found by one look.
const NEAR: usize = 8;
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
///
/// Where a dependency is in no cache, each look at another place in memory costs as much as a call. So the places of the
/// first threads are here, in a word each, and only those of the others a look further.
#[derive(Debug)]
pub(crate) struct Striped<T> {
    near: [Place<T>; NEAR],
    far: OnceBox<[Place<T>; OWN + 1 - NEAR]>,
}

type Place<T> = OnceBox<CachePadded<T>>;

impl<T> Default for Striped<T> {
    fn default() -> Self {
        Self { near: std::array::from_fn(|_| OnceBox::new()), far: OnceBox::new() }
    }
}

impl<T: Default> Striped<T> {
    /// The calling thread's, made if it has none yet.
    #[inline]
    pub(crate) fn mine(&self) -> (&T, Owner) {
        let at = number();
        match self.near.get(at).and_then(OnceBox::get) {
            Some(stripe) => (&stripe.0, Owner::ThisThread),
            None => self.find(at),
        }
    }

    #[cold]
    fn find(&self, at: usize) -> (&T, Owner) {
        let owner = if at == SHARED { Owner::Nobody } else { Owner::ThisThread };
        let place = match at.checked_sub(NEAR) {
            None => &self.near[at],
            Some(at) => {
                let new = || Box::new(std::array::from_fn(|_| OnceBox::new()));
                &self.far.get_or_init(new)[at]
            }
        };
        (&place.get_or_init(Box::default).0, owner)
    }

    /// All that there are.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        let far = self.far.get().into_iter().flatten();
        self.near.iter().chain(far).filter_map(OnceBox::get).map(|stripe| &stripe.0)
    }
}

/// Which stripe is the calling thread's. For its whole life, but for its last destructors, which share.
#[inline]
fn number() -> usize {
    if cfg!(seawall_loom) {
        // The model's threads are one thread of the system.
        return SHARED;
    }
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
        let (counter, owner) = striped.mine();
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
        assert!(size_of::<Striped<[Counter; 30]>>() <= 72);
        assert_eq!(Striped::<Counter>::default().iter().count(), 0);
    }
}
