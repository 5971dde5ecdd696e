//! Other policies while calls go on.

use std::path::PathBuf;

use crate::policy::{Policy, PolicyFile, PolicyFileError};
use crate::sync::Mutex;

use super::registry::Registry;

/// What a reload changed.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Reloaded {
    /// Dependencies that go by another policy now, by name.
    pub changed: Vec<String>,
    /// Sections of the file that no dependency has been spawned for: a name misspelt, perhaps.
    pub unspawned: Vec<String>,
}

/// The policies could not be read again. Everything goes on by the ones that there were.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReloadError {
    /// Seawall was not started with a policy file, so there is nothing to read again.
    #[error("there is no policy file to read again: Seawall was started without `policy_file`")]
    NoFile,
    /// The file cannot be read, or something in it is wrong: everything that is, is listed.
    #[error(transparent)]
    Policy(#[from] PolicyFileError),
}

/// Where policies come from.
pub(super) struct Policies {
    path: Option<PathBuf>,
    /// Those built in code, by name: no file has a say in them.
    own: std::collections::BTreeMap<String, Policy>,
    file: Mutex<PolicyFile>,
    /// One reload at a time.
    reloading: Mutex<()>,
}

impl Policies {
    pub(super) fn new(
        path: Option<PathBuf>,
        own: std::collections::BTreeMap<String, Policy>,
        file: PolicyFile,
    ) -> Self {
        Self { path, own, file: Mutex::new(file), reloading: Mutex::default() }
    }

    /// What `name` goes by, as things are now.
    pub(super) fn of(&self, name: &str) -> Policy {
        self.own.get(name).cloned().unwrap_or_else(|| self.file.lock().policy(name))
    }

    /// Reads the file again.
    pub(super) fn read(&self) -> Result<PolicyFile, ReloadError> {
        let path = self.path.as_ref().ok_or(ReloadError::NoFile)?;
        Ok(PolicyFile::load(path)?)
    }

    /// Puts `file` in the place of the old one, and every dependency under it.
    pub(super) fn replace(&self, file: PolicyFile, registry: &Registry) -> Reloaded {
        let _reloading = self.reloading.lock();
        let names: Vec<String> = file.names().map(str::to_owned).collect();
        *self.file.lock() = file;
        // Whoever is spawned from here on looks again once it is in the registry.
        let spawned = registry.all();
        let changed = spawned
            .iter()
            .filter(|found| found.dependency.reload(self.of(found.dependency.name())))
            .map(|found| found.dependency.name().to_string())
            .collect();
        let is_spawned =
            |name: &String| spawned.iter().any(|found| **found.dependency.name() == **name);
        let unspawned = names.into_iter().filter(|name| !is_spawned(name)).collect();
        Reloaded { changed, unspawned }
    }
}
