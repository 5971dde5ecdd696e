//! Other policies while calls go on.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::debug_as_display;
use crate::policy::{LimitsPolicy, Policy, PolicyFile, PolicyFileError};
use crate::sync::Mutex;

use super::registry::{Registered, Registry};
use super::warnings::Warnings;

/// What a reload changed.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Reloaded {
    /// Dependencies that go by another policy now, by name; and shared limits that do, as `limits.api`.
    pub changed: Vec<String>,
    /// Sections of the file that no dependency has been spawned for: a name misspelt, perhaps.
    pub unspawned: Vec<String>,
    /// Methods that a policy has settings for and no trait on its dependency has, as `payments.methods.balanse`.
    pub unknown_methods: Vec<String>,
}

/// The policies could not be read again. Everything goes on by the ones that there were. Its `Debug` is its message.
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ReloadError {
    /// Seawall was not started with a policy file, so there is nothing to read again.
    #[error("there is no policy file to read again: Seawall was started without `policy_file`")]
    NoFile,
    /// The file cannot be read, or something in it is wrong: everything that is, is listed.
    #[error(transparent)]
    Policy(#[from] PolicyFileError),
    /// Sections that the file had are gone, and it was read twice. It may have been cut off while it is written, and its
    /// dependencies would fall back to the defaults. To put a dependency under the defaults on purpose, leave its section
    /// empty, or give the policies to [`Seawall::reload_from`](super::Seawall::reload_from).
    #[error(
        "{}: {} gone since the last reload; to put a dependency under [defaults], leave its section empty",
        file.display(), listed(sections)
    )]
    LostSections {
        /// Which file.
        file: PathBuf,
        /// The sections of spawned dependencies; all that there were, if none is left.
        sections: Vec<String>,
    },
}

impl fmt::Debug for ReloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug_as_display(self, f)
    }
}

fn listed(sections: &[String]) -> String {
    let names: Vec<_> = sections.iter().map(|name| format!("[{name}]")).collect();
    format!("{} {}", names.join(", "), if names.len() == 1 { "is" } else { "are" })
}

fn unknown_methods(registered: &Registered) -> impl Iterator<Item = String> + use<> {
    let dependency = &registered.dependency;
    let name = dependency.name().clone();
    dependency
        .unknown_methods()
        .into_iter()
        .map(move |(method, _)| format!("{name}.methods.{method}"))
}

/// Where policies come from.
pub(super) struct Policies {
    path: Option<PathBuf>,
    /// Those built in code, by name: no file has a say in them.
    own: std::collections::BTreeMap<String, Arc<Policy>>,
    file: Mutex<PolicyFile>,
    /// What those names go by that are no ordinary dependency's, where no section says anything of them.
    usual: Mutex<std::collections::BTreeMap<String, fn() -> Policy>>,
    /// One reload at a time.
    reloading: Mutex<()>,
    /// How often another file was put in the place of one.
    replaced: AtomicU64,
}

impl Policies {
    pub(super) fn new(
        path: Option<PathBuf>,
        own: std::collections::BTreeMap<String, Policy>,
        file: PolicyFile,
    ) -> Self {
        Self {
            path,
            own: own.into_iter().map(|(name, policy)| (name, Arc::new(policy))).collect(),
            file: Mutex::new(file),
            usual: Mutex::default(),
            reloading: Mutex::default(),
            replaced: AtomicU64::new(0),
        }
    }

    /// How often what names go by has been replaced. Only then can it be another.
    pub(super) fn replaced(&self) -> u64 {
        self.replaced.load(Ordering::SeqCst)
    }

    /// What `name` goes by, as things are now.
    pub(super) fn of(&self, name: &str) -> Arc<Policy> {
        if let Some(own) = self.own.get(name) {
            return Arc::clone(own);
        }
        let file = self.file.lock();
        match self.usual.lock().get(name) {
            Some(usual) if file.names().all(|known| known != name) => Arc::new(usual()),
            _ => file.shared_policy(name),
        }
    }

    /// What the file says of shared limits.
    pub(super) fn limits(&self, name: &str) -> Option<LimitsPolicy> {
        self.file.lock().limits(name).cloned()
    }

    /// The set of shared limits that attempts of this dependency take from; of several the first.
    pub(super) fn limits_of(&self, dependency: &str) -> Option<String> {
        self.file.lock().limits_of(dependency).next().map(str::to_owned)
    }

    /// From now on this name goes by another policy, where no section says anything of it.
    pub(super) fn set_usual(&self, name: &str, usual: fn() -> Policy) {
        self.usual.lock().insert(name.to_owned(), usual);
    }

    /// Tells what the policies that have names do not do though they say so.
    pub(super) fn warn(&self, warnings: &Warnings) {
        let mut names: Vec<String> = self.file.lock().names().map(str::to_owned).collect();
        names.extend(self.own.keys().cloned());
        for name in names {
            warnings.tell(&name, &self.of(&name));
        }
    }

    /// Reads the file again; a second time if it has lost what it had, because it may be being written.
    pub(super) fn read(&self, registry: &Registry) -> Result<PolicyFile, ReloadError> {
        let path = self.path.as_ref().ok_or(ReloadError::NoFile)?;
        let file = PolicyFile::load(path)?;
        if self.lost(&file, registry).is_empty() {
            return Ok(file);
        }
        let file = PolicyFile::load(path)?;
        match self.lost(&file, registry) {
            lost if lost.is_empty() => Ok(file),
            sections => Err(ReloadError::LostSections { file: path.clone(), sections }),
        }
    }

    /// Sections of spawned dependencies that `next` does not have any more; all of them, if none is left.
    fn lost(&self, next: &PolicyFile, registry: &Registry) -> Vec<String> {
        let is_empty = next.names().next().is_none();
        let is_lost = |name: &&str| {
            let is_used = registry.get(name).is_some() && !self.own.contains_key(*name);
            (is_empty || is_used) && next.names().all(|left| left != *name)
        };
        self.file.lock().names().filter(is_lost).map(str::to_owned).collect()
    }

    /// Puts `file` in the place of the old one, and every dependency under it.
    pub(super) fn replace(&self, file: PolicyFile, registry: &Registry) -> Reloaded {
        let _reloading = self.reloading.lock();
        let names: Vec<String> = file.names().map(str::to_owned).collect();
        *self.file.lock() = file;
        self.replaced.fetch_add(1, Ordering::SeqCst);
        // A dependency that is spawned from here on looks again once it is in the registry.
        let spawned = registry.all();
        let changed = spawned
            .iter()
            .filter(|found| found.dependency.reload(self.of(found.dependency.name())))
            .map(|found| found.dependency.name().to_string())
            .collect();
        let is_spawned =
            |name: &String| spawned.iter().any(|found| **found.dependency.name() == **name);
        let unspawned = names.into_iter().filter(|name| !is_spawned(name)).collect();
        let unknown_methods = spawned.iter().flat_map(unknown_methods).collect();
        Reloaded { changed, unspawned, unknown_methods }
    }
}
