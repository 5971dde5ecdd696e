//! The README's twenty lines: a trait, a service behind it that is down, and an answer nevertheless.
#![expect(clippy::print_stdout, reason = "that is what it is for")]

use seawall::prelude::*;

/// What a bank knows.
#[resilient]
pub trait Rates {
    /// Safe to repeat, so it is retried; a deadline of its own, and a degraded answer.
    #[call(idempotent, timeout = "300ms", fallback = yesterdays)]
    async fn euro_in(&self, currency: &str) -> Result<f64, std::io::Error>;
}

struct Bank; // yours: an HTTP client, a driver, a mock

impl Rates for Bank {
    async fn euro_in(&self, _currency: &str) -> Result<f64, std::io::Error> {
        Err(std::io::ErrorKind::ConnectionRefused.into())
    }
}

async fn yesterdays<S>(
    _: &S,
    _why: &CallError<std::io::Error>,
    _: &str,
) -> Result<f64, std::io::Error> {
    Ok(1.08)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let policy = r#"rates.retry = { max_attempts = 3, base_delay = "10ms" }"#;
    let seawall = Seawall::builder().policy_text("rates.toml", policy).start()?;
    let rates: RatesClient<Bank> = seawall.spawn("rates", Bank).await?;
    assert_eq!(rates.euro_in("USD").await?, 1.08); // three refused connections later
    println!("{:?}", seawall.dependency("rates").map(|rates| rates.snapshot().retries)); // Some(2)
    seawall.shutdown(std::time::Duration::from_secs(5)).await;
    Ok(())
}
