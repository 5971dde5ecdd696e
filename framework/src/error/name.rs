//! The name of a dependency.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use serde::{Serialize, Serializer};

/// So many names are kept for as long as the process lives, each once.
const MAX_KEPT: usize = 65_536;

static KEPT: LazyLock<Mutex<HashSet<&'static str>>> = LazyLock::new(Mutex::default);

/// The name of a dependency, shared by everything that speaks of it. Reads as a `str`.
///
/// Cheap to clone: the names of dependencies that were spawned are kept for the life of the process, the first 65,536 of them, because
/// every refused call is answered with one, and a count of references would cost more than the rest of a refusal. Other names
/// are counted.
#[derive(Clone)]
pub struct DependencyName(Name);

#[derive(Clone)]
enum Name {
    Kept(&'static str),
    Counted(Arc<str>),
}

impl DependencyName {
    /// The name of a dependency that is being spawned.
    pub(crate) fn kept(name: &str) -> Self {
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = kept.get(name) {
            return Self(Name::Kept(known));
        }
        if kept.len() >= MAX_KEPT {
            return Self::from(name);
        }
        let name: &'static str = Box::leak(Box::from(name));
        kept.insert(name);
        Self(Name::Kept(name))
    }

    /// The name.
    #[must_use]
    #[inline]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Name::Kept(name) => name,
            Name::Counted(name) => name,
        }
    }
}

impl From<&str> for DependencyName {
    fn from(name: &str) -> Self {
        Self(Name::Counted(name.into()))
    }
}

impl From<String> for DependencyName {
    fn from(name: String) -> Self {
        Self(Name::Counted(name.into()))
    }
}

impl From<DependencyName> for Arc<str> {
    fn from(name: DependencyName) -> Self {
        match name.0 {
            Name::Kept(name) => name.into(),
            Name::Counted(name) => name,
        }
    }
}

impl Deref for DependencyName {
    type Target = str;
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for DependencyName {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl Borrow<str> for DependencyName {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq for DependencyName {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for DependencyName {}

impl PartialEq<str> for DependencyName {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for DependencyName {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl PartialOrd for DependencyName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for DependencyName {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other)
    }
}

/// As a `str`, so that maps can be asked with one.
impl Hash for DependencyName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Display for DependencyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_str(), f)
    }
}

impl fmt::Debug for DependencyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl Serialize for DependencyName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_kept_is_kept_once_and_equals_one_that_is_counted() {
        let (first, again) = (DependencyName::kept("name.rs a"), DependencyName::kept("name.rs a"));
        assert!(std::ptr::eq(first.as_str(), again.as_str()));
        let counted = DependencyName::from("name.rs a");
        assert_eq!((&first, first.to_string()), (&counted, "name.rs a".to_owned()));
        assert_ne!(first, DependencyName::kept("name.rs b"));
        assert_eq!(HashSet::from([first.clone(), again, counted]).len(), 1);
        assert!(HashSet::from([first.clone()]).contains("name.rs a"));
        assert_eq!(format!("{first:?} {first:>11}"), "\"name.rs a\"   name.rs a");
        assert_eq!(serde_json::to_value(&first).ok(), Some("name.rs a".into()));
        assert_eq!(&*Arc::<str>::from(first), "name.rs a");
    }
}
