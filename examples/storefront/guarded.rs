//! The shop behind Seawall: three clients, one policy file, one metrics page.

use std::error::Error;
use std::sync::Arc;

use seawall::CallOutcome;
use seawall::prelude::*;
use seawall::{Outcome, Snapshot};

use crate::args::Args;
use crate::dependencies::{Http, InventoryClient, NotificationClient, PaymentClient};
use crate::policy;
use crate::reading::{
    Counts, Guards, INVENTORY, NAMES, NOTIFICATION, PAYMENT, Read, Reading, Readings, Step,
};
use crate::services::Services;
use crate::shop::Shop;
use crate::stage::Stage;

type GuardedShop = Shop<PaymentClient<Http>, InventoryClient<Http>, NotificationClient<Http>>;

/// An open shop and what guards it.
pub(crate) struct Guarded {
    pub(crate) seawall: Seawall,
    pub(crate) shop: GuardedShop,
    pub(crate) read: Read,
}

/// Starts Seawall, and spawns a supervised client for each service.
pub(crate) async fn open(
    services: &Services,
    stage: &Arc<Stage>,
    args: &Args,
) -> Result<Guarded, Box<dyn Error>> {
    let seawall = Seawall::builder()
        .policy_text(policy::NAME, policy::text(args.seconds, args.rate))
        .prometheus("127.0.0.1:0")
        .seed(args.seed)
        .start()?;
    let payment: PaymentClient<Http> =
        seawall.spawn(NAMES[PAYMENT], Http::new(services.url(PAYMENT))?).await?;
    let inventory: InventoryClient<Http> =
        seawall.spawn(NAMES[INVENTORY], Http::new(services.url(INVENTORY))?).await?;
    let notification: NotificationClient<Http> =
        seawall.spawn(NAMES[NOTIFICATION], Http::new(services.url(NOTIFICATION))?).await?;
    let shop = Shop::new(payment, inventory, notification, stage);

    let handles = NAMES.map(|name| seawall.dependency(name));
    let stage = Arc::clone(stage);
    let read = move || {
        Readings(std::array::from_fn(|i| {
            handles[i]
                .as_ref()
                .map(|handle| reading(&handle.snapshot(), &stage))
                .unwrap_or_default()
        }))
    };
    Ok(Guarded { seawall, shop, read: Arc::new(read) })
}

impl Guarded {
    /// Where the metrics can be read while the run lasts.
    pub(crate) fn metrics_url(&self) -> Option<String> {
        self.seawall.metrics_address().map(|address| format!("http://{address}/metrics"))
    }
}

/// A snapshot in the words that both kinds of run share.
fn reading(snapshot: &Snapshot, stage: &Stage) -> Reading {
    use CallOutcome::{
        Cancelled, DeadlineExceeded, Failure, Fallback, Ignored, Panicked, Success, TimedOut,
        Unavailable,
    };
    let calls = |outcomes: &[CallOutcome]| outcomes.iter().map(|o| snapshot.calls(*o)).sum::<u64>();
    let mut rejected: std::collections::BTreeMap<&'static str, u64> =
        RejectedBy::ALL.iter().map(|by| (by.as_str(), snapshot.rejected_calls(*by))).collect();
    rejected.insert("unavailable", calls(&[Unavailable]));
    rejected.retain(|_, count| *count > 0);
    Reading {
        counts: Counts {
            success: calls(&[Success]),
            failure: calls(&[Failure, Ignored, TimedOut, DeadlineExceeded, Panicked]),
            fallback: calls(&[Fallback]),
            cancelled: calls(&[Cancelled]),
            rejected,
        },
        timeouts: calls(&[TimedOut, DeadlineExceeded]),
        retries: snapshot.retries,
        active: snapshot.active,
        guards: Some(Guards {
            state: snapshot.state().as_str(),
            limit: snapshot.limit,
            waiting: snapshot.mailbox.waiting,
            capacity: snapshot.capacity,
        }),
        transitions: snapshot
            .breaker
            .transitions
            .iter()
            .map(|step| Step {
                at: stage.since_start(step.at),
                from: step.from.as_str(),
                to: step.to.as_str(),
            })
            .collect(),
        refusals: RejectedBy::ALL
            .iter()
            .map(|by| (by.as_str(), snapshot.rejections(*by)))
            .filter(|(_, count)| *count > 0)
            .collect(),
        attempts_timed_out: snapshot.attempts(Outcome::TimedOut),
        p50: snapshot.quantile(0.5),
        p99: snapshot.quantile(0.99),
    }
}
