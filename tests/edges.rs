//! The edges from outside: real servers on loopback, asked by a client that is not ours.
#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod edges {
    mod answers;
    mod any_body;
    mod layers;
    mod load;
    mod origin;
    mod outgoing;
    mod pacing;
    mod protected;
    mod server;
    mod shared;
    mod soak;
    mod watched;

    #[cfg(not(feature = "redis"))]
    #[test]
    #[ignore = "limits in Redis need redis-server: cargo test -p seawall-tests --features redis"]
    fn limits_in_redis() {}
}
