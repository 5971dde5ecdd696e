//! How a layer is set.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::Response;

use crate::clock::Clock;
use crate::limit::Meter;
use crate::limit::headers::{QuotaPolicy, ResetStyle};

use super::counting::Counting;
use super::error::Problem;
use super::key::Head;
use super::responder::{Responder, respond_by};

#[derive(Clone)]
pub(super) struct Settings {
    pub(super) policy: QuotaPolicy,
    pub(super) x_fields: bool,
    pub(super) ietf_fields: bool,
    pub(super) reset: ResetStyle,
    pub(super) clock: Clock,
    pub(super) exempt: Vec<Exempt>,
    pub(super) cost: Option<Arc<Cost>>,
    pub(super) responder: Option<Arc<dyn Responder>>,
    pub(super) counting: Option<Arc<Counting>>,
    /// What has been decided, by all clones.
    pub(super) meter: Arc<Meter>,
}

pub(super) type Cost = dyn Fn(&Head<'_>) -> u64 + Send + Sync;
pub(super) type Test = dyn Fn(&Head<'_>) -> bool + Send + Sync;

#[derive(Clone)]
pub(super) enum Exempt {
    Path(String),
    Prefix(String),
    Test(Arc<Test>),
}

impl Settings {
    pub(super) fn exempts(&self, head: &Head<'_>) -> bool {
        let path = head.uri.path();
        self.exempt.iter().any(|exempt| match exempt {
            Exempt::Path(exact) => exact == path,
            Exempt::Prefix(prefix) => {
                let below = path.strip_prefix(prefix.as_str());
                below.is_some_and(|below| below.is_empty() || below.starts_with('/'))
                    && !leads_elsewhere(path)
            }
            Exempt::Test(test) => test(head),
        })
    }

    /// The answer to a refused request.
    pub(super) fn respond(&self, head: &Head<'_>, problem: &Problem) -> Response<Bytes> {
        respond_by(self.responder.as_deref(), head, problem)
    }

    pub(super) fn cost_of(&self, head: &Head<'_>) -> u64 {
        self.cost.as_ref().map_or(1, |cost| cost(head))
    }
}

fn leads_elsewhere(path: &str) -> bool {
    path.contains("..")
        || path.as_bytes().windows(3).any(|three| three.eq_ignore_ascii_case(b"%2e"))
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("policy", &self.policy)
            .field("x_fields", &self.x_fields)
            .field("ietf_fields", &self.ietf_fields)
            .field("reset", &self.reset)
            .field("exempt", &self.exempt.len())
            .finish_non_exhaustive()
    }
}
