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
    /// Once one has been called. Here, because they were called, also when no client of theirs is left.
    methods: Option<Arc<[Method]>>,
}

impl Trait {
    /// Lays another policy over its methods.
    pub(super) fn replan(&self, policy: &Policy) {
        self.methods.iter().flat_map(|it| it.iter()).for_each(|method| method.replan(policy));
    }
}

/// Each of their methods, once their trait has been called.
pub(super) fn called(traits: &[Trait]) -> impl Iterator<Item = &Method> {
    traits.iter().filter_map(|it| it.methods.as_deref()).flatten()
}

impl Dependency {
    /// It may be called by these methods from now on. Which trait that is: none of its traits ever goes.
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
        // In bounds: whoever asks has added it.
        let Trait { specs, methods } = &mut traits[index];
        let lay = || specs.iter().map(|spec| Method::new(spec, &policy)).collect();
        Arc::clone(methods.get_or_insert_with(lay))
    }

    /// Does something with the counters of each method that has been called.
    pub(super) fn all_counted<R>(&self, each: impl Fn(&MethodStats) -> R) -> R
    where
        R: std::iter::Sum,
    {
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
