//! Breakers that are shared with other instances of the program.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use crate::distributed::{SharedBreakers, Store, Watch, any_name};
use crate::time::Time;

use super::registry::Registry;
use super::seawall::Seawall;

/// Shares breakers until it is dropped. Made by [`Seawall::share_breakers`].
#[derive(Debug)]
#[must_use = "breakers are shared for as long as this is held"]
pub struct Sharing {
    _held: Arc<()>,
}

impl Seawall {
    /// Has the breakers of these dependencies open, probe and close with those of other instances of the program that share the
    /// same store. Breakers have to be open in `quorum` other instances to open here; when their time is up one instance probes for
    /// all, and when it closes, all do. What is held by hand is left alone. While the store does not answer each breaker is on its own.
    ///
    /// Instances look at each other by a task of the tokio runtime on which this is called. A dependency may be spawned later.
    ///
    /// ```
    /// use seawall::Seawall;
    /// use seawall::distributed::{Memory, SharedBreakers};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let seawall = Seawall::builder().start()?;
    /// // With the feature `redis`: `Redis::open("redis://limits:6379")?`.
    /// let store = seawall.guard_store("breakers", Memory::default()).await?;
    /// let settings = SharedBreakers::builder().quorum(2).build()?;
    /// let sharing = seawall.share_breakers(store, &["payments"], settings);
    /// # drop(sharing);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn share_breakers(
        &self,
        store: impl Store,
        dependencies: &[&str],
        settings: SharedBreakers,
    ) -> Sharing {
        let held = Arc::new(());
        let share = SharingTask {
            held: Arc::downgrade(&held),
            registry: Arc::downgrade(&self.0.registry),
            store: Arc::new(store),
            names: dependencies.iter().map(|name| (*name).to_owned()).collect(),
            instance: any_name(),
            settings,
            time: self.0.time.clone(),
        };
        tokio::spawn(share.run());
        Sharing { _held: held }
    }
}

struct SharingTask {
    held: Weak<()>,
    registry: Weak<Registry>,
    store: Arc<dyn Store>,
    names: Vec<String>,
    instance: Arc<str>,
    settings: SharedBreakers,
    time: Time,
}

impl SharingTask {
    async fn run(self) {
        let mut watches: HashMap<&str, Watch> = HashMap::new();
        loop {
            self.time.sleep(self.settings.look_every()).await;
            let Some(registry) = self.registry.upgrade() else { return };
            if self.held.strong_count() == 0 {
                return;
            }
            for name in &self.names {
                let Some(found) = registry.get(name) else { continue };
                let new = || Watch::new(Arc::clone(&self.instance), self.settings);
                let watch = watches.entry(name).or_insert_with(new);
                watch.look(&*self.store, &found.dependency).await;
            }
        }
    }
}
