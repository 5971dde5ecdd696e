//! A breaker for each key, in front of a client: a shard that fails is cut off alone, and a lease that has
//! passed two breakers ends for both.

use std::future::pending;
use std::sync::Mutex;

use allocation_counter::measure;
use seawall::actor::Control;
use seawall::backpressure::Strategy;
use seawall::breaker::{self, Enforcement, Keys, KeysBuilder};
use seawall::prelude::*;
use seawall::telemetry::EventStream;
use seawall::{DependencyHandle, Event, Outcome, State, Time};
use seawall::{ManualTime, limit, policy, resilient};
use seawall_tests::{Answer, Task, Trouble, block_on, eventually, ready, refused};

use super::build::*;

#[resilient]
pub(crate) trait Shards {
    #[call(key = shard)]
    async fn get(&self, shard: &str) -> Answer;
    #[call(key = shard, idempotent)]
    async fn read(&self, shard: u32) -> Answer;
    #[call(key = of_both)]
    async fn computed(&self, shard: u32, tenant: &str) -> Answer;
    async fn unkeyed(&self, shard: &str) -> Answer;
}

fn of_both(shard: &u32, tenant: &str) -> String {
    format!("{tenant}@{shard}")
}

/// What each shard does; those that are not listed answer.
#[derive(Default)]
struct Fleet(Mutex<Vec<(String, Does)>>);

#[derive(Clone, Copy, PartialEq)]
enum Does {
    Fail,
    Hang,
    Panic,
}

impl Fleet {
    fn set(&self, shard: &str, does: impl Into<Option<Does>>) {
        let mut fleet = self.0.lock().unwrap();
        fleet.retain(|(name, _)| name != shard);
        fleet.extend(does.into().map(|does| (shard.to_owned(), does)));
    }

    async fn ask(&self, shard: &str) -> Answer {
        let find = |(name, does): &(String, Does)| (name == shard).then_some(*does);
        let does = self.0.lock().unwrap().iter().find_map(find);
        match does {
            None => Ok(7),
            Some(Does::Fail) => Err(Trouble::Broken),
            Some(Does::Hang) => pending().await,
            Some(Does::Panic) => panic!("the shard panics"),
        }
    }
}

impl Shards for Fleet {
    async fn get(&self, shard: &str) -> Answer {
        self.ask(shard).await
    }
    async fn read(&self, shard: u32) -> Answer {
        self.ask(&shard.to_string()).await
    }
    async fn computed(&self, shard: u32, _: &str) -> Answer {
        self.ask(&shard.to_string()).await
    }
    async fn unkeyed(&self, shard: &str) -> Answer {
        self.ask(shard).await
    }
}

struct World {
    time: ManualTime,
    seawall: Seawall,
    client: ShardsClient<Fleet>,
    handle: DependencyHandle,
}

impl World {
    fn new(policy: seawall::policy::Builder) -> Self {
        let time = Time::manual();
        let policy = policy.build().unwrap();
        let seawall = Seawall::builder().time(&time).seed(1).policy("fleet", policy);
        let seawall = seawall.start().unwrap();
        let client = ready(seawall.spawn("fleet", Fleet::default())).unwrap();
        let handle = seawall.dependency("fleet").unwrap();
        Self { time, seawall, client, handle }
    }

    fn fleet(&self) -> &Fleet {
        self.client.service()
    }

    fn get(&self, shard: &str) -> Answer {
        ready(self.client.get(shard))
    }

    fn keys(&self) -> seawall::dependency::KeysSnapshot {
        self.handle.snapshot().keys.unwrap()
    }

    /// Three failures, as `base` asks for.
    fn trip(&self, shard: &str) {
        self.fleet().set(shard, Does::Fail);
        for _ in 0..3 {
            assert_eq!(self.get(shard), Err(Trouble::Broken));
        }
        assert_eq!(refused(self.get(shard)), (RejectedBy::Breaker, Some(secs(5))));
    }

    /// One call, which closes it: the only key that is open.
    fn recovers(&self, shard: &str) {
        self.fleet().set(shard, None);
        assert_eq!(self.get(shard), Ok(7));
        assert_eq!(self.keys().open, 0);
        self.assert_idle();
    }

    fn assert_idle(&self) {
        let now = self.handle.snapshot();
        assert_eq!((now.active, now.pending, now.breaker.probes), (0, 0, 0), "{now:?}");
    }
}

fn keys() -> KeysBuilder {
    Keys::builder()
}

/// What was told of keys since the last look: which, and how it is now.
fn key_moves(events: &mut EventStream) -> impl Iterator<Item = (String, State)> {
    std::iter::from_fn(|| events.try_recv().ok()).filter_map(|received| match received.event {
        Event::KeyMoved { key, transition, .. } => Some((key.unwrap().to_string(), transition.to)),
        _ => None,
    })
}

/// Calls each of ten shards in turn, of which the first is dead, and counts who was served: the healthy
/// ones, and how often the dead one was seen.
fn ten_shards(call: impl Fn(&World, &str) -> Answer) -> (u32, u32) {
    let world = World::new(base().breaker(trips_after(5)));
    world.fleet().set("shard-0", Does::Fail);
    let (mut served, mut seen) = (0, 0);
    // Unlucky: the dead one's calls come five in a row.
    for _ in 0..100 {
        for shard in 0..10 {
            for _ in 0..5 {
                let answer = call(&world, &format!("shard-{shard}"));
                served += u32::from(answer.is_ok());
                seen += u32::from(answer == Err(Trouble::Broken));
            }
        }
        world.time.advance(ms(1));
    }
    world.assert_idle();
    (served, seen)
}

fn open_keys(world: &World) -> Vec<(String, State)> {
    world.keys().open_keys.into_iter().map(|open| (open.key, open.state)).collect()
}

#[test]
fn of_ten_shards_one_dead_the_other_nine_are_served() {
    let (served, seen) = ten_shards(|world, shard| ready(world.client.get(shard)));
    assert_eq!(served, 4_500, "every call of the healthy ones");
    assert_eq!(seen, 5, "the dead one is left alone");
}

#[test]
fn without_keys_the_dead_one_takes_all_of_them_with_it() {
    let (served, _) = ten_shards(|world, shard| ready(world.client.unkeyed(shard)));
    assert_eq!(served, 0);
}

#[test]
fn a_key_recovers_by_its_own_probe() {
    let world = World::new(base());
    world.trip("a");
    assert_eq!(world.get("b"), Ok(7));
    assert_eq!(open_keys(&world), [("a".to_owned(), State::Open)]);
    assert_eq!(world.handle.state(), State::Closed);
    world.time.advance(secs(5));
    world.recovers("a");
}

#[test]
fn a_number_and_a_function_are_keys_too() {
    let world = World::new(base());
    world.fleet().set("4", Does::Fail);
    for _ in 0..3 {
        assert_eq!(ready(world.client.computed(4, "acme")), Err(Trouble::Broken));
    }
    refused(ready(world.client.computed(4, "acme")));
    assert_eq!(ready(world.client.computed(4, "other")), Err(Trouble::Broken));
    assert_eq!(ready(world.client.computed(5, "acme")), Ok(7));
    assert_eq!(open_keys(&world), [("acme@4".to_owned(), State::Open)]);
}

#[test]
fn every_attempt_of_a_retried_call_passes_and_teaches_the_key() {
    let world = World::new(base());
    world.fleet().set("4", Does::Fail);
    let mut call = Task::pending(world.client.read(4));
    for _ in 0..2 {
        world.time.advance(ms(200));
        let _ = call.poll();
    }
    assert_eq!(open_keys(&world), [("4".to_owned(), State::Open)]);
    refused(ready(world.client.read(4)));
}

/// However a probe ends, its place comes back, with the dependency's permit.
#[test]
fn a_keys_probe_that_is_dropped_panics_or_times_out_gives_its_place_back() {
    for does in [Does::Hang, Does::Panic] {
        let world = World::new(base());
        world.trip("a");
        world.time.advance(secs(5));
        world.fleet().set("a", does);
        if does == Does::Hang {
            let probe = Task::pending(world.client.get("a"));
            assert_eq!(refused(world.get("a")), (RejectedBy::Breaker, None), "its place is taken");
            drop(probe);
            let mut probe = Task::pending(world.client.get("a"));
            world.time.advance(secs(1));
            assert!(probe.poll().is_ready(), "it has timed out, and opened the key again");
        } else {
            let call = std::panic::AssertUnwindSafe(|| world.get("a"));
            std::panic::catch_unwind(call).unwrap_err();
        }
        assert_eq!(refused(world.get("a")), (RejectedBy::Breaker, Some(secs(5))));
        world.time.advance(secs(5));
        world.recovers("a");
    }
}

#[test]
fn refused_by_its_key_a_call_burns_no_token_and_holds_no_permit_or_probe() {
    let world = World::new(base().rate_limit(tokens(4)));
    world.trip("a");
    for _ in 0..100 {
        refused(world.get("a"));
    }
    assert_eq!(world.get("b"), Ok(7), "the fourth token is left");
    assert_eq!(refused(world.get("b")).0, RejectedBy::RateLimit);
    world.assert_idle();
}

#[test]
fn when_a_key_opens_its_calls_in_line_are_refused_at_once_and_the_others_wait_on() {
    let world = World::new(base().breaker(trips_after(1)).rate_limit(tokens(5)));
    world.fleet().set("a", Does::Hang);
    world.fleet().set("b", Does::Hang);
    let mut first = Task::pending(world.client.get("a"));
    world.time.advance(ms(500));
    let served = Task::pending(world.client.get("b"));
    let mut other = Task::pending(world.client.get("b"));
    let waiting = Task::pending(world.client.get("a"));
    world.time.advance(ms(500));
    let before = waiting.wakes();
    assert!(first.poll().is_ready(), "it has timed out");
    // Its permit goes to the call on the other key, which came first: none is free.
    assert!(other.poll().is_pending());
    assert_eq!((world.handle.snapshot().active, waiting.wakes()), (2, before + 1));
    assert_eq!(refused(waiting.ready()), (RejectedBy::Breaker, Some(secs(5))));
    drop((served, other));
    assert_eq!(world.get("c"), Ok(7), "what was refused took no token, so there is a fifth");
    world.assert_idle();
}

#[test]
fn when_a_key_opens_its_calls_that_wait_for_their_turn_are_refused_at_once() {
    let one_a_minute = limit::Config::leaky_bucket(10, 1.0 / 60.0);
    let policy = base().breaker(trips_after(1)).rate_limit(one_a_minute);
    let policy = policy.deadline(secs(600)).rate_limit_max_wait(secs(600));
    let world = World::new(policy);
    world.fleet().set("a", Does::Hang);
    let mut first = Task::pending(world.client.get("a"));
    let waiting = Task::pending(world.client.get("a"));
    let mut other = Task::pending(world.client.get("b"));
    world.time.advance(secs(1));
    let woken = waiting.wakes();
    assert!(first.poll().is_ready(), "it has timed out");
    assert!(waiting.wakes() > woken, "it sleeps on");
    assert_eq!(refused(waiting.ready()), (RejectedBy::Breaker, Some(secs(5))));
    assert!(other.poll().is_pending());
    drop(other);
    world.assert_idle();
}

#[test]
fn those_who_wait_for_room_hear_when_a_key_that_opens_has_emptied_the_line() {
    let policy = base().breaker(trips_after(1)).bulkhead(permits(1));
    let world = World::new(policy.mailbox(line(1, Strategy::Error)));
    world.fleet().set("a", Does::Hang);
    let mut first = Task::pending(world.client.get("a"));
    world.time.advance(ms(500));
    let waiting = Task::pending(world.client.get("a"));
    let mut room = Task::pending(world.handle.ready());
    let woken = room.wakes();
    world.time.advance(ms(500));
    assert!(first.poll().is_ready(), "it has timed out, and the key is open");
    assert!(room.wakes() > woken && room.poll().is_ready());
    refused(waiting.ready());
}

#[test]
fn a_key_that_nobody_calls_is_told_to_be_half_open_and_then_forgotten_each_time_anew() {
    let world = World::new(base().breaker(trips_after(1)).keyed(keys().idle_after(secs(20))));
    let mut events = world.seawall.events();
    for _ in 0..2 {
        world.fleet().set("a", Does::Fail);
        world.get("a").unwrap_err();
        // Open for 5 s, looked at every second.
        world.time.advance(secs(6));
        eventually("the key is told to be half-open", || {
            world.time.advance(ms(1));
            key_moves(&mut events).any(|(_, to)| to == State::HalfOpen)
        });
        world.fleet().set("a", None);
        assert_eq!(world.get("a"), Ok(7));
        world.time.advance(secs(26));
        eventually("the key is forgotten", || world.keys().keys == 0);
    }
    assert_eq!(world.get("b"), Ok(7));
    world.time.advance(secs(26));
    eventually("so is one that was never open", || world.keys().keys == 0);
}

#[test]
fn a_key_that_is_open_is_looked_at_sooner_than_idle_ones_are() {
    let world = World::new(base().breaker(trips_after(1)));
    let mut events = world.seawall.events();
    let actor_has_looked = || block_on(world.handle.tell(Control::Snapshot)).unwrap();
    assert_eq!(world.get("a"), Ok(7));
    actor_has_looked();
    world.fleet().set("a", Does::Fail);
    world.get("a").unwrap_err();
    actor_has_looked();
    // Open for 5 s; ten minutes idle.
    world.time.advance(secs(6));
    eventually("it is told to be half-open", || {
        key_moves(&mut events).any(|(_, to)| to == State::HalfOpen)
    });
}

#[test]
fn a_key_that_is_called_is_told_to_be_half_open_by_that_call() {
    let world = World::new(base().breaker(trips_after(1)));
    let mut events = world.seawall.events();
    world.fleet().set("a", Does::Fail);
    world.get("a").unwrap_err();
    world.fleet().set("a", None);
    world.time.advance(secs(5));
    assert_eq!(world.get("a"), Ok(7));
    let told: Vec<State> = key_moves(&mut events).map(|(_, to)| to).collect();
    assert_eq!(told[..2], [State::Open, State::HalfOpen], "of more within a second one is told");
}

#[test]
fn a_key_that_comes_back_slowly_refuses_some_calls_and_those_are_no_attempts() {
    let world = World::new(base().breaker(trips_after(1).ramp(0.5, secs(100))).keyed(keys()));
    world.fleet().set("a", Does::Fail);
    world.get("a").unwrap_err();
    world.fleet().set("a", None);
    world.time.advance(secs(5));
    assert_eq!(world.get("a"), Ok(7));
    let served = (0..20).filter(|_| world.get("a").is_ok()).count();
    assert_eq!(served, 10);
    let now = world.handle.snapshot();
    assert_eq!(now.attempts(Outcome::Cancelled), 0, "{now:#?}");
    assert_eq!(now.rejections(RejectedBy::Breaker), 10);
    world.assert_idle();
}

#[test]
fn a_reload_changes_the_breakers_of_keys_or_what_is_kept_of_them() {
    let with =
        |failures, idle| base().breaker(trips_after(failures)).keyed(keys().idle_after(idle));
    let world = World::new(with(2, secs(600)));
    world.fleet().set("a", Does::Fail);
    world.get("a").unwrap_err();
    assert!(world.handle.set_policy(with(1, secs(600)).build().unwrap()));
    world.get("b").unwrap();
    world.fleet().set("b", Does::Fail);
    world.get("b").unwrap_err();
    assert!(open_keys(&world).iter().any(|(key, _)| key == "b"), "by the first failure");
    assert!(world.handle.set_policy(with(1, secs(20)).build().unwrap()));
    world.time.advance(secs(26));
    eventually("idle keys are forgotten", || world.keys().keys == 0);
}

#[test]
fn held_closed_by_hand_it_lets_those_wait_whose_key_opens() {
    let world = World::new(base().breaker(trips_after(1)).bulkhead(permits(1)));
    block_on(world.handle.force_closed()).unwrap();
    world.fleet().set("a", Does::Hang);
    let mut first = Task::pending(world.client.get("a"));
    let mut waiting = Task::pending(world.client.get("a"));
    world.time.advance(secs(1));
    assert!(first.poll().is_ready(), "it has timed out");
    assert!(waiting.poll().is_pending(), "it is being served");
    assert_eq!((world.keys().open, world.handle.snapshot().active), (1, 1));
}

/// A call is given a permit; before it can use it, its key opens. By then it may be the one that finds out
/// whether the dependency has recovered.
#[test]
fn the_dependencys_probe_that_its_key_refuses_gives_its_place_back() {
    let policy =
        || base().timeout(secs(10)).deadline(secs(60)).breaker(trips_after(1).success_threshold(2));
    let world = World::new(policy().bulkhead(permits(3)));
    world.fleet().set("a", Does::Hang);
    world.fleet().set("b", Does::Hang);
    let mut opens = Task::pending(world.client.get("a"));
    let other = Task::pending(world.client.get("b"));
    world.fleet().set("x", Does::Fail);
    assert_eq!(ready(world.client.unkeyed("x")), Err(Trouble::Broken));
    assert_eq!(world.handle.state(), State::Open);
    assert!(world.handle.set_policy(policy().bulkhead(permits(2)).build().unwrap()));
    world.time.advance(secs(7));
    let probe = Task::pending(world.client.get("a"));
    drop(other);
    world.time.advance(secs(3));
    assert!(opens.poll().is_ready(), "it has timed out, and opens the key");
    assert_eq!(refused(probe.ready()), (RejectedBy::Breaker, Some(secs(5))));
    let now = world.handle.snapshot().breaker;
    assert_eq!((now.state, now.probes), (State::HalfOpen, 0));
    assert_eq!(world.get("c"), Ok(7), "the place is there for another");
    assert_eq!(world.handle.state(), State::HalfOpen, "the first success of two");
    assert_eq!(world.get("c"), Ok(7));
    assert_eq!(world.handle.state(), State::Closed);
    world.assert_idle();
}

/// The key's place is the last thing that an attempt takes, so the one that refuses it finds it untaken.
#[test]
fn a_keys_probe_that_another_guard_refuses_takes_no_place() {
    type Refuses = fn(policy::Builder) -> policy::Builder;
    let refuses: [(RejectedBy, Refuses); 3] = [
        (RejectedBy::RateLimit, |policy| policy.rate_limit(tokens(4))),
        (RejectedBy::QueueFull, |policy| {
            policy.bulkhead(permits(1)).mailbox(line(1, Strategy::Error))
        }),
        (RejectedBy::Breaker, |policy| policy),
    ];
    for (by, policy) in refuses {
        let world = World::new(policy(base().timeout(secs(20)).deadline(secs(60))));
        world.trip("a");
        world.fleet().set("b", Does::Hang);
        let mut held = Vec::new();
        world.time.advance(secs(5));
        match by {
            RejectedBy::RateLimit => held.push(Task::pending(world.client.get("b"))),
            RejectedBy::QueueFull => {
                held.extend([(); 2].map(|()| Task::pending(world.client.get("b"))));
            }
            _ => drop(block_on(world.handle.force_open()).unwrap()),
        }
        assert_eq!(refused(world.get("a")).0, by);
        drop(held);
        block_on(world.handle.reset()).unwrap();
        assert!(world.handle.set_policy(base().build().unwrap()));
        world.recovers("a");
    }
}

#[test]
fn the_dependencys_own_breaker_refuses_keyed_calls_and_learns_from_their_probes() {
    let world = World::new(base());
    world.fleet().set("x", Does::Fail);
    for _ in 0..3 {
        assert_eq!(ready(world.client.unkeyed("x")), Err(Trouble::Broken));
    }
    assert_eq!(refused(world.get("a")), (RejectedBy::Breaker, Some(secs(5))));
    world.time.advance(secs(5));
    assert_eq!(world.get("a"), Ok(7));
    assert_eq!(world.handle.state(), State::Closed, "a keyed call can close it");
    world.assert_idle();
}

#[test]
fn asked_to_the_dependencys_own_breaker_counts_keyed_calls() {
    let world = World::new(base().keyed(keys().count_for_dependency(true)));
    for shard in ["a", "b", "c"] {
        world.fleet().set(shard, Does::Fail);
        assert_eq!(world.get(shard), Err(Trouble::Broken));
    }
    assert_eq!(world.handle.state(), State::Open, "an outage of everything");
}

#[test]
fn held_closed_by_hand_it_lets_open_keys_through() {
    let world = World::new(base());
    world.trip("a");
    block_on(world.handle.force_closed()).unwrap();
    assert_eq!(world.get("a"), Err(Trouble::Broken));
    block_on(world.handle.reset()).unwrap();
    refused(world.get("a"));
    world.assert_idle();
}

/// As if the key's breaker and then the dependency's, or either, had been there to refuse.
#[test]
fn an_observing_breaker_counts_each_call_that_its_keys_would_have_refused_once() {
    let observing = || trips_after(3).enforcement(Enforcement::Observe);
    let world = World::new(base().breaker(observing()));
    world.fleet().set("a", Does::Fail);
    for _ in 0..1_000 {
        assert_eq!(world.get("a"), Err(Trouble::Broken), "nothing is refused");
    }
    let now = world.handle.snapshot();
    assert_eq!((now.breaker.refusals_withheld, world.keys().refusals_withheld), (997, 997));
    assert_eq!(now.rejections(RejectedBy::Breaker), 0);

    let both = base().breaker(observing()).keyed(keys().count_for_dependency(true));
    let world = World::new(both);
    world.fleet().set("a", Does::Fail);
    for _ in 0..10 {
        assert_eq!(world.get("a"), Err(Trouble::Broken));
    }
    let now = world.handle.snapshot();
    assert_eq!((now.breaker.refusals_withheld, world.keys().refusals_withheld), (7, 0));
}

#[test]
fn told_by_hand_to_observe_it_counts_what_its_open_keys_would_have_refused() {
    let world = World::new(base());
    world.trip("a");
    block_on(world.handle.observe()).unwrap();
    for _ in 0..5 {
        assert_eq!(world.get("a"), Err(Trouble::Broken));
    }
    assert_eq!(world.handle.snapshot().breaker.refusals_withheld, 5);
    block_on(world.handle.force_closed()).unwrap();
    assert_eq!(world.get("a"), Err(Trouble::Broken));
    assert_eq!(world.handle.snapshot().breaker.refusals_withheld, 5, "it would not have refused");
    world.assert_idle();
}

#[test]
fn an_answer_that_comes_too_late_for_its_key_is_among_the_stale_ones() {
    let world = World::new(base().bulkhead(permits(9)));
    world.fleet().set("a", Does::Hang);
    let late = Task::pending(world.client.get("a"));
    world.trip("a");
    assert_eq!(world.handle.snapshot().breaker.stale_results, 0);
    world.time.advance(secs(1_000));
    drop(late);
    let now = world.handle.snapshot();
    assert_eq!((now.breaker.stale_results, world.keys().stale_results), (1, 1));
}

#[test]
fn a_key_of_an_adaptive_breaker_is_guarded_and_comes_back_at_once() {
    let adaptive = || breaker::Config::builder().adaptive(breaker::adaptive::Config::default());
    let slow = adaptive().slow_call(secs(1)).slow_call_rate(0.5).half_open_calls(2);
    let one_at_a_time = adaptive().half_open_calls(1);
    for breaker in [slow, one_at_a_time, adaptive().failures(1_000)] {
        let world = World::new(base().breaker(breaker.first_open_for(secs(5)).open_for(secs(5))));
        world.fleet().set("a", Does::Fail);
        let reached = (0..1_000).filter(|_| world.get("a") == Err(Trouble::Broken)).count();
        assert!(reached <= 20, "{reached} of a thousand reached the dead shard");
        world.fleet().set("a", None);
        world.time.advance(secs(5));
        for second in 0..60 {
            assert_eq!(world.get("a"), Ok(7), "well again for {second} s");
            world.time.advance(secs(1));
        }
        assert_eq!(world.keys().open, 0);
    }
}

#[test]
fn switched_off_in_the_policy_a_key_means_nothing() {
    let world = World::new(base().without_keys());
    world.fleet().set("a", Does::Fail);
    for _ in 0..3 {
        assert_eq!(world.get("a"), Err(Trouble::Broken));
    }
    refused(world.get("b"));
    assert!(world.handle.snapshot().keys.is_none());
}

#[test]
fn the_breaker_that_keys_share_moves_on_though_nobody_calls() {
    let world = World::new(base().keyed(keys().max_keys(1)));
    let _busy = {
        world.fleet().set("a", Does::Hang);
        Task::pending(world.client.get("a"))
    };
    world.trip("b");
    let open = || (world.keys().open, world.keys().overflow);
    assert_eq!(open(), (0, State::Open), "only the shared one: the other key is busy, and well");
    // It opens for 5 s, and is looked at every second.
    world.time.advance(secs(6));
    eventually("it is looked at", || open() == (0, State::HalfOpen));
}

#[test]
fn keys_beyond_the_bound_or_too_long_share_a_breaker() {
    let world = World::new(base().keyed(keys().max_keys(2)));
    world.trip("a");
    world.trip("b");
    assert_eq!((world.keys().keys, world.keys().overflowed), (2, 0));
    // Nobody may be evicted: both are open.
    world.trip("c");
    refused(world.get("d"));
    assert_eq!(world.keys().overflow, State::Open);
    assert_eq!((world.keys().keys, world.keys().overflowed), (2, 5));
    refused(world.get(&"long".repeat(100)));
    assert_eq!(world.keys().overflowed, 6);
    let longest = "x".repeat(seawall::dependency::MAX_KEY_BYTES);
    world.time.advance(secs(3_600));
    eventually("an idle key gives way", || world.keys().keys < 2);
    assert_eq!(world.get(&longest), Ok(7));
    assert!(world.keys().evicted > 0);
}

#[test]
fn the_actor_moves_keys_on_and_forgets_idle_ones_with_nobody_calling() {
    let world = World::new(base().keyed(keys().idle_after(secs(60))));
    let mut events = world.seawall.events();
    world.trip("a");
    eventually("the key is half-open", || {
        world.time.advance(ms(100));
        world.keys().open_keys.first().is_some_and(|open| open.state == State::HalfOpen)
    });
    eventually("it is forgotten", || {
        world.time.advance(secs(1));
        world.keys().keys == 0
    });
    let moves: Vec<_> = key_moves(&mut events).collect();
    let a = || "a".to_owned();
    assert_eq!(moves, [(a(), State::Open), (a(), State::HalfOpen)]);
}

#[test]
fn a_reload_keeps_open_keys_and_has_them_go_by_the_new_settings() {
    let world = World::new(base());
    world.trip("a");
    let next = base().breaker(trips_after(1)).keyed(keys().max_keys(5)).build().unwrap();
    assert!(world.handle.set_policy(next));
    refused(world.get("a"));
    world.fleet().set("b", Does::Fail);
    assert_eq!(world.get("b"), Err(Trouble::Broken));
    refused(world.get("b"));
    for shard in 0..20 {
        assert_eq!(world.get(&shard.to_string()), Ok(7));
    }
    assert_eq!(world.keys().keys, 5);
    assert!(world.handle.set_policy(base().without_keys().build().unwrap()));
    assert_eq!(world.get("a"), Err(Trouble::Broken), "it is not looked at");
    assert!(world.handle.set_policy(base().build().unwrap()));
    refused(world.get("a"));
}

#[test]
fn a_policy_file_says_how_many_and_every_mistake_in_it_is_named() {
    let text = "[fleet.breaker]\nkeyed = { max_keys = 9, idle_after = \"1m\", count_for_dependency = true }\n\
                [other]\nbreaker.keyed = false\n";
    let file = seawall::policy::PolicyFile::parse(text, "test.toml").unwrap();
    let said = keys().max_keys(9).idle_after(secs(60)).count_for_dependency(true).build().unwrap();
    assert_eq!(file.policy("fleet").keyed(), Some(said));
    assert_eq!(file.policy("other").keyed(), None);
    assert_eq!(file.policy("third").keyed(), Some(Keys::default()));
    let text = "[fleet.breaker]\nkeyed = { max_keys = 0, idle_after = \"1ns\" }\n";
    let error = seawall::policy::PolicyFile::parse(text, "test.toml").unwrap_err().to_string();
    assert!(error.contains("fleet.breaker.keyed.max_keys"), "{error}");
    assert!(error.contains("from 1 to 1000000"), "{error}");
    assert!(error.contains("fleet.breaker.keyed.idle_after"), "{error}");
}

#[test]
fn a_call_on_a_known_key_allocates_nothing() {
    let world = World::new(base());
    let now = |call: &dyn Fn()| call();
    let call = || {
        for shard in 0..100_u32 {
            let mut read = std::pin::pin!(world.client.read(shard % 10));
            let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
            // The service itself makes a string: one a call.
            assert!(read.as_mut().poll(&mut cx).is_ready());
            let mut get = std::pin::pin!(world.client.get("a shard with quite a long name"));
            assert!(get.as_mut().poll(&mut cx).is_ready());
        }
    };
    now(&call);
    let cost = measure(|| now(&call));
    assert_eq!(cost.count_total, 100, "{cost:?}");
}

#[test]
fn a_keys_moves_are_sampled_by_the_dependency() {
    let world = World::new(base().breaker(trips_after(1)));
    let mut events = world.seawall.events();
    for shard in 0..50 {
        let shard = shard.to_string();
        world.fleet().set(&shard, Does::Fail);
        assert_eq!(world.get(&shard), Err(Trouble::Broken));
    }
    world.time.advance(seawall::event::SAMPLE_EVERY);
    world.fleet().set("last", Does::Fail);
    assert_eq!(world.get("last"), Err(Trouble::Broken));
    let mut told = Vec::new();
    while let Ok(received) = events.try_recv() {
        if let Event::KeyMoved { key, unreported, .. } = received.event {
            told.push((key.unwrap().to_string(), unreported));
        }
    }
    assert_eq!(told, [("0".to_owned(), 0), ("last".to_owned(), 49)]);
}
