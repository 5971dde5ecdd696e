//! What a request is told of several limits.

use std::fmt;
use std::sync::Arc;

use http::HeaderValue;

use crate::limit::headers::QuotaPolicy;

/// The policies of several limits that a request passes together, for [`Answer::Among`](super::Answer::Among). Cheap to
/// clone.
#[derive(Clone)]
pub struct Policies(Arc<Announced>);

struct Announced {
    policies: Box<[QuotaPolicy]>,
    /// `RateLimit-Policy`, which is the same on every answer.
    field: Option<HeaderValue>,
}

impl Policies {
    /// These, in this order, each with its limit: what `q` is in `RateLimit-Policy`.
    #[must_use]
    pub fn new(policies: impl IntoIterator<Item = (QuotaPolicy, u64)>) -> Self {
        let (policies, described): (Vec<_>, Vec<_>) = policies
            .into_iter()
            .map(|(policy, limit)| {
                let described = policy.describe(limit);
                (policy, described)
            })
            .unzip();
        // Names are printable ASCII, so it is a value.
        let field = HeaderValue::try_from(described.join(", ")).ok();
        Self(Arc::new(Announced { policies: policies.into(), field }))
    }

    /// The policies.
    #[must_use]
    pub fn as_slice(&self) -> &[QuotaPolicy] {
        &self.0.policies
    }

    /// Those that a bit is set for.
    pub(super) fn of(&self, bits: u32) -> impl Iterator<Item = &QuotaPolicy> {
        let is_set = move |at: usize| at < 32 && bits >> at & 1 == 1;
        self.as_slice().iter().enumerate().filter_map(move |(at, it)| is_set(at).then_some(it))
    }

    pub(super) fn field(&self) -> Option<HeaderValue> {
        self.0.field.clone()
    }
}

impl fmt::Debug for Policies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.as_slice()).finish()
    }
}
