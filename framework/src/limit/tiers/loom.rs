//! Two users at once under a cap that binds, in every order. Both are known: who is new takes its
//! shard's lock, which is not loom's.

use std::hash::{BuildHasherDefault, DefaultHasher};
use std::sync::Arc;

use super::{TierConfig, TierLimit, TierRefusal, Tiers, TiersConfig};
use crate::clock::Moment;
use crate::limit::{MIN_REFILL_PER_SECOND, Rate};
use crate::sync::{Ordering, model};

const NOW: Moment = Moment::ZERO;

/// Hashing alike each time, as a model must.
type Users = Tiers<u8, BuildHasherDefault<DefaultHasher>>;

fn rate(capacity: u64) -> Rate {
    Rate::new(capacity, MIN_REFILL_PER_SECOND).unwrap()
}

/// So much in all, and so much for each of two known users, of whom the second weighs twice as much.
fn tiers(cap: u64, own: u64) -> Arc<Users> {
    let config = TiersConfig::builder(rate(cap))
        .tier("light", rate(own))
        .tier("heavy", TierConfig::new(rate(own)).weighing(2))
        .max_users(16)
        .build();
    let tiers = Users::with_hasher(config.unwrap(), BuildHasherDefault::default(), NOW);
    for user in 0..2 {
        take(&tiers, user, 0).unwrap();
    }
    assert_eq!(tiers.len(), 2, "neither took the other's place");
    Arc::new(tiers)
}

fn take(tiers: &Users, user: u8, cost: u64) -> Result<(), TierRefusal> {
    tiers.try_take(&user, ["light", "heavy"][usize::from(user)], NOW, cost)
}

fn left(tiers: &Users, user: u8) -> u64 {
    tiers.remaining(&user, ["light", "heavy"][usize::from(user)], NOW)
}

/// These take so much at once, while this thread does `meanwhile`.
fn at_once(
    tiers: &Arc<Users>,
    users: [u8; 2],
    cost: u64,
    meanwhile: impl FnOnce(),
) -> [Result<(), TierRefusal>; 2] {
    let threads = users.map(|user| {
        let tiers = Arc::clone(tiers);
        loom::thread::spawn(move || take(&tiers, user, cost))
    });
    meanwhile();
    threads.map(|thread| thread.join().unwrap())
}

/// What is missing from the cap, and from each user's own limit, is what it got; who got nothing is owed
/// as large a share as ever.
fn nothing_is_lost(tiers: &Users, cap: u64, own: u64, got: [u64; 2]) {
    assert_eq!(tiers.cap_remaining(NOW), cap - got[0] - got[1]);
    assert_eq!([left(tiers, 0), left(tiers, 1)], got.map(|got| own - got));
    for user in (0..2_u8).filter(|user| got[usize::from(*user)] == 0) {
        let is_fresh = tiers.plan.with(|plan| {
            tiers.users.read(&user, |user| {
                let allowance = plan.settings(user.tier).unwrap().allowance;
                tiers.share.is_fresh(user.used.load(Ordering::Relaxed), allowance)
            })
        });
        assert_eq!(is_fresh, Some(true), "{user}");
    }
}

#[test]
fn two_users_never_get_more_than_the_cap_and_who_is_refused_loses_nothing() {
    model("tiers: 2 users race for all that is left of the cap", || {
        let tiers = tiers(2, 3);
        let answers = at_once(&tiers, [0, 1], 2, || assert!(tiers.cap_remaining(NOW) <= 2));
        let got = answers.map(|answer| 2 * u64::from(answer.is_ok()));
        assert_eq!(got[0] + got[1], 2, "{answers:?}");
        nothing_is_lost(&tiers, 2, 3, got);
    });
}

#[test]
fn at_half_of_the_cap_shares_begin_to_count_and_a_user_that_loses_one_loses_nothing_else() {
    model("tiers: 2 users race as the cap begins to bind", || {
        let tiers = tiers(3, 2);
        let answers = at_once(&tiers, [0, 1], 1, || ());
        let got = answers.map(|answer| u64::from(answer.is_ok()));
        assert!(got[0] + got[1] >= 1, "{answers:?}");
        nothing_is_lost(&tiers, 3, 2, got);
        for refused in answers.into_iter().filter_map(Result::err) {
            assert_ne!(refused.by, TierLimit::User);
        }
    });
}

#[test]
fn one_user_twice_at_once_gets_no_more_than_his_own_limit() {
    model("tiers: 1 user races itself for its last one", || {
        let tiers = tiers(8, 1);
        let answers = at_once(&tiers, [0, 0], 1, || assert!(tiers.cap_remaining(NOW) >= 7));
        let got = answers.iter().filter(|answer| answer.is_ok()).count() as u64;
        assert_eq!(got, 1, "{answers:?}");
        nothing_is_lost(&tiers, 8, 1, [1, 0]);
    });
}

#[test]
fn what_is_given_back_meanwhile_is_had_once() {
    model("tiers: somebody gives back as 2 users race for the cap's last one", || {
        let tiers = tiers(2, 2);
        take(&tiers, 0, 1).unwrap();
        let answers = at_once(&tiers, [0, 1], 1, || tiers.refund(&0, NOW, 1, NOW));
        let got = answers.map(|answer| u64::from(answer.is_ok()));
        nothing_is_lost(&tiers, 2, 2, got);
    });
}
