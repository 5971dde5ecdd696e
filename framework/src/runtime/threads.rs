//! Threads for methods that block.

use crate::dependency::{Dependency, MethodSpec};

use super::error::SpawnError;
use super::seawall::Seawall;

impl Seawall {
    /// Starts a dependency's threads, if one of these methods blocks.
    pub(super) fn start_threads(
        &self,
        dependency: &Dependency,
        methods: &[MethodSpec],
    ) -> Result<(), SpawnError> {
        if !methods.iter().any(|method| method.blocking) {
            return Ok(());
        }
        let pool = dependency.start_pool().map_err(|error| SpawnError::Threads {
            name: dependency.name().to_string(),
            why: error.to_string(),
        })?;
        self.watch_pool(pool);
        Ok(())
    }
}
