//! What the shop depends on: three traits, and the HTTP clients behind them.

use std::error::Error;
use std::fmt;

use seawall::prelude::*;
use serde_json::{Value, json};

/// Takes the money.
#[resilient]
pub(crate) trait Payment {
    /// Charges a card. Never retried: a second attempt could charge twice. When payment cannot
    /// answer, the order is kept and paid for later, so that the checkout goes on.
    #[call(fallback = pay_later)]
    async fn charge(&self, order: u64, cents: u64) -> Result<Receipt, ShopError>;
}

/// Keeps the stock.
#[resilient]
pub(crate) trait Inventory {
    /// Sets the goods of an order aside.
    async fn reserve(&self, order: u64) -> Result<(), ShopError>;
}

/// Talks to customers.
#[resilient]
pub(crate) trait Notification {
    /// Confirms an order. Safe to repeat: the service sends one message an order.
    #[call(idempotent)]
    async fn send(&self, order: u64) -> Result<(), ShopError>;
}

/// How an order was paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Receipt {
    /// By card, now.
    Charged,
    /// It is in the queue of orders to charge once payment is back.
    PayLater,
}

/// Payment's degraded answer: sell now, charge when the service is back.
async fn pay_later<S>(
    _payment: &S,
    _why: &CallError<ShopError>,
    _order: u64,
    _cents: u64,
) -> Result<Receipt, ShopError> {
    Ok(Receipt::PayLater)
}

/// Why a dependency did not do what it was asked.
#[derive(Debug)]
pub(crate) enum ShopError {
    /// It answered with this status.
    Status(u16),
    /// The connection failed.
    Connection(reqwest::Error),
    /// Seawall answered in its place.
    Fault(Fault),
}

impl fmt::Display for ShopError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "answered {status}"),
            Self::Connection(error) => error.fmt(f),
            Self::Fault(fault) => fault.fmt(f),
        }
    }
}

impl Error for ShopError {}

impl From<Fault> for ShopError {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<reqwest::Error> for ShopError {
    fn from(error: reqwest::Error) -> Self {
        Self::Connection(error)
    }
}

/// A plain HTTP client for one endpoint. It sets no timeout, as reqwest does not: that is the
/// policy's business.
#[derive(Debug)]
pub(crate) struct Http {
    client: reqwest::Client,
    url: String,
}

impl Http {
    pub(crate) fn new(url: String) -> Result<Self, reqwest::Error> {
        // Loopback is not to be reached through a proxy that the environment names.
        // Its own retries are off: no budget would see them.
        let client = reqwest::Client::builder().retry(reqwest::retry::never()).no_proxy();
        Ok(Self { client: client.build()?, url })
    }

    async fn post(&self, body: &Value) -> Result<(), ShopError> {
        let response = self.client.post(&self.url).json(body).send().await?;
        let status = response.status();
        // Read to the end, so that the connection can be used again.
        response.bytes().await?;
        if status.is_success() { Ok(()) } else { Err(ShopError::Status(status.as_u16())) }
    }
}

impl Payment for Http {
    async fn charge(&self, order: u64, cents: u64) -> Result<Receipt, ShopError> {
        self.post(&json!({ "order": order, "cents": cents })).await?;
        Ok(Receipt::Charged)
    }
}

impl Inventory for Http {
    async fn reserve(&self, order: u64) -> Result<(), ShopError> {
        self.post(&json!({ "order": order })).await
    }
}

impl Notification for Http {
    async fn send(&self, order: u64) -> Result<(), ShopError> {
        self.post(&json!({ "order": order })).await
    }
}
