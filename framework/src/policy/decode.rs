//! From the file's tree to a flat list of typed settings, each with its place in the file.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use super::diagnostic::{MAX_MISTAKES, Mistake};
use super::keys;
use super::schema::{self, Field, Kind};
use super::source::Source;
use crate::backpressure::{DEFAULT_BLOCK_TIMEOUT, MailboxOrder, OneWayStrategy, Strategy};
use crate::breaker::adaptive::UtcOffset;
use crate::breaker::{Enforcement, HalfOpenMode, Window};
use crate::bulkhead::Limit;
use crate::retry::{Backoff, BudgetMode, Jitter};

/// A typed value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Setting {
    Duration(Duration),
    Count(u32),
    BigCount(u64),
    Number(f64),
    Flag(bool),
    Jitter(Jitter),
    Backoff(Backoff),
    Limit(Limit),
    Order(MailboxOrder),
    OneWay(OneWayStrategy),
    BudgetMode(BudgetMode),
    HalfOpen(HalfOpenMode),
    Enforcement(Enforcement),
    OnFull(Strategy),
    /// One of a kind, or one of each.
    Window([Option<Window>; 2]),
    UtcOffset(UtcOffset),
    /// Switched off, whatever an earlier layer says.
    Off,
}

/// A setting and its place in the file.
#[derive(Clone, Debug)]
pub(super) struct FoundSetting {
    pub(super) setting: Setting,
    /// The section it was set in.
    pub(super) section: String,
    pub(super) span: Range<usize>,
}

/// What one section says, by key path within the section.
#[derive(Clone, Debug, Default)]
pub(super) struct Layer {
    pub(super) entries: BTreeMap<String, FoundSetting>,
    /// Keys whose values made no sense, so that nothing else is blamed for contradicting them.
    pub(super) broken: BTreeSet<String>,
}

/// Walks a section, noting every mistake.
pub(super) struct Decoder<'a> {
    pub(super) source: Source<'a>,
    pub(super) mistakes: Vec<Mistake>,
    section: String,
    layer: Layer,
}

type Value<'a> = Spanned<DeValue<'a>>;

impl<'a> Decoder<'a> {
    pub(super) fn new(source: Source<'a>) -> Self {
        Self { source, mistakes: Vec::new(), section: String::new(), layer: Layer::default() }
    }

    /// What the section `name` says.
    pub(super) fn section(&mut self, name: &str, table: &DeTable<'_>, fields: &[Field]) -> Layer {
        self.section = name.to_owned();
        self.layer = Layer::default();
        self.table("", table, fields);
        std::mem::take(&mut self.layer)
    }

    /// Mistakes noted from here on are in this section.
    pub(super) fn enter(&mut self, section: String) {
        self.section = section;
        self.layer = Layer::default();
    }

    /// Notes the mistake that `describe` makes, unless there are more than anybody will read: then
    /// it is not even made, for finding its place in a long line takes time.
    pub(super) fn note(&mut self, describe: impl FnOnce(&Source<'a>) -> Mistake) {
        if self.mistakes.len() < MAX_MISTAKES {
            self.mistakes.push(describe(&self.source));
        }
    }

    /// Notes a mistake about `path` in the present section.
    pub(super) fn wrong(&mut self, path: &str, span: &Range<usize>, message: String) {
        let key = format!("{}.{path}", self.section);
        self.note(|source| source.mistake(span, key, span, message));
        self.layer.broken.insert(path.to_owned());
    }

    fn table(&mut self, path: &str, table: &DeTable<'_>, fields: &[Field]) {
        for (key, value) in table.iter() {
            let name: &str = key.get_ref();
            let here = join(path, name);
            match fields.iter().find(|field| field.name == name) {
                Some(field) => self.value(&here, field.kind, value),
                None => self.unknown(path, name, &key.span(), fields),
            }
        }
    }

    pub(super) fn unknown(
        &mut self,
        path: &str,
        name: &str,
        span: &Range<usize>,
        fields: &[Field],
    ) {
        let meant = schema::nearest(name, fields.iter().map(|field| field.name))
            .map(|meant| format!("did you mean `{meant}`?"));
        let help = meant.or_else(|| {
            let home = schema::home(name, keys::SECTION, "")?;
            Some(format!("`{name}` belongs elsewhere: `{home}`"))
        });
        let key = join(&self.section, &join(path, name));
        let message = format!("unknown key; known here: {}", schema::names(fields));
        self.note(|source| source.mistake(span, key, &(0..0), message).with_help(help));
    }

    fn value(&mut self, path: &str, kind: Kind, value: &Value<'_>) {
        match (kind, value.get_ref()) {
            (Kind::Methods, DeValue::Table(methods)) => self.methods(path, methods),
            (
                Kind::CountOrOff | Kind::Optional(_) | Kind::Shorthand(_) | Kind::Switch(_),
                DeValue::Boolean(false),
            ) => self.set(path, value, Setting::Off),
            // Of budgets the word is usual, and one has to be said.
            (Kind::Shorthand(_), DeValue::String(none))
                if path == "retry.budget" && none == "none" =>
            {
                self.set(path, value, Setting::Off);
            }
            (Kind::Switch(_), DeValue::Boolean(true)) => {
                self.set(path, value, Setting::Flag(true));
            }
            (
                Kind::Table(fields)
                | Kind::Filled(fields)
                | Kind::Optional(fields)
                | Kind::Shorthand(fields)
                | Kind::Switch(fields),
                DeValue::Table(table),
            ) => {
                // A header whose keys are all commented out says nothing, and is no mistake.
                let may_be_empty = matches!(kind, Kind::Table(_)) || path == "retry";
                if table.is_empty() && !may_be_empty {
                    self.wrong(path, &value.span(), format!("must be {}", kind.expected()));
                }
                self.table(path, table, fields);
            }
            (Kind::Shorthand([first, ..]), DeValue::Integer(_) | DeValue::Float(_)) => {
                self.value(&join(path, first.name), first.kind, value);
            }
            (_, found) => match leaf(kind, found) {
                Ok(setting) => self.set(path, value, setting),
                Err(why) => self.wrong(path, &value.span(), why),
            },
        }
    }

    fn methods(&mut self, path: &str, methods: &DeTable<'_>) {
        for (key, value) in methods.iter() {
            let here = join(path, key.get_ref());
            match value.get_ref() {
                DeValue::Table(table) => self.table(&here, table, keys::METHOD),
                _ => {
                    let expected = Kind::Table(keys::METHOD).expected();
                    self.wrong(&here, &value.span(), format!("must be {expected}"));
                }
            }
        }
    }

    fn set(&mut self, path: &str, value: &Value<'_>, setting: Setting) {
        let entry = FoundSetting { setting, section: self.section.clone(), span: value.span() };
        self.layer.entries.insert(path.to_owned(), entry);
    }
}

pub(super) fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// A single value of the kind asked for, or what is wrong with it.
pub(super) fn leaf(kind: Kind, value: &DeValue<'_>) -> Result<Setting, String> {
    let setting = match (kind, value) {
        (Kind::Duration, DeValue::String(text)) => Some(Setting::Duration(duration(text)?)),
        (Kind::Count | Kind::CountOrOff, DeValue::Integer(number)) => {
            whole(number).and_then(|n| u32::try_from(n).ok()).map(Setting::Count)
        }
        (Kind::BigCount, DeValue::Integer(number)) => {
            whole(number).and_then(|n| u64::try_from(n).ok()).map(Setting::BigCount)
        }
        (Kind::Number, DeValue::Integer(number)) => {
            whole(number).map(|number| Setting::Number(number as f64))
        }
        (Kind::Number, DeValue::Float(number)) => number.as_str().parse().ok().map(Setting::Number),
        (Kind::Flag, DeValue::Boolean(flag)) => Some(Setting::Flag(*flag)),
        (Kind::Jitter, DeValue::String(name)) => {
            named(&Jitter::EVERY, Jitter::as_str, name).map(Setting::Jitter)
        }
        (Kind::Backoff, DeValue::String(name)) => {
            named(&Backoff::EVERY, Backoff::as_str, name).map(Setting::Backoff)
        }
        (Kind::Limit, DeValue::String(name)) => {
            named(&Limit::EVERY, Limit::as_str, name).map(Setting::Limit)
        }
        (Kind::Order, DeValue::String(name)) => {
            named(&MailboxOrder::EVERY, MailboxOrder::as_str, name).map(Setting::Order)
        }
        (Kind::OneWay, DeValue::String(name)) => {
            named(&OneWayStrategy::EVERY, OneWayStrategy::as_str, name).map(Setting::OneWay)
        }
        (Kind::BudgetMode, DeValue::String(name)) => {
            named(&BudgetMode::EVERY, BudgetMode::as_str, name).map(Setting::BudgetMode)
        }
        (Kind::HalfOpen, DeValue::String(name)) => {
            named(&HalfOpenMode::EVERY, HalfOpenMode::as_str, name).map(Setting::HalfOpen)
        }
        (Kind::Enforcement, DeValue::String(name)) => {
            named(&Enforcement::EVERY, Enforcement::as_str, name).map(Setting::Enforcement)
        }
        (Kind::UtcOffset, DeValue::String(text)) => text.parse().ok().map(Setting::UtcOffset),
        (Kind::OnFull, value) => on_full(value)?.map(Setting::OnFull),
        (Kind::Window, value) => windows(value)?.map(Setting::Window),
        _ => None,
    };
    setting.ok_or_else(|| format!("must be {}", kind.expected()))
}

/// The one that has this name.
pub(super) fn named<T: Copy>(every: &[T], name_of: fn(T) -> &'static str, name: &str) -> Option<T> {
    every.iter().copied().find(|it| name_of(*it) == name)
}

/// One window, or a list of one of calls and one of time.
fn windows(value: &DeValue<'_>) -> Result<Option<[Option<Window>; 2]>, String> {
    let DeValue::Array(values) = value else {
        return Ok(window(value)?.map(|window| [Some(window), None]));
    };
    let [first, second] = &values[..] else { return Ok(None) };
    let both = [window(first.get_ref())?, window(second.get_ref())?];
    let is_one_of_each = matches!(
        both,
        [Some(Window::Calls(_)), Some(Window::Time(_))]
            | [Some(Window::Time(_)), Some(Window::Calls(_))]
    );
    Ok(is_one_of_each.then_some(both))
}

fn window(value: &DeValue<'_>) -> Result<Option<Window>, String> {
    match value {
        DeValue::String(text) => Ok(Some(Window::Time(duration(text)?))),
        DeValue::Integer(number) => {
            let calls = whole(number).and_then(|calls| u32::try_from(calls).ok());
            Ok(calls.map(Window::Calls))
        }
        _ => Ok(None),
    }
}

fn whole(number: &DeInteger<'_>) -> Option<i128> {
    i128::from_str_radix(number.as_str(), number.radix()).ok()
}

fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|why| format!("must be {} ({why})", Kind::Duration.expected()))
}

/// `"error"`, `"block"`, …, or `{ block = { timeout = "5s" } }`.
fn on_full(value: &DeValue<'_>) -> Result<Option<Strategy>, String> {
    match value {
        DeValue::String(name) => {
            Ok([Strategy::default(), Strategy::DropOldest, Strategy::DropNewest, Strategy::Error]
                .into_iter()
                .find(|strategy| strategy.as_str() == name))
        }
        DeValue::Table(table) => {
            let Some(DeValue::Table(block)) = only(table, "block") else { return Ok(None) };
            if block.is_empty() {
                return Ok(Some(Strategy::Block { timeout: DEFAULT_BLOCK_TIMEOUT }));
            }
            let Some(DeValue::String(text)) = only(block, "timeout") else { return Ok(None) };
            Ok(Some(Strategy::Block { timeout: duration(text)? }))
        }
        _ => Ok(None),
    }
}

/// The value of `name`, if that is the table's only key.
fn only<'t, 'i>(table: &'t DeTable<'i>, name: &str) -> Option<&'t DeValue<'i>> {
    let mut entries = table.iter();
    match (entries.next(), entries.next()) {
        (Some((key, value)), None) if key.get_ref() == name => Some(value.get_ref()),
        _ => None,
    }
}
