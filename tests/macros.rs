//! `#[resilient]` from the outside: what it accepts, what it refuses and in which words, and that what it
//! generates does what the trait says.

#[path = "ui/pass/mod.rs"]
mod accepts;
#[path = "macros/calls.rs"]
mod calls;
#[path = "macros/harness.rs"]
mod harness;

/// One file a mistake, and beside it what the compiler says: `TRYBUILD=overwrite` writes it anew.
#[test]
fn refuses_mistakes_at_the_token() {
    trybuild::TestCases::new().compile_fail("ui/fail/*.rs");
}
