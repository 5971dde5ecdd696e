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

/// An entry knows since when it waits.
pub(super) trait Waits {
    fn since(&self) -> Moment;
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
        self.order = config.order();
        self.all().for_each(|line| line.queue.reconfigure(config));
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

    /// Takes the entry that is served next.
    pub(super) fn pop(&mut self, order: Order, now: Moment) -> Option<T> {
        let is_seconds = self.others.as_mut().is_some_and(|others| {
            others.granted = (others.granted + 1) % EVERY;
            others.granted == 0
        });
        let waits = |line: &&mut Line<T>| !line.queue.is_empty();
        if is_seconds && let Some(second) = self.all().filter(waits).nth(1) {
            return second.pop(order, now);
        }
        self.all().find(waits)?.pop(order, now)
    }

    pub(super) fn remove(&mut self, spot: Spot) -> Option<T> {
        self.line(spot.line).remove(spot.item)
    }

    pub(super) fn is_blocked(&mut self, spot: Spot) -> Option<bool> {
        self.line(spot.line).is_blocked(spot.item)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.each().all(Queue::is_empty)
    }

    /// How many wait. Blocked ones are not among them.
    pub(super) fn len(&self) -> u32 {
        self.each().map(Queue::len).sum()
    }

    pub(super) fn counts(&self) -> Counts {
        self.each().map(Queue::counts).fold(Counts::default(), Counts::plus)
    }

    /// Of the fullest line.
    pub(super) fn fill_ratio(&self) -> f64 {
        self.each().map(Queue::fill_ratio).fold(0.0, f64::max)
    }

    /// Of each line.
    pub(super) fn capacity(&self) -> u32 {
        self.normal.queue.capacity()
    }
}

impl Spot {
    pub(super) fn new(line: Importance, item: ItemKey) -> Self {
        Self { line, item }
    }
}
