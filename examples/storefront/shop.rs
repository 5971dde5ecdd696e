//! The shop: customers arrive when they please, 100 workers serve them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use seawall::entropy::Entropy;
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinError, JoinSet};

use crate::dependencies::{Inventory, Notification, Payment, Receipt};
use crate::faults::Blast;
use crate::reading::{INVENTORY, NOTIFICATION, PAYMENT};
use crate::stage::Stage;

/// How many checkouts the shop works on at once.
pub(crate) const WORKERS: usize = 100;
/// How long the shop stays open for those inside after the last customer came.
const CLOSING: Duration = Duration::from_secs(2);
/// Newsletters are numbered from here, so that they share no number with an order.
const FIRST_NEWSLETTER: u64 = 1 << 40;

/// The shop. It does not know whether its clients are guarded: they are the same traits.
#[derive(Debug)]
pub(crate) struct Shop<P, I, N> {
    payment: P,
    inventory: I,
    notification: N,
    workers: Semaphore,
    patience: Duration,
    counts: Counts,
}

/// Who comes, and how often.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crowd {
    pub(crate) rate: u32,
    pub(crate) seed: u64,
    pub(crate) blast: Option<Blast>,
}

#[derive(Debug, Default)]
struct Counts {
    calls: [AtomicU64; 3],
    arrived: AtomicU64,
    left: AtomicU64,
    paid: AtomicU64,
    pay_later: AtomicU64,
    lost: AtomicU64,
    peak_busy: AtomicU64,
}

/// How the shop did, by its own books.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    /// Calls made to each dependency, counted where they are made.
    pub(crate) calls: [u64; 3],
    /// Customers who came.
    pub(crate) arrived: u64,
    /// Those who found no worker in time and left.
    pub(crate) left: u64,
    /// Those who paid and were served.
    pub(crate) paid: u64,
    /// Those who were served and will be charged later.
    pub(crate) pay_later: u64,
    /// Those whose goods could not be reserved.
    pub(crate) lost: u64,
    /// The most workers who were busy at once.
    pub(crate) peak_busy: u64,
}

/// What can be seen from the street.
pub(crate) trait Facade {
    /// Workers with a customer.
    fn busy(&self) -> usize;
    /// The books so far.
    fn tally(&self) -> Tally;
}

impl<P, I, N> Shop<P, I, N> {
    /// A customer waits a twentieth of the run for a worker, a second at most.
    pub(crate) fn new(payment: P, inventory: I, notification: N, stage: &Stage) -> Self {
        Self {
            payment,
            inventory,
            notification,
            workers: Semaphore::new(WORKERS),
            patience: stage.at(0.05).min(Duration::from_secs(1)),
            counts: Counts::default(),
        }
    }
}

impl<P, I, N> Facade for Shop<P, I, N> {
    fn busy(&self) -> usize {
        WORKERS - self.workers.available_permits()
    }

    fn tally(&self) -> Tally {
        let counts = &self.counts;
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Tally {
            calls: std::array::from_fn(|dependency| read(&counts.calls[dependency])),
            arrived: read(&counts.arrived),
            left: read(&counts.left),
            paid: read(&counts.paid),
            pay_later: read(&counts.pay_later),
            lost: read(&counts.lost),
            peak_busy: read(&counts.peak_busy),
        }
    }
}

impl<P, I, N> Shop<P, I, N>
where
    P: Payment + Send + Sync + 'static,
    I: Inventory + Send + Sync + 'static,
    N: Notification + Send + Sync + 'static,
{
    /// Opens the shop for the length of the run, or until `stopped`, then lets those inside finish;
    /// a client that takes longer is sent home, and its calls are cancelled.
    pub(crate) async fn trade(
        self: Arc<Self>,
        stage: Arc<Stage>,
        crowd: Crowd,
        stopped: watch::Receiver<bool>,
    ) {
        let (mut customers, mut letters) = (JoinSet::new(), JoinSet::new());
        tokio::join!(
            self.welcome(&stage, crowd, stopped.clone(), &mut customers),
            self.send_newsletter(&stage, crowd.blast, stopped, &mut letters),
        );
        let last_out = async { tokio::join!(all_out(&mut customers), all_out(&mut letters)) };
        // Whether or not they made it: nothing may be left running when the books are closed.
        let _ = tokio::time::timeout(CLOSING, last_out).await;
        customers.shutdown().await;
        letters.shutdown().await;
    }

    /// Customers come one by one, at random, at the same moments for the same seed, and whether or
    /// not the shop keeps up (an open loop).
    async fn welcome(
        self: &Arc<Self>,
        stage: &Stage,
        crowd: Crowd,
        mut stopped: watch::Receiver<bool>,
        customers: &mut JoinSet<()>,
    ) {
        let entropy = Entropy::seeded(crowd.seed);
        let mut next_s = 0.0;
        for order in 0.. {
            // The time between two arrivals of a Poisson process.
            next_s += -(1.0 - entropy.unit()).ln() / f64::from(crowd.rate);
            let next = Duration::from_secs_f64(next_s);
            if next >= stage.length() || wait_for(stage, next, &mut stopped).await.is_err() {
                return;
            }
            let cents = 500 + entropy.next_u64() % 20_000;
            let shop = Arc::clone(self);
            customers.spawn(async move { shop.serve(order, cents).await });
            while customers.try_join_next().inspect(finished).is_some() {}
        }
    }

    /// The marketing department asks for messages by the hundred, and needs no worker for it.
    async fn send_newsletter(
        self: &Arc<Self>,
        stage: &Stage,
        blast: Option<Blast>,
        mut stopped: watch::Receiver<bool>,
        letters: &mut JoinSet<()>,
    ) {
        let Some(blast) = blast else { return };
        let (mut next, mut number) = (blast.from, FIRST_NEWSLETTER);
        while next < blast.to && wait_for(stage, next, &mut stopped).await.is_ok() {
            for _ in 0..blast.size {
                let (shop, letter) = (Arc::clone(self), number);
                letters.spawn(async move { shop.notify(letter).await });
                number += 1;
            }
            // The next hundred when these are out: a slow machine has its flood, too, not a deluge.
            tokio::select! {
                () = all_out(letters) => {}
                _ = stopped.wait_for(|stopped| *stopped) => return,
            }
            next = (next + blast.every).max(stage.elapsed());
        }
    }

    async fn serve(&self, order: u64, cents: u64) {
        self.counts.arrived.fetch_add(1, Ordering::Relaxed);
        match tokio::time::timeout(self.patience, self.workers.acquire()).await {
            Ok(_worker) => {
                self.counts.peak_busy.fetch_max(self.busy() as u64, Ordering::Relaxed);
                self.checkout(order, cents).await;
            }
            Err(_) => {
                self.counts.left.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    async fn checkout(&self, order: u64, cents: u64) {
        self.count(INVENTORY);
        if self.inventory.reserve(order).await.is_err() {
            self.counts.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.count(PAYMENT);
        // An error, too, is paid later: the bare shop has the same habit, only no guard.
        let paid = matches!(self.payment.charge(order, cents).await, Ok(Receipt::Charged));
        self.notify(order).await;
        let served = if paid { &self.counts.paid } else { &self.counts.pay_later };
        served.fetch_add(1, Ordering::Relaxed);
    }

    async fn notify(&self, order: u64) {
        self.count(NOTIFICATION);
        // A confirmation that cannot be sent spoils no sale; the failure is in the dependency's books.
        let _ = self.notification.send(order).await;
    }

    fn count(&self, dependency: usize) {
        self.counts.calls[dependency].fetch_add(1, Ordering::Relaxed);
    }
}

/// Waits for `point` in the run; an error if the shop is told to close first.
async fn wait_for(
    stage: &Stage,
    point: Duration,
    stopped: &mut watch::Receiver<bool>,
) -> Result<(), ()> {
    tokio::select! {
        () = stage.sleep_until(point) => Ok(()),
        _ = stopped.wait_for(|stopped| *stopped) => Err(()),
    }
}

async fn all_out(guests: &mut JoinSet<()>) {
    while guests.join_next().await.inspect(finished).is_some() {}
}

/// A panic in a customer's task is a bug in this example: pass it on instead of counting on.
fn finished(ended: &Result<(), JoinError>) {
    if let Err(error) = ended {
        assert!(!error.is_panic(), "a customer's task panicked: {error}");
    }
}
