//! The rate limiters alone, beside their peers: what is allowed, and what is refused.
//!
//! Each is shared by all threads of a run. *Told the time*: by a caller who has read the clock for reasons
//! of its own, as Seawall's pipeline has. *One clock read*: what a lone limiter's user pays; the peers
//! read the clock themselves, and are to be compared with that. The log is left out of the targets: it
//! keeps every call, and its cost is the price of exactness.
//!
//! leaky-bucket is asked by `try_acquire`, ratelimit by `try_wait`; tower's `RateLimit`, which cannot
//! refuse, by `poll_ready` and `call`, awaited in a runtime.

#![allow(clippy::print_stdout, reason = "a bench prints its figures")]

use std::future::{Ready, poll_fn, ready};
use std::hint::black_box;
use std::num::NonZeroU32;
use std::task::{Context, Poll};
use std::time::Duration;

use seawall::clock::Clock;
use seawall::limit::{
    Algorithm, AnyAlgorithm, Config, Quota, Rate, RateLimiter, SlidingWindow, TokenBucket,
};
use seawall_benches::{Contender, Effort, compare, on_runtime};
use tower::Service;

/// So many that nothing is ever refused.
const PLENTY: u32 = 1_000_000_000;
/// As much as a window of an hour counts one by one.
const LOTS: u64 = 400_000_000_000;
/// Longer than any bench.
const HOUR: Duration = Duration::from_secs(3600);

/// The five, of which so much can be had at once, and no more for an hour.
fn five(limit: u64) -> [(&'static str, Config); 5] {
    let quota = || Quota::new(limit, HOUR).expect("valid");
    let rate = || Rate::new(limit, limit as f64 / HOUR.as_secs_f64()).expect("valid");
    [
        ("token bucket", Config::TokenBucket(rate())),
        ("leaky bucket", Config::LeakyBucket(rate())),
        ("fixed window", Config::FixedWindow(quota())),
        ("sliding window", Config::SlidingWindow(quota())),
        ("sliding log", Config::SlidingLog(quota())),
    ]
}

/// Ours, told the time, and with a clock read for each call.
fn ours<'a>(name: &str, config: &Config, allowed: bool) -> [Contender<'a>; 2] {
    let clock = Clock::system();
    let make = || RateLimiter::new(AnyAlgorithm::new(config), clock.now());
    let limiter = [make(), make()];
    // Told the time means told one time: nothing comes back meanwhile.
    let now = clock.now();
    if !allowed {
        // Whatever is there goes first.
        limiter.iter().for_each(|limiter| while limiter.try_take(now, 1).is_ok() {});
    }
    let [told, reads] = limiter;
    [
        Contender::new(format!("seawall {name}, told the time"), move |n| {
            for _ in 0..n {
                assert_eq!(black_box(told.try_take(black_box(now), 1)).is_ok(), allowed);
            }
        }),
        Contender::new(format!("seawall {name}, one clock read"), move |n| {
            for _ in 0..n {
                assert_eq!(black_box(reads.try_take(clock.now(), 1)).is_ok(), allowed);
            }
        }),
    ]
}

/// The same, where the algorithm stands in the code, as governor's does, and not in a policy file.
fn by_type<'a>(name: &str, algorithm: impl Algorithm + 'a) -> Contender<'a> {
    let clock = Clock::system();
    let limiter = RateLimiter::new(algorithm, clock.now());
    Contender::new(format!("seawall {name} by its type, one clock read"), move |n| {
        for _ in 0..n {
            assert!(black_box(limiter.try_take(clock.now(), 1)).is_ok());
        }
    })
}

/// Ours, told the time, with so much of the limit taken before.
fn allowed_of<'a>(name: &str, config: &Config, limit: u64, taken: u64) -> Contender<'a> {
    let now = Clock::system().now();
    let limiter = RateLimiter::new(AnyAlgorithm::new(config), now);
    assert!(limiter.try_take(now, taken).is_ok());
    Contender::new(format!("seawall {name} of {limit:.0e}, {taken:.0e} taken"), move |n| {
        for _ in 0..n {
            assert!(black_box(limiter.try_take(black_box(now), 1)).is_ok());
        }
    })
}

fn governor<'a>(allowed: bool) -> Contender<'a> {
    let burst = NonZeroU32::new(if allowed { PLENTY } else { 1 }).expect("not zero");
    let quota =
        if allowed { governor::Quota::per_second(burst) } else { governor::Quota::per_hour(burst) };
    let limiter = governor::RateLimiter::direct(quota);
    if !allowed {
        while limiter.check().is_ok() {}
    }
    Contender::new("governor, direct", move |n| {
        for _ in 0..n {
            assert_eq!(black_box(limiter.check()).is_ok(), allowed);
        }
    })
}

/// Refused, and asked when to come back, which ours has said by then: it puts that sum off until it is asked.
fn governor_asked<'a>() -> Contender<'a> {
    let quota = governor::Quota::per_hour(NonZeroU32::MIN);
    let limiter = governor::RateLimiter::direct(quota);
    while limiter.check().is_ok() {}
    Contender::new("governor, direct, and asked for the wait", move |n| {
        for _ in 0..n {
            let refused = limiter.check().map_err(|not_until| {
                not_until.wait_time_from(governor::clock::Clock::now(limiter.clock()))
            });
            assert!(black_box(refused).is_err());
        }
    })
}

fn ratelimit<'a>(allowed: bool) -> Contender<'a> {
    let rate = if allowed { u64::from(PLENTY) } else { 1 };
    let limiter = ratelimit::Ratelimiter::builder(rate)
        .max_tokens(rate)
        .initial_available(rate)
        .build()
        .expect("valid");
    Contender::new("ratelimit", move |n| {
        let mut through = 0;
        for _ in 0..n {
            through += u32::from(black_box(limiter.try_wait()).is_ok());
        }
        // At one a second it lets one through now and then.
        assert!(if allowed { through == n } else { through < n });
    })
}

fn leaky_bucket<'a>(allowed: bool) -> Contender<'a> {
    let tokens = if allowed { PLENTY as usize } else { 0 };
    let limiter = leaky_bucket::RateLimiter::builder()
        .initial(tokens)
        .max(tokens.max(1))
        .refill(tokens.max(1))
        .interval(if allowed { Duration::from_millis(1) } else { HOUR })
        .build();
    Contender::new("leaky-bucket", move |n| {
        // It asks tokio what time it is.
        on_runtime(async {
            for _ in 0..n {
                assert_eq!(black_box(limiter.try_acquire(1)), allowed);
            }
        });
    })
}

#[derive(Clone)]
struct Answers;

impl Service<u32> for Answers {
    type Response = u32;
    type Error = std::convert::Infallible;
    type Future = Ready<Result<u32, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, i: u32) -> Self::Future {
        ready(Ok(i))
    }
}

/// One for each thread: it is not `Clone`, nor meant to be shared.
fn tower<'a>() -> Contender<'a> {
    Contender::new("tower RateLimit (one a thread)", |n| {
        on_runtime(async {
            let rate = tower::limit::rate::Rate::new(u64::from(PLENTY), Duration::from_secs(1));
            let mut service = tower::limit::RateLimit::new(Answers, rate);
            for i in 0..n {
                let _ = poll_fn(|cx| service.poll_ready(cx)).await;
                let _ = black_box(service.call(i).await);
            }
        });
    })
}

fn main() {
    let effort = Effort::from_args();
    let is_log = |name: &str| name == "sliding log";
    let mut contenders = Vec::new();
    for (name, config) in five(u64::from(PLENTY)) {
        contenders.extend(ours(name, &config, true));
    }
    let limit = u64::from(PLENTY);
    let rate = Rate::new(limit, limit as f64 / HOUR.as_secs_f64()).expect("valid");
    let quota = Quota::new(limit, HOUR).expect("valid");
    contenders.push(by_type("token bucket", TokenBucket::new(&rate)));
    contenders.push(by_type("sliding window", SlidingWindow::new(&quota)));
    contenders.extend([governor(true), ratelimit(true), leaky_bucket(true), tower()]);
    compare("Allowed", effort, &contenders);

    let mut contenders = Vec::new();
    for (name, config) in five(1) {
        contenders.extend(ours(name, &config, false));
    }
    contenders.extend([governor(false), governor_asked(), ratelimit(false), leaky_bucket(false)]);
    compare("Refused", effort, &contenders);

    let mut contenders = Vec::new();
    for (limit, taken) in [(PLENTY.into(), 0), (LOTS, 0), (LOTS, LOTS / 2)] {
        for (name, config) in five(limit).into_iter().filter(|(name, _)| !is_log(name)) {
            contenders.push(allowed_of(name, &config, limit, taken));
        }
    }
    compare(
        "Flat: an allowed call, whatever the limit and however much of it is taken",
        effort,
        &contenders,
    );

    let mut contenders = Vec::new();
    for limit in [100, 1_000_000] {
        for (name, config) in five(limit).into_iter().filter(|(name, _)| !is_log(name)) {
            let [told, _] = ours(&format!("{name} of {limit}"), &config, false);
            contenders.push(told);
        }
    }
    compare(
        "Flat: a refusal, whatever the limit and however much of it is taken",
        effort,
        &contenders,
    );
}
