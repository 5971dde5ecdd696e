//! Nothing says which client it is to be.

use seawall::prelude::*;

#[resilient]
pub trait Rates {
    async fn euro_in(&self, currency: &str) -> std::io::Result<f64>;
}

struct Bank;

impl Rates for Bank {
    async fn euro_in(&self, _: &str) -> std::io::Result<f64> {
        Ok(1.08)
    }
}

async fn start(seawall: Seawall) -> Result<(), Box<dyn std::error::Error>> {
    let rates = seawall.spawn("rates", Bank).await?;
    Ok(())
}

fn main() {}
