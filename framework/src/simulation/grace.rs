//! Permits that come back late: through whole calls, in virtual time.

use std::cell::RefCell;
use std::future::pending;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use super::{Client, TaskContext, World};
use crate::clock::Moment;
use crate::error::{CallError, Fault, RejectedBy};
use crate::policy::{Policy, PolicyFile};

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// One permit.
fn policy(bulkhead: &str) -> Policy {
    let text = format!(
        "[it]\ntimeout = '100ms'\ndeadline = '10s'\nbreaker = {{ mode = 'disabled' }}\n\
         bulkhead = {{ max_concurrent = 1, {bulkhead} }}\nretry = {{ max_attempts = 1 }}"
    );
    PolicyFile::parse(&text, "test.toml").unwrap().policy("it")
}

struct Scene {
    world: World,
    context: TaskContext,
    client: Rc<Client>,
    /// At how many milliseconds calls ended, and how.
    ends: Rc<RefCell<Vec<(u128, &'static str)>>>,
}

impl Scene {
    fn new(bulkhead: &str) -> Self {
        let world = World::new(7);
        let context = world.context();
        let client = Rc::new(Client::new(&context, "it", policy(bulkhead)));
        Self { world, context, client, ends: Rc::default() }
    }

    /// A call at this moment, whose answer takes so long; `None`: it never comes. Dropped after `dropped_after`.
    fn call(&self, at: u64, takes: Option<u64>, dropped_after: Option<u64>) {
        let (context, client, ends) =
            (self.context.clone(), Rc::clone(&self.client), Rc::clone(&self.ends));
        self.context.spawn(async move {
            context.sleep_until(Moment::ZERO + ms(at)).await;
            let call = client.call(async || {
                match takes {
                    Some(takes) => context.sleep(ms(takes)).await,
                    None => pending().await,
                }
                Ok::<_, io::Error>(())
            });
            let patience = context.sleep(ms(dropped_after.unwrap_or(60_000)));
            let end = tokio::select! {
                biased;
                answer = call => match answer {
                    Ok(()) => "answered",
                    Err(CallError::Fault(Fault::TimedOut { .. })) => "timed out",
                    Err(CallError::Fault(Fault::Rejected { by: RejectedBy::Bulkhead, .. })) => "no permit",
                    Err(_) => "otherwise",
                },
                () = patience => "dropped",
            };
            ends.borrow_mut().push((context.elapsed().as_millis(), end));
        });
    }

    fn ends(&self) -> Vec<(u128, &'static str)> {
        self.world.run();
        self.ends.take()
    }
}

#[test]
fn what_timed_out_holds_its_permit_for_the_grace() {
    let scene = Scene::new("max_wait = '0s', grace = '50ms'");
    scene.call(0, None, None);
    scene.call(149, Some(1), None);
    scene.call(150, Some(1), None);
    assert_eq!(scene.ends(), [(100, "timed out"), (149, "no permit"), (151, "answered")]);
    assert_eq!(scene.client.snapshot().active, 0);
}

#[test]
fn who_waits_gets_the_permit_when_the_grace_is_over_though_nobody_calls() {
    let scene = Scene::new("max_wait = '5s', grace = '50ms'");
    scene.call(0, None, None);
    scene.call(10, Some(1), None);
    assert_eq!(scene.ends(), [(100, "timed out"), (151, "answered")]);
}

#[test]
fn what_is_dropped_holds_its_permit_too_and_what_is_answered_does_not() {
    let scene = Scene::new("max_wait = '0s', grace = '50ms'");
    scene.call(0, Some(5), None);
    scene.call(5, None, Some(20));
    scene.call(74, Some(1), None);
    scene.call(75, Some(1), None);
    let ends = [(5, "answered"), (25, "dropped"), (74, "no permit"), (76, "answered")];
    assert_eq!(scene.ends(), ends);
}

#[test]
fn no_permit_is_kept_for_longer_than_the_timeout_or_than_nearly_all_good_answers_take() {
    let scene = Scene::new("max_wait = '0s', grace = '10s'");
    scene.call(0, None, None);
    scene.call(199, Some(1), None);
    scene.call(200, Some(1), None);
    assert_eq!(scene.ends(), [(100, "timed out"), (199, "no permit"), (201, "answered")]);

    let scene = Scene::new("max_wait = '0s', grace = '10s'");
    for n in 0..1_000 {
        scene.call(n * 10, Some(5), None);
    }
    scene.call(20_000, None, None);
    scene.call(20_103, Some(1), None);
    scene.call(20_110, Some(1), None);
    let ends = scene.ends();
    let last = [(20_100, "timed out"), (20_103, "no permit"), (20_111, "answered")];
    assert_eq!(ends[1_000..], last, "answers take 5 ms");
}

#[test]
fn a_grace_is_off_unless_asked_for_or_the_permits_find_themselves() {
    let scene = Scene::new("max_wait = '0s'");
    scene.call(0, None, None);
    scene.call(100, Some(1), None);
    assert_eq!(scene.ends(), [(100, "timed out"), (101, "answered")]);
    assert_eq!(scene.client.snapshot().kept_permits, None);
    assert_eq!(policy("limit = 'adaptive'").bulkhead().grace(), Duration::from_secs(1));
    assert_eq!(policy("limit = 'adaptive', grace = '0s'").bulkhead().grace(), Duration::ZERO);
}
