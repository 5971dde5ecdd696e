//! The run's clock: how far along it is, and how to wait for a point in it.

use std::sync::OnceLock;
use std::time::Duration;

use seawall::clock::{Clock, Moment};

/// When the run began and how long it takes. Until [`Stage::begin`] it stands at zero.
#[derive(Debug)]
pub(crate) struct Stage {
    clock: Clock,
    start: OnceLock<Moment>,
    length: Duration,
}

impl Stage {
    pub(crate) fn new(length: Duration) -> Self {
        Self { clock: Clock::system(), start: OnceLock::new(), length }
    }

    /// Starts the run; a second call changes nothing.
    pub(crate) fn begin(&self) {
        self.start.get_or_init(|| self.clock.now());
    }

    pub(crate) fn length(&self) -> Duration {
        self.length
    }

    /// Since the start; zero before it.
    pub(crate) fn elapsed(&self) -> Duration {
        self.since_start(self.clock.now())
    }

    /// How long after the start `moment` is; zero before it. Any clock of the system's will do: they
    /// share an origin.
    pub(crate) fn since_start(&self, moment: Moment) -> Duration {
        self.start.get().map_or(Duration::ZERO, |start| moment.since(*start))
    }

    /// How much of the run is over: 0 at the start, 1 at the end, more after it.
    pub(crate) fn progress(&self) -> f64 {
        self.elapsed().as_secs_f64() / self.length.as_secs_f64()
    }

    /// The point at `share` of the run, counted from its start.
    pub(crate) fn at(&self, share: f64) -> Duration {
        self.length.mul_f64(share)
    }

    /// Waits until `point` after the start; returns at once if that has passed.
    pub(crate) async fn sleep_until(&self, point: Duration) {
        let left = point.saturating_sub(self.elapsed());
        if !left.is_zero() {
            sleep(left).await;
        }
    }
}

/// Waits in real time.
#[expect(clippy::disallowed_methods, reason = "a show for people runs in real time; only here")]
pub(crate) async fn sleep(length: Duration) {
    tokio::time::sleep(length).await;
}
