//! Bugs that other circuit breakers shipped, each a test named after what its users saw.
//!
//! | what was seen | by users of | test |
//! | --- | --- | --- |
//! | more probes than allowed, when many come at once | tower-resilience #382, resilience4j #1432, Polly #216, failsafe-lib #391, opossum #119, failsafe-rs | [`half_open_lets_no_more_probes_through_than_it_has_places`], [`of_many_calls_at_once_only_the_probes_reach_the_service`], [`by_rate_half_open_bounds_the_probes_of_a_generation_in_total`] |
//! | half-open for ever after a probe was cancelled, hung or ignored | resilience4j #544 #935, Polly #1979, Hystrix #1621, Sentinel #1638 | [`a_cancelled_or_ignored_probe_does_not_leave_it_half_open_for_ever`], [`a_dropped_probe_does_not_leave_the_dependency_refused_for_ever`], [`hung_probes_give_their_places_back_and_their_answers_are_stale`] |
//! | open for ever, because nobody calls | failsafe-go #97 | [`an_open_breaker_moves_on_when_nobody_calls`], [`an_open_dependency_moves_on_when_nobody_calls`] |
//! | a call from before the outage ends a later half-open, or is lost uncounted | gobreaker #122 | [`a_call_admitted_while_closed_neither_closes_nor_opens_a_later_half_open`] |
//! | after 1,000,000 successes it takes 1,000,000 failures to trip | a Rust peer (`benches/breaker.rs` shows which) | [`after_a_million_successes_it_trips_when_the_list_does`], [`a_quiet_dependency_is_not_judged_by_last_hours_failures`] |
//! | every call looks at every record of the window | another | `a_call_looks_at_no_more_of_a_window_of_a_million_than_of_one_of_ten` beside the windows, where looks can be counted |
//! | memory is taken in the middle of a call, or without bound | a limiter that allocated its whole quota | [`in_a_window_of_a_million_no_call_allocates_not_even_the_first_that_fails`], [`a_window_without_bound_is_refused`] |
//! | the permit is free while the work still runs | Hystrix #1867 | [`a_hung_probe_gives_up_its_place_and_not_its_permit`] |
//! | a place is lost with a caller that gave up | failsafe-lib #393 #400, cockatiel #112, concurrency-limits #81 #133 | [`a_dropped_probe_does_not_leave_the_dependency_refused_for_ever`]; of permits, `tests/pipeline/cancel.rs` and `storms.rs` |
//! | a wait that grows for ever overflows, or is no number any more | Polly #2163, cockatiel #86 | [`an_outage_without_end_neither_overflows_nor_stops_the_probes`] |
//! | all wait for the same "random" time | tower (`make_backoff`) | [`dependencies_that_fail_together_do_not_come_back_together`], [`nor_do_keys_of_one_dependency`] |
//! | keys that nobody uses any more fill the memory | governor #171, resilience4j #2243 | [`keys_without_end_do_not_fill_the_memory`] |
//! | two states at once in the metrics, or none | resilience4j #182 #1020 | [`in_every_page_of_metrics_it_is_in_exactly_one_state`] |
//! | a breaker that was replaced is missing from the metrics, or its old self stays in them | resilience4j #1020 #1514 | [`a_reloaded_breaker_goes_on_in_the_metrics`], [`a_dependency_spawned_again_takes_its_place_in_the_metrics`] |
//! | nobody hears of a breaker's moves once it was replaced | resilience4j #1116 | [`a_reloaded_breaker_goes_on_in_the_metrics`] |
//! | a reload closes an open breaker and forgets what it has counted | resilience4j #2025 | [`a_reload_neither_closes_it_nor_forgets_what_it_has_counted`], [`a_reload_leaves_a_key_open`] |
//! | a reload changes nothing | resilience4j #1960 #2181 | [`after_a_reload_it_goes_by_the_other_settings`] |
//! | a restarted actor leaves stale handles, or loses what it had | kameo #335 #345 #364 #387 #392 | [`a_breaker_does_not_notice_that_its_actor_died`] |

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use allocation_counter::measure;
use proptest::prelude::*;
use seawall::actor::{Control, RestartPolicy};
use seawall::breaker::{
    CircuitBreaker, Config, Keyed, KeyedConfig, MAX_WINDOW_CALLS, NotAdmitted, Window as Over,
};
use seawall::clock::Moment;
use seawall::prelude::*;
use seawall::{Event, Outcome, State, Time};
use seawall_tests::{
    Answer, Api, ApiClient, Scripted, Step, Task, Trouble, World, block_on, ready, refused,
};

fn after(refusal: NotAdmitted) -> Option<Duration> {
    refusal.retry_after
}

fn at(time: Duration) -> Moment {
    Moment::ZERO + time
}

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const fn millis(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Half-open since 30 s: five places, two successes needed.
fn half_open() -> (CircuitBreaker, Moment) {
    let breaker = CircuitBreaker::new(Config::default(), Moment::ZERO);
    for _ in 0..5 {
        let call = breaker.admit(Moment::ZERO).0.unwrap();
        breaker.record(call, Outcome::Failure, Moment::ZERO);
    }
    let now = at(secs(30));
    assert_eq!(breaker.poll(now).0.map(|moved| moved.to), Some(State::HalfOpen));
    (breaker, now)
}

#[test]
fn half_open_lets_no_more_probes_through_than_it_has_places() {
    let (breaker, now) = half_open();
    let mut probes: Vec<_> = (0..5).map(|_| breaker.admit(now).0.unwrap()).collect();
    for _ in 0..1000 {
        assert_eq!(breaker.admit(now).0.map_err(after), Err(None));
        assert!(breaker.check(now).is_err());
    }
    breaker.record(probes.remove(0), Outcome::Success, now);
    assert!(breaker.admit(now).0.is_ok(), "an answer makes room for one");
    assert!(breaker.admit(now).0.is_err());
}

#[test]
fn by_rate_half_open_bounds_the_probes_of_a_generation_in_total() {
    let config = Config::builder().failure_rate(0.5).half_open_calls(3).success_threshold(3);
    let breaker = CircuitBreaker::new(config.min_calls(1).build().unwrap(), Moment::ZERO);
    let call = breaker.admit(Moment::ZERO).0.unwrap();
    breaker.record(call, Outcome::Failure, Moment::ZERO);
    let now = at(secs(60));
    for answered in 0..3 {
        let probes: Vec<_> = (answered..3).map(|_| breaker.admit(now).0.unwrap()).collect();
        assert!(breaker.admit(now).0.is_err());
        for (at, probe) in probes.into_iter().enumerate() {
            let outcome = if at == 0 { Outcome::Success } else { Outcome::Ignored };
            breaker.record(probe, outcome, now);
        }
    }
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn an_ignored_or_withdrawn_probe_does_not_leave_it_half_open_for_ever() {
    for is_withdrawn in [false, true] {
        let (breaker, now) = half_open();
        for _ in 0..100 {
            let probe = breaker.admit(now).0.unwrap();
            if is_withdrawn {
                breaker.withdraw(probe);
            } else {
                assert_eq!(breaker.record(probe, Outcome::Ignored, now), None);
            }
            assert_eq!(breaker.report(Moment::ZERO).probes, 0);
        }
        for _ in 0..2 {
            let probe = breaker.admit(now).0.unwrap();
            breaker.record(probe, Outcome::Success, now);
        }
        assert_eq!(breaker.state(), State::Closed);
    }
}

#[test]
fn probes_that_are_all_abandoned_open_it_again() {
    let (breaker, now) = half_open();
    let places = breaker.config().half_open_calls();
    let abandon = || {
        let probe = breaker.admit(now).0.unwrap();
        breaker.record(probe, Outcome::Cancelled, now)
    };
    for _ in 1..places {
        assert_eq!(abandon(), None);
    }
    let probe = breaker.admit(now).0.unwrap();
    assert_eq!(breaker.record(probe, Outcome::Success, now), None, "one answer");
    for _ in 1..places {
        assert_eq!(abandon(), None, "and the count starts again");
    }
    assert_eq!(abandon().unwrap().to, State::Open);
}

#[test]
fn a_probe_that_panics_or_times_out_opens_it_again() {
    for outcome in [Outcome::Panicked, Outcome::TimedOut, Outcome::Failure] {
        let (breaker, now) = half_open();
        let probe = breaker.admit(now).0.unwrap();
        let moved = breaker.record(probe, outcome, now).unwrap();
        assert_eq!((moved.from, moved.to), (State::HalfOpen, State::Open));
        assert_eq!(breaker.check(now).map_err(after), Err(Some(secs(2))), "and for twice the time");
    }
}

#[test]
fn hung_probes_give_their_places_back_and_their_answers_are_stale() {
    let (breaker, now) = half_open();
    let hung: Vec<_> = (0..5).map(|_| breaker.admit(now).0.unwrap()).collect();
    let just_before = at(secs(60) - millis(1));
    assert!(breaker.admit(just_before).0.is_err());
    let now = at(secs(60));
    assert_eq!(breaker.check(now), Ok(()));
    let fresh = breaker.admit(now).0.unwrap();
    assert_eq!(breaker.report(Moment::ZERO).probes, 1);
    // A late failure would open it, late successes would close it: neither may.
    let late = [Outcome::Failure, Outcome::Success, Outcome::Success];
    for (probe, outcome) in hung.into_iter().zip(late) {
        assert_eq!(breaker.record(probe, outcome, now), None);
    }
    let report = breaker.report(Moment::ZERO);
    assert_eq!((report.state, report.probes, report.stale_results), (State::HalfOpen, 1, 3));
    breaker.record(fresh, Outcome::Success, now);
    let second = breaker.admit(now).0.unwrap();
    assert!(breaker.record(second, Outcome::Success, now).is_some());
}

#[test]
fn successes_before_the_others_hung_still_count() {
    let (breaker, now) = half_open();
    let first = breaker.admit(now).0.unwrap();
    breaker.record(first, Outcome::Success, now);
    for _ in 0..5 {
        let _hung = breaker.admit(now).0.unwrap();
    }
    let second = breaker.admit(at(secs(90))).0.unwrap();
    assert!(breaker.record(second, Outcome::Success, at(secs(90))).is_some());
}

#[test]
fn an_open_breaker_moves_on_when_nobody_calls() {
    let config = Config::builder().failures(1).first_open_for(secs(30)).build().unwrap();
    let breaker = CircuitBreaker::new(config, Moment::ZERO);
    let call = breaker.admit(Moment::ZERO).0.unwrap();
    breaker.record(call, Outcome::Failure, Moment::ZERO);
    let (moved, next) = breaker.poll(at(secs(1)));
    assert_eq!((moved, next), (None, Some(at(secs(30)))));
    let (moved, next) = breaker.poll(next.unwrap());
    assert_eq!((moved.map(|moved| moved.to), next), (Some(State::HalfOpen), None));
    assert_eq!(breaker.poll(at(secs(31))), (None, None), "and only once");
}

#[test]
fn a_call_admitted_while_closed_neither_closes_nor_opens_a_later_half_open() {
    let breaker = CircuitBreaker::new(Config::default(), Moment::ZERO);
    let mut slow: Vec<_> = (0..4).map(|_| breaker.admit(Moment::ZERO).0.unwrap()).collect();
    for _ in 0..5 {
        let call = breaker.admit(Moment::ZERO).0.unwrap();
        breaker.record(call, Outcome::Failure, Moment::ZERO);
    }
    assert_eq!(breaker.record(slow.remove(0), Outcome::Success, at(secs(1))), None);
    let now = at(secs(30));
    let probe = breaker.admit(now).0.unwrap();
    let late = [Outcome::Success, Outcome::Success, Outcome::Failure];
    for (call, outcome) in slow.into_iter().zip(late) {
        assert_eq!(breaker.record(call, outcome, now), None);
    }
    let report = breaker.report(Moment::ZERO);
    assert_eq!((report.state, report.probes), (State::HalfOpen, 1));
    assert_eq!(report.stale_results, 4, "dropped, but not uncounted");
    // Closed again, it is a generation of its own: the probe of this one is late there, too.
    breaker.reset(now);
    breaker.record(probe, Outcome::Failure, now);
    assert_eq!(breaker.report(Moment::ZERO).window_failures, 0);
}

/// Through clients: a dependency that has been open for its 5 s, with `places` for probes.
fn due(places: u32, probe_life: Duration) -> World {
    let breaker = Config::builder()
        .failures(1)
        .first_open_for(secs(5))
        .open_for(secs(5))
        .half_open_calls(places)
        .success_threshold(1)
        .probe_life(probe_life);
    let policy = Policy::builder().breaker(breaker).timeout(secs(29)).build().unwrap();
    let world = World::new(policy, [Step::Answer(Err(Trouble::Broken))]);
    if probe_life < secs(29) {
        let warned = world.event();
        assert!(
            matches!(warned, Event::PolicyWarning { .. }),
            "such a life is too short: {warned:?}"
        );
    }
    ready(world.client.write("")).unwrap_err();
    world.moves_to(State::Open);
    world.time.advance(secs(5));
    world
}

#[test]
fn of_many_calls_at_once_only_the_probes_reach_the_service() {
    let world = due(3, secs(30));
    world.service().then(vec![Step::Hang; 100]);
    let mut calls: Vec<_> = (0..100).map(|_| Task::new(world.client.write(""))).collect();
    let refusals = calls.iter_mut().filter_map(|call| match call.poll() {
        std::task::Poll::Ready(answer) => Some(refused(answer)),
        std::task::Poll::Pending => None,
    });
    assert_eq!(refusals.filter(|(by, _)| *by == RejectedBy::Breaker).count(), 97);
    assert_eq!(world.service().inside(), 3);
}

#[test]
fn a_dropped_probe_does_not_leave_the_dependency_refused_for_ever() {
    let world = due(1, secs(30));
    for _ in 0..10 {
        world.service().then([Step::Hang]);
        drop(Task::pending(world.client.write("")));
    }
    assert_eq!(ready(world.client.write("")), Ok(7));
    assert_eq!(world.handle.state(), State::Closed);
}

#[test]
fn an_open_dependency_moves_on_when_nobody_calls() {
    let world = due(1, secs(30));
    world.moves_to(State::HalfOpen);
}

#[test]
fn a_hung_probe_gives_up_its_place_and_not_its_permit() {
    let world = due(1, secs(10));
    world.service().then([Step::Hang]);
    let _hung = Task::pending(world.client.write(""));
    assert_eq!(refused(ready(world.client.write(""))), (RejectedBy::Breaker, None));
    world.time.advance(secs(10));
    world.service().then([Step::Hang]);
    let _second = Task::pending(world.client.write(""));
    assert_eq!((world.snapshot().active, world.service().inside()), (2, 2));
}

#[test]
fn keys_without_end_do_not_fill_the_memory() {
    let config = KeyedConfig::builder(Config::default()).max_keys(100).build().unwrap();
    let keyed: Keyed<u32> = Keyed::new(config, Moment::ZERO);
    for key in 0..100_000 {
        let now = at(millis(u64::from(key)));
        let call = keyed.admit(&key, now).0.unwrap();
        keyed.record(call, Outcome::Failure, now);
        assert!(keyed.len() <= 100);
    }
}

#[test]
fn in_every_page_of_metrics_it_is_in_exactly_one_state() {
    let world = watched();
    assert_eq!(page(&world).state(), "closed");
    ready(world.client.write("")).unwrap_err();
    assert_eq!(page(&world).state(), "open");
    world.time.advance(secs(5));
    world.moves_to(State::Open);
    world.moves_to(State::HalfOpen);
    assert_eq!(page(&world).state(), "half_open");
    ready(world.client.write("")).unwrap();
    assert_eq!(page(&world).state(), "closed");
}

/// Opens at a failure, for 5 s; the first call fails.
fn watched() -> World {
    let policy = Policy::builder().breaker(one_failure()).build().unwrap();
    World::with(policy, [Step::Answer(Err(Trouble::Broken))], |builder| {
        builder.prometheus("127.0.0.1:0")
    })
}

fn one_failure() -> seawall::breaker::Builder {
    Config::builder().failures(1).first_open_for(secs(5)).open_for(secs(5)).success_threshold(1)
}

/// What a scrape gets.
struct Page(String);

fn page(world: &World) -> Page {
    page_of(&world.seawall)
}

fn page_of(seawall: &Seawall) -> Page {
    let mut stream = TcpStream::connect(seawall.metrics_address().unwrap()).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    Page(page)
}

impl Page {
    fn lines(&self, metric: &str) -> Vec<&str> {
        let start = format!("{metric}{{");
        self.0.lines().filter(|line| line.starts_with(&start)).collect()
    }

    /// The state that is on: exactly one of three.
    fn state(&self) -> &str {
        let states = self.lines("seawall_breaker_state");
        assert_eq!(states.len(), 3, "{}", self.0);
        let on: Vec<_> = states.iter().filter(|line| line.ends_with(" 1")).collect();
        assert_eq!(on.len(), 1, "{states:?}");
        on[0].split("state=\"").nth(1).unwrap().split('"').next().unwrap()
    }

    /// The sum of a counter over its series, of which there is each but once.
    fn count(&self, metric: &str) -> f64 {
        let lines = self.lines(metric);
        let mut names: Vec<_> = lines.iter().map(|line| line.rsplit_once(' ').unwrap().0).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), lines.len(), "{lines:?}");
        lines.iter().map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum()
    }
}

const MOVES: &str = "seawall_breaker_transitions_total";
const ATTEMPTS: &str = "seawall_attempts_total";

fn reload(world: &World, breaker: seawall::breaker::Builder) {
    assert!(world.handle.set_policy(Policy::builder().breaker(breaker).build().unwrap()));
    while !matches!(world.event(), Event::Reloaded { .. }) {}
}

#[test]
fn a_reloaded_breaker_goes_on_in_the_metrics() {
    let world = watched();
    ready(world.client.write("")).unwrap_err();
    let before = page(&world);
    assert_eq!((before.state(), before.count(MOVES)), ("open", 1.0));
    // Other settings, and back again: as often as somebody likes.
    for seconds in [9, 5, 9] {
        reload(&world, one_failure().first_open_for(secs(seconds)).open_for(secs(seconds)));
        let after = page(&world);
        assert_eq!((after.state(), after.count(MOVES)), ("open", 1.0));
        assert_eq!(after.count(ATTEMPTS), before.count(ATTEMPTS));
    }
    world.time.advance(secs(5));
    world.moves_to(State::HalfOpen);
    ready(world.client.write("")).unwrap();
    world.moves_to(State::Closed);
    let after = page(&world);
    assert_eq!((after.state(), after.count(MOVES)), ("closed", 3.0));
    assert_eq!(after.count(ATTEMPTS), before.count(ATTEMPTS) + 1.0, "and goes on counting");
}

#[test]
fn a_dependency_spawned_again_takes_its_place_in_the_metrics() {
    let world = watched();
    ready(world.client.write("")).unwrap_err();
    assert_eq!(page(&world).state(), "open");
    let World { seawall, client, handle, .. } = world;
    drop((client, handle));
    // Another breaker under the same name: closed, and nothing of the old one stands beside it.
    let again: ApiClient<Scripted> = ready(seawall.spawn("api", Scripted::new([]))).unwrap();
    let moves = page_of(&seawall).count(MOVES);
    assert_eq!(page_of(&seawall).state(), "closed");
    let attempts = page_of(&seawall).count(ATTEMPTS);
    ready(again.write("")).unwrap();
    again.service().then([Step::Answer(Err(Trouble::Broken))]);
    ready(again.write("")).unwrap_err();
    let page = page_of(&seawall);
    assert_eq!((page.state(), page.count(MOVES)), ("open", moves + 1.0));
    assert_eq!(page.count(ATTEMPTS), attempts + 2.0);
}

#[test]
fn a_reload_neither_closes_it_nor_forgets_what_it_has_counted() {
    let broken = || Step::Answer(Err(Trouble::Broken));
    let run = |failures| one_failure().failures(failures);
    let policy = Policy::builder().breaker(run(3)).build().unwrap();
    let world = World::new(policy, [broken(), broken(), broken()]);
    ready(world.client.write("")).unwrap_err();
    ready(world.client.write("")).unwrap_err();
    reload(&world, run(3).first_open_for(secs(7)).open_for(secs(7)));
    assert_eq!(world.snapshot().breaker.failures_in_a_row, 2);
    ready(world.client.write("")).unwrap_err();
    assert_eq!(world.handle.state(), State::Open, "the third in a row, the first since");
    world.time.advance(secs(3));
    reload(&world, run(100).first_open_for(secs(60)).open_for(secs(60)));
    let kept = world.snapshot().breaker;
    assert_eq!((kept.state, kept.transitions.len()), (State::Open, 1));
    assert_eq!(refused(ready(world.client.write(""))), (RejectedBy::Breaker, Some(secs(4))));
    // A rate that has a window of its own begins it, and the one that is kept goes on.
    world.time.advance(secs(4));
    ready(world.client.write("")).unwrap();
    assert_eq!(world.handle.state(), State::Closed);
    let rate = || Config::builder().failure_rate(0.5).min_calls(4);
    reload(&world, rate().window(Over::Calls(10)));
    for _ in 0..3 {
        ready(world.client.write("")).unwrap();
    }
    reload(&world, rate().window(Over::Calls(10)).window(Over::Time(secs(60))));
    assert_eq!(world.snapshot().breaker.window_calls, 3);
}

#[test]
fn after_a_reload_it_goes_by_the_other_settings() {
    let broken = || Step::Answer(Err(Trouble::Broken));
    let policy = Policy::builder().breaker(one_failure().failures(100)).build().unwrap();
    let world = World::new(policy, vec![broken(); 5]);
    ready(world.client.write("")).unwrap_err();
    reload(&world, one_failure().failures(2).first_open_for(secs(9)).open_for(secs(9)));
    ready(world.client.write("")).unwrap_err();
    assert_eq!(refused(ready(world.client.write(""))), (RejectedBy::Breaker, Some(secs(9))));
    world.time.advance(secs(9));
    reload(&world, one_failure().first_open_for(secs(2)).open_for(secs(2)));
    ready(world.client.write("")).unwrap_err();
    assert_eq!(refused(ready(world.client.write(""))), (RejectedBy::Breaker, Some(secs(2))));
}

#[seawall::resilient(classify = seawall_tests::class_of)]
trait Shards {
    #[call(key = shard)]
    async fn get(&self, shard: u32) -> Answer;
}

/// Shard 1 is broken.
struct Fleet;

impl Shards for Fleet {
    async fn get(&self, shard: u32) -> Answer {
        if shard == 1 { Err(Trouble::Broken) } else { Ok(7) }
    }
}

#[test]
fn a_reload_leaves_a_key_open() {
    let policy = |seconds| {
        Policy::builder()
            .breaker(one_failure().first_open_for(secs(seconds)).open_for(secs(seconds)))
            .build()
            .unwrap()
    };
    let time = Time::manual();
    let seawall = Seawall::builder().time(&time).policy("fleet", policy(5)).start().unwrap();
    let client: ShardsClient<Fleet> = ready(seawall.spawn("fleet", Fleet)).unwrap();
    ready(client.get(1)).unwrap_err();
    ready(client.get(2)).unwrap();
    time.advance(secs(1));
    assert!(seawall.dependency("fleet").unwrap().set_policy(policy(60)));
    assert_eq!(refused(ready(client.get(1))), (RejectedBy::Breaker, Some(secs(4))));
    assert_eq!(ready(client.get(2)), Ok(7));
}

#[test]
fn a_breaker_does_not_notice_that_its_actor_died() {
    let at_once = RestartPolicy::builder().backoff(Duration::ZERO, Duration::ZERO).build().unwrap();
    let policy = Policy::builder().breaker(one_failure().failures(2)).build().unwrap();
    let broken = || Step::Answer(Err(Trouble::Broken));
    let world = World::with(policy, [broken(), broken()], |builder| builder.restart(at_once));
    ready(world.client.write("")).unwrap_err();
    let crash = || {
        block_on(world.handle.tell(Control::Crash)).unwrap_err();
        while !matches!(world.event(), Event::ActorRestarted { .. }) {}
    };
    crash();
    assert_eq!(world.snapshot().breaker.failures_in_a_row, 1);
    ready(world.client.write("")).unwrap_err();
    crash();
    assert_eq!(refused(ready(world.client.write(""))), (RejectedBy::Breaker, Some(secs(5))));
    // The new one knows when to look again.
    world.time.advance(secs(5));
    world.moves_to(State::HalfOpen);
}

#[test]
fn an_outage_without_end_neither_overflows_nor_stops_the_probes() {
    let config =
        Config::builder().failures(1).open_for(millis(1)).open_growth(100.0).open_jitter(1.0);
    let config = config.max_open_for(secs(30 * 24 * 3600)).build().unwrap();
    let breaker = CircuitBreaker::new(config, Moment::ZERO);
    let mut now = Moment::ZERO;
    for _ in 0..3_000 {
        let probe = breaker.admit(now).0.unwrap();
        let wish = seawall::outcome::AttemptEnd {
            retry_after: Some(Duration::MAX),
            ..Outcome::Failure.into()
        };
        breaker.record(probe, wish, now);
        let after = breaker.check(now).unwrap_err().retry_after.unwrap();
        assert!(after >= millis(1) && after <= secs(30 * 24 * 3600) + millis(1), "{after:?}");
        now = now + after;
    }
}

/// How many of these times there are, each counted once.
fn different(mut times: Vec<Option<Duration>>) -> usize {
    times.sort_unstable();
    times.dedup();
    times.len()
}

#[test]
fn dependencies_that_fail_together_do_not_come_back_together() {
    let policy = Policy::builder().breaker(one_failure().open_jitter(0.5)).build().unwrap();
    let time = Time::manual();
    let names: Vec<_> = (0..50).map(|n| format!("api-{n}")).collect();
    let builder = names
        .iter()
        .fold(Seawall::builder().time(&time), |builder, name| builder.policy(name, policy.clone()));
    let seawall = builder.start().unwrap();
    let clients: Vec<_> = names
        .iter()
        .map(|name| {
            let service = Scripted::new([Step::Answer(Err(Trouble::Broken))]);
            ready(seawall.spawn(name, service)).unwrap()
        })
        .collect();
    let times = clients
        .iter()
        .map(|client: &ApiClient<Scripted>| {
            ready(client.write("")).unwrap_err();
            refused(ready(client.write(""))).1
        })
        .collect();
    // Of 5,000 ms, by chance.
    assert!(different(times) > 40);
}

#[test]
fn nor_do_keys_of_one_dependency() {
    let config = KeyedConfig::builder(one_failure().open_jitter(0.5).build().unwrap());
    let keyed: Keyed<u32> = Keyed::new(config.build().unwrap(), Moment::ZERO);
    let times = (0..50)
        .map(|key| {
            let call = keyed.admit(&key, Moment::ZERO).0.unwrap();
            keyed.record(call, Outcome::Failure, Moment::ZERO);
            keyed.admit(&key, Moment::ZERO).0.unwrap_err().retry_after
        })
        .collect();
    assert!(different(times) > 40);
}

#[test]
fn in_a_window_of_a_million_no_call_allocates_not_even_the_first_that_fails() {
    let rate = Config::builder().failure_rate(1.0);
    for window in [Over::Calls(100), Over::Calls(1_000_000), Over::Time(secs(3600))] {
        let config = rate.clone().window(window).build().unwrap();
        let mut breaker = None;
        let made = measure(|| breaker = Some(CircuitBreaker::new(config, Moment::ZERO)));
        let breaker = breaker.unwrap();
        let ended = measure(|| {
            for n in 0..1_500_000_u64 {
                let now = at(millis(n));
                let call = breaker.admit(now).0.unwrap();
                let outcome = if n % 2 == 0 { Outcome::Success } else { Outcome::Failure };
                assert_eq!(breaker.record(call, outcome, now), None);
            }
        });
        assert_eq!(ended.count_total, 0, "{window:?}");
        let slots = match window {
            Over::Calls(calls) => 8 * u64::from(calls.next_power_of_two()),
            Over::Time(_) => 0,
        };
        let rest = made.bytes_total.checked_sub(slots);
        assert!(rest.is_some_and(|rest| rest < 2_048), "{window:?}: {} B", made.bytes_total);
    }
}

#[test]
fn nor_does_the_first_that_fails_after_a_reload() {
    let growing = Config::builder().failure_rate(1.0);
    let first = Config::builder().without_failures().failure_rate(1.0);
    let breaker = CircuitBreaker::new(first.build().unwrap(), Moment::ZERO);
    for calls in [1_000, 2_000] {
        let config = growing.clone().window(Over::Calls(calls)).build().unwrap();
        let made = measure(|| assert!(breaker.reconfigure(config, Moment::ZERO).is_none()));
        assert!(made.bytes_total >= 8 * u64::from(calls));
        // The first look of a thread at settings that have been replaced takes memory of its own.
        assert!(breaker.config().trip().failures_grow);
        let failed = measure(|| {
            let call = breaker.admit(Moment::ZERO).0.unwrap();
            assert_eq!(breaker.record(call, Outcome::Failure, Moment::ZERO), None);
        });
        assert_eq!(failed.count_total, 0);
    }
}

#[test]
fn a_window_without_bound_is_refused() {
    let sized = |calls| Config::builder().failure_rate(0.5).window(Over::Calls(calls)).build();
    assert!(sized(MAX_WINDOW_CALLS).is_ok());
    for calls in [MAX_WINDOW_CALLS + 1, u32::MAX] {
        assert!(sized(calls).is_err());
    }
}

#[test]
fn after_a_million_successes_it_trips_when_the_list_does() {
    for window in [Over::Calls(100), Over::Calls(10_000), Over::Time(secs(10))] {
        let config = Config::builder().without_failures().failure_rate(0.5).window(window);
        let breaker = CircuitBreaker::new(config.build().unwrap(), Moment::ZERO);
        // A call every millisecond.
        let mut ms = 0;
        let mut end = |outcome| {
            ms += 1;
            let call = breaker.admit(at(millis(ms))).0.unwrap();
            breaker.record(call, outcome, at(millis(ms))).is_some()
        };
        for _ in 0..1_000_000 {
            assert!(!end(Outcome::Success));
        }
        let failures = (1..).find(|_| end(Outcome::Failure));
        let in_list = match window {
            Over::Calls(size) => u64::from(size / 2),
            // From bucket 1000, at 1 s a bucket: the window is the nine before and what has come in
            // this one. Sought: the first f with f / (calls since bucket start of f - 9) >= 0.5.
            Over::Time(_) => (1..)
                .find(|failures| {
                    let now = 1_000_000 + failures;
                    let oldest = (now / 1000 - 9) * 1000;
                    2 * failures > now - oldest
                })
                .unwrap(),
        };
        assert_eq!(failures, Some(in_list), "{window:?}");
    }
}

#[test]
fn a_quiet_dependency_is_not_judged_by_last_hours_failures() {
    let config = Config::builder().without_failures().failure_rate(0.5).min_calls(10);
    let config = config.window(Over::Time(secs(10)));
    let breaker = CircuitBreaker::new(config.build().unwrap(), Moment::ZERO);
    let call = || breaker.admit(Moment::ZERO).0.unwrap();
    for _ in 0..9 {
        assert_eq!(breaker.record(call(), Outcome::Failure, Moment::ZERO), None);
    }
    assert_eq!(breaker.record(call(), Outcome::Failure, at(secs(3600))), None);
    assert_eq!(breaker.report(Moment::ZERO).window_calls, 1);
}

#[test]
fn forced_open_it_stays_open_and_reset_forgets_what_was_counted() {
    let breaker = CircuitBreaker::new(Config::default(), Moment::ZERO);
    for _ in 0..4 {
        let call = breaker.admit(Moment::ZERO).0.unwrap();
        breaker.record(call, Outcome::Failure, Moment::ZERO);
    }
    assert!(breaker.force_open(Moment::ZERO).is_some());
    let later = at(secs(365 * 24 * 3600));
    assert_eq!(breaker.admit(later).0.map_err(after), Err(None));
    assert_eq!(breaker.poll(later), (None, None));
    assert!(breaker.reset(later).is_some());
    let call = breaker.admit(later).0.unwrap();
    assert_eq!(breaker.record(call, Outcome::Failure, later), None, "one, not five");
    assert_eq!(breaker.force_closed(later), None, "closed it already was");
    for _ in 0..10 {
        let call = breaker.admit(later).0.unwrap();
        assert_eq!(breaker.record(call, Outcome::Failure, later), None);
    }
}

proptest! {
    /// `retry_after` is no guess: one nanosecond earlier it refuses, and then it does not.
    #[test]
    fn whoever_comes_back_when_told_is_let_in(start in 0u64..u64::MAX / 4, open_for in 1_000_000u64..1 << 50) {
        let open_for = Duration::from_nanos(open_for);
        let config = Config::builder().failures(1).first_open_for(open_for).open_for(open_for).build().unwrap();
        let now = Moment::from_nanos(start);
        let breaker = CircuitBreaker::new(config, now);
        let call = breaker.admit(now).0.unwrap();
        breaker.record(call, Outcome::Failure, now);
        let after = breaker.check(now).unwrap_err().retry_after.unwrap();
        prop_assert!(after >= open_for && after < open_for + millis(1));
        let then = now + after;
        let early = breaker.check(then.before(Duration::from_nanos(1)));
        prop_assert_eq!(early.map_err(|refusal| refusal.retry_after), Err(Some(Duration::from_nanos(1))));
        prop_assert_eq!(breaker.check(then), Ok(()));
    }
}

#[test]
fn keys_that_have_not_failed_take_no_memory_for_their_windows() {
    use seawall::breaker::{Config, Keyed, Window};
    let config = Config::builder().failure_rate(0.5).window(Window::Calls(10_000)).build().unwrap();
    let held = |outcome: Outcome| {
        let mut keyed = None;
        let counted = allocation_counter::measure(|| {
            let made = Keyed::<u64>::new(config.clone(), Moment::ZERO);
            for key in 0..100 {
                let admission = made.admit(&key, Moment::ZERO).0.unwrap();
                made.record(admission, outcome, Moment::ZERO);
            }
            keyed = Some(made);
        });
        drop(keyed);
        counted.bytes_current
    };
    // 16,384 places of 8 bytes for each key, and for the overflow breaker.
    assert!(held(Outcome::Success) < 500_000, "{}", held(Outcome::Success));
    assert!(held(Outcome::Failure) > 13_000_000);
}
