//! A struct, and no trait.

use super::pre::*;

pub struct HttpPayments {
    base: String,
}

#[derive(Debug, thiserror::Error)]
pub enum PaymentError {
    #[error("declined")]
    Declined,
    #[error(transparent)]
    Fault(#[from] Fault),
}

#[resilient(client = PaymentsClient, classify = class)]
impl HttpPayments {
    pub fn new(base: &str) -> Self {
        Self { base: base.into() }
    }

    /// Charges.
    pub async fn charge(&self, order: &str, cents: u64) -> Result<String, PaymentError> {
        self.log(order).await;
        hit!(Ok(format!("{}/{order}: {cents}", self.base)))
    }

    /// Safe to repeat.
    #[call(idempotent, timeout = "300ms")]
    pub async fn balance(&self, (a, b): (u64, u64)) -> Result<u64, PaymentError> {
        hit!(if a > b { Ok(a - b) } else { Err(PaymentError::Declined) })
    }

    #[call(on_fault = nobody)]
    pub(crate) async fn waiting(&self) -> u32 {
        hit!(3)
    }

    /// Private: part of what the others do.
    async fn log(&self, _: &str) {}
}

fn nobody(_: Fault) -> u32 {
    0
}

fn class<T>(answer: &Result<T, PaymentError>) -> seawall::Class {
    match answer {
        Err(PaymentError::Declined) => seawall::Class::Ignored,
        Err(_) => seawall::Class::Failure,
        Ok(_) => seawall::Class::Success,
    }
}

#[tokio::test]
async fn every_method_is_guarded() {
    let seawall = start();
    let it: PaymentsClient = seawall.spawn("it", HttpPayments::new("a")).await.unwrap();
    let look = Look::at(&seawall);
    look.method("charge", || it.charge("order 7", 1299)).await;
    look.method("balance", || it.balance((3, 1))).await;
    look.method("waiting", || it.waiting()).await;
    assert_eq!(it.charge("7", 1).await.unwrap(), "a/7: 1");
    let it = it.clone();
    assert_eq!(tokio::spawn(async move { it.balance((3, 1)).await }).await.unwrap().unwrap(), 2);
}
