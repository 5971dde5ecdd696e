//! What a shared limit is set by.

use std::sync::Arc;

use crate::constraint::{Constraints, InvalidSettings};
use crate::limit::Config;

use super::shape;
use super::store::LimitKey;

/// Longer names are refused, in bytes.
const LONGEST_NAME: usize = 64;
/// A lease is this part of the limit by default.
const LEASES_A_LIMIT: u64 = 50;

/// By what a limit counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Per {
    /// It is one for all requests.
    #[default]
    All,
    /// One for each subject: user, tenant, address.
    Subject,
    /// One for each part, whoever asks: endpoint, kind of work.
    Part,
    /// One for each part of each subject.
    SubjectAndPart,
}

/// How a limit is kept to by several instances of a program. The [guide](super::guide) says which to choose when.
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

/// One limit of [`SharedLimits`](super::SharedLimits).
#[derive(Clone, Debug)]
#[must_use]
pub struct SharedLimit {
    pub(super) name: Arc<str>,
    pub(super) config: Config,
    pub(super) per: Per,
    pub(super) mode: Mode,
    pub(super) on_failure: OnFailure,
    pub(super) lease: Option<u64>,
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

    /// The most that can be had at once.
    pub(super) fn limit(&self) -> u64 {
        shape::limit_of(&self.config)
    }

    pub(super) fn lease_amount(&self) -> u64 {
        self.lease.unwrap_or(self.limit() / LEASES_A_LIMIT).max(1)
    }

    /// What it counts this request by.
    pub(super) fn key(&self, request: &Request<'_>) -> LimitKey {
        LimitKey {
            limit: Arc::clone(&self.name),
            subject: self.is_by_subject().then(|| request.subject.into()),
            part: self.is_by_part().then(|| request.part.into()),
        }
    }

    pub(super) fn is_by_subject(&self) -> bool {
        matches!(self.per, Per::Subject | Per::SubjectAndPart)
    }

    pub(super) fn is_by_part(&self) -> bool {
        matches!(self.per, Per::Part | Per::SubjectAndPart)
    }

    fn check(&self, check: &mut Constraints) {
        let allowed = "1 to 64 letters, digits, `_`, `-` or `.`";
        check.require(is_name(&self.name), "name", &self.name, allowed);
        shape::check(check, &self.config);
        let lease = self.lease.unwrap_or(1);
        let allowed = format!("from 1 to the limit, {}", self.limit());
        check.require((1..=self.limit()).contains(&lease), "lease", lease, allowed);
    }
}

/// Checks all limits of one set. `joins`: whether the store can decide limits of different subjects in one step.
pub(super) fn check(limits: &[SharedLimit], joins: bool) -> Result<(), InvalidSettings> {
    let mut check = Constraints::default();
    let most = crate::limit::MAX_LAYERS;
    let allowed = format!("from 1 to {most} limits");
    check.require((1..=most).contains(&limits.len()), "limits", limits.len(), allowed);
    for (at, limit) in limits.iter().enumerate() {
        limit.check(&mut check);
        let is_new = limits[..at].iter().all(|before| before.name != limit.name);
        check.require(is_new, "name", &limit.name, "a name that no other limit of these has");
    }
    let exact: Vec<_> = limits.iter().filter(|limit| limit.mode == Mode::Exact).collect();
    if !joins && exact.len() > 1 {
        for limit in exact {
            let together = limit.is_by_subject();
            let allowed = "leased or a local share: on a Cluster only limits of one subject are decided together";
            check.agree(together, ("mode", "per"), (&limit.name, limit.mode), allowed);
        }
    }
    check.finish(())
}

/// Whether this can be part of a key, a label and a policy file alike.
pub(super) fn is_name(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    (1..=LONGEST_NAME).contains(&text.len()) && text.bytes().all(is_plain)
}

/// Whose request it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Request<'a> {
    pub(super) subject: &'a str,
    pub(super) part: &'a str,
}

impl<'a> Request<'a> {
    /// A request of this subject: a user, a tenant, an address. Subjects longer than 120 bytes are known by their digest.
    #[must_use]
    pub fn of(subject: &'a str) -> Self {
        Self { subject, part: "" }
    }

    /// It concerns this part: an endpoint, a kind of work.
    #[must_use]
    pub fn part(self, part: &'a str) -> Self {
        Self { part, ..self }
    }
}
