//! The order in which calls leave the mailbox: through whole calls, in virtual time.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use super::{Client, World};
use crate::clock::Moment;
use crate::error::RejectedBy;
use crate::policy::PolicyFile;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// One permit, of which an answer takes 10 ms. For two seconds a call comes every 12 ms, then for five one every 5 ms. How long
/// the answered ones of the last four took, in milliseconds, how many came then, and the rejections of the guard.
fn run(order: &str) -> (Vec<u128>, usize, u64) {
    let text = format!(
        "[it]\ntimeout = '30s'\ndeadline = '60s'\nbreaker = {{ mode = 'disabled' }}\nretry = {{ max_attempts = 1 }}\n\
         bulkhead = {{ max_concurrent = 1 }}\nmailbox = {{ capacity = 1000, order = '{order}' }}"
    );
    let policy = PolicyFile::parse(&text, "test.toml").unwrap().policy("it");
    let world = World::new(7);
    let context = world.context();
    let client = Rc::new(Client::new(&context, "it", policy));
    let took = Rc::new(RefCell::new(Vec::new()));
    let begins = (0..166).map(|n| n * 12).chain((0..1_000).map(|n| 2_000 + n * 5));
    let late = begins.clone().filter(|begin| *begin >= 3_000).count();
    for begin in begins {
        let (context, client, took) = (context.clone(), Rc::clone(&client), Rc::clone(&took));
        world.spawn(async move {
            context.sleep_until(Moment::ZERO + ms(begin)).await;
            let answer = client.call(async || {
                context.sleep(ms(10)).await;
                Ok::<_, io::Error>(())
            });
            if answer.await.is_ok() && begin >= 3_000 {
                took.borrow_mut().push((context.elapsed() - ms(begin)).as_millis());
            }
        });
    }
    world.run();
    let dropped = client.snapshot().rejections(RejectedBy::Dropped);
    (took.take(), late, dropped)
}

fn in_time(took: &[u128]) -> usize {
    took.iter().filter(|took| **took <= 50).count()
}

#[test]
fn first_come_first_served_answers_all_and_all_too_late() {
    let (took, late, dropped) = run("fifo");
    assert_eq!((took.len(), dropped), (late, 0));
    assert_eq!(in_time(&took), 0, "{took:?}");
}

#[test]
fn the_newest_first_answers_half_of_them_in_time_and_none_is_lost() {
    let (took, late, dropped) = run("lifo");
    assert_eq!((took.len(), dropped), (late, 0));
    assert!(in_time(&took) > late * 45 / 100, "{} of {late}", in_time(&took));
}

#[test]
fn codel_drops_half_of_them_and_answers_the_others_in_time() {
    let (took, late, dropped) = run("codel");
    assert!(
        took.len() > late * 45 / 100 && took.len() < late * 55 / 100,
        "{} of {late}",
        took.len()
    );
    // Each time that a call has waited for less than half an attempt, 100 ms must pass again.
    assert!(took.iter().all(|took| *took <= 70), "{took:?}");
    assert!(dropped > 400, "{dropped}");
}
