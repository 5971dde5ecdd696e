//! Shared limits by the policy file.

use std::fmt;

use crate::constraint::InvalidSettings;
use crate::distributed::{CallTokens, Memory, SharedLimits};
use crate::error::debug_as_display;
use crate::policy::{LimitsPolicy, StoreAddress};

use super::error::SpawnError;
use super::seawall::Seawall;

/// Shared limits could not be set up. Its `Debug` is its message.
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum LimitsError {
    /// The policy file says nothing of them.
    #[error("the policy file has no section [limits.{name}]")]
    NotConfigured {
        /// Of which.
        name: String,
    },
    /// They are to be kept where this program cannot reach.
    #[error("[limits.{name}] are kept in Redis: build with the feature `redis`")]
    NoRedis {
        /// Which.
        name: String,
    },
    /// The address of their store cannot be used.
    #[error("[limits.{name}]: {why}")]
    Store {
        /// Of which.
        name: String,
        /// What is wrong with it.
        why: String,
    },
    /// Their store cannot do what they say.
    #[error(transparent)]
    Settings(#[from] InvalidSettings),
    /// A limit of theirs cannot be decided by a call, which does not wait for a store.
    #[error(
        "limit `{limit}` is exact, and a call does not wait for a store; allowed for dependencies: leased, local_share"
    )]
    Exact {
        /// Which.
        limit: String,
    },
    /// There is no dependency of this name, or its calls go by shared limits already.
    #[error("dependency `{name}` is not spawned, or goes by shared limits already")]
    Dependency {
        /// The name.
        name: String,
    },
    /// Their store cannot be guarded.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
}

impl fmt::Debug for LimitsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug_as_display(self, f)
    }
}

impl Seawall {
    /// The limits of the section `[limits.name]`, which all instances of a program keep to together. Asked again, they are the same.
    /// They follow a reload, all but where they are kept; they are among the metrics; and a shutdown gives their leases back.
    ///
    /// Their store is guarded as the dependency `limits.name`; its policy is the section `["limits.name"]`, or
    /// [`Policy::for_store`](crate::Policy::for_store) where there is none.
    ///
    /// ```
    /// use seawall::Seawall;
    /// use seawall::distributed::Request;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let policy = r#"
    /// [limits.api]
    /// store = "memory"   # or "redis://limits:6379", with the feature `redis`
    /// layers.all = { sliding_window = { limit = 10_000, window = "1s" } }
    /// layers.user = { per = "subject", token_bucket = { capacity = 20, refill_per_second = 5 } }
    /// "#;
    /// let seawall = Seawall::builder().policy_text("seawall.toml", policy).start()?;
    /// let limits = seawall.limits("api").await?;
    /// let decision = limits.check(&Request::of("user:42"), 1).await;
    /// assert_eq!((&*decision.limit, decision.decision.remaining), ("user", 19));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// There is no such section; they are kept in Redis, and this program is built without it; the address cannot be used; the store
    /// is a Cluster, and cannot decide these limits in one step; as [`Seawall::spawn`].
    pub async fn limits(&self, name: &str) -> Result<SharedLimits, LimitsError> {
        if let Some(set) = self.0.sets.get(name) {
            return Ok(set);
        }
        let policy = self.0.policies.limits(name);
        let policy = policy.ok_or_else(|| LimitsError::NotConfigured { name: name.to_owned() })?;
        let set = self.build_limits(name, &policy).await?;
        let set = self.0.sets.keep(name, set);
        self.watch_limit(name, set.clone());
        Ok(set)
    }

    /// Has each attempt of a dependency take a token of these limits, too, beside its own `rate_limit`: so all instances of the program
    /// together keep to the quota of an API. The subject is the dependency's name. Refused, a call ends as by its own limit, with
    /// `RejectedBy::RateLimit`. The policy file does the same for dependencies that are spawned later:
    /// `[limits.NAME] dependencies = ["geocoder"]`.
    ///
    /// A call does not wait for the store, so the limits must be leased or local shares. One that finds no lease at hand while the store
    /// is asked for more, after an idle time say, is decided as when the store is away.
    ///
    /// ```
    /// use seawall::Seawall;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let policy = r#"
    /// [limits.geocoder]
    /// layers.quota = { mode = "leased", lease = 5, token_bucket = { capacity = 50, refill_per_second = 50 } }
    /// "#;
    /// let seawall = Seawall::builder().policy_text("seawall.toml", policy).start()?;
    /// let geocoder = seawall.calls("geocoder", &["find"]).await?;
    /// let limits = seawall.limits("geocoder").await?;
    /// seawall.share_rate_limit("geocoder", &limits).await?;
    /// let found: Result<u32, _> = geocoder.call("find", async || Ok::<u32, std::io::Error>(7)).await;
    /// assert_eq!(found?, 7);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// A limit is exact; the dependency is not spawned, or goes by shared limits already.
    pub async fn share_rate_limit(
        &self,
        dependency: &str,
        limits: &SharedLimits,
    ) -> Result<(), LimitsError> {
        if let Some(limit) = limits.exact_one() {
            return Err(LimitsError::Exact { limit: limit.to_string() });
        }
        let missing = || LimitsError::Dependency { name: dependency.to_owned() };
        let found = self.0.registry.get(dependency).ok_or_else(missing)?;
        limits.warm_up(dependency).await;
        let name = found.dependency.name().clone();
        let tokens = std::sync::Arc::new(CallTokens::new(limits.clone(), name.into()));
        let is_first = found.dependency.gate().share_tokens(tokens);
        is_first.then_some(()).ok_or_else(missing)
    }

    /// Has a dependency that was just spawned take from the limits that the policy file has for it.
    pub(super) async fn share_by_policy(&self, dependency: &str) -> Result<(), SpawnError> {
        let Some(set) = self.0.policies.limits_of(dependency) else { return Ok(()) };
        let shared = async {
            // Their store is a dependency, too, but none that a policy file may list.
            let limits = Box::pin(self.limits(&set)).await?;
            self.share_rate_limit(dependency, &limits).await
        };
        shared.await.map_err(|error| SpawnError::Limits {
            name: dependency.to_owned(),
            why: error.to_string(),
        })
    }

    async fn build_limits(
        &self,
        name: &str,
        policy: &LimitsPolicy,
    ) -> Result<SharedLimits, LimitsError> {
        let guard = format!("limits.{name}");
        let builder = match policy.store() {
            StoreAddress::Memory => SharedLimits::builder(Memory::new(self.0.time.clone())),
            StoreAddress::Redis { .. } => {
                let redis = redis(name, policy.store())?;
                SharedLimits::builder(self.guard_store(&guard, redis).await?)
            }
        };
        Ok(builder.group(name).time(self.0.time.clone()).build_by(policy.shared())?)
    }

    /// Puts all sets under what the policy file says now. Those that changed; of one that it has no more nothing changes.
    pub(super) fn reload_limits(&self) -> Vec<String> {
        let mut changed = Vec::new();
        for (name, set) in self.0.sets.all() {
            let policy = self.0.policies.limits(&name);
            if policy.is_some_and(|policy| set.reconfigure(policy.shared()).is_ok_and(|it| it)) {
                changed.push(format!("limits.{name}"));
            }
        }
        changed
    }
}

#[cfg(feature = "redis")]
fn redis(name: &str, address: &StoreAddress) -> Result<crate::distributed::Redis, LimitsError> {
    use crate::distributed::Redis;

    let wrong = |why: String| LimitsError::Store { name: name.to_owned(), why };
    let StoreAddress::Redis { urls, is_cluster, namespace } = address else {
        return Err(wrong("it is not in Redis".to_owned()));
    };
    let (first, others) = urls.split_first().ok_or_else(|| wrong("no address".to_owned()))?;
    let mut builder = Redis::builder(first.as_str()).namespace(namespace.as_str());
    if *is_cluster {
        builder = builder.cluster();
    }
    for url in others {
        builder = builder.server(url.as_str());
    }
    builder.build().map_err(|error| wrong(error.to_string()))
}

#[cfg(not(feature = "redis"))]
fn redis(name: &str, _: &StoreAddress) -> Result<Memory, LimitsError> {
    Err(LimitsError::NoRedis { name: name.to_owned() })
}
