//! Which keys share a state when there is no room for one of their own.

use std::hash::{Hash, Hasher};

/// Makes keys share their overflow with their own group only.
///
/// Keys that find no room share states (see the [guide](crate::limit::guide)), each key by its hash. A client that can choose
/// keys at will, as an attacker with an IPv6 network can choose addresses, uses all of those states up. A key whose `Hash`
/// begins with an `OverflowGroup` shares a state chosen by the group instead: one network, say, or one tenant.
///
/// ```
/// use std::hash::{Hash, Hasher};
/// use seawall::limit::OverflowGroup;
///
/// #[derive(Clone, PartialEq, Eq)]
/// struct User { tenant: u64, name: String }
///
/// impl Hash for User {
///     fn hash<H: Hasher>(&self, state: &mut H) {
///         OverflowGroup(self.tenant).hash(state);
///         self.name.hash(state);
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverflowGroup(pub u64);

/// No key's own text begins like this by chance.
const MARK: [u8; 16] = *b"seawall overflow";

impl Hash for OverflowGroup {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&MARK);
        state.write(&self.0.to_ne_bytes());
    }
}

/// Hashes a key's group, or the whole key if it has none.
pub(in crate::limit) struct GroupHasher<H> {
    inner: H,
    step: Step,
}

enum Step {
    First,
    Group,
    Whole,
    Done,
}

impl<H> GroupHasher<H> {
    pub(in crate::limit) fn new(inner: H) -> Self {
        Self { inner, step: Step::First }
    }
}

impl<H: Hasher> Hasher for GroupHasher<H> {
    fn write(&mut self, bytes: &[u8]) {
        self.step = match self.step {
            Step::First if bytes == MARK => Step::Group,
            Step::First | Step::Whole => {
                self.inner.write(bytes);
                Step::Whole
            }
            Step::Group => {
                self.inner.write(bytes);
                Step::Done
            }
            Step::Done => Step::Done,
        };
    }

    fn finish(&self) -> u64 {
        self.inner.finish()
    }
}
