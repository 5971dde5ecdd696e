//! Other settings while calls end.

use std::sync::Arc;

use super::{NOW, breaker, end, race};
use crate::breaker::{CircuitBreaker, Config};
use crate::event::State;
use crate::outcome::Outcome;
use crate::sync::model;

/// Opens at two failures in a row.
fn row(seconds: u64) -> Config {
    let config = Config::builder().failures(2).open_for(std::time::Duration::from_secs(seconds));
    config.build().unwrap()
}

fn reload(breaker: &Arc<CircuitBreaker>) -> impl FnOnce() + Send + 'static {
    let breaker = Arc::clone(breaker);
    move || {
        breaker.reconfigure(row(60), NOW);
    }
}

#[test]
fn a_failure_a_success_and_a_failure_do_not_open_it_in_the_middle_of_a_reload() {
    model("reload: failure, success, failure, and other settings", || {
        let breaker = breaker(Ok(row(30)));
        let call = breaker.let_in(NOW, &mut None).unwrap();
        let here = Arc::clone(&breaker);
        race!(reload(&breaker), move || {
            for outcome in [Outcome::Failure, Outcome::Success, Outcome::Failure] {
                here.note(call, outcome, NOW);
            }
        });
        assert_eq!(breaker.state(), State::Closed);
    });
}

#[test]
fn two_failures_open_it_in_the_middle_of_a_reload() {
    model("reload: two failures, and other settings", || {
        let breaker = breaker(Ok(row(30)));
        let call = breaker.let_in(NOW, &mut None).unwrap();
        let fail = || end(&breaker, call, Outcome::Failure, NOW);
        race!(fail(), fail(), reload(&breaker));
        assert_eq!(breaker.state(), State::Open);
    });
}
