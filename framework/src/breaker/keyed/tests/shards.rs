//! Ten shards, one of them broken: what a breaker for all of them does, and one for each.

use std::time::Duration;

use super::secs;
use crate::breaker::{CircuitBreaker, Config, Keyed, Window};
use crate::clock::Moment;
use crate::outcome::Outcome;

const SHARDS: u64 = 10;
const BROKEN: u64 = 3;
/// Ten minutes of 100 calls a second.
const CALLS: u64 = 60_000;

struct Served {
    healthy: u64,
    of: u64,
    /// Calls that reached the broken shard.
    wasted: u64,
}

impl Served {
    fn share(&self) -> f64 {
        self.healthy as f64 / self.of as f64
    }
}

/// `try_call` says whether the call was admitted. The broken shard is hot, because its callers try
/// again: it gets every other call.
fn ten_minutes(mut try_call: impl FnMut(u64, Outcome, Moment) -> bool) -> Served {
    let mut random = fastrand::Rng::with_seed(10);
    let mut served = Served { healthy: 0, of: 0, wasted: 0 };
    for n in 0..CALLS {
        let now = Moment::ZERO + Duration::from_millis(n * 10);
        let shard = if random.bool() { BROKEN } else { random.u64(..SHARDS) };
        let outcome = if shard == BROKEN { Outcome::Failure } else { Outcome::Success };
        let admitted = u64::from(try_call(shard, outcome, now));
        if shard == BROKEN {
            served.wasted += admitted;
        } else {
            served.healthy += admitted;
            served.of += 1;
        }
    }
    served
}

fn with_one_for_all(config: &Config) -> Served {
    let breaker = CircuitBreaker::new(config.clone(), Moment::ZERO);
    ten_minutes(|_, outcome, now| {
        let admission = breaker.let_in(now, &mut None);
        admission.map(|admission| breaker.note(admission, outcome, now)).is_ok()
    })
}

fn with_one_for_each(config: &Config) -> Served {
    let shards = Keyed::new(config.clone(), Moment::ZERO);
    ten_minutes(|shard, outcome, now| {
        let admission = shards.let_in(&shard, now, &mut None);
        admission.map(|admission| shards.record(admission, outcome, now)).is_ok()
    })
}

#[test]
fn one_shard_of_ten_fails_and_the_other_nine_do_not_notice() {
    let by_rate = Config::builder().failure_rate(0.5).window(Window::Time(secs(10)));
    for (name, config) in [
        ("5 failures in a row", Config::default()),
        ("half of the last 10 s", by_rate.build().unwrap()),
    ] {
        let (global, keyed) = (with_one_for_all(&config), with_one_for_each(&config));
        eprintln!(
            "{name}: of the healthy shards' calls {:.1} % are served with one breaker for all, \
             {:.1} % with one for each; {} and {} calls went to the broken shard",
            global.share() * 100.0,
            keyed.share() * 100.0,
            global.wasted,
            keyed.wasted,
        );
        assert!(global.share() < 0.1, "{name}: one for all refuses nearly everybody");
        assert!(keyed.share() >= 0.99, "{name}: {}", keyed.share());
        assert!(keyed.wasted < CALLS / 100, "{name}: and the broken one is left alone");
    }
}
