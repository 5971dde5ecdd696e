//! The smallest Seawall: a trait, a service, a policy, a call.

use std::time::Duration;

use seawall::prelude::*;

/// What the payment service offers.
#[resilient(errors = "wrapped")]
trait Payments {
    /// Charges a card. Never retried: a second attempt could charge twice.
    async fn charge(&self, order: u64, cents: u64) -> Result<String, std::io::Error>;
}

/// Stands in for an HTTP client.
struct Bank;

impl Payments for Bank {
    async fn charge(&self, order: u64, cents: u64) -> Result<String, std::io::Error> {
        Ok(format!("order {order} paid: {}.{:02}", cents / 100, cents % 100))
    }
}

const POLICY: &str = r#"
[payments]
timeout  = "800ms"
breaker  = { failure_rate = 0.5, min_calls = 20, window = "30s", open_for = "60s" }
bulkhead = { max_concurrent = 20, max_wait = "250ms" }
"#;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seawall = Seawall::builder().policy_text("seawall.toml", POLICY).start()?;
    let payments: PaymentsClient<Bank> = seawall.spawn("payments", Bank).await?;

    println!("{}", payments.charge(42, 1_299).await?);
    println!("breaker: {}", seawall.snapshots()[0].state());

    seawall.shutdown(Duration::from_secs(1)).await;
    Ok(())
}
