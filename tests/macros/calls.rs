//! Generated clients at work.

use seawall::Fault;

#[derive(Debug, Clone, PartialEq)]
pub enum PaymentError {
    Declined,
    Fault(Fault),
}
impl From<Fault> for PaymentError {
    fn from(f: Fault) -> Self {
        Self::Fault(f)
    }
}

/// What the payment service offers.
#[seawall::resilient]
pub trait Payments {
    /// Charges.
    async fn charge(&self, order: String, cents: u64) -> Result<u64, PaymentError>;
    /// Balance.
    #[call(idempotent, timeout = "300ms", retry(max_attempts = 3, when = worth_it), fallback = last_known)]
    async fn balance(&self, account: &str, region: String) -> Result<u64, PaymentError>;
}

fn worth_it(_: &PaymentError) -> bool {
    true
}
async fn last_known<S: Payments>(
    _: &S,
    _: &seawall::CallError<PaymentError>,
    account: &str,
    region: String,
) -> Result<u64, PaymentError> {
    Ok((account.len() + region.len()) as u64)
}
