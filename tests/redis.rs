//! Shared limits on real servers: each test starts servers of its own, and ends exactly those.
#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod redis {
    mod algorithms;
    mod breakers;
    mod cluster;
    mod exact;
    mod lease_script;
    mod leased;
    mod load;
    mod proxy;
    mod server;
    mod trouble;
}
