//! The name of a dependency.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher};
use std::ops::Deref;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use serde::{Serialize, Serializer};

use crate::entropy::SecretHash;

/// So many names are kept for as long as the process lives, each once.
const MAX_KEPT: usize = 65_536;

static KEPT: LazyLock<Mutex<KeptNames>> = LazyLock::new(Mutex::default);

/// Names by a hash that is secret to the process, so that a name is hashed once and no other is looked at when the table grows.
#[derive(Default)]
struct KeptNames {
    secret: SecretHash,
    names: HashMap<u64, &'static str, BuildHasherDefault<AsItIs>>,
}

/// The hash of what is a hash already.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // Not asked for: all keys are numbers.
        self.0 = bytes.iter().fold(self.0, |hash, byte| hash.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

impl KeptNames {
    /// `None`: there are enough, or another name has the same hash.
    fn keep(&mut self, name: &str) -> Option<&'static str> {
        let is_full = self.names.len() >= MAX_KEPT;
        match self.names.entry(self.secret.hash_one(name)) {
            Entry::Occupied(known) => Some(*known.get()).filter(|known| *known == name),
            Entry::Vacant(_) if is_full => None,
            Entry::Vacant(place) => Some(place.insert(Box::leak(Box::from(name)))),
        }
    }
}

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
        let kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner).keep(name);
        kept.map_or_else(|| Self::from(name), |name| Self(Name::Kept(name)))
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
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_kept_up_to_a_number() {
        let mut kept = KeptNames::default();
        let names: Vec<String> = (0..=MAX_KEPT).map(|number| number.to_string()).collect();
        let first = kept.keep(&names[0]);
        assert!(names[1..MAX_KEPT].iter().all(|name| kept.keep(name) == Some(name)));
        assert_eq!(kept.keep(&names[MAX_KEPT]), None);
        let again = kept.keep(&names[0]);
        assert!(first.zip(again).is_some_and(|(first, again)| std::ptr::eq(first, again)));
    }

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
