//! Clients with pacers against servers that count exactly.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::*;
use crate::entropy::Entropy;
use crate::limit::headers::Fields;
use crate::limit::{Algorithm, Decision, Rate, RateLimiter, TokenBucket};

enum Server {
    Window { limit: u64, length: Duration, began: Moment, taken: u64 },
    Bucket(RateLimiter<TokenBucket>),
}

impl Server {
    fn window(limit: u64, millis: u64) -> Self {
        Self::Window { limit, length: Duration::from_millis(millis), began: at(0), taken: 0 }
    }

    fn bucket(capacity: u64, per_second: f64) -> Self {
        let rate = Rate::new(capacity, per_second).unwrap();
        Self::Bucket(RateLimiter::new(TokenBucket::new(&rate), at(0)))
    }

    fn limit(&self) -> u64 {
        match self {
            Self::Window { limit, .. } => *limit,
            Self::Bucket(bucket) => bucket.algorithm().limit(),
        }
    }

    fn per_second(&self) -> f64 {
        match self {
            Self::Window { limit, length, .. } => *limit as f64 / length.as_secs_f64(),
            Self::Bucket(bucket) => bucket_rate(bucket),
        }
    }

    /// All that it would ever hand out in so long.
    fn quota(&self, run: Duration) -> f64 {
        let burst = match self {
            Self::Window { .. } => 0,
            Self::Bucket(_) => self.limit(),
        };
        burst as f64 + self.per_second() * run.as_secs_f64()
    }

    fn ask(&mut self, now: Moment) -> Decision {
        match self {
            Self::Bucket(bucket) => bucket.check(now, 1),
            Self::Window { limit, length, began, taken } => {
                while now >= *began + *length {
                    (*began, *taken) = (*began + *length, 0);
                }
                let allowed = taken < limit;
                *taken += u64::from(allowed);
                let reset_after = (*began + *length).since(now);
                Decision {
                    allowed,
                    limit: *limit,
                    remaining: *limit - *taken,
                    reset_after,
                    retry_after: (!allowed).then_some(reset_after),
                }
            }
        }
    }
}

/// How fast it fills, by how long an empty one takes.
fn bucket_rate(bucket: &RateLimiter<TokenBucket>) -> f64 {
    let capacity = bucket.algorithm().limit();
    let full_after =
        RateLimiter::new(*bucket.algorithm(), at(0)).check(at(0), capacity).reset_after;
    capacity as f64 / full_after.as_secs_f64()
}

enum Event {
    Wanted { client: usize },
    Arrives { client: usize, turn: Option<Reservation> },
    Answered { client: usize, turn: Reservation, report: Report },
}

/// What happens when; of two at once, what was said first.
#[derive(Default)]
struct Agenda {
    due: BinaryHeap<Reverse<(Moment, usize)>>,
    events: Vec<Option<Event>>,
}

impl Agenda {
    fn add(&mut self, when: Moment, event: Event) {
        self.due.push(Reverse((when, self.events.len())));
        self.events.push(Some(event));
    }

    fn next(&mut self) -> Option<(Moment, Event)> {
        let Reverse((when, number)) = self.due.pop()?;
        Some((when, self.events[number].take()?))
    }
}

#[derive(Debug, Default)]
struct Tally {
    wanted: u64,
    sent: u64,
    refused: u64,
    held_back: u64,
}

/// Three times as much as there is, from `clients` together, each way of a request 2 to 40 ms. What happened, and the
/// share of the quota that was used.
fn run(mut server: Server, clients: usize, seconds: u64, paced: bool, seed: u64) -> (Tally, f64) {
    let entropy = Entropy::seeded(seed);
    let pacers: Vec<_> = (0..clients).map(|_| Pacer::default()).collect();
    let run = Duration::from_secs(seconds);
    let gap = Duration::from_secs_f64(clients as f64 / (3.0 * server.per_second()));
    let travel = || Duration::from_micros(2_000 + (entropy.unit() * 38_000.0) as u64);
    let mut agenda = Agenda::default();
    let mut tally = Tally::default();
    (0..clients).for_each(|client| agenda.add(at(client as u64), Event::Wanted { client }));
    while let Some((now, event)) = agenda.next().filter(|(when, _)| *when < Moment::ZERO + run) {
        match event {
            Event::Wanted { client } => {
                tally.wanted += 1;
                // From none to twice the mean: as uneven as real demand.
                agenda.add(now + gap.mul_f64(2.0 * entropy.unit()), Event::Wanted { client });
                let turn = match paced.then(|| pacers[client].pace(now)) {
                    None => None,
                    Some(Ok(turn)) => Some(turn),
                    Some(Err(_)) => {
                        tally.held_back += 1;
                        continue;
                    }
                };
                let wait = turn.map_or(Duration::ZERO, |turn| turn.wait());
                agenda.add(now + wait + travel(), Event::Arrives { client, turn });
            }
            Event::Arrives { client, turn } => {
                let decision = server.ask(now);
                tally.sent += 1;
                tally.refused += u64::from(!decision.allowed);
                let Fields { limit, remaining, reset_after, retry_after } = Fields::of(&decision);
                let retry_after = retry_after.map(Duration::from_secs);
                let report = Report { retry_after, ..report(limit, remaining, reset_after) };
                if let Some(turn) = turn {
                    agenda.add(now + travel(), Event::Answered { client, turn, report });
                }
            }
            Event::Answered { client, turn, report } => pacers[client].learn(now, turn, &report),
        }
    }
    let used = (tally.sent - tally.refused) as f64 / server.quota(run);
    (tally, used)
}

/// A server, and for how many seconds it is watched.
type Watched = (&'static str, fn() -> Server, u64);

fn servers() -> [Watched; 9] {
    [
        ("1000 in 10 s", || Server::window(1000, 10_000), 300),
        ("100 in 10 s", || Server::window(100, 10_000), 600),
        ("60 in 60 s", || Server::window(60, 60_000), 3600),
        ("5000 in an hour", || Server::window(5000, 3_600_000), 5 * 3600),
        ("bucket of 10, 1/s", || Server::bucket(10, 1.0), 600),
        ("bucket of 20, 20/s", || Server::bucket(20, 20.0), 300),
        ("bucket of 100, 50/s", || Server::bucket(100, 50.0), 300),
        ("bucket of 1000, 100/s", || Server::bucket(1000, 100.0), 300),
        ("bucket of 60, 1/s", || Server::bucket(60, 1.0), 3600),
    ]
}

#[test]
fn at_three_times_the_quota_nothing_is_refused_and_nearly_all_of_it_is_used() {
    for (name, server, seconds) in servers() {
        for seed in 1..=3 {
            let (bare, _) = run(server(), 1, seconds, false, seed);
            assert!(bare.refused * 2 > bare.sent, "{name}: without a pacer {bare:?}");
            let (paced, used) = run(server(), 1, seconds, true, seed);
            assert!(paced.refused * 1000 <= paced.sent, "{name}: {paced:?}");
            assert!(used >= 0.95, "{name}: used {used:.3}, {paced:?}");
        }
    }
}

#[test]
fn clients_who_share_a_quota_adapt_to_each_other() {
    // Of a quota of ten, four clients cannot tell each other's last two.
    let large = servers().into_iter().filter(|(_, server, _)| server().limit() >= 60);
    for (name, server, seconds) in large {
        for seed in 1..=3 {
            let (paced, used) = run(server(), 4, seconds, true, seed);
            // Refused are those who reach for the last few at once.
            assert!(paced.refused * 20 <= paced.sent, "{name}: {paced:?}");
            assert!(used >= 0.95, "{name}: used {used:.3}, {paced:?}");
        }
    }
}
