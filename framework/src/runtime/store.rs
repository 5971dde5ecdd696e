//! Stores of shared limits, as dependencies.

use std::sync::Arc;

use crate::distributed::{GuardedStore, STORE_METHODS, Store};
use crate::policy::Policy;

use super::error::SpawnError;
use super::seawall::Seawall;

impl Seawall {
    /// Puts guards around a store of shared limits: a circuit breaker above all, so that nobody waits for a store that does not
    /// answer. Its policy is the section of this name, or [`Policy::for_store`] where there is none.
    ///
    /// ```
    /// use seawall::Seawall;
    /// use seawall::distributed::{Memory, Request, SharedLimit, SharedLimits};
    /// use seawall::limit::Config;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let seawall = Seawall::builder().start()?;
    /// // With the feature `redis`: `Redis::open("redis://limits:6379")?`.
    /// let store = seawall.guard_store("limits", Memory::default()).await?;
    /// let limits = SharedLimits::builder(store)
    ///     .limit(SharedLimit::new("exports", Config::token_bucket(10, 1.0)?))
    ///     .build()?;
    /// assert!(limits.check(&Request::default(), 1).await.decision.allowed);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Seawall::spawn`].
    pub async fn guard_store(
        &self,
        name: &str,
        store: impl Store,
    ) -> Result<GuardedStore, SpawnError> {
        self.set_usual(name, Policy::for_store);
        let methods = self.declare(name, &STORE_METHODS).await?;
        Ok(GuardedStore::new(Arc::new(store), methods, self.0.time.clone()))
    }
}
