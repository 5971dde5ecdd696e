//! `#[seawall::retry]`: functions that make attempts.

use std::fmt::Debug;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use seawall::retry::{Budget, BudgetConfig, Config};

static AT_ONCE: LazyLock<Config> =
    LazyLock::new(|| Config::builder().max_attempts(3).base_delay(Duration::ZERO).build().unwrap());

#[derive(Debug, PartialEq)]
enum Error {
    Late(u32),
    Wrong,
}

impl From<std::num::ParseIntError> for Error {
    fn from(_: std::num::ParseIntError) -> Self {
        Self::Wrong
    }
}

fn is_late(error: &Error) -> bool {
    matches!(error, Error::Late(_))
}

/// Fails until its third attempt; what it is given is used up by each.
#[seawall::retry(*AT_ONCE, when = is_late)]
async fn third(made: &AtomicU32, mut text: String, number: &str) -> Result<String, Error> {
    tokio::task::yield_now().await;
    let attempt = made.fetch_add(1, Ordering::Relaxed) + 1;
    let number: u32 = number.parse()?;
    text.push('!');
    if attempt < 3 {
        return Err(Error::Late(attempt));
    }
    Ok(format!("{text} {number}"))
}

#[tokio::test]
async fn every_attempt_gets_arguments_of_its_own() {
    let made = AtomicU32::new(0);
    assert_eq!(third(&made, "hi".into(), "7").await, Ok("hi! 7".into()));
    assert_eq!(made.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn an_error_that_is_not_worth_it_ends_it() {
    let made = AtomicU32::new(0);
    assert_eq!(third(&made, "hi".into(), "seven").await, Err(Error::Wrong));
    assert_eq!(made.load(Ordering::Relaxed), 1);
}

#[derive(Default)]
struct Shop {
    asked: AtomicU32,
}

impl Shop {
    #[seawall::retry(&AT_ONCE)]
    async fn price<T: Clone + Debug + Send>(&self, of: T) -> Result<String, Error> {
        match self.asked.fetch_add(1, Ordering::Relaxed) {
            0 => Err(Error::Late(0)),
            _ => Ok(format!("{of:?}")),
        }
    }

    /// Blocks.
    #[seawall::retry(Config::builder().max_delay(Duration::ZERO).build().unwrap_or_default())]
    fn count(&self) -> Result<u32, u32> {
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        if asked < 2 { Err(asked) } else { Ok(asked) }
    }
}

#[tokio::test]
async fn methods_and_generics_are_retried_too_and_can_be_spawned() {
    let price = tokio::spawn(async { Shop::default().price(vec![1]).await });
    assert_eq!(price.await.unwrap(), Ok("[1]".into()));
}

#[test]
fn a_function_that_blocks_is_retried_on_its_thread() {
    assert_eq!(Shop::default().count(), Ok(2));
}

static BUDGET: LazyLock<Budget> = LazyLock::new(|| {
    Budget::new(&BudgetConfig::builder().ratio(0.0).min_per_second(0.1).build().unwrap())
});

/// There is one retry in the budget.
#[seawall::retry(*AT_ONCE, budget = *BUDGET, within = "1m", retry_after = |_| None)]
async fn never(made: &AtomicU32) -> Result<(), u32> {
    Err(made.fetch_add(1, Ordering::Relaxed))
}

#[tokio::test]
async fn a_budget_is_shared_by_all_calls_of_the_function() {
    let made = AtomicU32::new(0);
    assert_eq!((never(&made).await, never(&made).await), (Err(1), Err(2)));
}
