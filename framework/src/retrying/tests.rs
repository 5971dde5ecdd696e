use std::future::ready;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::*;
use crate::retry::{BudgetConfig, Jitter};
use crate::time::ManualTime;

const SECOND: Duration = Duration::from_secs(1);

/// From one second, doubling, without jitter.
fn config(max_attempts: u32) -> Config {
    Config::builder().max_attempts(max_attempts).jitter(Jitter::None).build().unwrap()
}

/// Polls it, and moves the time on a second whenever it waits. Also: how many seconds that were.
fn drive<F: Future>(time: &ManualTime, future: F) -> (F::Output, u64) {
    let (mut future, mut waited) = (pin!(future), 0);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => return (output, waited),
            Poll::Pending => {
                time.advance(SECOND);
                waited += 1;
            }
        }
    }
}

/// Fails so many times, with the number of the attempt as its error, then answers with it.
fn failing(times: u32) -> impl FnMut() -> Result<u32, u32> {
    let mut made = 0;
    move || {
        made += 1;
        if made > times { Ok(made) } else { Err(made) }
    }
}

#[test]
fn attempts_are_made_with_backoffs_between_until_one_succeeds_or_there_are_no_more() {
    let time = Time::manual();
    for (fails, answer, waited) in [(0, Ok(1), 0), (2, Ok(3), 1 + 2), (9, Err(4), 1 + 2 + 4)] {
        let config = config(4);
        let mut operation = failing(fails);
        let retrying = retry(&config, move || ready(operation())).time((&time).into());
        assert_eq!(drive(&time, retrying.run()), (answer, waited), "{fails}");
    }
}

#[test]
fn an_error_that_is_not_worth_it_is_the_answer_at_once() {
    let time = Time::manual();
    let config = config(9);
    let mut operation = failing(9);
    let retrying = retry(&config, move || ready(operation())).time((&time).into());
    assert_eq!(drive(&time, retrying.when(|error| *error < 2).run()), (Err(2), 1));
}

#[test]
fn no_retry_begins_later_than_it_may() {
    let time = Time::manual();
    for (within, answer, waited) in [(2, Err(2), 1), (3, Err(3), 3), (6, Err(3), 3), (7, Err(4), 7)]
    {
        let config = config(9);
        let mut operation = failing(9);
        let retrying = retry(&config, move || ready(operation())).time((&time).into());
        let run = retrying.within(SECOND * within).run();
        assert_eq!(drive(&time, run), (answer, waited), "{within}");
    }
    let (config, mut operation) = (config(9), failing(9));
    let run = retry(&config, move || ready(operation())).time((&time).into()).run();
    let scoped = deadline::scope(deadline::Deadline::on(&(&time).into(), 3 * SECOND), run);
    assert_eq!(drive(&time, scoped), (Err(2), 1), "at three seconds there is no time left");
}

#[test]
fn the_server_is_left_alone_for_as_long_as_it_asks() {
    let time = Time::manual();
    let config = config(3);
    let mut operation = failing(9);
    let mut told = Vec::new();
    let retrying = retry(&config, move || ready(operation()))
        .time((&time).into())
        .retry_after(|error| (*error == 1).then_some(10 * SECOND))
        .on_retry(|error, delay| told.push((*error, delay.as_secs())));
    assert_eq!(drive(&time, retrying.run()), (Err(3), 10 + 2));
    assert_eq!(told, [(1, 10), (2, 2)], "what was asked for is no part of the next");
}

#[test]
fn the_settings_bound_how_long_it_goes_on_too() {
    let time = Time::manual();
    let config = Config::builder().max_attempts(9).max_elapsed(3 * SECOND).jitter(Jitter::None);
    let config = config.build().unwrap();
    let mut operation = failing(9);
    let retrying = retry(&config, move || ready(operation())).time((&time).into());
    assert_eq!(drive(&time, retrying.run()), (Err(3), 1 + 2), "4 s more would be too late");
}

#[test]
fn a_budget_is_shared_and_an_empty_one_ends_it() {
    let time = Time::manual();
    let budget = BudgetConfig::builder().ratio(0.5).min_per_second(0.0).build().unwrap();
    let (budget, config) = (Budget::new(&budget), config(9));
    let mut answers = Vec::new();
    for _ in 0..4 {
        let mut operation = failing(9);
        let retrying = retry(&config, move || ready(operation())).time((&time).into());
        answers.push(drive(&time, retrying.budget(&budget).run()).0);
    }
    // Half a retry a call.
    assert_eq!(answers, [Err(1), Err(2), Err(1), Err(2)]);
}

#[test]
fn two_calls_draw_delays_of_their_own_and_one_seed_repeats_them() {
    let config = Config::builder().max_attempts(5).build().unwrap();
    let delays = |entropy: Option<&Entropy>| {
        let (time, mut operation, mut delays) = (Time::manual(), failing(9), Vec::new());
        let mut retrying = retry(&config, move || ready(operation())).time((&time).into());
        if let Some(entropy) = entropy {
            retrying = retrying.entropy(entropy);
        }
        let run = retrying.on_retry(|_, delay| delays.push(delay)).run();
        assert_eq!(drive(&time, run).0, Err(5));
        delays
    };
    assert_ne!(delays(None), delays(None));
    assert_eq!(delays(Some(&Entropy::seeded(3))), delays(Some(&Entropy::seeded(3))));
}

#[test]
fn a_blocking_operation_is_retried_on_its_thread() {
    let config = Config::builder().max_attempts(3).base_delay(Duration::ZERO).build().unwrap();
    assert_eq!(retry(&config, failing(2)).run_blocking(), Ok(3));
    assert_eq!(retry(&config, failing(3)).run_blocking(), Err(3));
}
