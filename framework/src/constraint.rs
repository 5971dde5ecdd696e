//! What is wrong with a setting, said so that it can be put right.

use std::fmt;

use crate::error::debug_as_display;

/// One setting with a value it cannot have.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InvalidSetting {
    /// The key, as the policy file spells it.
    pub key: &'static str,
    /// The value that was given.
    pub value: String,
    /// What would have been allowed.
    pub allowed: String,
    /// The other key that it contradicts, if it would be allowed without that.
    pub contradicts: Option<&'static str>,
}

impl fmt::Display for InvalidSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}: must be {}", self.key, self.value, self.allowed)
    }
}

/// Everything that is wrong with a group of settings, all of it at once. Its `Debug` is its message.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct InvalidSettings(Vec<InvalidSetting>);

impl InvalidSettings {
    /// The mistakes, in the order in which the keys are documented.
    #[must_use]
    pub fn as_slice(&self) -> &[InvalidSetting] {
        &self.0
    }
}

/// The keys of all mistakes, in their order; none if there is none.
#[cfg(test)]
pub(crate) fn wrong_keys<T>(checked: Result<T, InvalidSettings>) -> Vec<&'static str> {
    checked.err().into_iter().flatten().map(|mistake| mistake.key).collect()
}

impl IntoIterator for InvalidSettings {
    type Item = InvalidSetting;
    type IntoIter = std::vec::IntoIter<InvalidSetting>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl fmt::Display for InvalidSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, setting) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("; ")?;
            }
            setting.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Debug for InvalidSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug_as_display(self, f)
    }
}

impl std::error::Error for InvalidSettings {}

/// Gathers mistakes while a builder checks its settings.
#[derive(Debug, Default)]
pub(crate) struct Constraints(Vec<InvalidSetting>);

impl Constraints {
    /// Notes a mistake unless `ok`.
    pub(crate) fn require(
        &mut self,
        ok: bool,
        key: &'static str,
        value: impl fmt::Debug,
        allowed: impl Into<String>,
    ) {
        self.unless(ok, (key, None), value, allowed);
    }

    /// Notes unless `ok` that a setting contradicts the one of the key `other`.
    pub(crate) fn agree(
        &mut self,
        ok: bool,
        (key, other): (&'static str, &'static str),
        value: impl fmt::Debug,
        allowed: impl Into<String>,
    ) {
        self.unless(ok, (key, Some(other)), value, allowed);
    }

    fn unless(
        &mut self,
        ok: bool,
        (key, contradicts): (&'static str, Option<&'static str>),
        value: impl fmt::Debug,
        allowed: impl Into<String>,
    ) {
        if !ok {
            let (value, allowed) = (format!("{value:?}"), allowed.into());
            self.0.push(InvalidSetting { key, value, allowed, contradicts });
        }
    }

    /// Notes the mistakes of another group of settings.
    #[cfg_attr(not(feature = "tower"), allow(dead_code, reason = "for groups of groups"))]
    pub(crate) fn note<T>(&mut self, checked: Result<T, InvalidSettings>) -> Option<T> {
        checked.map_err(|mistakes| self.0.extend(mistakes)).ok()
    }

    /// `value` if nothing was wrong with it.
    pub(crate) fn finish<T>(self, value: T) -> Result<T, InvalidSettings> {
        if self.0.is_empty() { Ok(value) } else { Err(InvalidSettings(self.0)) }
    }
}
