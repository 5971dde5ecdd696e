//! The traits that a dependency is called by, and what has come of their methods.

use std::ops::Deref;
use std::sync::Arc;

use crate::error::RejectedBy;
use crate::policy::{Policy, nearest};

use super::method::{Method, MethodSpec};
use super::shared::Dependency;
use super::stats::MethodStats;

/// A trait's methods, as their author described them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Specs {
    /// Written down in the program.
    Static(&'static [MethodSpec]),
    /// Put together as it ran.
    Shared(Arc<[MethodSpec]>),
}

impl Deref for Specs {
    type Target = [MethodSpec];
    fn deref(&self) -> &[MethodSpec] {
        match self {
            Self::Static(specs) => specs,
            Self::Shared(specs) => specs,
        }
    }
}

impl From<&'static [MethodSpec]> for Specs {
    fn from(specs: &'static [MethodSpec]) -> Self {
        Self::Static(specs)
    }
}

impl<const N: usize> From<&'static [MethodSpec; N]> for Specs {
    fn from(specs: &'static [MethodSpec; N]) -> Self {
        Self::Static(specs)
    }
}

impl From<Vec<MethodSpec>> for Specs {
    fn from(specs: Vec<MethodSpec>) -> Self {
        Self::Shared(specs.into())
    }
}

/// A trait that the dependency is called by.
pub(super) struct Trait {
    specs: Specs,
    /// Made when one is first called. They are kept when their last client is gone, so that no count is lost.
    methods: Option<Arc<[Method]>>,
}

impl Trait {
    /// Lays another policy over its methods.
    pub(super) fn replan(&self, policy: &Policy) {
        let methods = self.methods.iter().flat_map(|it| it.iter());
        methods.zip(self.specs.iter()).for_each(|(method, spec)| method.replan(policy, spec));
    }
}

/// Each of their methods, once their trait has been called.
pub(super) fn called(traits: &[Trait]) -> impl Iterator<Item = &Method> {
    traits.iter().filter_map(|it| it.methods.as_deref()).flatten()
}

impl Dependency {
    /// It may be called by these methods from now on. The index of their trait, for good: no trait is ever removed.
    pub(super) fn add_trait(&self, specs: Specs) -> usize {
        let mut traits = self.traits.lock();
        if let Some(at) = traits.iter().position(|it| it.specs == specs) {
            return at;
        }
        // Hardly any dependency has a second one.
        traits.reserve_exact(1);
        traits.push(Trait { specs, methods: None });
        traits.len() - 1
    }

    /// The methods of that trait, with the policy laid over them, now and whenever it changes: the same for all clients.
    pub(super) fn methods_of(&self, index: usize) -> Arc<[Method]> {
        let mut traits = self.traits.lock();
        let policy = self.policy();
        // In bounds: the index is from `add_trait`, and no trait is ever removed.
        let Trait { specs, methods } = &mut traits[index];
        let lay = || specs.iter().map(|spec| Method::new(spec, &policy)).collect();
        Arc::clone(methods.get_or_insert_with(lay))
    }

    /// The sum of this count over all methods that have been called.
    pub(super) fn all_counted(&self, each: impl Fn(&MethodStats) -> u64) -> u64 {
        called(&self.traits.lock()).map(|method| each(&method.stats)).sum()
    }

    /// Attempts that this guard has refused.
    pub(super) fn refusals(&self, by: RejectedBy) -> u64 {
        self.all_counted(|stats| stats.refused_total(by))
    }

    /// The methods that the policy names and no trait on the dependency has, each with the known one that may be meant.
    #[must_use]
    pub fn unknown_methods(&self) -> Vec<(String, Option<&'static str>)> {
        let policy = self.policy();
        if policy.methods().is_empty() {
            return Vec::new();
        }
        let known = names(&self.traits.lock());
        let unknown = policy.methods().keys().filter(|name| !known.contains(&name.as_str()));
        unknown.map(|name| (name.clone(), nearest(name, known.iter().copied()))).collect()
    }
}

/// What their methods are called: in order, each once.
pub(super) fn names(traits: &[Trait]) -> Vec<&'static str> {
    let mut names: Vec<_> =
        traits.iter().flat_map(|it| it.specs.iter()).map(|it| it.name).collect();
    names.sort_unstable();
    names.dedup();
    names
}

#[cfg(all(test, not(seawall_loom)))]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::dependency::MethodTable;
    use crate::entropy::Entropy;
    use crate::event::Silent;
    use crate::outcome::CallOutcome;
    use crate::policy;
    use crate::time::Time;

    const BALANCE: MethodSpec = MethodSpec { name: "balance", ..MethodSpec::NONE };
    const CHARGE: MethodSpec = MethodSpec { name: "charge", ..MethodSpec::NONE };

    fn dependency(policy: policy::Builder) -> Arc<Dependency> {
        let time = Time::from(Time::manual());
        let policy = policy.build().unwrap_or_default();
        Arc::new(Dependency::new("bank".into(), policy, time, Entropy::seeded(0), Arc::new(Silent)))
    }

    fn client(dependency: &Arc<Dependency>, specs: &'static [MethodSpec]) -> MethodTable {
        MethodTable::new(Arc::clone(dependency), specs, Arc::new(()))
    }

    #[test]
    fn methods_of_one_name_count_together_whatever_trait_they_are_of() {
        let dependency = dependency(Policy::builder());
        let (one, other) =
            (client(&dependency, &[BALANCE]), client(&dependency, &[CHARGE, BALANCE]));
        one.method(0).stats.success(1);
        other.method(1).stats.success(1);
        // A client that is gone leaves what it counted.
        drop(other);
        let shown = dependency.snapshot().methods;
        let calls = shown.iter().map(|it| (it.name, it.calls(CallOutcome::Success)));
        assert_eq!(calls.collect::<Vec<_>>(), [("balance", 2), ("charge", 0)]);
    }

    #[test]
    fn the_first_call_goes_by_the_policy_of_then_and_the_next_by_the_one_of_now() {
        let of = |seconds| Policy::builder().timeout(Duration::from_secs(seconds));
        let dependency = dependency(of(1));
        let (early, late) = (client(&dependency, &[BALANCE]), client(&dependency, &[CHARGE]));
        assert_eq!(early.timeout(0), Duration::from_secs(1));
        assert!(dependency.reload(of(2).build().unwrap_or_default()));
        let timeouts = [&early, &late].map(|client| client.timeout(0).as_secs());
        assert_eq!(timeouts, [2, 2]);
    }

    #[test]
    fn what_calls_keep_is_the_clients_own_and_that_of_its_stricter_copies() {
        let dependency = dependency(Policy::builder());
        let (one, other) = (client(&dependency, &[BALANCE]), client(&dependency, &[BALANCE]));
        let one = Arc::new(one);
        let strict = one.within(Duration::from_secs(1));
        let kept = |table: &MethodTable, number: u8| {
            table.kept(0, || Box::new(number)).downcast_ref::<u8>().copied()
        };
        assert_eq!([kept(&strict, 1), kept(&one, 2), kept(&other, 3)], [Some(1), Some(1), Some(3)]);
        assert!(std::ptr::eq(one.method(0), other.method(0)));
    }
}
