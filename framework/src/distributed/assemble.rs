//! From settings to limits that can be asked, for the first time and at a reload.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crate::limit::{KeyedConfig, Mode, SharedConfig, SharedLimit};
use crate::time::Time;

use super::counters::Counters;
use super::deciding::{Inner, NOBODY};
use super::exact::Exact;
use super::layer::Layer;
use super::leased::Leased;
use super::members::Members;
use super::store::Store;

/// Signs of life in a lease's length.
const BEATS_A_TERM: u32 = 3;

/// What a set of limits has that no reload changes.
#[derive(Clone)]
pub(super) struct Parts {
    pub(super) store: Arc<dyn Store>,
    pub(super) time: Time,
    /// What those who share these limits call themselves.
    pub(super) group: Arc<str>,
    pub(super) instance: Arc<str>,
    pub(super) keys: KeyedConfig,
    pub(super) counters: Arc<Counters>,
}

impl Parts {
    /// The limits by these settings. Of those that there were `before`, the ones that have not changed are kept as they are.
    pub(super) fn assemble(&self, config: &SharedConfig, before: Option<&Inner>) -> Inner {
        let before = before.filter(|inner| has_times_of(inner, config));
        let layer = |limit: &SharedLimit| {
            let known = before.and_then(|it| it.layers.iter().find(|it| it.limit == *limit));
            known.map_or_else(|| Arc::new(self.layer(limit, config)), Arc::clone)
        };
        let layers: Box<[Arc<Layer>]> = config.limits().iter().map(layer).collect();
        let (exact_at, here_at) = (0..layers.len()).partition(|at| layers[*at].is_exact());
        let members = before.map_or_else(|| self.members(config), |it| Arc::clone(&it.members));
        Inner {
            parts: self.clone(),
            exact: Exact::new(
                Arc::clone(&self.store),
                self.time.clone(),
                Arc::clone(&self.counters),
            ),
            members,
            layers,
            exact_at,
            here_at,
            decide_within: config.decide_within(),
            tended_by: AtomicU64::new(NOBODY),
        }
    }

    /// Whether `inner` goes by these settings.
    pub(super) fn is_by(&self, config: &SharedConfig, inner: &Inner) -> bool {
        let limits = inner.layers.iter().map(|layer| &layer.limit);
        has_times_of(inner, config) && limits.eq(config.limits())
    }

    fn members(&self, config: &SharedConfig) -> Arc<Members> {
        let beat = config.lease_term() / BEATS_A_TERM;
        Arc::new(Members::new(Arc::clone(&self.instance), config.expected_instances(), beat))
    }

    fn layer(&self, limit: &SharedLimit, config: &SharedConfig) -> Layer {
        let mut layer = Layer::new(limit.clone(), self.keys, self.time.now());
        if limit.mode == Mode::Leased {
            layer.leased = Some(Leased::new(
                (Arc::clone(&self.store), self.time.clone()),
                limit.clone(),
                Arc::clone(&self.instance),
                (config.decide_within(), config.lease_term()),
                self.keys.max_keys(),
            ));
        }
        layer
    }
}

fn has_times_of(inner: &Inner, config: &SharedConfig) -> bool {
    inner.decide_within == config.decide_within()
        && inner.members.beat == config.lease_term() / BEATS_A_TERM
}
