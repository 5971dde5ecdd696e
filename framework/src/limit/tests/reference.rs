//! Every algorithm beside a list of all that was ever taken, and the plainest reading of its rule.

use std::time::Duration;

use crate::clock::Moment;
use crate::entropy::Entropy;
use crate::limit::*;

/// What was taken: for which moment, and how much.
pub(super) type Taken = Vec<(u64, u64)>;

/// A rule, read off a list.
pub(super) trait Reference {
    fn limit(&self) -> u64;
    /// The first moment not before `from` at which `cost` is allowed, if nothing else is taken.
    fn earliest(&self, taken: &Taken, from: u64, cost: u64) -> u64;
    /// What could be had at `at`.
    fn left(&self, taken: &Taken, at: u64) -> u64;
    /// By how many nanoseconds a moment may be off.
    fn hair(&self) -> u64 {
        0
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Take(u64),
    Check(u64),
    Reserve(u64, u64),
    /// Gives back one of what was taken; this chooses which.
    Refund(u64),
}

/// Chance that a seed brings back.
pub(super) struct Chance(Entropy);

impl Chance {
    pub(super) fn seeded(seed: u64) -> Self {
        Self(Entropy::seeded(seed))
    }

    /// Any number, the small and the largest among them too.
    pub(super) fn any(&self) -> u64 {
        let any = self.0.next_u64();
        if self.below(8) == 0 { any | (u64::MAX << 3) } else { any >> self.below(64) }
    }

    /// From nothing to less than `end`.
    pub(super) fn below(&self, end: u64) -> u64 {
        self.0.next_u64() % end.max(1)
    }
}

/// Steps in time by whole and half windows, to the nanosecond before and after, and at random; costs
/// from nothing to more than there is.
pub(super) fn trace(chance: &Chance, window: u64, limit: u64, refunds: bool) -> Vec<(u64, Step)> {
    (0..2 + chance.below(30))
        .map(|_| {
            let pause = match chance.below(17) {
                0 | 1 => 0,
                2 => 1,
                3 => window - 1,
                4 => window,
                5 => window + 1,
                6 => 3 * window,
                7..13 => chance.below(window / 2),
                _ => chance.below(2 * window),
            };
            let cost = match chance.below(9) {
                0 => limit + 1,
                1 | 2 => chance.below(limit + 1),
                _ => 1 + chance.below((limit / 3).max(1)),
            };
            let step = match chance.below(6) {
                0 => Step::Reserve(cost, chance.below(4 * window)),
                1 => Step::Check(cost),
                2 | 3 if refunds => Step::Refund(chance.any()),
                _ => Step::Take(cost),
            };
            (pause, step)
        })
        .collect()
}

/// Twenty thousand times a limit of up to 11 in a window of 1 to 3 ms, and a trace that both are played.
pub(super) fn twenty_thousand_windows<A: Algorithm, R: Reference>(
    algorithm: impl Fn(&Quota) -> A,
    reference: impl Fn(u64, u64) -> R,
) {
    for seed in 0..20_000 {
        let chance = Chance::seeded(seed);
        let (limit, window) = (1 + chance.below(11), 1_000_000 + chance.below(2_000_000));
        // Every other one without: then each answer is known exactly.
        let trace = trace(&chance, window, limit, seed.is_multiple_of(2));
        let quota = Quota::new(limit, Duration::from_nanos(window)).unwrap();
        compare(algorithm(&quota), &reference(limit, window), &trace);
    }
}

/// Twenty thousand times a bucket of up to 11, up to 5,000 a second, and a trace.
pub(super) fn twenty_thousand_buckets(play: impl Fn(Bucketful, &[(u64, Step)])) {
    for seed in 0..20_000 {
        let chance = Chance::seeded(seed);
        let (capacity, per_second) = (1 + chance.below(11), 1 + chance.below(5_000));
        let window = 1_000_000_000 * capacity / per_second;
        let trace = trace(&chance, window, capacity, seed.is_multiple_of(2));
        play(Bucketful { capacity, per_second }, &trace);
    }
}

/// What was taken, as seen by somebody who believes that what was given back was never taken, or by one who
/// believes that giving back is worth nothing. The truth lies between them.
#[derive(Clone, Default)]
struct View {
    taken: Taken,
    /// Until when somebody waits.
    reserved: u64,
}

/// Everything that was taken: for when, how much, whether it was ahead of time, and whether it was given back.
#[derive(Default)]
struct Ledger(Vec<(u64, u64, bool, bool)>);

impl Ledger {
    fn view(&self, with_given_back: bool) -> View {
        let seen = self.0.iter().filter(|(.., back)| with_given_back || !back);
        let reserved = seen.clone().filter(|(_, _, ahead, _)| *ahead).map(|(at, ..)| *at);
        // What has been given back may be had by others before that.
        let is_open = !with_given_back && self.0.iter().any(|(.., back)| *back);
        let reserved = reserved.filter(|_| !is_open).max().unwrap_or(0);
        let mut taken: Taken = seen.map(|(at, cost, ..)| (*at, *cost)).collect();
        taken.sort_unstable();
        View { taken, reserved }
    }

    /// Gives one back that has not been yet.
    fn give_back(&mut self, choice: u64) -> Option<(u64, u64)> {
        let mut held: Vec<_> = self.0.iter_mut().filter(|(.., back)| !back).collect();
        let at = choice as usize % held.len().max(1);
        let (at, cost, _, back) = held.get_mut(at)?;
        *back = true;
        Some((*at, *cost))
    }
}

/// Plays a trace to both, and compares every answer: it is exact as long as nothing has been given back, and
/// then between those of the two views. In the end, what was used keeps to the limit. What fails shows the
/// whole trace.
pub(super) fn compare<A: Algorithm>(
    algorithm: A,
    reference: &impl Reference,
    trace: &[(u64, Step)],
) {
    let limiter = RateLimiter::new(algorithm, Moment::ZERO);
    let (mut ledger, mut now) = (Ledger::default(), 0);
    let hair = reference.hair();
    for (pause, step) in trace {
        now += pause;
        let at = Moment::from_nanos(now);
        let (cost, longest) = match *step {
            Step::Take(cost) | Step::Check(cost) => (cost, 0),
            Step::Reserve(cost, longest) => (cost, longest),
            Step::Refund(choice) => {
                if let Some((taken_for, cost)) = ledger.give_back(choice) {
                    limiter.refund(at, cost, Moment::from_nanos(taken_for));
                }
                (0, 0)
            }
        };
        let seen = limiter.peek(at, cost);
        let answer = match step {
            Step::Take(_) => limiter.try_take(at, cost).map(|()| Duration::ZERO),
            Step::Check(_) => {
                let decision = limiter.check(at, cost);
                assert_eq!(decision.limit, reference.limit(), "{trace:?}");
                let Decision { allowed, retry_after, .. } = decision;
                if allowed { Ok(Duration::ZERO) } else { Err(Refusal { retry_after }) }
            }
            Step::Reserve(..) => limiter.reserve(at, cost, Duration::from_nanos(longest)),
            Step::Refund(_) => Ok(Duration::ZERO),
        };
        if cost > reference.limit() {
            assert_eq!(answer, Err(Refusal { retry_after: None }), "{trace:?}");
            continue;
        }
        // No newcomer passes one that waits.
        let turn = |view: &View| match cost {
            0 => now,
            _ => reference.earliest(&view.taken, now.max(view.reserved), cost),
        };
        let views = [false, true].map(|with_given_back| ledger.view(with_given_back));
        let [soonest, latest] = [turn(&views[0]), turn(&views[1])];
        let nanos = |wait: Duration| wait.as_nanos() as u64;
        // Refused, it says when the same would be granted: when the turn is near enough.
        let told = match answer {
            Ok(wait) => now + nanos(wait),
            Err(refusal) => now + nanos(refusal.retry_after.unwrap()) + longest,
        };
        let what = || format!("{step:?} at {now}: {told}, not {soonest} to {latest} of {trace:?}");
        assert!(told + hair >= soonest && told <= latest + hair, "{}", what());
        assert_eq!(answer.is_ok(), told <= now + longest, "{}", what());
        if !matches!(step, Step::Reserve(..)) {
            assert_eq!(seen.allowed, answer.is_ok());
            assert_eq!(seen.retry_after, answer.err().and_then(|refusal| refusal.retry_after));
        }
        if answer.is_ok() && cost > 0 {
            ledger.0.push((told, cost, told > now, false));
        }
        left(&limiter, reference, &ledger, now);
    }
    let used = ledger.view(false).taken;
    for (n, &(at, cost)) in used.iter().enumerate() {
        let due = reference.earliest(&used[..n].to_vec(), at, cost);
        assert!(due <= at + hair, "{cost} at {at}, {due} of {trace:?}");
    }
}

/// What is said to be left lies between the two views.
fn left<A: Algorithm>(
    limiter: &RateLimiter<A>,
    reference: &impl Reference,
    ledger: &Ledger,
    now: u64,
) {
    let told = limiter.remaining(Moment::from_nanos(now));
    let [most, least] = [false, true].map(|with_given_back| {
        let view = ledger.view(with_given_back);
        if view.reserved > now { 0 } else { reference.left(&view.taken, now) }
    });
    let hair = u64::from(reference.hair() > 0);
    assert!(told <= most + hair && told + hair >= least, "{told} at {now}, not {least} to {most}");
}

/// A bucket that `per_second` flow out of (or into), in billionths of a token, so that nothing is rounded.
#[derive(Debug)]
pub(super) struct Bucketful {
    pub(super) capacity: u64,
    pub(super) per_second: u64,
}

impl Bucketful {
    /// How full it is, in billionths.
    pub(super) fn level(&self, taken: &Taken, at: u64) -> i128 {
        let (mut level, mut last) = (0_i128, 0);
        for &(moment, cost) in taken {
            level -= i128::from(moment.min(at) - last) * i128::from(self.per_second);
            level = level.max(0) + i128::from(cost) * 1_000_000_000;
            last = moment.min(at);
        }
        (level - i128::from(at - last) * i128::from(self.per_second)).max(0)
    }

    pub(super) fn until(&self, excess: i128) -> u64 {
        let per_second = i128::from(self.per_second);
        u64::try_from((excess.max(0) + per_second - 1) / per_second).unwrap()
    }
}

impl Reference for Bucketful {
    fn limit(&self) -> u64 {
        self.capacity
    }
    fn earliest(&self, taken: &Taken, from: u64, cost: u64) -> u64 {
        let room = i128::from(self.capacity - cost) * 1_000_000_000;
        from + self.until(self.level(taken, from) - room)
    }
    fn left(&self, taken: &Taken, at: u64) -> u64 {
        let room = i128::from(self.capacity) * 1_000_000_000 - self.level(taken, at);
        u64::try_from(room.max(0) / 1_000_000_000).unwrap()
    }
    /// A clock read to a unit.
    fn hair(&self) -> u64 {
        20
    }
}
