//! The queue of a waiting room: one line, or where calls have priorities one for each class.

use std::time::Duration;

use crate::backpressure::{
    Config, Counts, Dimmer, Importance, ItemKey, Load, MailboxOrder, Next, Order, Push, Queue,
    Rank, Standing,
};
use crate::clock::Moment;

/// One in so many permits goes to the second most important class that waits.
const EVERY: u32 = 10;

/// Where an entry stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot {
    line: Importance,
    item: ItemKey,
}

/// An entry knows since when it waits, and for how many permits.
pub(super) trait Waits {
    fn since(&self) -> Moment;
    fn weight(&self) -> u32;
}

/// Without priorities, everything is in the line of normal calls.
#[derive(Debug)]
pub(super) struct Lines<T> {
    order: MailboxOrder,
    normal: Line<T>,
    others: Option<Box<Others<T>>>,
}

#[derive(Debug)]
pub(super) struct Line<T> {
    pub(super) queue: Queue<T>,
    standing: Standing,
}

#[derive(Debug)]
struct Others<T> {
    critical: Line<T>,
    sheddable: Line<T>,
    dimmer: Dimmer,
    /// Permits granted.
    granted: u32,
}

impl<T: Waits> Line<T> {
    fn new(config: &Config) -> Self {
        Self { queue: Queue::new(config), standing: Standing::default() }
    }

    fn next(&mut self, order: Order, now: Moment) -> Option<Next> {
        let Some(oldest) = self.queue.front() else {
            self.standing.emptied();
            return None;
        };
        Some(self.standing.next(order, now.since(oldest.since()), now))
    }

    /// Takes out the oldest entry, if it has waited too long for a line that is overloaded.
    pub(super) fn drop_late(&mut self, order: Order, now: Moment) -> Option<T> {
        match self.next(order, now)? {
            Next::DropOldest => self.queue.drop_front(),
            Next::Oldest | Next::Newest => None,
        }
    }

    /// How many permits the entry needs that [`Line::pop`] takes.
    fn next_weight(&mut self, order: Order, now: Moment) -> Option<u32> {
        let next = match self.next(order, now)? {
            Next::Newest => self.queue.newest(),
            Next::Oldest | Next::DropOldest => self.queue.front(),
        };
        next.map(Waits::weight)
    }

    fn pop(&mut self, order: Order, now: Moment) -> Option<T> {
        match self.next(order, now)? {
            Next::Newest => self.queue.pop_newest(),
            Next::Oldest | Next::DropOldest => self.queue.pop(),
        }
    }
}

impl<T: Waits> Lines<T> {
    pub(super) fn new(config: &Config) -> Self {
        let mut lines = Self { order: config.order(), normal: Line::new(config), others: None };
        lines.reconfigure(config);
        lines
    }

    /// Goes by another capacity, strategy and order. Nobody leaves: without priorities from now on, calls of the other classes
    /// stay in their lines until they have been served.
    pub(super) fn reconfigure(&mut self, config: &Config) {
        // While it is first come, first served, nobody keeps track of how long the line has stood.
        let is_same = std::mem::replace(&mut self.order, config.order()) == config.order();
        for line in self.all() {
            line.queue.reconfigure(config);
            if !is_same {
                line.standing = Standing::default();
            }
        }
        if !config.priorities() {
            let is_done = |others: &mut Box<Others<T>>| {
                others.critical.queue.is_empty() && others.sheddable.queue.is_empty()
            };
            self.others.take_if(|others| is_done(others));
        } else if self.others.is_none() {
            self.others = Some(Box::new(Others {
                critical: Line::new(config),
                sheddable: Line::new(config),
                dimmer: Dimmer::new(Moment::ZERO),
                granted: 0,
            }));
        }
    }

    /// In which order entries leave, if each is worked on for so long.
    pub(super) fn order(&self, service_time: Duration) -> Order {
        self.order.of(service_time)
    }

    /// Whether a newcomer that finds no permit is shed.
    pub(super) fn sheds(&mut self, rank: Rank, (present, limit): (u32, u32), now: Moment) -> bool {
        let load = Load { present, limit, capacity: self.capacity() };
        self.others.as_mut().is_some_and(|others| others.dimmer.sheds(rank, load, now))
    }

    /// A call that was not shed was refused, or has given up.
    pub(super) fn waited_in_vain(&mut self) {
        if let Some(others) = &mut self.others {
            others.dimmer.waited_in_vain();
        }
    }

    /// See [`Dimmer::told`].
    #[cfg(test)]
    pub(super) fn told(&self) -> Option<(f64, u32)> {
        Some(self.others.as_ref()?.dimmer.told())
    }

    /// The share of newcomers that is shed; `None`: there are no priorities.
    pub(super) fn shed_share(&self) -> Option<f64> {
        Some(self.others.as_ref()?.dimmer.share())
    }

    pub(super) fn push(&mut self, class: Importance, item: T) -> (Importance, Push<T>) {
        let line = if self.others.is_some() { class } else { Importance::Normal };
        (line, self.line(line).push(item))
    }

    fn line(&mut self, class: Importance) -> &mut Queue<T> {
        match (class, &mut self.others) {
            (Importance::Critical, Some(others)) => &mut others.critical.queue,
            (Importance::Sheddable, Some(others)) => &mut others.sheddable.queue,
            _ => &mut self.normal.queue,
        }
    }

    /// The line that all entries are in, where there is one only.
    pub(super) fn only_line(&self) -> Option<&Queue<T>> {
        self.others.is_none().then_some(&self.normal.queue)
    }

    /// All lines, the most important first.
    pub(super) fn all(&mut self) -> impl Iterator<Item = &mut Line<T>> {
        let (critical, sheddable) = match self.others.as_deref_mut() {
            Some(others) => (Some(&mut others.critical), Some(&mut others.sheddable)),
            None => (None, None),
        };
        critical.into_iter().chain([&mut self.normal]).chain(sheddable)
    }

    fn each(&self) -> impl Iterator<Item = &Queue<T>> {
        let (critical, sheddable) = match self.others.as_deref() {
            Some(others) => (Some(&others.critical.queue), Some(&others.sheddable.queue)),
            None => (None, None),
        };
        critical.into_iter().chain([&self.normal.queue]).chain(sheddable)
    }

    /// How many permits the entry needs that is served next.
    pub(super) fn next_weight(&mut self, order: Order, now: Moment) -> Option<u32> {
        self.served_next()?.next_weight(order, now)
    }

    /// Takes the entry that is served next.
    pub(super) fn pop(&mut self, order: Order, now: Moment) -> Option<T> {
        let next = self.served_next()?.pop(order, now);
        if let Some(others) = &mut self.others {
            others.granted = (others.granted + 1) % EVERY;
        }
        next
    }

    /// The line that is served next: that of the most important class that waits, or now and then of the second.
    fn served_next(&mut self) -> Option<&mut Line<T>> {
        if self.others.is_none() {
            return Some(&mut self.normal);
        }
        let is_seconds = self.others.as_ref().is_some_and(|others| others.granted == EVERY - 1);
        let waits = |line: &&mut Line<T>| !line.queue.is_empty();
        let several = self.all().filter(waits).nth(1).is_some();
        self.all().filter(waits).nth(usize::from(is_seconds && several))
    }

    pub(super) fn remove(&mut self, spot: Spot) -> Option<T> {
        self.line(spot.line).remove(spot.item)
    }

    pub(super) fn get_mut(&mut self, spot: Spot) -> Option<&mut T> {
        self.line(spot.line).get_mut(spot.item)
    }

    pub(super) fn is_blocked(&mut self, spot: Spot) -> Option<bool> {
        self.line(spot.line).is_blocked(spot.item)
    }

    /// How many wait. Blocked ones are not among them.
    pub(super) fn len(&self) -> u32 {
        match self.only_line() {
            Some(line) => line.len(),
            None => self.each().map(Queue::len).sum(),
        }
    }

    pub(super) fn counts(&self) -> Counts {
        self.each().map(Queue::counts).fold(Counts::default(), Counts::plus)
    }

    /// Of the fullest line.
    pub(super) fn fill_ratio(&self) -> f64 {
        self.each().map(Queue::fill_ratio).fold(0.0, f64::max)
    }

    /// Of each line.
    fn capacity(&self) -> u32 {
        self.normal.queue.capacity()
    }
}

impl Spot {
    pub(super) fn new(line: Importance, item: ItemKey) -> Self {
        Self { line, item }
    }
}

#[cfg(all(test, not(seawall_loom)))]
#[allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]
mod tests {
    use super::*;
    use crate::backpressure::{Priority, Strategy};

    /// A name, and since when it waits, in milliseconds.
    #[derive(Debug, PartialEq)]
    struct Call(&'static str, u64);

    impl Waits for Call {
        fn since(&self) -> Moment {
            at(self.1)
        }
        fn weight(&self) -> u32 {
            1
        }
    }

    const fn at(millis: u64) -> Moment {
        Moment::from_nanos(millis * 1_000_000)
    }

    fn config(priorities: bool) -> Config {
        let config = Config::builder().capacity(2).on_full(Strategy::Error);
        config.priorities(priorities).build().unwrap()
    }

    fn is_in(lines: &mut Lines<Call>, class: Importance, name: &'static str) -> bool {
        matches!(lines.push(class, Call(name, 0)).1, Push::Waiting(_))
    }

    fn pop(lines: &mut Lines<Call>) -> Option<&'static str> {
        lines.pop(Order::Fifo, Moment::ZERO).map(|call| call.0)
    }

    const CLASSES: [(Importance, &str); 3] = [
        (Importance::Sheddable, "sheddable"),
        (Importance::Normal, "normal"),
        (Importance::Critical, "critical"),
    ];

    #[test]
    fn each_class_has_its_own_places_and_the_most_important_is_served_first() {
        let mut lines = Lines::new(&config(true));
        for (class, name) in CLASSES {
            assert!(is_in(&mut lines, class, name) && is_in(&mut lines, class, name));
            assert!(!is_in(&mut lines, class, "too many"));
        }
        assert_eq!((lines.len(), lines.counts().waiting, lines.counts().dropped), (6, 6, 3));
        assert_eq!(lines.fill_ratio(), 1.0);
        let served: Vec<_> = std::iter::from_fn(|| pop(&mut lines)).collect();
        assert_eq!(served, ["critical", "critical", "normal", "normal", "sheddable", "sheddable"]);
        assert!(lines.len() == 0 && pop(&mut lines).is_none());
    }

    #[test]
    fn every_tenth_permit_goes_to_the_second_class_so_that_it_never_starves() {
        let mut lines = Lines::new(&config(true));
        let mut normal = 0;
        for _ in 0..100 {
            let _ = (
                is_in(&mut lines, Importance::Critical, "critical"),
                is_in(&mut lines, Importance::Normal, "normal"),
            );
            normal += u32::from(pop(&mut lines) == Some("normal"));
        }
        assert_eq!(normal, 10, "however many critical calls there are");
    }

    #[test]
    fn without_priorities_there_is_one_line() {
        let mut lines = Lines::new(&config(false));
        for (class, name) in [CLASSES[0], CLASSES[2]] {
            assert!(is_in(&mut lines, class, name));
        }
        assert!(!is_in(&mut lines, Importance::Critical, "too many"));
        assert_eq!((pop(&mut lines), pop(&mut lines)), (Some("sheddable"), Some("critical")));
        assert_eq!(lines.shed_share(), None);
    }

    #[test]
    fn a_reload_changes_the_order() {
        let mut lines: Lines<Call> = Lines::new(&config(true));
        let service_time = Duration::from_millis(10);
        assert_eq!(lines.order(service_time), Order::Fifo);
        let lifo = Config::builder().order(MailboxOrder::Lifo).build().unwrap();
        lines.reconfigure(&lifo);
        assert_eq!(lines.order(service_time), MailboxOrder::Lifo.of(service_time));
        assert_ne!(lines.order(service_time), Order::Fifo);
    }

    #[test]
    fn a_line_that_was_empty_is_not_overloaded_any_more() {
        let order = MailboxOrder::Lifo.of(Duration::from_millis(10));
        let mut lines = Lines::new(&config(false));
        let add = |lines: &mut Lines<Call>, name, since| {
            let _ = lines.push(Importance::Normal, Call(name, since));
        };
        let pop = |lines: &mut Lines<Call>, now| lines.pop(order, at(now)).map(|call| call.0);
        // The oldest has waited for a second, and still has a second later.
        add(&mut lines, "oldest", 0);
        add(&mut lines, "old", 0);
        assert_eq!(pop(&mut lines, 1_000), Some("oldest"));
        add(&mut lines, "new", 2_000);
        assert_eq!(pop(&mut lines, 2_000), Some("new"), "while it is overloaded");
        assert_eq!(pop(&mut lines, 2_000), Some("old"));
        assert_eq!(lines.all().find_map(|line| line.drop_late(order, at(2_000))), None);
        add(&mut lines, "old", 2_000);
        add(&mut lines, "new", 3_000);
        assert_eq!(pop(&mut lines, 3_000), Some("old"), "in its turn again");
    }

    #[test]
    fn a_reload_loses_nobody() {
        let mut lines = Lines::new(&config(true));
        let (class, pushed) = lines.push(Importance::Critical, Call("critical", 0));
        let Push::Waiting(item) = pushed else { panic!("{pushed:?}") };
        let spot = Spot::new(class, item);
        lines.reconfigure(&config(false));
        assert_eq!(
            (lines.len(), lines.is_blocked(spot)),
            (1, Some(false)),
            "its line stays until it is empty"
        );
        assert_eq!(lines.remove(spot), Some(Call("critical", 0)));
        lines.reconfigure(&config(false));
        assert_eq!(lines.shed_share(), None, "and then it is gone");
    }

    #[test]
    fn lines_have_their_own_orders_and_late_ones_are_dropped_by_codel_alone() {
        let order =
            Order::Codel { target: Duration::from_millis(5), interval: Duration::from_millis(100) };
        let mut lines = Lines::new(&config(true));
        let _ = lines.push(Importance::Critical, Call("late", 0));
        let _ = lines.push(Importance::Normal, Call("in time", 108));
        let late = |lines: &mut Lines<Call>, millis| -> Vec<Call> {
            lines.all().filter_map(|line| line.drop_late(order, at(millis))).collect()
        };
        assert!(late(&mut lines, 11).is_empty(), "not for 100 ms yet");
        assert_eq!(late(&mut lines, 111), [Call("late", 0)]);
        assert_eq!(lines.pop(order, at(111)), Some(Call("in time", 108)));
        let sheds =
            |lines: &mut Lines<Call>| lines.sheds(Rank::new(Priority::NORMAL, 0.5), (1, 1), at(0));
        assert!(!sheds(&mut lines), "nothing is known yet");
    }

    /// A weight, and since when it waits, in milliseconds.
    #[derive(Debug)]
    struct Weighed(u32, u64);

    impl Waits for Weighed {
        fn since(&self) -> Moment {
            at(self.1)
        }
        fn weight(&self) -> u32 {
            self.0
        }
    }

    proptest::proptest! {
        /// Whatever the order, and with priorities or without.
        #[test]
        fn the_weight_that_is_told_is_that_of_the_entry_that_is_taken_next(
            priorities: bool,
            order in 0_usize..3,
            steps in proptest::collection::vec((0_usize..4, 1_u32..9), 1..200),
        ) {
            let (target, interval) = (Duration::from_millis(5), Duration::from_millis(20));
            let orders =
                [Order::Fifo, Order::Lifo { target, interval }, Order::Codel { target, interval }];
            let order = orders[order];
            let config = Config::builder().capacity(30).priorities(priorities).build().unwrap();
            let mut lines = Lines::new(&config);
            for (now, (step, weight)) in (1..).zip(steps) {
                if let Some((class, _)) = CLASSES.get(step) {
                    let _ = lines.push(*class, Weighed(weight, now));
                } else {
                    let told = lines.next_weight(order, at(now));
                    proptest::prop_assert_eq!(told, lines.pop(order, at(now)).map(|taken| taken.0));
                }
            }
        }
    }
}
