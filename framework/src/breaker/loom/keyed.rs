//! Breakers by key: who finds, makes and evicts them at once. The map's lock is loom's (`keyed/map.rs`), and so
//! is the count of an entry's holders; not the fence after it, for loom's count orders by itself.

use std::sync::Arc;
use std::time::Duration;

use super::{NOW, race};
use crate::breaker::{Config, Keyed, KeyedAdmission, KeyedConfig};
use crate::clock::Moment;
use crate::event::State;
use crate::outcome::Outcome;
use crate::sync::model;

const IDLE_AFTER: Duration = Duration::from_secs(1);
const LATER: Moment = Moment::from_nanos(3_000_000_000);

/// Opens a key at so many failures in a row, for 30 s.
fn keyed(failures: u32, max_keys: usize) -> Arc<Keyed<u64>> {
    let breaker = Config::builder().failures(failures).success_threshold(1).build().unwrap();
    let config = KeyedConfig::builder(breaker).max_keys(max_keys).idle_after(IDLE_AFTER);
    Arc::new(Keyed::new(config.build().unwrap(), NOW))
}

fn admit(keyed: &Keyed<u64>, key: u64, now: Moment) -> KeyedAdmission<u64> {
    keyed.let_in(&key, now, &mut None).unwrap()
}

/// A call on `key`. Returns whether it had a breaker of its own.
fn call(keyed: &Keyed<u64>, key: u64, outcome: Outcome, now: Moment) -> bool {
    let admission = admit(keyed, key, now);
    let own = admission.key().is_some();
    keyed.record(admission, outcome, now);
    assert!(keyed.len() <= keyed.config().max_keys());
    own
}

/// The same, as a piece of work.
fn calls(
    keyed: &Arc<Keyed<u64>>,
    key: u64,
    outcome: Outcome,
    now: Moment,
) -> impl FnOnce() + Send + 'static {
    let keyed = Arc::clone(keyed);
    move || {
        call(&keyed, key, outcome, now);
    }
}

#[test]
fn two_calls_on_a_new_key_make_one_breaker_and_both_count() {
    model("keyed: 2 failures on a new key", || {
        let keyed = keyed(2, 10);
        let fail = || calls(&keyed, 1, Outcome::Failure, NOW);
        race!(fail(), fail());
        assert_eq!((keyed.state(&1), keyed.len()), (Some(State::Open), 1));
        assert_eq!((keyed.overflowed_total(), keyed.evicted_total()), (0, 0));
        keyed.assert_whole();
    });
}

#[test]
fn two_calls_on_new_keys_where_there_is_room_for_one_keep_to_the_bound() {
    model("keyed: 2 new keys, room for 1", || {
        let keyed = keyed(1, 1);
        race!(calls(&keyed, 1, Outcome::Failure, NOW), calls(&keyed, 2, Outcome::Success, NOW));
        // The first to come has the place; the other may take it only after that has succeeded.
        let forgotten = keyed.state(&1).is_none();
        assert_eq!(keyed.overflowed_total(), 1 - keyed.evicted_total());
        let overflow = keyed.overflow_state();
        assert_eq!(forgotten, overflow == State::Open, "the failure has opened something");
        keyed.assert_whole();
    });
}

#[test]
fn a_key_that_is_evicted_for_room_as_it_fails_is_forgotten_before_or_not_at_all() {
    model("keyed: a failure on an idle key as another takes its place", || {
        let keyed = keyed(1, 1);
        call(&keyed, 1, Outcome::Success, NOW);
        race!(calls(&keyed, 1, Outcome::Failure, NOW), calls(&keyed, 2, Outcome::Success, NOW));
        let opened = [keyed.state(&1), Some(keyed.overflow_state())];
        assert!(opened.contains(&Some(State::Open)), "no failure is lost: {opened:?}");
        keyed.assert_whole();
    });
}

#[test]
fn a_key_that_is_forgotten_as_idle_as_it_fails_is_open_all_the_same() {
    model("keyed: a failure on an idle key as the actor forgets it", || {
        let keyed = keyed(1, 10);
        call(&keyed, 1, Outcome::Success, NOW);
        let actor = Arc::clone(&keyed);
        race!(calls(&keyed, 1, Outcome::Failure, LATER), move || {
            assert!(actor.poll(LATER).evicted <= 1);
        });
        assert_eq!((keyed.state(&1), keyed.len()), (Some(State::Open), 1));
        assert_eq!(keyed.overflowed_total(), 0);
        keyed.assert_whole();
    });
}

#[test]
fn a_key_with_a_call_under_way_is_not_evicted_so_both_calls_count_for_one_breaker() {
    model("keyed: a second failure on a key in use, as another comes and the actor looks", || {
        let keyed = keyed(2, 1);
        let under_way = admit(&keyed, 1, NOW);
        let actor = Arc::clone(&keyed);
        let other = Arc::clone(&keyed);
        race!(
            calls(&keyed, 1, Outcome::Failure, LATER),
            move || assert!(!call(&other, 2, Outcome::Success, LATER)),
            move || assert_eq!(actor.poll(LATER).evicted, 0),
        );
        keyed.record(under_way, Outcome::Failure, LATER);
        assert_eq!((keyed.state(&1), keyed.len()), (Some(State::Open), 1));
        keyed.assert_whole();
    });
}

#[test]
fn a_key_that_opens_as_another_is_reset_and_the_actor_looks_stands_in_the_right_list() {
    model("keyed: a failure, a reset and a poll", || {
        let keyed = keyed(1, 10);
        let (by_hand, actor) = (Arc::clone(&keyed), Arc::clone(&keyed));
        call(&keyed, 1, Outcome::Success, NOW);
        race!(
            calls(&keyed, 1, Outcome::Failure, NOW),
            move || {
                by_hand.reset(&1, NOW);
            },
            move || {
                actor.poll(NOW);
            },
        );
        keyed.assert_whole();
    });
}
