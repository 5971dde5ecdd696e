//! What the thread does with its requests, one by one.

#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

use std::sync::atomic::AtomicU64;

use super::*;
use crate::breaker::adaptive::{Config, History, Loaded};
use crate::breaker::{self, CircuitBreaker};
use crate::clock::Moment;
use crate::entropy::Entropy;
use crate::outcome::Outcome;
use crate::policy::Policy;
use crate::telemetry::Tracing;

/// Has a hundred calls of everybody.
struct Hundred(AtomicU64, History);

impl HistoryStore for Hundred {
    fn load(&self, _: &str) -> io::Result<Loaded> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(Loaded { history: Some(self.1.clone()), rejected: Vec::new() })
    }

    fn save(&self, _: &str, _: &History) -> io::Result<()> {
        Ok(())
    }
}

fn adaptive() -> breaker::Config {
    breaker::Config::builder().adaptive(Config::default()).build().unwrap()
}

fn hundred() -> Hundred {
    let breaker = CircuitBreaker::new(adaptive(), Moment::ZERO);
    for _ in 0..100 {
        let call = breaker.let_in(Moment::ZERO, &mut None).unwrap();
        breaker.note(call, Outcome::Success, Moment::ZERO);
    }
    let later = 2 * PERIOD;
    breaker.tend(Moment::ZERO + later, later);
    Hundred(AtomicU64::new(0), breaker.history().unwrap())
}

fn dependency() -> Arc<Dependency> {
    let policy = Policy::builder().breaker(breaker::Config::builder().adaptive(Config::default()));
    Arc::new(Dependency::new(
        "api".into(),
        policy.build().unwrap(),
        Time::from(&Time::manual()),
        Entropy::system(),
        Arc::new(Tracing),
    ))
}

#[test]
fn what_two_want_read_is_not_counted_twice() {
    let (store, dependency) = (hundred(), dependency());
    let (requests, received) = mpsc::channel();
    // Both asked before either was served: a spawn, and a round that had the same thing to read first.
    let answers = [(); 2].map(|()| {
        let (done, answer) = oneshot::channel();
        requests.send(Request::Read(Arc::clone(&dependency), done)).unwrap();
        answer
    });
    drop(requests);
    for request in received {
        serve(&store, &Registry::default(), &AtomicBool::new(false), request);
    }
    for mut answer in answers {
        answer.try_recv().unwrap();
    }
    assert_eq!(store.0.load(Ordering::SeqCst), 1);
    let learned = dependency.snapshot().adaptive.unwrap().learned_calls;
    assert!((learned - 100.0).abs() < 0.1, "{learned}");
}
