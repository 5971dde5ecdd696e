//! Telemetry against dependencies that are driven by hand.

#[cfg(feature = "prometheus")]
mod page;
#[cfg(feature = "prometheus")]
mod parser;
mod publishing;
#[cfg(feature = "prometheus")]
mod serving;
mod streams;
mod tracing_events;

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::breaker;
use crate::call::{Call, Rules};
use crate::dependency::{Dependency, MethodSpec, MethodTable};
use crate::entropy::Entropy;
use crate::error::CallError;
use crate::policy::Policy;
use crate::time::{ManualTime, Time};

use super::Tracing;

/// A dependency with methods `charge` and `balance`, and the time that it goes by.
struct Driven {
    time: ManualTime,
    core: MethodTable,
}

const fn method(name: &'static str) -> MethodSpec {
    MethodSpec { name, idempotent: true, ..MethodSpec::NONE }
}

impl Driven {
    fn new(name: &str) -> Self {
        Self::with_methods(name, vec![method("charge"), method("balance")])
    }

    fn with_methods(name: &str, methods: Vec<MethodSpec>) -> Self {
        Self::under(Policy::default(), name, methods)
    }

    /// With a breaker that has every metric.
    fn adaptive(name: &str) -> Self {
        let breaker = breaker::Config::builder().adaptive(breaker::adaptive::Config::default());
        let breaker = breaker.ramp(0.1, Duration::from_secs(10));
        let mailbox = crate::backpressure::Config::builder().priorities(true).build();
        let bulkhead = crate::bulkhead::Config::builder().grace(Duration::from_secs(1)).build();
        let policy = Policy::builder().breaker(breaker).bulkhead(bulkhead).mailbox(mailbox);
        Self::under(policy.build().unwrap(), name, vec![method("charge"), method("balance")])
    }

    fn under(policy: Policy, name: &str, methods: Vec<MethodSpec>) -> Self {
        let time = Time::manual();
        let dependency = Dependency::new(
            name.into(),
            policy,
            Time::from(&time),
            Entropy::system(),
            Arc::new(Tracing),
        );
        Self { time, core: MethodTable::new(Arc::new(dependency), methods, Arc::new(())) }
    }

    fn dependency(&self) -> &Arc<Dependency> {
        self.core.dependency()
    }

    /// A call that is answered after `took`.
    fn call(&self, method: usize, took: Duration, answer: Result<u32, ()>) {
        let mut call = Call::begin(&self.core, method);
        let answer = ready(call.once(
            || async {
                self.time.advance(took);
                answer
            },
            &Rules::USUAL,
        ));
        let _: Result<u32, CallError<()>> = call.finish_wrapped(answer);
    }

    #[cfg(feature = "prometheus")]
    /// A call that fails once and is tried again.
    fn retried(&self, method: usize) {
        let mut call = Call::begin(&self.core, method);
        let mut left = 1;
        let answer = {
            let mut attempts = pin!(call.repeat(
                || {
                    left -= 1;
                    let answer = if left < 0 { Ok(1) } else { Err(()) };
                    async move { answer }
                },
                &Rules::USUAL,
            ));
            let mut cx = Context::from_waker(Waker::noop());
            loop {
                match attempts.as_mut().poll(&mut cx) {
                    Poll::Ready(answer) => break answer,
                    Poll::Pending => self.time.advance(Duration::from_secs(1)),
                }
            }
        };
        let _: Result<i32, CallError<()>> = call.finish_wrapped(answer);
    }

    #[cfg(feature = "prometheus")]
    /// A call that fails and that a fallback answers.
    fn fell_back(&self, method: usize) {
        use std::future::{Ready, ready};
        fn now<T>(future: impl Future<Output = T>) -> T {
            match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(answer) => answer,
                Poll::Pending => panic!("nothing to wait for"),
            }
        }
        let answer = |answer: Result<i32, ()>| -> Ready<Result<i32, ()>> { ready(answer) };
        let mut call = Call::begin(&self.core, method);
        assert_eq!(now(call.once(|| answer(Err(())), &Rules::USUAL)), Some(Err(())));
        let answer = now(call.fall_back(|| answer(Ok(1))));
        let _: Result<i32, CallError<()>> = call.finish_wrapped(answer);
    }

    /// Fails until the breaker opens.
    fn break_it(&self) {
        for _ in 0..5 {
            self.call(0, Duration::ZERO, Err(()));
        }
    }
}

fn ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it was to be ready at once"),
    }
}
