//! What one shared limit is set by.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::limit::quota::Config;

/// A lease is this part of the limit by default.
const LEASES_A_LIMIT: u64 = 50;

/// By what a limit counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Per {
    /// It is one for all requests.
    #[default]
    All,
    /// One for each part (an endpoint, a kind of work), for all subjects together.
    Part,
    /// One for each subject: user, tenant, address.
    Subject,
    /// One for each part of each subject.
    SubjectAndPart,
}

/// How a limit is kept to by several instances of a program. The guide of `distributed` says which to choose when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mode {
    /// The store decides each request: one round trip, never more than the limit.
    #[default]
    Exact,
    /// An instance takes a part of the limit ahead of its need and decides by that, without a round trip. At most
    /// `instances × lease` more than the limit is admitted.
    Leased,
    /// An instance decides by its own share: the limit divided by the instances that are alive. No round trip, and none waits for
    /// the store; what one instance does not use, no other can.
    LocalShare,
}

/// What is done with a request when the store has not decided in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnFailure {
    /// It is admitted.
    Open,
    /// It is refused.
    Closed,
    /// It is decided by this instance's share: the limit divided by the instances that were alive when the store was last heard.
    #[default]
    Local,
}

impl Per {
    pub(crate) const EVERY: [Self; 4] =
        [Self::All, Self::Part, Self::Subject, Self::SubjectAndPart];

    /// As a policy file spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Part => "part",
            Self::Subject => "subject",
            Self::SubjectAndPart => "subject_and_part",
        }
    }
}

impl Mode {
    pub(crate) const EVERY: [Self; 3] = [Self::Exact, Self::Leased, Self::LocalShare];

    /// As a policy file spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Leased => "leased",
            Self::LocalShare => "local_share",
        }
    }
}

impl OnFailure {
    pub(crate) const EVERY: [Self; 3] = [Self::Open, Self::Closed, Self::Local];

    /// As a policy file spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
            Self::Local => "local",
        }
    }
}

/// One limit that several instances of a program keep to together.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct SharedLimit {
    pub(crate) name: Arc<str>,
    pub(crate) config: Config,
    pub(crate) per: Per,
    pub(crate) mode: Mode,
    pub(crate) on_failure: OnFailure,
    pub(super) lease: Option<u64>,
    pub(super) tiers: BTreeMap<Arc<str>, Config>,
}

impl SharedLimit {
    /// A limit of this name for all requests, exact, with [`OnFailure::Local`]. Instances that share a store share what is spent of
    /// limits of the same name.
    pub fn new(name: impl Into<Arc<str>>, config: Config) -> Self {
        Self {
            name: name.into(),
            config,
            per: Per::default(),
            mode: Mode::default(),
            on_failure: OnFailure::default(),
            lease: None,
            tiers: BTreeMap::new(),
        }
    }

    /// By what it counts. Default [`Per::All`].
    pub fn per(self, per: Per) -> Self {
        Self { per, ..self }
    }

    /// How it is kept to. Default [`Mode::Exact`].
    pub fn mode(self, mode: Mode) -> Self {
        Self { mode, ..self }
    }

    /// What is done when the store does not decide in time. Default [`OnFailure::Local`].
    pub fn on_failure(self, on_failure: OnFailure) -> Self {
        Self { on_failure, ..self }
    }

    /// The most that an instance holds ahead of its need, if the limit is leased; from 1 to the limit. Default: a fiftieth of the
    /// limit, at least 1. The more, the fewer round trips, and the more may be admitted beyond the limit.
    pub fn lease(self, amount: u64) -> Self {
        Self { lease: Some(amount), ..self }
    }

    /// What requests of this tier may have instead; by the same algorithm, so that what a subject has spent stays spent when its
    /// tier changes. A request of a tier that is not named here, or of none, has the limit itself.
    pub fn tier(mut self, tier: impl Into<Arc<str>>, config: Config) -> Self {
        self.tiers.insert(tier.into(), config);
        self
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What requests of this tier may have.
    pub(crate) fn of_tier(&self, tier: &str) -> &Config {
        if tier.is_empty() { &self.config } else { self.tiers.get(tier).unwrap_or(&self.config) }
    }

    /// The limit's own settings, and each tier's.
    pub(crate) fn configs(&self) -> impl Iterator<Item = &Config> {
        std::iter::once(&self.config).chain(self.tiers.values())
    }

    /// How much of this an instance holds ahead of its need.
    pub(crate) fn lease_of(&self, config: &Config) -> u64 {
        self.lease.unwrap_or(config.limit() / LEASES_A_LIMIT).max(1)
    }

    pub(crate) fn is_by_subject(&self) -> bool {
        matches!(self.per, Per::Subject | Per::SubjectAndPart)
    }

    pub(crate) fn is_by_part(&self) -> bool {
        matches!(self.per, Per::Part | Per::SubjectAndPart)
    }
}
