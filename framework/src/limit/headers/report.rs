//! What a server's answer says about its limits.

use std::time::Duration;

use super::list::{self, Bare, Member};
use crate::classify::number;

/// A field longer than this is not looked at.
pub const MAX_FIELD_BYTES: usize = 4096;
/// Of all the members of an answer's lists together, those after this many are not looked at.
pub const MAX_MEMBERS: usize = 16;

/// From here on a number is a point in time: as a delay it would be 31 years.
const LEAST_EPOCH: u64 = 1_000_000_000;

/// How `X-RateLimit-Reset` is understood. (`RateLimit`'s `t` and the older drafts' `RateLimit-Reset` are always delays.)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResetReading {
    /// By its size: below 1,000,000,000 it is a delay in seconds, from there on a point in time since 1970 in seconds
    /// (GitHub), from 10^11 in milliseconds, from 10^14 in microseconds, from 10^17 in nanoseconds: each of them is in
    /// use, and none overlaps with another before the year 5138.
    #[default]
    Guess,
    /// A point in time, in seconds since 1970.
    Epoch,
    /// A delay, in seconds.
    Delta,
}

/// What an answer says, of the limit that binds: the one whose remainder will last least long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The most that can be had at once, or in a window.
    pub limit: Option<u64>,
    /// What is left.
    pub remaining: Option<u64>,
    /// For how long there is no more than that.
    pub reset_after: Option<Duration>,
    /// Over how long the limit is.
    pub window: Option<Duration>,
    /// Do not come back before: it goes before everything else.
    pub retry_after: Option<Duration>,
}

impl Report {
    /// Whether the answer said nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether `self` leaves less room than `other`: whose remainder has to last longer for each unit.
    #[must_use]
    pub fn is_tighter(&self, other: &Self) -> bool {
        let measure = |report: &Self| {
            let left = u128::from(report.remaining.unwrap_or(u64::MAX));
            // Without any time, a second: then the smaller remainder binds.
            let lasts = report.reset_after.or(report.window).unwrap_or(Duration::from_secs(1));
            (left, lasts.as_millis().clamp(1, u64::MAX.into()))
        };
        let ((left, lasts), (other_left, other_lasts)) = (measure(self), measure(other));
        match (left, other_left) {
            (0, 0) => lasts > other_lasts,
            // Fewer than 2^64 units and 2^64 milliseconds: no overflow.
            _ => left * other_lasts < other_left * lasts,
        }
    }
}

/// Collects a report from an answer's fields, in any order. Borrows them; reads nothing twice.
#[derive(Debug)]
pub struct Reader<'a> {
    since_epoch: Duration,
    reset: ResetReading,
    plain: Report,
    older: Report,
    retry_after: Option<Duration>,
    standings: Vec<Item<'a>>,
    policies: Vec<Item<'a>>,
}

/// A member of either list.
#[derive(Clone, Copy, Debug)]
struct Item<'a> {
    name: &'a str,
    report: Report,
    /// Whether it counts requests, and not bytes or who is there at once.
    requests: bool,
}

impl<'a> Reader<'a> {
    /// A reader at a wall-clock time of `since_epoch` after the beginning of 1970, which only a reset that is a
    /// point in time needs. The server's own clock (its `Date`) is the better one to give, if it is at hand.
    #[must_use]
    pub fn new(reset: ResetReading, since_epoch: Duration) -> Self {
        Self {
            since_epoch,
            reset,
            plain: Report::default(),
            older: Report::default(),
            retry_after: None,
            standings: Vec::new(),
            policies: Vec::new(),
        }
    }

    /// Takes a field in. Names in lower case, as HTTP libraries have them; others, and what cannot be understood, are
    /// ignored. A field that comes twice may only make things tighter.
    pub fn field(&mut self, name: &str, value: &'a [u8]) {
        if value.len() > MAX_FIELD_BYTES {
            return;
        }
        let name = name.strip_prefix("x-").map_or((false, name), |rest| (true, rest));
        match name {
            (false, "ratelimit") => {
                list_of(&mut self.standings, self.policies.len(), value, standing)
            }
            (false, "ratelimit-policy") => {
                list_of(&mut self.policies, self.standings.len(), value, policy);
            }
            (false, "retry-after") => later(&mut self.retry_after, number::seconds(value)),
            (true, "ratelimit-limit" | "rate-limit-limit") => {
                lower(&mut self.plain.limit, number::count(value));
            }
            (true, "ratelimit-remaining" | "rate-limit-remaining") => {
                lower(&mut self.plain.remaining, number::count(value));
            }
            (true, "ratelimit-reset" | "rate-limit-reset") => {
                let reset = self.reset_of(value);
                later(&mut self.plain.reset_after, reset);
            }
            (true, "ratelimit-reset-after") => {
                later(&mut self.plain.reset_after, number::seconds(value));
            }
            // Drafts 0 to 6. The limit may be followed by the policies behind it.
            (false, "ratelimit-limit") => {
                let first = value.split(|&byte| matches!(byte, b',' | b';')).next();
                lower(&mut self.older.limit, first.and_then(number::count));
            }
            (false, "ratelimit-remaining") => {
                lower(&mut self.older.remaining, number::count(value));
            }
            (false, "ratelimit-reset") => {
                later(&mut self.older.reset_after, number::seconds(value));
            }
            _ => {}
        }
    }

    /// What is known from elsewhere of when to come back, such as a `Retry-After` that was a date.
    pub fn retry_after(&mut self, after: Duration) {
        later(&mut self.retry_after, Some(after));
    }

    /// The report: of everything that was said, the limit that binds.
    #[must_use]
    pub fn finish(self) -> Report {
        let Self { plain, older, retry_after, standings, policies, .. } = self;
        let standing = standings.iter().enumerate().filter_map(|(at, standing)| {
            let known = known(&standings, at, &policies);
            known.is_none_or(|known| known.requests).then(|| {
                let Report { limit, window, .. } =
                    known.map(|known| known.report).unwrap_or_default();
                Report { limit: standing.report.limit.or(limit), window, ..standing.report }
            })
        });
        let others = [plain, older].into_iter().filter(|report| report.remaining.is_some());
        let tighter = |best: Report, next: Report| if next.is_tighter(&best) { next } else { best };
        let mut binding = standing.chain(others).reduce(tighter).unwrap_or_else(|| {
            // Nobody says what is left, but perhaps what there is in all.
            let policy = policies.iter().filter(|policy| policy.requests).map(|item| item.report);
            let limited = [plain, older].into_iter().chain(policy).find(|it| it.limit.is_some());
            limited.unwrap_or(plain)
        });
        binding.retry_after = retry_after;
        binding
    }

    fn reset_of(&self, value: &[u8]) -> Option<Duration> {
        let (whole, billionths) = number::decimal(value)?;
        let at = match self.reset {
            ResetReading::Delta => return number::seconds(value),
            ResetReading::Guess if whole < LEAST_EPOCH => return number::seconds(value),
            ResetReading::Epoch => Duration::new(whole.min(number::MAX_SECONDS), billionths),
            ResetReading::Guess => match whole {
                100_000_000_000_000_000.. => Duration::from_nanos(whole),
                100_000_000_000_000.. => Duration::from_micros(whole),
                100_000_000_000.. => Duration::from_millis(whole),
                _ => Duration::new(whole, billionths),
            },
        };
        Some(at.saturating_sub(self.since_epoch).min(Duration::from_secs(number::MAX_SECONDS)))
    }
}

/// What the policies say of the standing at this place, if one has its name. Limits that are nested may share a name: each has
/// put one member on either list, so where there are as many they belong together by their order. If there are not,
/// nobody can tell which of them is meant: then no limit is better than another one's.
fn known<'a>(standings: &[Item<'a>], at: usize, policies: &[Item<'a>]) -> Option<Item<'a>> {
    let name = standings.get(at)?.name;
    if let [only] = policies
        && (name.is_empty() || only.name.is_empty())
    {
        // Draft 7 and older name no policy: then it is the only one.
        return Some(*only);
    }
    let of_this = |items: &[Item<'a>]| items.iter().filter(|item| item.name == name).count();
    let mut named = policies.iter().filter(|policy| policy.name == name);
    match of_this(policies) {
        // Several standings of one policy are partitions of it.
        0 | 1 => named.next().copied(),
        as_many if as_many == of_this(standings) => {
            named.nth(of_this(standings.get(..at)?)).copied()
        }
        _ => {
            let requests = named.any(|policy| policy.requests);
            Some(Item { name, report: Report::default(), requests })
        }
    }
}

fn lower(known: &mut Option<u64>, told: Option<u64>) {
    *known = [*known, told].into_iter().flatten().min();
}

fn later(known: &mut Option<Duration>, told: Option<Duration>) {
    *known = [*known, told].into_iter().flatten().max();
}

/// Adds a list's members to `items`, or nothing at all if it is malformed.
fn list_of<'a>(
    items: &mut Vec<Item<'a>>,
    elsewhere: usize,
    field: &'a [u8],
    read: impl Fn(&mut Vec<Item<'a>>, Member<'a>),
) {
    let before = items.len();
    let whole = list::parse(field, |member| {
        if items.len() + elsewhere < MAX_MEMBERS {
            read(items, member);
        }
    });
    if whole.is_none() {
        items.truncate(before);
    }
}

fn seconds(bare: Bare<'_>) -> Option<Duration> {
    bare.count().map(|seconds| Duration::from_secs(seconds.min(number::MAX_SECONDS)))
}

/// A member of `RateLimit`: `"burst";r=50;t=30`, or a part of draft 7's `limit=100, remaining=50, reset=30`.
fn standing<'a>(items: &mut Vec<Item<'a>>, member: Member<'a>) {
    if let (Some(name), Some(value)) = (member.bare.text(), member.value) {
        let position = items.iter().position(|item| item.name.is_empty());
        let position = position.unwrap_or_else(|| {
            items.push(Item { name: "", report: Report::default(), requests: true });
            items.len() - 1
        });
        let Some(Item { report, .. }) = items.get_mut(position) else { return };
        match name {
            "limit" => lower(&mut report.limit, value.count()),
            "remaining" => lower(&mut report.remaining, value.count()),
            "reset" => later(&mut report.reset_after, seconds(value)),
            _ => {}
        }
        return;
    }
    // Without a name, or without what is required, a member says nothing.
    let Some(name) = member.bare.text() else { return };
    let Some(remaining) = member.parameter("r").and_then(Bare::count) else { return };
    let reset_after = member.parameter("t").and_then(seconds);
    let report = Report { remaining: Some(remaining), reset_after, ..Report::default() };
    items.push(Item { name, report, requests: true });
}

/// A member of `RateLimit-Policy`: `"burst";q=100;w=60`, or older drafts' `100;w=60`.
fn policy<'a>(items: &mut Vec<Item<'a>>, member: Member<'a>) {
    let window = member.parameter("w").and_then(seconds);
    let unit = member.parameter("qu").and_then(Bare::text);
    let (name, limit) = match member.bare {
        Bare::Integer(_) => ("", member.bare.count()),
        bare => (bare.text().unwrap_or_default(), member.parameter("q").and_then(Bare::count)),
    };
    let requests = matches!(unit, None | Some("requests" | "request"));
    let report = Report { limit, window, ..Report::default() };
    items.push(Item { name, report, requests });
}
