//! A limiter for each of a million keys, asked for at random: ours, and governor's on DashMap. Both
//! read a clock at each call.

use std::num::NonZeroU32;

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use seawall::clock::{Clock, Moment};
use seawall::limit::{KeyedConfig, KeyedLimiter, Rate, TokenBucket};
use seawall_benches::{Contender, Effort, compare};

const KEYS: u64 = 1_000_000;
const BURST: u32 = 1_000_000;

/// Calls `ask` with `n` keys in an order that no cache foresees, the same for everybody.
fn at_random(n: u32, ask: impl Fn(u64)) {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    for _ in 0..n {
        // Xorshift (Marsaglia, 2003): a nanosecond.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        ask(state % KEYS);
    }
}

fn main() {
    let settings = Rate::new(u64::from(BURST), 1e9).expect("valid");
    let config = KeyedConfig::builder().max_keys(2 * KEYS as usize).build().expect("valid");
    let clock = Clock::system();
    let bucket = || TokenBucket::new(&settings);
    let ours: KeyedLimiter<u64, _> = KeyedLimiter::new(bucket(), config, Moment::ZERO);
    let quota = Quota::per_second(NonZeroU32::new(1_000_000_000).expect("not zero"))
        .allow_burst(NonZeroU32::new(BURST).expect("not zero"));
    let governor: DefaultKeyedRateLimiter<u64> = RateLimiter::keyed(quota);
    for key in 0..KEYS {
        ours.try_take(&key, clock.now(), 1).expect("enough");
        governor.check_key(&key).expect("enough");
    }
    let contenders = [
        Contender::new("governor, keyed (DashMap)", |n| {
            at_random(n, |key| drop(std::hint::black_box(governor.check_key(&key))));
        }),
        Contender::new("seawall, keyed", |n| {
            at_random(n, |key| {
                let _ = std::hint::black_box(ours.try_take(&key, clock.now(), 1));
            });
        }),
    ];
    compare("A million keys at random", Effort::from_args(), &contenders);
}
