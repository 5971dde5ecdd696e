//! A dependency's threads, for methods that block.

use std::time::Duration;

use once_cell::race::OnceBox;

use crate::blocking::{BlockingPool, PoolBuildError};
use crate::bulkhead::MAX_CONCURRENT;
use crate::sync::Mutex;
use crate::time::Time;

/// None before there is such a method.
#[derive(Default)]
pub(super) struct Threads {
    pool: OnceBox<BlockingPool>,
    /// Held while they are started.
    starting: Mutex<()>,
}

impl Threads {
    pub(super) fn pool(&self) -> Option<&BlockingPool> {
        self.pool.get()
    }

    /// Starts so many, called after the dependency, unless they have been started.
    pub(super) fn start(
        &self,
        name: &str,
        threads: u32,
        time: &Time,
    ) -> Result<&BlockingPool, PoolBuildError> {
        let _starting = self.starting.lock();
        if let Some(pool) = self.pool() {
            return Ok(pool);
        }
        // Never full: there are no more permits. No wait is too long: an attempt has a timeout.
        let pool = BlockingPool::builder(name).queue(MAX_CONCURRENT).max_wait(Duration::MAX);
        let pool = pool.threads(threads).time(time.clone()).build()?;
        Ok(self.pool.get_or_init(|| Box::new(pool)))
    }
}
