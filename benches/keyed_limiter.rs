//! A limiter for each of a million keys, asked for at random, and the worst case, all for one of them:
//! ours, and governor's on DashMap. Both read a clock at each call.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use seawall::clock::{Clock, Moment};
use seawall::limit::{KeyedConfig, KeyedLimiter, Rate, TokenBucket};
use seawall_benches::{Contender, Effort, compare};

const KEYS: u64 = 1_000_000;
/// More than one key is asked for in all rounds.
const BURST: u32 = 100_000_000;
const OURS: &str = "seawall, keyed";
const GOVERNOR: &str = "governor, keyed (DashMap)";

/// The key that everybody asks for.
const HOT_KEY: u64 = 7;

/// Where each run begins. Two threads with one beginning would ask for the same keys at the same time.
#[derive(Default)]
struct Seeds(AtomicU64);

impl Seeds {
    /// Calls `ask` with `n` keys in an order that no cache foresees: another for each run, the same for
    /// each contender's.
    fn at_random(&self, n: u32, ask: impl Fn(u64)) {
        let run = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        let mut state = run.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        for _ in 0..n {
            // Xorshift (Marsaglia, 2003): a nanosecond.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            ask(state % KEYS);
        }
    }
}

/// A million keys at random. With 1e9 a second each is as good as new when it is asked for again, so ours has forgotten it,
/// and makes it anew; with one a second each has spent something, and is found.
fn at_random(title: &str, per_second: u32) {
    let settings = Rate::new(u64::from(BURST), f64::from(per_second)).expect("valid");
    let config = KeyedConfig::builder().max_keys(2 * KEYS as usize).build().expect("valid");
    let clock = Clock::system();
    let ours: KeyedLimiter<u64, _> =
        KeyedLimiter::new(TokenBucket::new(&settings), config, Moment::ZERO);
    let quota = Quota::per_second(NonZeroU32::new(per_second).expect("not zero"))
        .allow_burst(NonZeroU32::new(BURST).expect("not zero"));
    let governor: DefaultKeyedRateLimiter<u64> = RateLimiter::keyed(quota);
    for key in 0..KEYS {
        ours.try_take(&key, clock.now(), 1).expect("enough");
        governor.check_key(&key).expect("enough");
    }
    let ask_governor = |key: &u64| drop(std::hint::black_box(governor.check_key(key)));
    let ask_ours = |key: &u64| {
        let _ = std::hint::black_box(ours.try_take(key, clock.now(), 1));
    };
    let (seeds_governor, seeds_ours) = (Seeds::default(), Seeds::default());
    let contenders = [
        Contender::new(GOVERNOR, |n| seeds_governor.at_random(n, |key| ask_governor(&key))),
        Contender::new(OURS, |n| seeds_ours.at_random(n, |key| ask_ours(&key))),
    ];
    compare(title, Effort::from_args(), &contenders);
    let contenders = [
        Contender::new(GOVERNOR, |n| (0..n).for_each(|_| ask_governor(&HOT_KEY))),
        Contender::new(OURS, |n| (0..n).for_each(|_| ask_ours(&HOT_KEY))),
    ];
    compare("One key of them", Effort::from_args(), &contenders);
}

fn main() {
    at_random("A million keys at random, each as good as new again", 1_000_000_000);
    at_random("A million keys at random, each of which has spent something", 1);
}
