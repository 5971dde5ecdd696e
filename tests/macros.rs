//! `#[resilient]` from the outside: what it accepts, what it refuses and in which words, and that what it
//! generates does what the trait says.

#[path = "ui/pass/mod.rs"]
mod accepts;
#[path = "macros/calls.rs"]
mod calls;
#[path = "macros/harness.rs"]
mod harness;
#[path = "macros/retried.rs"]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod retried;

/// The compiler whose words stand beside the mistakes. Another one says the same in words of its own.
const RECORDED_WITH: &str = "rustc 1.95.";

/// One file a mistake, and beside it what the compiler says: `TRYBUILD=overwrite` writes it anew.
#[test]
#[allow(clippy::unwrap_used, clippy::print_stdout)] // a test may panic, and say why it does nothing
fn refuses_mistakes_at_the_token() {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let version = std::process::Command::new(rustc).arg("--version").output().unwrap().stdout;
    let version = String::from_utf8_lossy(&version);
    if !version.starts_with(RECORDED_WITH) {
        println!("skipped: messages are recorded with {RECORDED_WITH}x, this is {version}");
        return;
    }
    trybuild::TestCases::new().compile_fail("ui/fail/*.rs");
}
