//! What is under the queue's lock, and the steps that change it. No step waits, and none wakes or drops anything: what is
//! to be woken and dropped is noted in the [`Visit`].

use std::task::Waker;
use std::time::Duration;

use crate::backpressure::{Config, ItemKey, Next, Queue, Standing};
use crate::clock::{Moment, nanos};
use crate::sync::{quietly, wake};

use super::line::{Line, Pushed};
use super::outcome::{Dropped, Put, PutError, PutErrorKind, TryGetError};
use super::settings::Settings;
use super::strategy::{Pace, Strategy};

/// Of the mean time between two items that are taken, the share of the newest one.
const NEWEST: f64 = 0.1;

#[derive(Debug)]
pub(super) struct State<T> {
    pub(super) line: Line<T>,
    pub(super) is_closed: bool,
    standing: Standing,
    /// Consumers that wait for an item, and tasks that wait for the queue to be less than full.
    pub(super) consumers: Queue<Waker>,
    pub(super) upstream: Queue<Waker>,
    /// Newcomers that a sample has looked at.
    sampled: u32,
    turns: Turns,
}

/// When producers may put the next item, and how fast consumers are.
#[derive(Debug, Default)]
struct Turns {
    last: Moment,
    next: Moment,
    /// Between two items, where a rate is given, in nanoseconds.
    fixed: u64,
    /// When the last item was taken, if others waited then.
    taken: Option<Moment>,
    /// The mean time between two items, in nanoseconds; 0 before there were two.
    between: f64,
}

/// What came of a producer's item.
pub(super) enum Step<T> {
    Done(Result<Put<T>, PutError<T>>),
    /// Its producer waits for its turn, and then asks again with [`State::put`].
    Turn(T, Moment),
    /// Its producer waits for room.
    Blocked(ItemKey),
}

/// One time that the lock is taken: what the steps go by, and what is to be done once it is open. Most often that is nothing, or
/// one task to wake.
pub(super) struct Visit<'a, T> {
    pub(super) settings: &'a Settings<T>,
    pub(super) now: Moment,
    waker: Option<Waker>,
    more: Option<Box<More<T>>>,
}

struct More<T> {
    wakers: Vec<Waker>,
    late: Vec<(T, Dropped)>,
}

impl<T> Default for More<T> {
    fn default() -> Self {
        Self { wakers: Vec::new(), late: Vec::new() }
    }
}

impl<'a, T> Visit<'a, T> {
    #[inline]
    pub(super) fn new(settings: &'a Settings<T>, now: Moment) -> Self {
        Self { settings, now, waker: None, more: None }
    }

    #[inline]
    fn wake(&mut self, waker: Option<Waker>) {
        let Some(waker) = waker else { return };
        match self.waker {
            None => self.waker = Some(waker),
            Some(_) => self.more.get_or_insert_default().wakers.push(waker),
        }
    }

    #[cold]
    fn drop_late(&mut self, item: T, why: Dropped) {
        self.more.get_or_insert_default().late.push((item, why));
    }

    #[inline]
    pub(super) fn end(self) {
        if let Some(waker) = self.waker {
            wake(waker);
        }
        if let Some(more) = self.more {
            more.end(self.settings);
        }
    }
}

impl<T> More<T> {
    #[cold]
    fn end(self, settings: &Settings<T>) {
        self.wakers.into_iter().for_each(wake);
        for (item, why) in self.late {
            match &settings.on_drop {
                Some(tell) => drop(quietly(|| tell(item, why))),
                None => drop(item),
            }
        }
    }
}

impl<T> State<T> {
    pub(super) fn new(line: &Config, strategy: &Strategy<T>) -> Self {
        // Of those who wait there is no useful bound but memory.
        let waiting = Config::default();
        Self {
            line: Line::new(line),
            is_closed: false,
            standing: Standing::default(),
            consumers: Queue::new(&waiting),
            upstream: Queue::new(&waiting),
            sampled: 0,
            turns: Turns::new(strategy),
        }
    }

    /// Puts an item in, or does what the strategy says. `may_wait`: its producer waits, if it is one that does.
    #[inline]
    pub(super) fn arrive(&mut self, item: T, may_wait: bool, visit: &mut Visit<'_, T>) -> Step<T> {
        if let Strategy::Throttle { pace, timeout } = &visit.settings.strategy
            && !self.is_closed
        {
            let longest = || if may_wait { *timeout } else { Duration::ZERO };
            match self.turn(*pace, longest, visit.now) {
                Ok(at) if at > visit.now => return Step::Turn(item, at),
                Ok(_) => {}
                Err(wait) => return self.too_early(item, may_wait, wait),
            }
        }
        self.put(item, may_wait, visit)
    }

    /// As [`arrive`](Self::arrive), for a producer whose turn it is.
    #[inline]
    pub(super) fn put(&mut self, item: T, may_wait: bool, visit: &mut Visit<'_, T>) -> Step<T> {
        if self.is_closed {
            return self.refuse(PutError::new(PutErrorKind::Closed, item));
        }
        let is_full = self.line.is_full();
        match &visit.settings.strategy {
            Strategy::Sample { every, above } if self.line.fill_ratio() >= *above => {
                self.sampled = (self.sampled + 1) % every;
                if self.sampled != 0 {
                    self.line.turn_away();
                    return Step::Done(Ok(Put::Dropped(item)));
                }
            }
            Strategy::Aggregate(merge) if is_full => {
                return match self.line.merge(item, |waiting, newcomer| merge(waiting, newcomer)) {
                    Ok(()) => Step::Done(Ok(Put::Merged)),
                    Err(newcomer) => self.refuse(PutError::new(PutErrorKind::Full, newcomer)),
                };
            }
            Strategy::Block { .. } | Strategy::Throttle { .. } if is_full && !may_wait => {
                return self.refuse(PutError::new(PutErrorKind::Full, item));
            }
            _ => {}
        }
        let done = match self.line.push(item, visit.now) {
            Pushed::Waiting => Put::Accepted,
            Pushed::Evicted(oldest) => Put::Evicted(oldest),
            Pushed::Dropped(newcomer) => return Step::Done(Ok(Put::Dropped(newcomer))),
            // The line has counted it.
            Pushed::Full(newcomer) => {
                return Step::Done(Err(PutError::new(PutErrorKind::Full, newcomer)));
            }
            Pushed::Blocked(key) => return Step::Blocked(key),
        };
        visit.wake(self.consumers.pop());
        Step::Done(Ok(done))
    }

    #[cold]
    fn too_early(&mut self, item: T, may_wait: bool, wait: Duration) -> Step<T> {
        let kind = if may_wait { PutErrorKind::TimedOut } else { PutErrorKind::TooEarly };
        self.refuse(PutError { kind, item, retry_after: Some(wait) })
    }

    /// Lets a newcomer not even come to the line, which counts it all the same.
    fn refuse(&mut self, error: PutError<T>) -> Step<T> {
        self.line.turn_away();
        Step::Done(Err(error))
    }

    /// The item that leaves next.
    #[inline]
    pub(super) fn take(&mut self, visit: &mut Visit<'_, T>) -> Result<T, TryGetError> {
        let (settings, now) = (visit.settings, visit.now);
        loop {
            let Some(since) = self.line.oldest() else { return Err(self.nothing_left()) };
            let mut why = Dropped::Overload;
            let next = if settings.is_age_asked_for() {
                let age = now.since(since);
                if settings.max_age.is_some_and(|most| age > most) {
                    why = Dropped::Expired;
                    Next::DropOldest
                } else {
                    self.standing.next(settings.order, age, now)
                }
            } else {
                Next::Oldest
            };
            match self.leave(visit, next) {
                Some(item) if next == Next::DropOldest => visit.drop_late(item, why),
                Some(item) => {
                    if settings.paces_by_consumers() {
                        self.turns.took(now, self.line.is_empty());
                    }
                    return Ok(item);
                }
                // There is an oldest.
                None => {}
            }
        }
    }

    fn nothing_left(&mut self) -> TryGetError {
        self.standing.emptied();
        self.turns.taken = None;
        if self.is_closed { TryGetError::Closed } else { TryGetError::Empty }
    }

    /// Takes an item out, and tells who may go on for it: the producer that moves up, and all who wait for room.
    #[inline]
    pub(super) fn leave(&mut self, visit: &mut Visit<'_, T>, next: Next) -> Option<T> {
        let left = self.line.take(next)?;
        if let Some(producer) = left.moved_up {
            visit.wake(producer);
            // Only an item that had room at once has woken a consumer.
            visit.wake(self.consumers.pop());
        }
        if !self.upstream.is_empty() && !self.line.is_full() {
            self.upstream.drain().into_iter().for_each(|waker| visit.wake(Some(waker)));
        }
        Some(left.item)
    }

    /// Lets nothing in any more, and tells everybody who waits.
    pub(super) fn close(&mut self, visit: &mut Visit<'_, T>) {
        self.is_closed = true;
        let waiting = self.consumers.drain().into_iter().chain(self.upstream.drain());
        waiting.for_each(|waker| visit.wake(Some(waker)));
        self.line.for_each_producer(|producer| visit.wake(producer.take()));
    }

    /// The next producer's turn, from now on its own.
    ///
    /// # Errors
    /// How far away it is, if that is more than `longest`. Nothing is taken.
    #[inline]
    fn turn(
        &mut self,
        pace: Pace,
        longest: impl FnOnce() -> Duration,
        now: Moment,
    ) -> Result<Moment, Duration> {
        let between = match pace {
            Pace::PerSecond(_) => self.turns.fixed,
            Pace::Consumers if self.line.fill_ratio() < 0.5 => return Ok(now),
            Pace::Consumers => self.turns.between as u64,
        };
        let turn = self.turns.next.max(now);
        if turn > now && turn.since(now) > longest() {
            return Err(turn.since(now));
        }
        self.turns.last = turn;
        self.turns.next = turn.plus_nanos(between);
        Ok(turn)
    }

    /// A turn will not be used. It is the next producer's if it was the last that was given.
    pub(super) fn give_back(&mut self, turn: Moment) {
        if self.turns.last == turn {
            self.turns.next = turn;
        }
    }
}

impl Turns {
    fn new<T>(strategy: &Strategy<T>) -> Self {
        let fixed = match strategy {
            Strategy::Throttle { pace: Pace::PerSecond(rate), .. } => {
                // A rate that has none is refused: no queue goes by it.
                Duration::try_from_secs_f64(1.0 / rate).map_or(0, nanos)
            }
            _ => 0,
        };
        Self { fixed, ..Self::default() }
    }

    fn took(&mut self, now: Moment, was_last: bool) {
        if let Some(before) = self.taken {
            let between = now.since(before).as_nanos() as f64;
            let share = if self.between == 0.0 { 1.0 } else { NEWEST };
            self.between += share * (between - self.between);
        }
        self.taken = (!was_last).then_some(now);
    }
}
