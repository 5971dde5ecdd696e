//! `[limits.name]`: limits that several instances of a program keep to together.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::assemble::config_of;
use super::decode::{Decoder, Setting, join};
use super::keys;
use super::schema::{Field, Kind};
use super::values::{self, Value, blame, mode, on_failure, per, simple, text};
use crate::limit::{Config, Mode, OnFailure, SharedConfig, SharedLimit};

/// What the dependencies are called that sets of limits are kept in.
const OWN: &str = "limits.";

/// What a policy file says of a set of shared limits, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct LimitsPolicy {
    store: StoreAddress,
    shared: SharedConfig,
    dependencies: Vec<String>,
}

impl LimitsPolicy {
    /// Whose attempts take from these limits, too.
    #[must_use]
    pub fn dependencies(&self) -> &[String] {
        &self.dependencies
    }
    /// Where the limits are kept.
    #[must_use]
    pub fn store(&self) -> &StoreAddress {
        &self.store
    }
    /// The limits.
    #[must_use]
    pub fn shared(&self) -> &SharedConfig {
        &self.shared
    }
}

/// Where shared limits are kept. Its `Debug` has no address in it: that may have a password in it.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreAddress {
    /// In this process.
    Memory,
    /// In Redis or Valkey.
    Redis {
        /// The address; of a Cluster one or several.
        urls: Vec<String>,
        /// Whether it is a Cluster: the file has a list.
        is_cluster: bool,
        /// What all keys begin with.
        namespace: String,
    },
}

impl fmt::Debug for StoreAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("Memory"),
            Self::Redis { is_cluster, namespace, .. } => f
                .debug_struct("Redis")
                .field("is_cluster", is_cluster)
                .field("namespace", namespace)
                .finish_non_exhaustive(),
        }
    }
}

/// All sets of the section `[limits]`. Every mistake is noted.
pub(super) fn read(
    decoder: &mut Decoder<'_>,
    table: &DeTable<'_>,
) -> BTreeMap<String, LimitsPolicy> {
    let mut sets = BTreeMap::new();
    for (key, value) in table.iter() {
        let name: &str = key.get_ref();
        decoder.enter(join("limits", name));
        let DeValue::Table(set) = value.get_ref() else {
            let message = "must be a section: [limits.name] for each set of limits".to_owned();
            decoder.note(|source| {
                source.mistake(&key.span(), join("limits", name), &value.span(), message)
            });
            continue;
        };
        let before = decoder.mistakes.len();
        let read = Set::default().read(decoder, set, &key.span());
        if let (Some(read), true) = (read, decoder.mistakes.len() == before) {
            sets.insert(name.to_owned(), read);
        }
    }
    sets
}

/// A set on its way to being one.
#[derive(Default)]
struct Set {
    store: Option<(Vec<String>, bool)>,
    namespace: Option<String>,
    /// And where it is said.
    dependencies: Option<(Vec<String>, Range<usize>)>,
    /// What layers have that say nothing of it.
    usual: (Mode, OnFailure),
}

impl Set {
    fn read(
        mut self,
        decoder: &mut Decoder<'_>,
        table: &DeTable<'_>,
        span: &Range<usize>,
    ) -> Option<LimitsPolicy> {
        let mut shared = SharedConfig::builder();
        let mut layers = None;
        for (name, field, value) in known(decoder, "", table, keys::LIMITS) {
            match (name, field.kind) {
                ("store", _) => self.store = values::store(decoder, value),
                ("dependencies", _) => {
                    let names = values::names(decoder, name, value)?;
                    self.dependencies = Some((names, value.span()));
                }
                ("namespace", _) => self.namespace = text(decoder, name, value),
                (_, Kind::Mode) => self.usual.0 = mode(decoder, name, value)?,
                (_, Kind::OnFailure) => self.usual.1 = on_failure(decoder, name, value)?,
                ("layers", _) => layers = Some(value),
                _ => match (name, simple(decoder, name, field.kind, value)?) {
                    ("decide_within", Setting::Duration(it)) => shared = shared.decide_within(it),
                    ("lease_term", Setting::Duration(it)) => shared = shared.lease_term(it),
                    (_, Setting::BigCount(it)) => shared = shared.expected_instances(it),
                    _ => {}
                },
            }
        }
        let Some(layers) = layers else {
            let message = "must have a layer: [limits.name.layers.layer]".to_owned();
            decoder.wrong("layers", span, message);
            return None;
        };
        for limit in self.layers(decoder, layers)? {
            shared = shared.limit(limit);
        }
        let shared = shared.build().map_err(|invalid| blame(decoder, span, &invalid)).ok()?;
        let dependencies = self.dependencies(decoder, &shared)?;
        Some(LimitsPolicy { store: self.address(), shared, dependencies })
    }

    /// The dependencies; a call does not wait for a store.
    fn dependencies(
        &mut self,
        decoder: &mut Decoder<'_>,
        shared: &SharedConfig,
    ) -> Option<Vec<String>> {
        let Some((names, span)) = self.dependencies.take() else { return Some(Vec::new()) };
        if names.iter().any(|name| name.starts_with(OWN)) {
            let message = format!("must not name a store of limits, {OWN}NAME, itself");
            decoder.wrong("dependencies", &span, message);
            return None;
        }
        match shared.limits().iter().find(|limit| limit.mode == Mode::Exact) {
            None => Some(names),
            Some(exact) => {
                let message = format!(
                    "must go with leased layers and local shares, since a call does not wait for a store: `{}` is exact",
                    exact.name()
                );
                decoder.wrong("dependencies", &span, message);
                None
            }
        }
    }

    fn address(self) -> StoreAddress {
        match self.store {
            Some((urls, is_cluster)) => {
                let namespace = self.namespace.unwrap_or_else(|| "seawall".to_owned());
                StoreAddress::Redis { urls, is_cluster, namespace }
            }
            None => StoreAddress::Memory,
        }
    }

    /// The layers, the widest first; of those alike, as they stand in the file.
    fn layers(&self, decoder: &mut Decoder<'_>, value: &Value<'_>) -> Option<Vec<SharedLimit>> {
        let mut layers = Vec::new();
        for (name, at, table) in tables(decoder, "layers", value, keys::LAYER)? {
            let path = join("layers", &name);
            layers.push((at.start, self.layer(decoder, &path, &name, (table, &at))));
        }
        let all: Option<Vec<_>> =
            layers.into_iter().map(|(at, layer)| Some((at, layer?))).collect();
        let mut all = all?;
        all.sort_by_key(|(at, layer)| (layer.per, *at));
        Some(all.into_iter().map(|(_, layer)| layer).collect())
    }

    fn layer(
        &self,
        decoder: &mut Decoder<'_>,
        path: &str,
        name: &str,
        (table, at): (&DeTable<'_>, &Range<usize>),
    ) -> Option<SharedLimit> {
        let config = algorithm(decoder, path, table, at)?;
        let mut layer = SharedLimit::new(name, config).mode(self.usual.0).on_failure(self.usual.1);
        for (name, field, value) in known(decoder, path, table, keys::LAYER) {
            let here = join(path, name);
            match field.kind {
                Kind::Per => layer = layer.per(per(decoder, &here, value)?),
                Kind::Mode => layer = layer.mode(mode(decoder, &here, value)?),
                Kind::OnFailure => layer = layer.on_failure(on_failure(decoder, &here, value)?),
                Kind::BigCount => {
                    if let Setting::BigCount(lease) = simple(decoder, &here, field.kind, value)? {
                        layer = layer.lease(lease);
                    }
                }
                Kind::Named(fields) => {
                    for (tier, at, table) in tables(decoder, &here, value, fields)? {
                        let path = join(&here, &tier);
                        known(decoder, &path, table, fields);
                        layer = layer.tier(tier, algorithm(decoder, &path, table, &at)?);
                    }
                }
                _ => {}
            }
        }
        Some(layer)
    }
}

/// The keys of a table that are known; of the others each is a mistake.
fn known<'t, 'v>(
    decoder: &mut Decoder<'_>,
    path: &str,
    table: &'t DeTable<'v>,
    fields: &'static [Field],
) -> Vec<(&'static str, &'static Field, &'t Value<'v>)> {
    let mut found = Vec::new();
    for (key, value) in table.iter() {
        let name: &str = key.get_ref();
        match fields.iter().find(|field| field.name == name) {
            Some(field) => found.push((field.name, field, value)),
            None => decoder.unknown(path, name, &key.span(), fields),
        }
    }
    found
}

/// The tables by name in a table: name, where it is, and its keys.
fn tables<'t, 'v>(
    decoder: &mut Decoder<'_>,
    path: &str,
    value: &'t Value<'v>,
    fields: &'static [Field],
) -> Option<Vec<(String, Range<usize>, &'t DeTable<'v>)>> {
    let DeValue::Table(table) = value.get_ref() else {
        let expected = Kind::Named(fields).expected();
        decoder.wrong(path, &value.span(), format!("must be {expected}"));
        return None;
    };
    let mut found = Vec::new();
    for (key, value) in table.iter() {
        let here = join(path, key.get_ref());
        match value.get_ref() {
            DeValue::Table(table) => found.push((key.get_ref().to_string(), key.span(), table)),
            _ => {
                let expected = Kind::Table(fields).expected();
                decoder.wrong(&here, &value.span(), format!("must be {expected}"));
            }
        }
    }
    Some(found)
}

/// The one algorithm that a table names.
fn algorithm(
    decoder: &mut Decoder<'_>,
    path: &str,
    table: &DeTable<'_>,
    at: &Range<usize>,
) -> Option<Config> {
    let named: Vec<_> = keys::TIER
        .iter()
        .filter_map(|field| table.get(field.name).map(|value| (field, value)))
        .collect();
    let [(field, value)] = named[..] else {
        let names = super::schema::names(keys::TIER);
        decoder.wrong(path, at, format!("must have one of {names}, and no two"));
        return None;
    };
    let here = join(path, field.name);
    let DeValue::Table(parts) = value.get_ref() else {
        decoder.wrong(&here, &value.span(), format!("must be {}", field.kind.expected()));
        return None;
    };
    let (mut size, mut speed) = (None, None);
    for (name, part, value) in known(decoder, &here, parts, field.kind.fields()) {
        match simple(decoder, &join(&here, name), part.kind, value)? {
            whole @ Setting::BigCount(_) => size = Some(whole),
            other => speed = Some(other),
        }
    }
    let built = size.zip(speed).and_then(|(size, speed)| config_of(field.name, size, speed));
    let Some(built) = built else {
        let names = super::schema::names(field.kind.fields());
        decoder.wrong(&here, &value.span(), format!("must have each of {names}"));
        return None;
    };
    built.map_err(|invalid| blame(decoder, &value.span(), &invalid)).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::limit::Per;
    use crate::policy::PolicyFile;

    const WHOLE: &str = r#"
        [limits.api]
        store = ["redis://:secret@a:6379", "redis://b:6379"]
        namespace = "shop"
        decide_within = "20ms"
        lease_term = "2s"
        expected_instances = 3
        mode = "leased"
        on_failure = "closed"

        [limits.out]
        dependencies = ["payments", "geocoder"]
        mode = "local_share"
        layers.quota = { fixed_window = { limit = 10, window = "1s" } }

        [limits.api.layers.endpoint]
        per = "subject_and_part"
        mode = "exact"
        on_failure = "open"
        sliding_window = { limit = 10, window = "1m" }

        [limits.api.layers.user]
        per = "subject"
        lease = 2
        token_bucket = { capacity = 20, refill_per_second = 5 }
        tiers.premium = { token_bucket = { capacity = 200, refill_per_second = 50 } }

        [limits.api.layers.global]
        fixed_window = { limit = 10_000, window = "1s" }
    "#;

    #[test]
    fn every_key_of_shared_limits_arrives() {
        let file = PolicyFile::parse(WHOLE, "f").unwrap();
        let limits = file.limits("api").unwrap();
        let urls = vec!["redis://:secret@a:6379".to_owned(), "redis://b:6379".to_owned()];
        let namespace = "shop".to_owned();
        assert_eq!(*limits.store(), StoreAddress::Redis { urls, is_cluster: true, namespace });
        let second = Duration::from_secs(1);
        let premium = Config::token_bucket(200, 50.0).unwrap();
        let limit = |name, config: Result<Config, _>| SharedLimit::new(name, config.unwrap());
        let expected = SharedConfig::builder()
            .decide_within(Duration::from_millis(20))
            .lease_term(second * 2)
            .expected_instances(3)
            .limit(
                limit("global", Config::fixed_window(10_000, second))
                    .mode(Mode::Leased)
                    .on_failure(OnFailure::Closed),
            )
            .limit(
                limit("user", Config::token_bucket(20, 5.0))
                    .per(Per::Subject)
                    .mode(Mode::Leased)
                    .on_failure(OnFailure::Closed)
                    .lease(2)
                    .tier("premium", premium),
            )
            .limit(
                limit("endpoint", Config::sliding_window(10, second * 60))
                    .per(Per::SubjectAndPart)
                    .on_failure(OnFailure::Open),
            );
        assert_eq!(*limits.shared(), expected.build().unwrap());
        assert!(!format!("{file:?}").contains("secret"));
        assert_eq!(file.limits("other"), None);
        assert_eq!(file.limit_names().collect::<Vec<_>>(), ["api", "out"]);
        assert!(limits.dependencies().is_empty());
        assert_eq!(file.limits("out").unwrap().dependencies(), ["payments", "geocoder"]);
        assert_eq!(file.names().count(), 0);
    }

    #[test]
    fn what_is_not_said_is_in_this_process_and_exact() {
        let text =
            r#"limits.a.layers.all = { token_bucket = { capacity = 1, refill_per_second = 1 } }"#;
        let file = PolicyFile::parse(text, "f").unwrap();
        let limits = file.limits("a").unwrap();
        assert_eq!(*limits.store(), StoreAddress::Memory);
        let [limit] = limits.shared().limits() else { panic!("one") };
        assert_eq!((limit.mode, limit.on_failure), (Mode::Exact, OnFailure::Local));
    }

    /// The mistakes in what a layer `x` or its set says.
    fn mistakes(set: &str) -> Vec<String> {
        let error = PolicyFile::parse(set, "f").unwrap_err();
        error.mistakes().iter().map(|it| format!("{}: {}", it.key(), it.message())).collect()
    }

    #[test]
    fn each_mistake_says_where_it_is_and_what_is_allowed() {
        let bucket = "token_bucket = { capacity = 1, refill_per_second = 1 }";
        let layer = |text: &str| format!("[limits.a.layers.x]\n{bucket}\n{text}");
        for (text, expected) in [
            ("limits.a = 1".to_owned(), "limits.a: must be a section"),
            ("limits = 1".to_owned(), "limits: must be a section"),
            ("[limits.a]".to_owned(), "limits.a.layers: must have a layer"),
            (
                "[limits.a.layers.x]".to_owned(),
                "limits.a.layers.x: must have one of `fixed_window`",
            ),
            (
                layer("sliding_log = { limit = 1, window = \"1s\" }"),
                "limits.a.layers.x: must have one",
            ),
            (layer("per = \"user\""), "limits.a.layers.x.per: must be one of \"all\", \"part\""),
            (layer("mode = \"shared\""), "limits.a.layers.x.mode: must be one of \"exact\""),
            (layer("on_failure = true"), "limits.a.layers.x.on_failure: must be one of \"open\""),
            (layer("lease = -1"), "limits.a.layers.x.lease: must be a whole number"),
            (layer("lease = 2"), "limits.a.lease: is 2, and must be from 1 to the limit, 1"),
            (layer("leese = 2"), "limits.a.layers.x.leese: unknown key"),
            (layer("tiers = 1"), "limits.a.layers.x.tiers: must be a table by name"),
            (layer("tiers.t = 1"), "limits.a.layers.x.tiers.t: must be a table of"),
            (layer("tiers.t = { per = \"all\" }"), "limits.a.layers.x.tiers.t.per: unknown key"),
            (
                layer("tiers.t.sliding_log = { limit = 1, window = \"1s\" }"),
                "limits.a.tiers: is \"sliding_log\", and must be by token_bucket",
            ),
            (
                layer("[limits.a]\nstore = \"http://:secret@x\""),
                "limits.a.store: must be \"memory\", an address",
            ),
            (layer("[limits.a]\nstore = []"), "limits.a.store: must be \"memory\", an address"),
            (layer("[limits.a]\ndependencies = \"x\""), "limits.a.dependencies: must be a list"),
            (layer("[limits.a]\ndependencies = [1]"), "limits.a.dependencies: must be a list"),
            (layer("[limits.a]\ndependencies = [\"x\"]"), "limits.a.dependencies: must go with"),
            (
                layer("mode = \"leased\"\n[limits.a]\ndependencies = [\"limits.a\"]"),
                "limits.a.dependencies: must not name",
            ),
            (layer("[limits.a]\nnamespace = 1"), "limits.a.namespace: must be text in quotes"),
            (layer("[limits.a]\ndecide_within = \"1us\""), "limits.a.decide_within: is 1µs"),
            (
                "[limits.a.layers.x]\ntoken_bucket = { capacity = 1 }".to_owned(),
                "limits.a.layers.x.token_bucket: must have each of `capacity`",
            ),
            (
                "[limits.a.layers.x]\nfixed_window = { limit = 0, window = \"1s\" }".to_owned(),
                "limits.a.fixed_window.limit: is 0, and must be at least 1",
            ),
            (
                "[limits.a.layers.\"x y\"]\nfixed_window = { limit = 1, window = \"1s\" }"
                    .to_owned(),
                "limits.a.name: is \"x y\", and must be 1 to 64 letters",
            ),
        ] {
            let found = mistakes(&text);
            assert!(found.iter().any(|it| it.starts_with(expected)), "{text}\n{found:#?}");
            let error = PolicyFile::parse(&text, "f").unwrap_err();
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}
