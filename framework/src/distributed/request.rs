//! Whose a request is.

use std::sync::Arc;

use crate::limit::SharedLimit;

use super::store::{LimitKey, StoredLimit};

/// Whose request it is, and for what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Request<'a> {
    pub(super) subject: &'a str,
    pub(super) part: &'a str,
    pub(super) tier: &'a str,
}

impl<'a> Request<'a> {
    /// A request of this subject: a user, a tenant, an address. Subjects longer than 120 bytes are known by their digest.
    #[must_use]
    pub fn of(subject: &'a str) -> Self {
        Self { subject, ..Self::default() }
    }

    /// It concerns this part: an endpoint, a kind of work.
    #[must_use]
    pub fn part(self, part: &'a str) -> Self {
        Self { part, ..self }
    }

    /// Its subject is of this tier.
    #[must_use]
    pub fn tier(self, tier: &'a str) -> Self {
        Self { tier, ..self }
    }

    /// What a limit counts it by.
    pub(super) fn key(&self, limit: &SharedLimit) -> LimitKey {
        LimitKey {
            limit: Arc::clone(&limit.name),
            subject: limit.is_by_subject().then(|| self.subject.into()),
            part: limit.is_by_part().then(|| self.part.into()),
        }
    }

    /// What a store is asked for it.
    pub(super) fn stored(&self, limit: &SharedLimit) -> StoredLimit {
        StoredLimit { key: self.key(limit), config: *limit.of_tier(self.tier) }
    }
}
