//! Generated clients at work.
#![allow(clippy::unwrap_used)] // a test may panic

use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use seawall::client::Proxy;
use seawall::limit::headers::Report;
use seawall::{CallError, Class, Fault, RejectedBy, Seawall, resilient};

use crate::harness::{isolate, seawall, seawall_that_tries};

#[derive(Clone, Debug, PartialEq, Eq)]
enum PaymentError {
    Declined,
    Busy,
    Refused(Fault),
}

impl From<Fault> for PaymentError {
    fn from(fault: Fault) -> Self {
        Self::Refused(fault)
    }
}

type Answer<T> = Result<T, PaymentError>;

/// What the payment service offers.
#[resilient]
trait Payments {
    /// Never retried: a second attempt could charge twice.
    async fn charge(&self, order: Order, cents: u64) -> Answer<String>;

    #[call(idempotent, timeout = "300ms", retry = 3)]
    async fn balance(&self, account: &str, region: String) -> Answer<u64>;

    #[call(idempotent, retry(max_attempts = 5, when = is_busy))]
    async fn when(&self) -> Answer<()>;

    #[call(idempotent, retry = 5, classify = declined_is_fine)]
    async fn classified(&self) -> Answer<()>;

    #[call(fallback = last_known)]
    async fn cached(&self, account: &str, region: String) -> Answer<u64>;

    #[call(skip)]
    async fn ping(&self) -> u32;

    fn name(&self) -> &str;

    async fn twice(&self, order: Order) -> Answer<String> {
        let first = self.charge(order.clone(), 1).await?;
        let second = self.charge(order, 2).await?;
        Ok(first + &second)
    }
}

/// Cannot be used twice, unless cloned.
#[derive(Clone, Debug)]
struct Order(&'static str);

fn is_busy(error: &PaymentError) -> bool {
    *error == PaymentError::Busy
}

fn declined_is_fine(result: &Answer<()>) -> Class {
    match result {
        Ok(()) => Class::Success,
        Err(PaymentError::Declined) => Class::Ignored,
        Err(_) => Class::Failure,
    }
}

async fn last_known<S: Payments>(
    service: &S,
    error: &CallError<PaymentError>,
    account: &str,
    region: String,
) -> Answer<u64> {
    assert_eq!(service.name(), "bank");
    assert!(matches!(error, CallError::Inner(PaymentError::Declined) | CallError::Fault(_)));
    Ok(u64::try_from(account.len() + region.len()).unwrap_or(u64::MAX))
}

/// Answers with the errors it was given, last first, and well after that.
#[derive(Default)]
struct Bank {
    errors: Mutex<Vec<PaymentError>>,
    attempts: AtomicU32,
}

impl Bank {
    fn failing(errors: impl IntoIterator<Item = PaymentError>) -> Self {
        Self { errors: Mutex::new(errors.into_iter().collect()), attempts: AtomicU32::new(0) }
    }
    async fn answer<T>(&self, answer: T) -> Answer<T> {
        self.attempts.fetch_add(1, Ordering::Relaxed);
        tokio::task::yield_now().await;
        self.errors.lock().unwrap().pop().map_or(Ok(answer), Err)
    }
    fn attempts(&self) -> u32 {
        self.attempts.load(Ordering::Relaxed)
    }
}

impl Payments for Bank {
    async fn charge(&self, order: Order, cents: u64) -> Answer<String> {
        self.answer(format!("{}:{cents};", order.0)).await
    }
    async fn balance(&self, account: &str, region: String) -> Answer<u64> {
        assert_eq!((account, region.as_str()), ("a", "eu"));
        self.answer(7).await
    }
    async fn when(&self) -> Answer<()> {
        self.answer(()).await
    }
    async fn classified(&self) -> Answer<()> {
        self.answer(()).await
    }
    async fn cached(&self, _: &str, _: String) -> Answer<u64> {
        self.answer(7).await
    }
    async fn ping(&self) -> u32 {
        self.attempts()
    }
    fn name(&self) -> &str {
        "bank"
    }
}

async fn client(bank: Bank) -> PaymentsClient<Bank> {
    PaymentsClient::spawn(&seawall_that_tries(5), "payments", bank).await.unwrap()
}

#[tokio::test]
async fn a_client_answers_as_its_service_does() {
    let client = client(Bank::failing([PaymentError::Declined])).await;
    assert_eq!(client.charge(Order("o"), 3).await, Err(PaymentError::Declined));
    assert_eq!(client.charge(Order("o"), 3).await.as_deref(), Ok("o:3;"));
    assert_eq!(client.service().attempts(), 2);
}

#[tokio::test]
async fn the_annotation_on_the_left_picks_the_client() {
    let seawall = seawall();
    let client: PaymentsClient<Bank> = seawall.spawn("payments", Bank::default()).await.unwrap();
    assert_eq!(client.balance("a", "eu".into()).await, Ok(7));
}

#[tokio::test]
async fn calls_run_as_tasks_of_their_own() {
    let client = client(Bank::default()).await;
    let tasks: Vec<_> = (0..10)
        .map(|cents| {
            let client = client.clone();
            tokio::spawn(async move { client.charge(Order("o"), cents).await })
        })
        .collect();
    for (cents, task) in tasks.into_iter().enumerate() {
        assert_eq!(task.await.unwrap(), Ok(format!("o:{cents};")));
    }
    assert_eq!(client.service().attempts(), 10);
}

#[tokio::test]
async fn a_client_stands_in_for_its_service() {
    async fn pay(with: impl Payments) -> Answer<String> {
        with.twice(Order("o")).await
    }
    let client = client(Bank::default()).await;
    assert_eq!(pay(Bank::default()).await.as_deref(), Ok("o:1;o:2;"));
    assert_eq!(pay(client.clone()).await.as_deref(), Ok("o:1;o:2;"));
    // A default body runs in the service: one guarded call, however many it makes inside.
    assert_eq!(client.service().attempts(), 2);
}

#[tokio::test]
async fn only_idempotent_methods_are_attempted_again() {
    let client = client(Bank::failing([PaymentError::Busy, PaymentError::Busy])).await;
    assert_eq!(client.balance("a", "eu".into()).await, Ok(7));
    assert_eq!(client.service().attempts(), 3);

    let client = self::client(Bank::failing([PaymentError::Busy])).await;
    assert_eq!(client.charge(Order("o"), 1).await, Err(PaymentError::Busy));
    assert_eq!(client.service().attempts(), 1);
}

#[tokio::test]
async fn only_errors_worth_it_are_attempted_again() {
    let errors = [PaymentError::Busy, PaymentError::Declined, PaymentError::Busy];
    let client = client(Bank::failing(errors)).await;
    assert_eq!(client.when().await, Err(PaymentError::Declined));
    assert_eq!(client.service().attempts(), 2);
}

#[tokio::test]
async fn answers_are_classified_in_the_users_way() {
    let client = client(Bank::failing([PaymentError::Declined, PaymentError::Busy])).await;
    assert_eq!(client.classified().await, Err(PaymentError::Declined));
    assert_eq!(client.service().attempts(), 2);
}

#[tokio::test]
async fn a_fallback_answers_for_a_failure() {
    let client = client(Bank::failing([PaymentError::Declined])).await;
    assert_eq!(client.cached("abc", "eu".into()).await, Ok(5));
    assert_eq!(client.cached("abc", "eu".into()).await, Ok(7));
}

#[tokio::test]
async fn a_fault_comes_out_as_the_users_error() {
    let seawall = seawall();
    let client = PaymentsClient::spawn(&seawall, "payments", Bank::default()).await.unwrap();
    isolate(&seawall, "payments").await;
    let refused = client.charge(Order("o"), 1).await;
    assert!(matches!(refused, Err(PaymentError::Refused(Fault::Rejected { .. }))), "{refused:?}");
    assert_eq!(client.service().attempts(), 0);
}

#[tokio::test]
async fn a_fallback_answers_for_a_fault() {
    let seawall = seawall();
    let client = PaymentsClient::spawn(&seawall, "payments", Bank::default()).await.unwrap();
    isolate(&seawall, "payments").await;
    assert_eq!(client.cached("abc", "eu".into()).await, Ok(5));
}

#[tokio::test]
async fn what_is_skipped_passes_no_guard() {
    let seawall = seawall();
    let client = PaymentsClient::spawn(&seawall, "payments", Bank::default()).await.unwrap();
    isolate(&seawall, "payments").await;
    assert_eq!((client.ping().await, client.name()), (0, "bank"));
}

#[test]
fn the_methods_are_described() {
    let methods = PaymentsClient::<Bank>::METHODS;
    let names: Vec<_> = methods.iter().map(|method| method.name).collect();
    assert_eq!(names, ["charge", "balance", "when", "classified", "cached", "twice"]);
    let balance = methods[1];
    assert!(balance.idempotent && !balance.fallback);
    assert_eq!(balance.timeout, Some(Duration::from_millis(300)));
    assert_eq!(balance.max_attempts, Some(3));
    assert!(!methods[0].idempotent && methods[4].fallback);
}

#[tokio::test]
async fn a_client_shows_and_copies_itself_whatever_its_service_can() {
    let client = client(Bank::default()).await;
    assert!(format!("{:?}", client.clone()).starts_with("PaymentsClient(Link"));
    assert_eq!(size_of_val(&client), 2 * size_of::<usize>());
}

/// Answers with what is left, by this method's account or by the trait's.
#[resilient(errors = "wrapped", quota = plainly)]
trait Metered {
    async fn left(&self, left: u64) -> io::Result<u64>;
    #[call(quota = in_tens)]
    async fn tens(&self, left: u64) -> io::Result<u64>;
}

fn plainly(answer: &io::Result<u64>) -> Option<Report> {
    let remaining = Some(*answer.as_ref().ok()?);
    Some(Report { remaining, reset_after: Some(Duration::from_secs(60)), ..Report::default() })
}

fn in_tens(answer: &io::Result<u64>) -> Option<Report> {
    plainly(&Ok(answer.as_ref().ok()? * 10))
}

struct Meter;

impl Metered for Meter {
    async fn left(&self, left: u64) -> io::Result<u64> {
        Ok(left)
    }
    async fn tens(&self, left: u64) -> io::Result<u64> {
        Ok(left)
    }
}

#[tokio::test]
async fn what_answers_say_of_a_quota_is_read_in_the_users_way() {
    let policy = "[defaults.quota]\nslow_below = 0\n";
    let seawall = Seawall::builder().policy_text("test.toml", policy).start().unwrap();
    let plain = MeteredClient::spawn(&seawall, "plain", Meter).await.unwrap();
    let tens = MeteredClient::spawn(&seawall, "tens", Meter).await.unwrap();
    assert!(plain.left(1).await.is_ok() && tens.tens(1).await.is_ok());
    assert!(plain.left(0).await.is_ok());
    let refused = plain.left(1).await;
    let by = |fault: &Fault| matches!(fault, Fault::Rejected { by: RejectedBy::RateLimit, .. });
    assert!(matches!(&refused, Err(CallError::Fault(fault)) if by(fault)), "{refused:?}");
    assert!(tens.tens(1).await.is_ok() && tens.tens(1).await.is_ok());
}

#[resilient(errors = "wrapped")]
trait Wrapped {
    type Item;
    #[call(idempotent)]
    async fn get(&self, key: &str) -> io::Result<Self::Item>;
}

impl Wrapped for Bank {
    type Item = usize;
    async fn get(&self, key: &str) -> io::Result<usize> {
        if key.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(key.len()) }
    }
}

#[tokio::test]
async fn wrapped_errors_tell_faults_and_errors_apart() {
    let client = WrappedClient::spawn(&seawall(), "items", Bank::default()).await.unwrap();
    assert!(matches!(client.get("ab").await, Ok(2)));
    assert!(
        matches!(client.get("").await, Err(CallError::Inner(e)) if e.kind() == io::ErrorKind::NotFound)
    );
    let seawall = seawall();
    let client: WrappedClient<Bank> = seawall.spawn("items", Bank::default()).await.unwrap();
    isolate(&seawall, "items").await;
    assert!(matches!(client.get("ab").await, Err(CallError::Fault(Fault::Rejected { .. }))));
}

fn told(fault: Fault) -> String {
    format!("told: {fault}")
}

#[resilient(fault_with = told)]
trait Told {
    async fn get(&self) -> Result<(), String>;
}

impl Told for Bank {
    async fn get(&self) -> Result<(), String> {
        Err(String::from("own"))
    }
}

#[tokio::test]
async fn faults_are_told_in_the_users_words() {
    let client = ToldClient::spawn(&seawall(), "told", Bank::default()).await.unwrap();
    assert_eq!(client.get().await, Err(String::from("own")));
    let seawall = seawall();
    let client = ToldClient::spawn(&seawall, "told", Bank::default()).await.unwrap();
    isolate(&seawall, "told").await;
    let error = client.get().await.unwrap_err();
    assert!(error.starts_with("told: ") && error.contains("rejected"), "{error}");
}
