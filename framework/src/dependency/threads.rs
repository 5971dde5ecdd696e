//! A dependency's threads, for methods that block.

use std::sync::OnceLock;
use std::time::Duration;

use once_cell::race::OnceBox;

use crate::blocking::{BlockingPool, PoolBuildError};
use crate::bulkhead::MAX_CONCURRENT;
use crate::sync::Mutex;
use crate::time::Time;

/// None before there is such a method.
#[derive(Default)]
pub(super) struct Threads(OnceBox<Pool>);

#[derive(Default)]
struct Pool {
    pool: OnceLock<BlockingPool>,
    /// Held while they are started.
    starting: Mutex<()>,
}

impl Threads {
    pub(super) fn pool(&self) -> Option<&BlockingPool> {
        self.0.get()?.pool.get()
    }

    /// Starts so many, called after the dependency, unless they have been started.
    pub(super) fn start(
        &self,
        name: &str,
        threads: u32,
        time: &Time,
    ) -> Result<&BlockingPool, PoolBuildError> {
        let Pool { pool, starting } = self.0.get_or_init(Box::default);
        let _starting = starting.lock();
        if let Some(pool) = pool.get() {
            return Ok(pool);
        }
        // Never full: there are no more permits. No wait is too long: an attempt has a timeout.
        let made = BlockingPool::builder(name).queue(MAX_CONCURRENT).max_wait(Duration::MAX);
        let made = made.threads(threads).time(time.clone()).build()?;
        Ok(pool.get_or_init(|| made))
    }
}
