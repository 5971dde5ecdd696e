//! Shared limits for calls of a dependency, which do not wait for a store.

use std::sync::Arc;

use crate::clock::Moment;
use crate::dependency::SharedTokens;
use crate::limit::{Mode, Refusal};

use super::layer::DecidedBy;
use super::limits::SharedLimits;
use super::request::Request;

/// Gives each attempt of a dependency a token of these limits: by leases and shares, in the call's own task.
#[derive(Debug)]
pub(crate) struct CallTokens {
    limits: SharedLimits,
    subject: Arc<str>,
}

impl CallTokens {
    /// For calls of the dependency of this name, which is the subject that they are counted by.
    pub(crate) fn new(limits: SharedLimits, subject: Arc<str>) -> Self {
        Self { limits, subject }
    }
}

impl SharedLimits {
    /// A limit that cannot be decided without waiting for the store.
    pub(crate) fn exact_one(&self) -> Option<Arc<str>> {
        let inner = self.inner();
        let exact = inner.layers.iter().find(|layer| layer.limit.mode == Mode::Exact);
        exact.map(|layer| Arc::clone(&layer.limit.name))
    }

    /// Has leases at hand, so that the first call finds one.
    pub(crate) async fn warm_up(&self, subject: &str) {
        let request = Request::of(subject);
        if self.check(&request, 1).await.decision.allowed {
            let inner = self.inner();
            inner.give_back_now(&request, inner.parts.time.now());
        }
    }
}

impl SharedTokens for CallTokens {
    fn try_take(&self, now: Moment) -> Result<(), Refusal> {
        let inner = self.limits.inner();
        let request = Request::of(&self.subject);
        let word = inner.decide_now(&request, 1, now);
        let name = &inner.layers[word.at].limit.name;
        inner.parts.counters.meter.count(name, word.decision.allowed, now);
        match word.decision {
            decision if decision.allowed => Ok(()),
            decision => Err(Refusal { retry_after: decision.retry_after }),
        }
    }

    fn give_back(&self, now: Moment) {
        self.limits.inner().give_back_now(&Request::of(&self.subject), now);
    }
}

impl super::deciding::Inner {
    /// Gives one back to each limit that keeps count here.
    fn give_back_now(&self, request: &Request<'_>, now: Moment) {
        for layer in &self.layers {
            let by = if layer.leased.is_some() { DecidedBy::Lease } else { DecidedBy::Share };
            layer.give_back((&request.stored(&layer.limit), by), now, 1, &self.members);
        }
    }
}
