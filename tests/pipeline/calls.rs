//! Calls by closures, without a trait.

use std::cell::Cell;
use std::io;

use seawall::CallOutcome;
use seawall::prelude::*;
use seawall::runtime::OTHER;

use seawall_tests::ready;

fn seawall() -> Seawall {
    let policy = "bank.retry = { max_attempts = 3, base_delay = \"1ms\" }";
    Seawall::builder().policy_text("bank.toml", policy).start().unwrap()
}

#[tokio::test]
async fn a_closure_is_guarded_and_counted_under_its_method() {
    let seawall = seawall();
    let bank = seawall.calls("bank", &["balance", "transfer"]).await.unwrap();
    assert_eq!(bank.call("balance", || async { io::Result::Ok(7) }).await.unwrap(), 7);
    let handle = seawall.dependency("bank").unwrap();
    handle.force_open().await.unwrap();
    let reached = Cell::new(false);
    let refused = bank
        .call("balance", || async {
            reached.set(true);
            io::Result::Ok(())
        })
        .await;
    assert!(matches!(refused, Err(CallError::Fault(Fault::Rejected { .. }))), "{refused:?}");
    assert!(!reached.get());
    let methods = handle.snapshot().methods;
    let calls = |name: &str| {
        let method = methods.iter().find(|method| method.name == name).unwrap();
        (method.calls(CallOutcome::Success), method.calls(CallOutcome::Rejected))
    };
    assert_eq!((calls("balance"), calls("transfer")), ((1, 1), (0, 0)));
}

#[tokio::test]
async fn only_what_is_said_to_be_idempotent_is_attempted_again() {
    let seawall = seawall();
    let bank = seawall.calls("bank", &["balance"]).await.unwrap();
    let attempts = Cell::new(0);
    let fail = || async {
        attempts.set(attempts.get() + 1);
        Err::<(), _>(io::Error::from(io::ErrorKind::ConnectionRefused))
    };
    assert!(bank.call("balance", fail).await.is_err());
    assert_eq!(attempts.replace(0), 1);
    assert!(bank.call_idempotent("balance", fail).await.is_err());
    assert_eq!(attempts.get(), 3);
}

#[test]
fn names_that_were_not_declared_are_counted_together() {
    let seawall = seawall();
    let bank = ready(seawall.calls("bank", &["balance"])).unwrap();
    for name in ["a", "b", "balance of account 7"] {
        ready(bank.call(name, || async { io::Result::Ok(()) })).unwrap();
    }
    let snapshot = seawall.dependency("bank").unwrap().snapshot();
    let names: Vec<_> = snapshot.methods.iter().map(|method| method.name).collect();
    assert_eq!(names, ["balance", OTHER]);
    assert_eq!(snapshot.methods[1].calls(CallOutcome::Success), 3);
}
