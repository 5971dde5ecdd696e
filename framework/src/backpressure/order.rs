//! Which entry leaves next, and whether it is still worth working on.

use std::time::Duration;

use serde::Serialize;

use crate::clock::Moment;

/// The shortest time over which a delay must stand before it counts as overload: 100 ms, as in CoDel.
const LEAST_INTERVAL: Duration = Duration::from_millis(100);

/// Which entry leaves next.
///
/// The two that are not [`Order::Fifo`] differ from it only *while overloaded*: every entry that left during a whole
/// `interval` had waited for longer than `target`, so that the delay is not a burst that drains by itself, but stands.
/// One entry that leaves sooner, or an empty line, ends it. The times are to suit what is waited for: CoDel's 5 ms and 100 ms
/// were chosen for packets, and take the normal queue of a service of 200 ms for overload. [`Order::lifo`] and
/// [`Order::codel`] take half of the service time, and 10 times the service time but at least 100 ms.
///
/// Sources: K. Nichols, V. Jacobson, "Controlling Queue Delay", ACM Queue 2012 (RFC 8289); B. Maurer, "Fail at Scale", ACM Queue
/// 2015, for servers: no drop rate that grows, but a short limit on the wait while the delay stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Order {
    /// First come, first served. The default.
    #[default]
    Fifo,
    /// The oldest first; the newest first while overloaded: some are served in time, instead of all too late. Those that
    /// are passed wait until the overload is over, or for as long as they may wait at all.
    Lifo {
        /// The delay that is normal.
        target: Duration,
        /// How long it must be exceeded.
        interval: Duration,
    },
    /// The oldest first; while overloaded, those that have waited for more than twice `target` are dropped.
    Codel {
        /// The delay that is normal.
        target: Duration,
        /// How long it must be exceeded.
        interval: Duration,
    },
}

impl Order {
    /// [`Order::Lifo`] for entries that take so long to work on, each.
    #[must_use]
    pub fn lifo(service_time: Duration) -> Self {
        let (target, interval) = relative(service_time);
        Self::Lifo { target, interval }
    }

    /// [`Order::Codel`] for entries that take so long to work on, each.
    #[must_use]
    pub fn codel(service_time: Duration) -> Self {
        let (target, interval) = relative(service_time);
        Self::Codel { target, interval }
    }

    /// Whether it asks how long entries have waited.
    pub(crate) fn is_timed(self) -> bool {
        self != Self::Fifo
    }
}

/// Which call of a mailbox is served next: an [`Order`] by its name, for the service time that is observed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MailboxOrder {
    /// First come, first served. The default.
    #[default]
    Fifo,
    /// [`Order::Lifo`].
    Lifo,
    /// [`Order::Codel`].
    Codel,
}

impl MailboxOrder {
    /// Every one of them.
    pub const ALL: &[Self] = &Self::EVERY;
    pub(crate) const EVERY: [Self; 3] = [Self::Fifo, Self::Lifo, Self::Codel];

    /// The name that a policy file uses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fifo => "fifo",
            Self::Lifo => "lifo",
            Self::Codel => "codel",
        }
    }

    /// For this service time; first come, first served while that is not known.
    pub(crate) fn of(self, service_time: Duration) -> Order {
        match self {
            _ if service_time.is_zero() => Order::Fifo,
            Self::Fifo => Order::Fifo,
            Self::Lifo => Order::lifo(service_time),
            Self::Codel => Order::codel(service_time),
        }
    }
}

fn relative(service_time: Duration) -> (Duration, Duration) {
    (service_time / 2, service_time.saturating_mul(10).max(LEAST_INTERVAL))
}

/// What is to be done with the entries of a line, the oldest of which has waited for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// The oldest is worked on.
    Oldest,
    /// The newest is worked on.
    Newest,
    /// The oldest is dropped.
    DropOldest,
}

/// Whether a delay stands.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    /// Since when nothing has left that had not waited for longer than the target.
    since: Option<Moment>,
}

impl Standing {
    /// The oldest entry has waited for `delay`: what leaves next?
    pub(crate) fn next(&mut self, order: Order, delay: Duration, now: Moment) -> Next {
        match order {
            Order::Fifo => Next::Oldest,
            Order::Lifo { target, interval } => match self.observe(target, interval, delay, now) {
                true => Next::Newest,
                false => Next::Oldest,
            },
            Order::Codel { target, interval } => {
                let overloaded = self.observe(target, interval, delay, now);
                match overloaded && delay > target.saturating_mul(2) {
                    true => Next::DropOldest,
                    false => Next::Oldest,
                }
            }
        }
    }

    /// The line is empty.
    pub(crate) fn emptied(&mut self) {
        self.since = None;
    }

    fn observe(
        &mut self,
        target: Duration,
        interval: Duration,
        delay: Duration,
        now: Moment,
    ) -> bool {
        if delay <= target {
            self.since = None;
            return false;
        }
        now.since(*self.since.get_or_insert(now)) >= interval
    }
}

#[cfg(all(test, not(seawall_loom)))]
#[allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]
mod tests {
    use super::*;
    use crate::entropy::Entropy;
    use std::cmp::Reverse;
    use std::collections::{BinaryHeap, VecDeque};

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    const fn at(millis: u64) -> Moment {
        Moment::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn a_delay_counts_as_overload_once_it_has_stood_for_the_interval() {
        let order = Order::Codel { target: ms(5), interval: ms(100) };
        let mut standing = Standing::default();
        assert_eq!(standing.next(order, ms(11), at(0)), Next::Oldest);
        assert_eq!(standing.next(order, ms(11), at(99)), Next::Oldest);
        assert_eq!(standing.next(order, ms(11), at(100)), Next::DropOldest);
        assert_eq!(
            standing.next(order, ms(10), at(101)),
            Next::Oldest,
            "twice the target, not more"
        );
        assert_eq!(standing.next(order, ms(5), at(102)), Next::Oldest, "this one ends it");
        assert_eq!(standing.next(order, ms(11), at(103)), Next::Oldest);
        assert_eq!(standing.next(order, ms(11), at(202)), Next::Oldest);
        standing.emptied();
        assert_eq!(standing.next(order, ms(11), at(250)), Next::Oldest, "so does an empty line");
    }

    #[test]
    fn the_newest_is_first_only_while_overloaded() {
        let order = Order::Lifo { target: ms(5), interval: ms(100) };
        let mut standing = Standing::default();
        assert_eq!(standing.next(order, ms(6), at(0)), Next::Oldest);
        assert_eq!(standing.next(order, ms(6), at(100)), Next::Newest);
        assert_eq!(standing.next(order, ms(5), at(101)), Next::Oldest);
        assert_eq!(standing.next(Order::Fifo, Duration::MAX, at(999_999)), Next::Oldest);
    }

    #[test]
    fn times_go_by_the_service_time() {
        assert_eq!(Order::codel(ms(4)), Order::Codel { target: ms(2), interval: ms(100) });
        assert_eq!(Order::lifo(ms(200)), Order::Lifo { target: ms(100), interval: ms(2_000) });
    }

    /// The share that is dropped of 100,000 entries which arrive at random at 0.8 of what ten workers can do, each entry in
    /// exactly `service`.
    fn dropped(order: Order, service: Duration, load: f64) -> f64 {
        const WORKERS: usize = 10;
        let entropy = Entropy::seeded(7);
        let (mut arrival, mut standing) = (0.0, Standing::default());
        let mut free: BinaryHeap<Reverse<u64>> = (0..WORKERS).map(|_| Reverse(0)).collect();
        let mut line: VecDeque<u64> = VecDeque::new();
        let mut lost = 0;
        let gap = service.as_nanos() as f64 / WORKERS as f64 / load;
        for _ in 0..100_000 {
            arrival -= gap * (1.0 - entropy.unit()).ln();
            let now = arrival as u64;
            // What workers take up before this one comes.
            while let Some(Reverse(when)) = free.peek().copied().filter(|free| free.0 <= now) {
                let Some(oldest) = line.front().copied() else { break };
                let start = when.max(oldest);
                let delay = Duration::from_nanos(start - oldest);
                let next = standing.next(order, delay, Moment::from_nanos(start));
                line.pop_front();
                match next {
                    Next::DropOldest => lost += 1,
                    _ => {
                        free.pop();
                        free.push(Reverse(start + service.as_nanos() as u64));
                    }
                }
                if line.is_empty() {
                    standing.emptied();
                }
            }
            line.push_back(now);
        }
        f64::from(lost) / 100_000.0
    }

    /// A fixed target takes what is normal for a slow service as overload.
    #[test]
    fn codel_leaves_a_normal_load_alone_whatever_the_service_takes() {
        for millis in [10, 20, 50, 100, 200, 500, 1_000] {
            let share = dropped(Order::codel(ms(millis)), ms(millis), 0.8);
            assert!(share <= 0.002, "{millis} ms: {share}");
        }
        let fixed = Order::Codel { target: ms(5), interval: ms(100) };
        let share = dropped(fixed, ms(200), 0.8);
        assert!(share > 0.01, "{share}");
        let overloaded = dropped(Order::codel(ms(200)), ms(200), 1.5);
        assert!((0.30..0.35).contains(&overloaded), "what is too much, a third: {overloaded}");
    }
}
