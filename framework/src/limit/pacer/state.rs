//! What a pacer remembers.

use std::time::Duration;

use super::{PacerConfig, Reservation};
use crate::clock::{Moment, nanos};
use crate::limit::Refusal;
use crate::limit::headers::Report;

/// Answers that have come in another order than the server counted are off by as many as have overtaken each other. So of the
/// latest few the lowest counts, of a limit this many times larger or more.
const PER_OVERTAKEN: u64 = 50;
/// At most so many.
const OVERTAKEN_MAX: u64 = 8;

/// Beyond so many turns given back while one request was on its way, its answer is taken for a smaller remainder.
const RETURNED_MAX: usize = 16;

/// No client gives up its whole share.
const LEAST_SHARE: f64 = 0.05;

#[derive(Debug, Default)]
pub(super) struct State {
    /// Requests that were given a turn; the number of the latest.
    sent: u64,
    news: Option<News>,
    /// The server has said to stay away until then. The origin, once that is over.
    closed_until: Moment,
    /// Numbers of turns that were given back: answers to earlier requests still count them.
    returned: [u64; RETURNED_MAX],
    oldest_returned: usize,
}

/// What is known of the quota.
#[derive(Clone, Copy, Debug)]
struct News {
    /// The number of the latest request of which an answer has told.
    number: u64,
    /// The number up to which requests can be sent: what the answer said remained, past its request.
    last: Budget,
    limit: u64,
    /// When the quota is whole again.
    until: Moment,
    /// From when to when the longest stretch was that has been announced.
    window: Duration,
    /// When the next request may be sent, once they are spread.
    next: Moment,
    /// Requests up to this number may have been counted before the quota was renewed: their answers tell of the past.
    before: u64,
    share: OwnShare,
    /// After a refusal or a reset, until the next answer that is none.
    is_probing: bool,
}

/// How much of what is taken is taken by us.
#[derive(Clone, Copy, Debug)]
struct OwnShare {
    ours: f64,
    /// Since the answer to this request,
    number: u64,
    /// which said this.
    last: u64,
}

impl OwnShare {
    fn since(number: u64, last: u64) -> Self {
        Self { ours: 1.0, number, last }
    }

    /// What answers say sinks by what others take. Looked at from time to time, because from one answer to the next it
    /// moves by their order too.
    fn hear(&mut self, told: &Told, enough: u64) {
        let ours = told.number.saturating_sub(self.number);
        let others = self.last.saturating_sub(told.last);
        let all = ours.saturating_add(others);
        if all >= enough {
            let now = (ours as f64 / all as f64).max(LEAST_SHARE);
            *self = Self { ours: (self.ours + now) / 2.0, number: told.number, last: told.last };
        }
    }
}

/// The least of the latest few numbers.
#[derive(Clone, Copy, Debug)]
struct Budget {
    /// The greatest so far.
    most: u64,
    least: u64,
    least_before: u64,
    told: u64,
}

impl Budget {
    fn new(number: u64) -> Self {
        Self { most: number, least: number, least_before: number, told: 0 }
    }

    fn get(&self) -> u64 {
        self.least.min(self.least_before)
    }

    /// One of those that were counted was never sent.
    fn raise(&mut self) {
        for number in [&mut self.most, &mut self.least, &mut self.least_before] {
            *number = number.saturating_add(1);
        }
    }

    fn lower(&mut self, number: u64) {
        self.least = self.least.min(number);
    }

    /// The latest number, of which the `few` before it still count.
    fn tell(&mut self, number: u64, few: u64) {
        self.most = self.most.max(number);
        self.told += 1;
        if self.told >= few {
            self.told = 0;
            self.least_before = if few <= 1 { number } else { self.least };
            self.least = number;
        } else {
            self.lower(number);
        }
    }
}

impl State {
    pub(super) fn pace(
        &mut self,
        config: &PacerConfig,
        now: Moment,
    ) -> Result<Reservation, Refusal> {
        self.bound(config.horizon, now);
        let (wait, gap) = self.wait(config, now)?;
        self.sent += 1;
        Ok(Reservation { wait: nanos(wait), number: self.sent, gap: nanos(gap) })
    }

    /// Nothing that is remembered lies further ahead than a server could say now. It does when the clock was put back, or the
    /// horizon made nearer; and what was over by the old clock must not begin anew.
    fn bound(&mut self, horizon: Duration, now: Moment) {
        self.closed_until = self.closed_until.min(now + horizon);
        if self.closed_until <= now {
            self.closed_until = Moment::ZERO;
        }
        if let Some(news) = &mut self.news {
            // After a refusal they are reckoned from when it is over.
            let open = now.max(self.closed_until);
            if news.until > open + horizon {
                news.until = open + horizon;
                news.next = open;
            }
        }
    }

    /// Somebody else can have it.
    pub(super) fn refund(&mut self, turn: Reservation) {
        let number = turn.number;
        let is_latest = number == self.sent;
        let Some(news) = &mut self.news else {
            self.sent -= u64::from(is_latest);
            return;
        };
        // What was said after it, or is reckoned from a reset after it, has not counted it.
        if number <= news.number.max(news.before) {
            return;
        }
        news.next = news.next.before(Duration::from_nanos(turn.gap));
        if is_latest {
            self.sent -= 1;
            return;
        }
        // Later numbers are out: instead there may be one more.
        news.last.raise();
        news.share.last = news.share.last.saturating_add(1);
        if let Some(oldest) = self.returned.get_mut(self.oldest_returned) {
            *oldest = number;
        }
        self.oldest_returned = (self.oldest_returned + 1) % RETURNED_MAX;
    }

    pub(super) fn left(&self, now: Moment) -> Option<u64> {
        let news = self.news.filter(|news| now < news.until)?;
        Some(news.last.get().saturating_sub(self.sent))
    }

    /// How long the next request has to wait, and by how much the one after it is later.
    fn wait(&mut self, config: &PacerConfig, now: Moment) -> Result<(Duration, Duration), Refusal> {
        if now < self.closed_until {
            return Err(refusal(self.closed_until.since(now)));
        }
        let sent = self.sent;
        let Some(news) = &mut self.news else { return Ok((Duration::ZERO, Duration::ZERO)) };
        if now >= news.until {
            news.renew(now, sent);
        }
        let left = news.last.get().saturating_sub(sent);
        let until_reset = news.until.since(now);
        if left == 0 {
            return Err(refusal(until_reset));
        }
        if left as f64 > config.slow_below * news.limit as f64 {
            news.next = now;
            return Ok((Duration::ZERO, Duration::ZERO));
        }
        let ours = left as f64 * if news.is_probing { 1.0 } else { news.share.ours };
        // The last few are rather somebody else's, unless somebody has to find out how things are.
        if ours < 0.5 {
            return Err(refusal(until_reset));
        }
        let at = news.next.max(now);
        let wait = at.since(now);
        if wait > config.max_wait {
            return Err(refusal(wait - config.max_wait));
        }
        if at >= news.until {
            return Err(refusal(until_reset));
        }
        let gap = news.until.since(at).div_f64(ours.max(1.0));
        news.next = at + gap;
        Ok((wait, gap))
    }

    pub(super) fn learn(
        &mut self,
        config: &PacerConfig,
        now: Moment,
        number: u64,
        report: &Report,
    ) {
        self.bound(config.horizon, now);
        let sent = self.sent;
        if let Some(after) = report.retry_after {
            self.closed_until = self.closed_until.max(now + after.min(config.horizon));
        }
        let is_refusal = report.retry_after.is_some() && report.remaining.unwrap_or(0) == 0;
        let remaining = match report.remaining {
            Some(remaining) => remaining,
            None if is_refusal && self.news.is_some() => 0,
            None => return,
        };
        let stretch = report.reset_after.or(report.window).unwrap_or(Duration::from_secs(1));
        let stretch = stretch.min(config.horizon);
        let returned = self.returned.iter().filter(|returned| **returned > number).count() as u64;
        let last = number.saturating_add(remaining).saturating_add(returned);
        let told = Told { number, last, until: now + stretch };
        if let Some(news) = &mut self.news {
            if now >= news.until {
                news.renew(now, sent);
            }
            if !is_refusal {
                news.hear(&told, sent);
            }
        }
        let news = self.news.get_or_insert_with(|| News {
            number,
            last: Budget::new(told.last),
            limit: 0,
            until: told.until,
            window: Duration::ZERO,
            next: now,
            before: 0,
            share: OwnShare::since(number, told.last),
            is_probing: false,
        });
        news.limit = report.limit.unwrap_or(news.limit.max(remaining)).max(remaining);
        news.window = news.window.max(stretch);
        if is_refusal {
            news.close(number, sent, self.closed_until);
        }
    }
}

/// What an answer says, filed under its request's number.
struct Told {
    number: u64,
    last: u64,
    until: Moment,
}

impl News {
    /// The reset has come: all that is known is that the quota is whole again.
    fn renew(&mut self, now: Moment, sent: u64) {
        // One at least, or nobody would ever hear otherwise.
        self.last = Budget::new(sent.saturating_add(self.limit.max(1)));
        self.is_probing = true;
        self.until = now + self.window.max(Duration::from_nanos(1));
        self.before = sent;
        self.next = now;
        self.share = OwnShare { ours: self.share.ours, ..OwnShare::since(sent, self.last.most) };
    }

    /// Refused. Whether one has come back by then or all of it, the next request will tell: until it has, there is one.
    fn close(&mut self, number: u64, sent: u64, until: Moment) {
        self.number = self.number.max(number);
        self.last = Budget::new(sent.saturating_add(1));
        self.until = until + self.window.max(Duration::from_secs(1));
        self.next = until;
        self.is_probing = true;
    }

    fn hear(&mut self, told: &Told, sent: u64) {
        if told.number <= self.before {
            return;
        }
        if told.number < self.number {
            // Overtaken: it may know of somebody else's requests, but not of what has come back since.
            self.last.lower(told.last);
            return;
        }
        self.number = told.number;
        self.is_probing = false;
        // In a window the number stays, and sinks when others take; where it rises, something has come back.
        let came_back = told.last > self.last.most;
        // Servers round up to whole seconds: of a reset that stands still the earliest word is the most exact.
        self.until = if came_back { told.until } else { self.until.min(told.until) };
        self.share.hear(told, (self.limit / 8).max(16));
        let few = (self.limit / PER_OVERTAKEN).clamp(1, OVERTAKEN_MAX);
        if told.last > self.last.most.saturating_add(self.limit / 2) {
            // Renewed before we thought. What is still on its way may have been counted before that.
            self.last = Budget::new(told.last);
            self.before = sent;
        } else {
            self.last.tell(told.last, few);
        }
    }
}

fn refusal(after: Duration) -> Refusal {
    Refusal { retry_after: Some(after.max(Duration::from_nanos(1))) }
}
