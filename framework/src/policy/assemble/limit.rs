//! The rate limit's keys, and the quota's.

use crate::constraint::InvalidSettings;
use crate::limit::{Config, PacerConfig};
use crate::policy::decode::{Layer, Setting};
use crate::policy::keys::{self, RATE_LIMIT};
use crate::policy::mistakes::PolicyMistake;
use crate::policy::schema::Kind;

use super::{Merged, is_within, prefixed};

/// The algorithms that the keys know, each with its two keys.
fn algorithms() -> impl Iterator<Item = (&'static str, [&'static str; 2])> {
    RATE_LIMIT.iter().filter_map(|field| match field.kind {
        Kind::Filled([one, other]) => Some((field.name, [one.name, other.name])),
        _ => None,
    })
}

fn path(algorithm: &str) -> String {
    format!("rate_limit.{algorithm}")
}

impl Layer {
    /// Whether it says anything about this algorithm, were it nonsense.
    fn names(&self, algorithm: &str) -> bool {
        let whole = path(algorithm);
        self.entries.keys().chain(&self.broken).any(|key| is_within(key, &whole))
    }
}

impl Merged {
    /// A layer that names an algorithm has changed its mind about any other.
    pub(super) fn replace_algorithm(&mut self, upper: &Layer) {
        if !algorithms().any(|(name, _)| upper.names(name)) {
            return;
        }
        for (name, _) in algorithms().filter(|(name, _)| !upper.names(name)) {
            let whole = path(name);
            self.entries.retain(|key, _| !is_within(key, &whole));
            self.broken.retain(|key| !is_within(key, &whole));
        }
    }

    /// A limit has no defaults: half of one is a mistake, and so are two.
    pub(super) fn rate_limit(
        &self,
        wrong: &mut Vec<PolicyMistake>,
    ) -> Option<Result<Config, InvalidSettings>> {
        let is_broken =
            |algorithm: &str| self.broken.iter().any(|key| is_within(key, &path(algorithm)));
        let named: Vec<_> =
            algorithms().filter(|(name, _)| self.has_any(&path(name)) || is_broken(name)).collect();
        match named[..] {
            [] => {
                if self.has_any("rate_limit") && !self.broken.contains("rate_limit") {
                    wrong.push(PolicyMistake {
                        contradicts: None,
                        key: "rate_limit.max_wait".into(),
                        value: String::new(),
                        allowed: format!("beside one of {}", listed(algorithms().map(|it| it.0))),
                    });
                }
                None
            }
            [(name, keys)] => {
                let whole = self.is_whole(name, keys, wrong);
                whole.then(|| self.algorithm(name, keys)).flatten()
            }
            [.., (last, _)] => {
                let key = self.entries.keys().find(|key| is_within(key, &path(last)));
                wrong.push(PolicyMistake {
                    contradicts: None,
                    key: key.cloned().unwrap_or_else(|| path(last)),
                    value: String::new(),
                    allowed: format!(
                        "of one algorithm: here are {}",
                        listed(named.iter().map(|it| it.0))
                    ),
                });
                None
            }
        }
    }

    /// Whether both halves are there. Nonsense is, though nothing can be made of it.
    fn is_whole(&self, name: &str, keys: [&str; 2], wrong: &mut Vec<PolicyMistake>) -> bool {
        let whole = path(name);
        let missing = keys.map(|key| format!("{whole}.{key}")).into_iter().filter(|path| {
            !self.entries.contains_key(path)
                && !self.broken.contains(path)
                && !self.broken.contains(&whole)
        });
        let before = wrong.len();
        wrong.extend(missing.map(|key| PolicyMistake {
            contradicts: None,
            key,
            value: String::new(),
            allowed: format!(
                "given too: a {} needs both `{}` and `{}`",
                name.replace('_', " "),
                keys[0],
                keys[1]
            ),
        }));
        wrong.len() == before
    }

    /// How the dependency's own quota is gone by, if anything is said of it.
    pub(super) fn quota(&self, wrong: &mut Vec<PolicyMistake>) -> Option<PacerConfig> {
        if !self.has_any("quota") {
            return None;
        }
        let builder = self.apply("quota", &keys::PACER_KEYS, PacerConfig::builder());
        prefixed("quota", builder.build(), wrong)
    }

    fn algorithm(
        &self,
        name: &str,
        [size, speed]: [&str; 2],
    ) -> Option<Result<Config, InvalidSettings>> {
        let size = self.get(&format!("rate_limit.{name}.{size}"))?;
        let speed = self.get(&format!("rate_limit.{name}.{speed}"))?;
        config_of(name, size, speed)
    }
}

/// The algorithm of this name by its two settings, if they are of its kinds.
pub(in crate::policy) fn config_of(
    name: &str,
    size: Setting,
    speed: Setting,
) -> Option<Result<Config, InvalidSettings>> {
    let built = match (name, size, speed) {
        ("fixed_window", Setting::BigCount(limit), Setting::Duration(window)) => {
            Config::fixed_window(limit, window)
        }
        ("sliding_log", Setting::BigCount(limit), Setting::Duration(window)) => {
            Config::sliding_log(limit, window)
        }
        ("sliding_window", Setting::BigCount(limit), Setting::Duration(window)) => {
            Config::sliding_window(limit, window)
        }
        ("token_bucket", Setting::BigCount(capacity), Setting::Number(rate)) => {
            Config::token_bucket(capacity, rate)
        }
        ("leaky_bucket", Setting::BigCount(capacity), Setting::Number(rate)) => {
            Config::leaky_bucket(capacity, rate)
        }
        _ => return None,
    };
    Some(built)
}

fn listed(names: impl Iterator<Item = &'static str>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
