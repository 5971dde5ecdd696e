//! Requests at once, in every order: what passes is taken once from each layer, what does not is not.

use std::sync::Arc;

use super::Layered;
use crate::clock::Moment;
use crate::limit::{MIN_REFILL_PER_SECOND, Rate, RateLimiter, TokenBucket};
use crate::sync::{AtomicU64, Ordering, model};

const NOW: Moment = Moment::ZERO;

type Limiter = Arc<RateLimiter<TokenBucket>>;

fn bucket(capacity: u64) -> Limiter {
    let config = Rate::new(capacity, MIN_REFILL_PER_SECOND);
    Arc::new(RateLimiter::new(TokenBucket::new(&config.unwrap()), NOW))
}

fn layered(layers: &[&Limiter]) -> Arc<Layered<()>> {
    let names = ["wide", "middle", "narrow"];
    let build = layers.iter().zip(names);
    let builder = build.fold(Layered::builder(), |builder, (limiter, name)| {
        builder.layer(name, Arc::clone(limiter))
    });
    Arc::new(builder.build().unwrap())
}

/// `callers` at once, besides this thread, which does `meanwhile`. How many passed.
fn at_once(layered: &Arc<Layered<()>>, callers: usize, meanwhile: impl FnOnce()) -> u64 {
    let passed = Arc::new(AtomicU64::new(0));
    let threads: Vec<_> = (0..callers)
        .map(|_| {
            let (layered, passed) = (Arc::clone(layered), Arc::clone(&passed));
            loom::thread::spawn(move || {
                if layered.try_take(&(), NOW, 1).is_ok() {
                    passed.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    meanwhile();
    for thread in threads {
        thread.join().unwrap();
    }
    passed.load(Ordering::Relaxed)
}

#[test]
fn what_a_narrow_layer_refuses_never_touches_a_wide_one() {
    model("layers: 2 race for 1 place in the narrow one, somebody watches the wide", || {
        let (wide, narrow) = (bucket(3), bucket(1));
        let layered = layered(&[&wide, &narrow]);
        let passed = at_once(&layered, 2, || assert!(wide.remaining(NOW) >= 2));
        assert_eq!((passed, wide.remaining(NOW), narrow.remaining(NOW)), (1, 2, 0));
    });
}

#[test]
fn who_loses_the_last_of_a_wide_layer_gives_the_narrow_one_its_own_back() {
    model("layers: 2 race for 1 place in the wide one", || {
        let (wide, narrow) = (bucket(1), bucket(3));
        let layered = layered(&[&wide, &narrow]);
        let passed = at_once(&layered, 2, || assert!(narrow.remaining(NOW) >= 1));
        assert_eq!((passed, wide.remaining(NOW), narrow.remaining(NOW)), (1, 0, 2));
    });
}

#[test]
fn of_several_at_once_one_passes_if_there_is_enough_for_one() {
    model("layers: 2 race in three layers, 1 place in the wide and in the narrow one", || {
        let (wide, middle, narrow) = (bucket(1), bucket(2), bucket(1));
        let layered = layered(&[&wide, &middle, &narrow]);
        assert_eq!(at_once(&layered, 2, || ()), 1);
        let left = [&wide, &middle, &narrow].map(|limiter| limiter.remaining(NOW));
        assert_eq!(left, [0, 1, 0]);
    });
}

#[test]
fn who_is_refused_for_what_is_given_back_looks_again() {
    model("layers: somebody gives back as two race for 1 place", || {
        let (wide, narrow) = (bucket(2), bucket(1));
        let layered = layered(&[&wide, &narrow]);
        layered.try_take(&(), NOW, 1).unwrap();
        let passed = at_once(&layered, 2, || layered.refund(&(), NOW, 1, NOW));
        assert!(passed <= 1);
        assert_eq!((wide.remaining(NOW), narrow.remaining(NOW)), (2 - passed, 1 - passed));
    });
}
