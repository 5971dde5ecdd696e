//! The shop without Seawall: the same traits, straight to the services, counted by hand.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use seawall::clock::{Clock, Moment};

use crate::dependencies::{Http, Inventory, Notification, Payment, Receipt, ShopError};
use crate::reading::{Counts, Read, Reading, Readings};
use crate::services::Services;
use crate::shop::Shop;
use crate::stage::Stage;

/// Latencies are counted in steps of 5 %, from 0.1 ms up to ten days.
const STEP: f64 = 1.05;
const STEPS: usize = 480;
const LEAST_S: f64 = 0.000_1;

/// A client that counts, and does nothing else.
#[derive(Debug)]
pub(crate) struct Counted<S> {
    service: S,
    books: Arc<Books>,
}

type BareShop = Shop<Counted<Http>, Counted<Http>, Counted<Http>>;

/// The shop, and how to read what becomes of its calls.
pub(crate) fn open(services: &Services, stage: &Stage) -> Result<(BareShop, Read), Box<dyn Error>> {
    let books: [Arc<Books>; 3] = std::array::from_fn(|_| Arc::new(Books::new()));
    let client = |dependency: usize| {
        let service = Http::new(services.url(dependency))?;
        Ok::<_, reqwest::Error>(Counted { service, books: Arc::clone(&books[dependency]) })
    };
    let shop = Shop::new(client(0)?, client(1)?, client(2)?, stage);
    let read = move || Readings(std::array::from_fn(|dependency| books[dependency].read()));
    Ok((shop, Arc::new(read)))
}

impl<S: Payment + Send + Sync> Payment for Counted<S> {
    async fn charge(&self, order: u64, cents: u64) -> Result<Receipt, ShopError> {
        self.books.watch(self.service.charge(order, cents)).await
    }
}

impl<S: Inventory + Send + Sync> Inventory for Counted<S> {
    async fn reserve(&self, order: u64) -> Result<(), ShopError> {
        self.books.watch(self.service.reserve(order)).await
    }
}

impl<S: Notification + Send + Sync> Notification for Counted<S> {
    async fn send(&self, order: u64) -> Result<(), ShopError> {
        self.books.watch(self.service.send(order)).await
    }
}

/// What became of one dependency's calls.
#[derive(Debug)]
struct Books {
    clock: Clock,
    active: AtomicU32,
    success: AtomicU64,
    failure: AtomicU64,
    cancelled: AtomicU64,
    latency: Vec<AtomicU64>,
}

/// A call under way; one that is dropped before it ended was cancelled.
struct Entry<'a> {
    books: &'a Books,
    start: Moment,
    ended: bool,
}

impl Books {
    fn new() -> Self {
        Self {
            clock: Clock::system(),
            active: AtomicU32::new(0),
            success: AtomicU64::new(0),
            failure: AtomicU64::new(0),
            cancelled: AtomicU64::new(0),
            latency: std::iter::repeat_with(AtomicU64::default).take(STEPS).collect(),
        }
    }

    async fn watch<T, E>(&self, call: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        self.active.fetch_add(1, Ordering::Relaxed);
        let mut entry = Entry { books: self, start: self.clock.now(), ended: false };
        let result = call.await;
        entry.ended = true;
        let count = if result.is_ok() { &self.success } else { &self.failure };
        count.fetch_add(1, Ordering::Relaxed);
        let took = self.clock.now().since(entry.start).as_secs_f64();
        let step = ((took / LEAST_S).max(1.0).ln() / STEP.ln()) as usize;
        self.latency[step.min(STEPS - 1)].fetch_add(1, Ordering::Relaxed);
        result
    }

    fn read(&self) -> Reading {
        Reading {
            counts: Counts {
                success: self.success.load(Ordering::Relaxed),
                failure: self.failure.load(Ordering::Relaxed),
                cancelled: self.cancelled.load(Ordering::Relaxed),
                ..Counts::default()
            },
            active: self.active.load(Ordering::Relaxed),
            p50: self.quantile(0.5),
            p99: self.quantile(0.99),
            ..Reading::default()
        }
    }

    /// The upper end of the step that holds this share of the latencies.
    fn quantile(&self, share: f64) -> Option<Duration> {
        let steps: Vec<u64> =
            self.latency.iter().map(|step| step.load(Ordering::Relaxed)).collect();
        let total: u64 = steps.iter().sum();
        let mut left = (total as f64 * share).ceil() as u64;
        let step = steps.iter().position(|count| {
            left = left.saturating_sub(*count);
            total > 0 && left == 0
        })?;
        Some(Duration::from_secs_f64(LEAST_S * STEP.powf((step + 1) as f64)))
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        self.books.active.fetch_sub(1, Ordering::Relaxed);
        if !self.ended {
            self.books.cancelled.fetch_add(1, Ordering::Relaxed);
        }
    }
}
