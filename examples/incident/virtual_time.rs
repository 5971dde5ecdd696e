//! A client, a load and a clock that does not wait.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use seawall::clock::Moment;
use seawall::event::{Event, Observer, State};
use seawall::prelude::*;
use seawall::time::Time;
use tokio::task::LocalSet;

/// The dependency.
#[resilient]
pub(crate) trait Service {
    /// One call.
    async fn work(&self) -> io::Result<()>;
}

/// It answers after this long, well unless it is in a burst of failures.
pub(crate) struct Simulated {
    pub(crate) answers_after: Duration,
    pub(crate) bursts: Option<Bursts>,
    pub(crate) time: Time,
    pub(crate) began: Moment,
}

/// When everything fails: for `length` out of every `every`, first after half of that.
#[derive(Clone, Copy)]
pub(crate) struct Bursts {
    pub(crate) length: Duration,
    pub(crate) every: Duration,
}

impl Bursts {
    pub(crate) fn is_ill(self, at: Duration) -> bool {
        let every = self.every.as_nanos();
        (at.as_nanos() + every / 2) % every < self.length.as_nanos()
    }
}

impl Service for Simulated {
    async fn work(&self) -> io::Result<()> {
        let is_ill =
            self.bursts.is_some_and(|bursts| bursts.is_ill(self.time.now().since(self.began)));
        self.time.sleep(self.answers_after).await;
        if is_ill { Err(io::ErrorKind::ConnectionRefused.into()) } else { Ok(()) }
    }
}

/// Calls that come evenly, whatever becomes of those before.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) per_second: u32,
    pub(crate) lasts: Duration,
    /// The share of callers that give up, at a random moment before a healthy service has answered.
    pub(crate) impatient: f64,
}

/// What came of a load.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) calls: u64,
    pub(crate) answered: AtomicU64,
    /// Refused while the dependency was ill, and while it was well.
    pub(crate) refused_while_ill: AtomicU64,
    pub(crate) refused_while_well: AtomicU64,
    /// How often the breaker opened.
    pub(crate) openings: Arc<AtomicU64>,
}

impl Outcome {
    pub(crate) fn answered(&self) -> f64 {
        self.answered.load(Ordering::Relaxed) as f64 / self.calls as f64
    }

    pub(crate) fn openings(&self) -> u64 {
        self.openings.load(Ordering::Relaxed)
    }

    fn count(&self, answer: &io::Result<()>, is_ill: bool) {
        let counter = match answer {
            Ok(()) => &self.answered,
            Err(error) if !is_refusal(error) => return,
            Err(_) if is_ill => &self.refused_while_ill,
            Err(_) => &self.refused_while_well,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

fn is_refusal(error: &io::Error) -> bool {
    let fault = error.get_ref().and_then(|inner| inner.downcast_ref::<Fault>());
    matches!(fault, Some(Fault::Rejected { .. }))
}

/// Counts openings.
struct Openings(Arc<AtomicU64>);

impl Observer for Openings {
    fn on_event(&self, event: &Event) {
        if let Event::Transition { transition, .. } = event
            && transition.to == State::Open
        {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Sends `load` to a dependency under `policy` that answers after `answers_after`.
pub(crate) fn send(
    policy: &str,
    load: Load,
    answers_after: Duration,
    bursts: Option<Bursts>,
) -> Result<Arc<Outcome>, Box<dyn Error>> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    LocalSet::new().block_on(&runtime, async {
        let time = Time::tokio();
        let began = time.now();
        let calls = u64::from(load.per_second) * load.lasts.as_secs();
        let outcome = Arc::new(Outcome { calls, ..Outcome::default() });
        let seawall = Seawall::builder()
            .policy_text("incident.toml", policy)
            .observer(Openings(Arc::clone(&outcome.openings)))
            .time(time.clone())
            .seed(1)
            .on_this_runtime()
            .start()?;
        let service = Simulated { answers_after, bursts, time: time.clone(), began };
        let client: ServiceClient<Simulated> = seawall.spawn("service", service).await?;
        let (mut last, mut chance) = (None, Chance(3));
        for call in 0..calls {
            let at = Duration::from_nanos(call * 1_000_000_000 / u64::from(load.per_second));
            time.sleep_until(began + at).await;
            let (client, outcome) = (client.clone(), Arc::clone(&outcome));
            let is_ill = bursts.is_some_and(|bursts| bursts.is_ill(at));
            let gives_up = chance.unit() < load.impatient;
            let patience = answers_after.mul_f64(chance.unit());
            last = Some(tokio::task::spawn_local(async move {
                if !gives_up {
                    let answer = client.work().await;
                    outcome.count(&answer, is_ill);
                } else if let Ok(answer) = tokio::time::timeout(patience, client.work()).await {
                    outcome.count(&answer, is_ill);
                }
            }));
        }
        if let Some(last) = last {
            last.await?;
        }
        seawall.shutdown(Duration::from_secs(60)).await;
        Ok(outcome)
    })
}

/// SplitMix64 (G. Steele, D. Lea, C. Flood, OOPSLA 2014): the same day every time.
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    /// In `[0, 1)`.
    pub(crate) fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}
