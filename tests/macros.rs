//! `#[resilient]` from the outside: what it accepts, what it refuses and in which words, and that what it
//! generates does what the trait says.

mod macros {
    mod calls;
}

#[test]
fn accepts_what_a_user_writes() {
    trybuild::TestCases::new().pass("ui/pass/*.rs");
}

#[test]
fn refuses_mistakes_at_the_token() {
    trybuild::TestCases::new().compile_fail("ui/fail/*.rs");
}
