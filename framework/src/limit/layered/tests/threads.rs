//! Many requests at once on real threads.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::{at, keyed, layers, request, whole};

#[test]
fn refused_users_take_nothing_from_the_others_at_any_moment() {
    let (global, users, endpoints) = (whole(10_000), keyed(100, 9), keyed(5_000, 9));
    let limits = layers(&global, &users, &endpoints);
    limits.try_take(&request(0, 0), at(0), 100).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..20_000 {
                    assert_eq!(
                        &*limits.try_take(&request(0, 0), at(0), 1).unwrap_err().layer,
                        "user"
                    );
                }
                stop.store(true, Ordering::Relaxed);
            });
        }
        // The user's layer refuses at the first look, so not even the endpoint's is touched.
        while !stop.load(Ordering::Relaxed) {
            assert_eq!(global.remaining(at(0)), 9_900);
        }
    });
    assert_eq!((global.remaining(at(0)), endpoints.remaining(&0, at(0))), (9_900, 4_900));
}

#[test]
fn what_passes_is_taken_once_from_each_layer_and_what_does_not_is_not() {
    for round in 0..20 {
        // The global layer is the one that runs out while narrower ones have been taken from.
        let (global, users, endpoints) = (whole(500 + round), keyed(200, 9), keyed(400, 9));
        let limits = layers(&global, &users, &endpoints);
        let passed: [AtomicU64; 4] = Default::default();
        std::thread::scope(|scope| {
            for thread in 0..4_u8 {
                let (limits, passed) = (&limits, &passed);
                scope.spawn(move || {
                    for n in 0..400_u32 {
                        let user = (thread + (n % 4) as u8) % 4;
                        if limits.try_take(&request(user, user % 2), at(0), 1).is_ok() {
                            passed[usize::from(user)].fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        let passed = passed.map(AtomicU64::into_inner);
        let all: u64 = passed.iter().sum();
        // More was asked for than there was, and users and endpoints had enough.
        assert_eq!((all, global.remaining(at(0))), (500 + round, 0));
        for user in 0..4_u8 {
            assert_eq!(users.remaining(&user, at(0)), 200 - passed[usize::from(user)]);
        }
        assert_eq!(endpoints.remaining(&0, at(0)), 400 - passed[0] - passed[2]);
        assert_eq!(endpoints.remaining(&1, at(0)), 400 - passed[1] - passed[3]);
    }
}
