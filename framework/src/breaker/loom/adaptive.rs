//! A breaker that learns what is normal.

use std::sync::Arc;
use std::time::Duration;

use super::{NOW, breaker, end, ms, race};
use crate::breaker::{CircuitBreaker, Config, adaptive};
use crate::event::State;
use crate::outcome::Outcome;
use crate::sync::model;

/// One that opens at two failures of two: knowing nothing, it tests against half of the highest threshold.
fn follower() -> Arc<CircuitBreaker> {
    let adaptive = adaptive::Config::builder().min_calls(2).alpha(0.01);
    let adaptive = adaptive.min(0.05).max(0.1).window(ADAPTIVE_WINDOW);
    breaker(Config::builder().adaptive(adaptive.build().unwrap()).build())
}

/// Three buckets of 34 ms.
const ADAPTIVE_WINDOW: Duration = Duration::from_millis(102);

#[test]
fn the_last_of_racing_failures_opens_it_by_what_is_normal() {
    model("open: 2 failures across a bucket's edge, adaptive", || {
        let breaker = follower();
        let call = breaker.let_in(NOW, &mut None).unwrap();
        let fail = |now| end(&breaker, call, Outcome::Failure, now);
        race!(fail(ms(19)), fail(ms(53)));
        assert_eq!(breaker.state(), State::Open);
    });
}

#[test]
fn calls_that_leave_the_window_while_others_count_are_learned_once() {
    model("learn: a success and a failure across a window's edge, and the actor", || {
        let breaker = follower();
        let call = breaker.let_in(NOW, &mut None).unwrap();
        let tended = Arc::clone(&breaker);
        race!(
            end(&breaker, call, Outcome::Success, ms(1)),
            end(&breaker, call, Outcome::Failure, ms(200)),
            move || {
                tended.tend(ms(200), Duration::from_secs(1));
            },
        );
        let later = Duration::from_secs(1_000);
        breaker.tend(NOW + later, later);
        let learned = breaker.reading(NOW + later).unwrap().learned_calls;
        assert!((learned - 2.0).abs() < 0.01, "{learned}");
    });
}
