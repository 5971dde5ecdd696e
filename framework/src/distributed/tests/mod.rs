//! Shared limits with stores in this process: what stands still, fails, or comes too late is made to.

mod failing;
mod local;
mod slow;
