//! Reads policies from a TOML file.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use super::assemble::Merged;
use super::decode::{Decoder, Layer};
use super::diagnostic::{MAX_MISTAKES, Mistake, PolicyFileError};
use super::keys;
use super::limits::{self, LimitsPolicy};
use super::settings::Policy;
use super::source::Source;

/// The largest policy file that is read: 1 MiB.
pub const MAX_FILE_BYTES: u64 = 1 << 20;
/// The longest name of a dependency, in bytes: it becomes a label of every metric.
const MAX_NAME_BYTES: usize = 128;
/// The section that every other one starts from.
const DEFAULTS: &str = "defaults";
/// The section that has a section for each set of shared limits.
const LIMITS: &str = "limits";

/// The policies of a file: a section `[name]` for each dependency, over `[defaults]` for all, over
/// what is built in. `[name.methods.method]` says what is different for a method.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let file = seawall::policy::PolicyFile::parse(
///     r#"
///     [defaults]
///     deadline = "2s"
///
///     [payments]
///     timeout = "800ms"
///     breaker = { failure_rate = 0.5, min_calls = 20, window = "30s", open_for = "60s" }
///     retry = { max_attempts = 3, base_delay = "100ms", max_delay = "2s", budget = 0.2 }
///     bulkhead = { max_concurrent = 20, max_wait = "250ms" }
///     mailbox = { capacity = 100, on_full = "error" }
///     rate_limit = { token_bucket = { capacity = 200, refill_per_second = 100 } }
///
///     [payments.methods.balance]
///     timeout = "300ms"
///     "#,
///     "seawall.toml",
/// )?;
/// assert_eq!(file.policy("payments").bulkhead().max_concurrent(), 20);
/// assert_eq!(file.policy("inventory").deadline(), file.policy("payments").deadline());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PolicyFile {
    defaults: Arc<Policy>,
    policies: BTreeMap<String, Arc<Policy>>,
    limits: BTreeMap<String, LimitsPolicy>,
}

impl PolicyFile {
    /// Reads and checks the file at `path`. Blocks while it reads.
    ///
    /// # Errors
    /// It cannot be read, keeps changing while it is read, is longer than [`MAX_FILE_BYTES`], or says something that makes
    /// no sense: then every mistake in it, each with its place.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, PolicyFileError> {
        let path = path.as_ref();
        let name = path.display().to_string();
        for _ in 0..READS_MAX {
            match read(path) {
                Ok(Some(text)) => return Self::parse(&text, &name),
                Ok(None) => {}
                Err(source) => {
                    return Err(PolicyFileError::Read { file: name, source: Arc::new(source) });
                }
            }
        }
        Err(PolicyFileError::Changing { file: name })
    }

    /// Checks `text`, called `file_name` in what is said about it.
    ///
    /// # Errors
    /// It is longer than [`MAX_FILE_BYTES`], or says something that makes no sense: then every
    /// mistake in it, each with its place.
    pub fn parse(text: &str, file_name: &str) -> Result<Self, PolicyFileError> {
        let source = Source::new(text);
        let invalid = |mistakes| PolicyFileError::Invalid { file: file_name.to_owned(), mistakes };
        if text.len() as u64 > MAX_FILE_BYTES {
            let message = format!("longer than {MAX_FILE_BYTES} bytes");
            return Err(invalid(vec![source.mistake(&(0..0), String::new(), &(0..0), message)]));
        }
        let (tree, errors) = DeTable::parse_recoverable(text);
        let mut mistakes: Vec<Mistake> = errors
            .iter()
            .take(MAX_MISTAKES)
            .map(|error| {
                let span = error.span().unwrap_or(0..0);
                source.mistake(&span, String::new(), &(0..0), error.message().to_owned())
            })
            .collect();
        let garbled: BTreeSet<usize> = mistakes.iter().map(Mistake::line).collect();
        let mut sections = Sections::new(source.clone());
        sections.decode(tree.get_ref());
        let file = if garbled.is_empty() {
            sections.assemble()
        } else {
            // What could be made of the rest is looked at too, but nothing is held to be missing
            // or contradictory on the word of a text that could not be read whole.
            sections.decoder.mistakes.retain(|mistake| !garbled.contains(&mistake.line()));
            Self::default()
        };
        mistakes.append(&mut sections.decoder.mistakes);
        if mistakes.is_empty() {
            return Ok(file);
        }
        mistakes
            .sort_by(|a, b| (a.offset, &a.key, &a.message).cmp(&(b.offset, &b.key, &b.message)));
        // What is wrong in [defaults] is wrong in every section, and is said once.
        mistakes.dedup_by(|a, b| (a.offset, &a.key, &a.message) == (b.offset, &b.key, &b.message));
        Err(invalid(mistakes))
    }

    /// The policy of the dependency `name`: its section over the defaults, or the defaults alone.
    #[must_use]
    pub fn policy(&self, name: &str) -> Policy {
        Policy::clone(self.policies.get(name).unwrap_or(&self.defaults))
    }

    /// The same, shared with others that go by it.
    pub(crate) fn shared_policy(&self, name: &str) -> Arc<Policy> {
        Arc::clone(self.policies.get(name).unwrap_or(&self.defaults))
    }

    /// What `[limits.name]` says; `None`: there is no such section.
    #[must_use]
    pub fn limits(&self, name: &str) -> Option<&LimitsPolicy> {
        self.limits.get(name)
    }

    /// The sets of shared limits that attempts of this dependency take from, too, in alphabetical order.
    pub fn limits_of<'a>(&'a self, dependency: &'a str) -> impl Iterator<Item = &'a str> {
        let lists_it = move |limits: &LimitsPolicy| {
            limits.dependencies().iter().any(|name| name == dependency)
        };
        self.limits.iter().filter(move |(_, it)| lists_it(it)).map(|(name, _)| name.as_str())
    }

    /// The names of all sets of shared limits, in alphabetical order.
    pub fn limit_names(&self) -> impl Iterator<Item = &str> {
        self.limits.keys().map(String::as_str)
    }

    /// The dependencies that have a section of their own, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.policies.keys().map(String::as_str)
    }
}

/// How often a file is read that changes meanwhile.
const READS_MAX: u32 = 3;

/// The text of a file. `None`: it changed while it was read.
fn read(path: &Path) -> std::io::Result<Option<String>> {
    let mut file = std::fs::File::open(path)?;
    let before = file.metadata()?;
    let mut text = String::new();
    // A byte more than allowed tells a file that is too long from one that just fits.
    (&mut file).take(MAX_FILE_BYTES + 1).read_to_string(&mut text)?;
    let after = file.metadata()?;
    let is_same = before.len() == after.len() && before.modified().ok() == after.modified().ok();
    // What is not a plain file (a pipe, `/dev/stdin`) has no length.
    let is_whole =
        !after.is_file() || after.len() > MAX_FILE_BYTES || after.len() == text.len() as u64;
    Ok((is_same && is_whole).then_some(text))
}

/// A key of the file, and where it and its value are.
struct FileKey<'a> {
    name: &'a str,
    key: std::ops::Range<usize>,
    value: std::ops::Range<usize>,
}

/// The sections of a file, on their way to being policies.
struct Sections<'a> {
    decoder: Decoder<'a>,
    defaults: Layer,
    named: Vec<(String, std::ops::Range<usize>, Layer)>,
    limits: BTreeMap<String, LimitsPolicy>,
}

impl<'a> Sections<'a> {
    fn new(source: Source<'a>) -> Self {
        Self {
            decoder: Decoder::new(source),
            defaults: Layer::default(),
            named: Vec::new(),
            limits: BTreeMap::new(),
        }
    }

    fn decode(&mut self, tree: &DeTable<'_>) {
        for (key, value) in tree.iter() {
            let name: &str = key.get_ref();
            let DeValue::Table(table) = value.get_ref() else {
                self.not_a_section(&FileKey { name, key: key.span(), value: value.span() });
                continue;
            };
            if name == DEFAULTS {
                self.defaults = self.decoder.section(name, table, keys::DEFAULTS);
                continue;
            }
            if name == LIMITS {
                self.limits = limits::read(&mut self.decoder, table);
                continue;
            }
            if name.trim().is_empty()
                || name.len() > MAX_NAME_BYTES
                || name.chars().any(char::is_control)
            {
                let message = format!(
                    "a dependency's name must have 1 to {MAX_NAME_BYTES} bytes, none of them a control character"
                );
                self.note(&FileKey { name, key: key.span(), value: 0..0 }, message, None);
            }
            let layer = self.decoder.section(name, table, keys::SECTION);
            self.named.push((name.to_owned(), key.span(), layer));
        }
    }

    fn assemble(&mut self) -> PolicyFile {
        let Self { decoder, defaults, named, limits } = self;
        let base = Merged::default().over(defaults);
        let source = &decoder.source;
        let mistakes = &mut decoder.mistakes;
        PolicyFile {
            defaults: Arc::new(base.policy(DEFAULTS, &(0..0), source, mistakes)),
            policies: named
                .iter()
                .map(|(name, span, layer)| {
                    let merged = base.clone().over(layer);
                    (name.clone(), Arc::new(merged.policy(name, span, source, mistakes)))
                })
                .collect(),
            limits: std::mem::take(limits),
        }
    }

    fn not_a_section(&mut self, entry: &FileKey<'_>) {
        let name = entry.name;
        let known = keys::SECTION.iter().any(|field| field.name == name);
        let help = known
            .then(|| format!("put `{name}` under [{DEFAULTS}], or under a dependency's section"));
        let message = format!(
            "must be a section: [{DEFAULTS}], [name] for each dependency, or [{LIMITS}.name]"
        );
        self.note(entry, message, help);
    }

    fn note(&mut self, entry: &FileKey<'_>, message: String, help: Option<String>) {
        // A nameless key would read as a mistake of syntax.
        let name = if entry.name.is_empty() { "\"\"" } else { entry.name };
        self.decoder.note(|source| {
            source.mistake(&entry.key, name.to_owned(), &entry.value, message).with_help(help)
        });
    }
}
