//! The scripts decide as the algorithms in this process do.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config as Runs, TestRunner};
use redis::{Connection, cmd};
use seawall::clock::Moment;
use seawall::limit::{Algorithm, AnyAlgorithm, Config, Layered, RateLimiter};

use super::server::Server;

const TAKE: &str = concat!(
    include_str!("../../framework/src/distributed/redis/lua/algorithms.lua"),
    include_str!("../../framework/src/distributed/redis/lua/take.lua"),
);
/// Where the traces begin, in microseconds: in our time, since the scripts' numbers must be exact there.
const BEGINNING: u64 = 1_790_000_000_000_000;

/// One limit, as the algorithm has it and as the script is told it.
#[derive(Clone, Debug)]
struct Limit {
    config: Config,
    told: [u64; 3],
    kind: &'static str,
}

fn window(kind: &'static str, limit: u64, micros: u64) -> Limit {
    let length = Duration::from_micros(micros);
    let config = match kind {
        "fixed" => Config::fixed_window(limit, length),
        "sliding" => Config::sliding_window(limit, length),
        _ => Config::sliding_log(limit, length),
    };
    Limit { config: config.unwrap(), told: [limit, micros, 0], kind }
}

/// A token every so many microseconds.
fn bucket(limit: u64, micros: u64, leaky: bool) -> Limit {
    let per_second = 1e6 / micros as f64;
    let config = if leaky {
        Config::leaky_bucket(limit, per_second)
    } else {
        Config::token_bucket(limit, per_second)
    };
    Limit { config: config.unwrap(), told: [limit, micros, 0], kind: "bucket" }
}

fn limits() -> impl Strategy<Value = Limit> {
    let kinds = prop_oneof![Just("fixed"), Just("sliding"), Just("log")];
    prop_oneof![
        (kinds, 1_u64..20, 10_000_000_u64..40_000_000).prop_map(|(k, n, w)| window(k, n, w)),
        (1_u64..20, 1_000_000_u64..9_000_000, any::<bool>()).prop_map(|(n, t, l)| bucket(n, t, l)),
    ]
}

/// How much later, at times earlier; and the costs that come then.
fn steps() -> impl Strategy<Value = Vec<(i64, Vec<u64>)>> {
    let later = prop_oneof![
        4 => 0_i64..3_000_000,
        2 => 0_i64..50_000_000,
        1 => Just(0_i64),
        1 => -3_000_000_i64..0,
    ];
    prop::collection::vec((later, prop::collection::vec(0_u64..6, 1..4)), 1..40)
}

fn ask(
    connection: &RefCell<Connection>,
    keys: &[String],
    now: u64,
    limits: &[Limit],
    costs: &[u64],
) -> Vec<i64> {
    let mut command = cmd("EVAL");
    command.arg(TAKE).arg(keys.len()).arg(keys).arg(now).arg("").arg(1);
    for limit in limits {
        command.arg(limit.kind).arg(&limit.told);
    }
    for cost in costs {
        command.arg(*cost).arg("");
    }
    command.query(&mut *connection.borrow_mut()).unwrap()
}

fn micros(length: Option<Duration>) -> i64 {
    // The process counts in nanoseconds; a server's clock in microseconds, and a wait is rounded up to them.
    length.map_or(-1, |length| i64::try_from(length.as_nanos().div_ceil(1_000)).unwrap())
}

#[test]
fn one_limit_decides_as_in_this_process() {
    let server = Server::start();
    let connection = RefCell::new(server.connection());
    let number = Cell::new(0);
    let mut runner = TestRunner::new(Runs { cases: 300, ..Runs::default() });
    let result = runner.run(&(limits(), steps()), |(limit, steps)| {
        number.set(number.get() + 1);
        let key = vec![format!("k{}", number.get())];
        let algorithm = AnyAlgorithm::new(&limit.config);
        let state = algorithm.start(Moment::from_nanos(BEGINNING * 1_000));
        let mut now = BEGINNING;
        for (later, costs) in steps {
            // A log in this process has forgotten what it has found to be over, though the clock then goes back; a server's has not,
            // for a refusal writes nothing there.
            let later = if limit.kind == "log" { later.max(0) } else { later };
            now = now.saturating_add_signed(later);
            let said = ask(&connection, &key, now, std::slice::from_ref(&limit), &costs);
            prop_assert_eq!(said[0], now as i64);
            for (cost, six) in costs.iter().zip(said[1..].chunks(6)) {
                let here = algorithm.check(&state, Moment::from_nanos(now * 1_000), *cost);
                let expected = [
                    i64::from(here.allowed),
                    i64::try_from(here.remaining).unwrap(),
                    micros(Some(here.reset_after)),
                    if here.allowed { 0 } else { micros(here.retry_after) },
                ];
                prop_assert_eq!([six[0], six[2], six[3], six[4]], expected, "{} at {}", cost, now);
            }
        }
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

#[test]
fn several_limits_decide_together_as_in_this_process() {
    let server = Server::start();
    let connection = RefCell::new(server.connection());
    let number = Cell::new(0);
    let mut runner = TestRunner::new(Runs { cases: 200, ..Runs::default() });
    let all = prop::collection::vec(limits(), 2..4);
    let result = runner.run(&(all, steps()), |(limits, steps)| {
        number.set(number.get() + 1);
        let of = |at: usize| format!("m{}:{at}", number.get());
        let keys: Vec<_> = (0..limits.len()).map(of).collect();
        let beginning = Moment::from_nanos(BEGINNING * 1_000);
        let mut layered = Layered::<()>::builder();
        for (at, limit) in limits.iter().enumerate() {
            let limiter = RateLimiter::new(AnyAlgorithm::new(&limit.config), beginning);
            layered = layered.layer(at.to_string(), limiter);
        }
        let layered = layered.build().unwrap();
        let mut now = BEGINNING;
        for (later, costs) in steps {
            // Layers in this process are asked one after the other, so for them the time must not go back.
            now = now.saturating_add_signed(later.max(0));
            let said = ask(&connection, &keys, now, &limits, &costs);
            for (cost, six) in costs.iter().zip(said[1..].chunks(6)) {
                let here = layered.check(&(), Moment::from_nanos(now * 1_000), *cost);
                let at: i64 = here.layer.parse().unwrap();
                let decision = here.decision;
                let expected = [
                    i64::from(decision.allowed),
                    at + 1,
                    i64::try_from(decision.remaining).unwrap(),
                    micros(Some(decision.reset_after)),
                    if decision.allowed { 0 } else { micros(decision.retry_after) },
                ];
                prop_assert_eq!([six[0], six[1], six[2], six[3], six[4]], expected, "{}", cost);
                let refuses = |at: usize| six[5] >> at & 1 == 1;
                prop_assert_eq!(decision.allowed, six[5] == 0);
                prop_assert!(decision.allowed || refuses(six[1] as usize - 1));
            }
        }
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}
