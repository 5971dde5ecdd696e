//! What the value of a key must be, and what to say about another.

use crate::backpressure::{MailboxOrder, OneWayStrategy};
use crate::breaker::{Enforcement, HalfOpenMode};
use crate::bulkhead::Limit;
use crate::limit::{Mode, OnFailure, Per};
use crate::retry::{Backoff, BudgetMode, Jitter};

/// What a key's value must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A string like `"250ms"`.
    Duration,
    /// A whole number that fits 32 bits.
    Count,
    /// As a count, but `false` switches it off.
    CountOrOff,
    /// A whole number that fits 64 bits.
    BigCount,
    /// A number.
    Number,
    /// `true` or `false`.
    Flag,
    /// The name of a jitter.
    Jitter,
    /// The name of a backoff.
    Backoff,
    /// The name of how the number of permits is found.
    Limit,
    Order,
    /// The name of a strategy of one-way methods.
    OneWay,
    /// The name of what a budget goes by.
    BudgetMode,
    /// The name of a half-open mode.
    HalfOpen,
    /// The name of an enforcement.
    Enforcement,
    /// The name of a strategy, or `{ block = { timeout } }`.
    OnFull,
    /// A duration, or a number of calls.
    Window,
    /// A string like `"+02:00"`.
    UtcOffset,
    /// A table of these keys.
    Table(&'static [Field]),
    /// As a table, but not an empty one.
    Filled(&'static [Field]),
    /// As filled, but `false` switches off what an earlier layer switched on.
    Optional(&'static [Field]),
    /// As optional, but a bare number stands for a table with its first key alone.
    Shorthand(&'static [Field]),
    /// As optional, but `true` stands for a table of defaults.
    Switch(&'static [Field]),
    /// A table by method name.
    Methods,
    /// Any text.
    Text,
    /// A list of texts.
    Names,
    /// Where shared limits are kept.
    Store,
    /// By what a shared limit counts.
    Per,
    /// How a shared limit is kept to.
    Mode,
    /// What is done when the store of a shared limit does not answer.
    OnFailure,
    /// A table by name, each of these keys.
    Named(&'static [Field]),
}

/// One key, as the decoder needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
}

impl Kind {
    /// The keys within, if it is a table of known ones.
    pub(super) fn fields(self) -> &'static [Field] {
        match self {
            Self::Table(fields)
            | Self::Filled(fields)
            | Self::Optional(fields)
            | Self::Shorthand(fields)
            | Self::Switch(fields)
            | Self::Named(fields) => fields,
            _ => &[],
        }
    }

    /// What to write instead.
    pub(super) fn expected(self) -> String {
        match self {
            Self::Duration => {
                "a duration with its unit in quotes, like \"250ms\" or \"1m 30s\"".into()
            }
            Self::Count => format!("a whole number from 0 to {}", u32::MAX),
            Self::CountOrOff => format!("a whole number from 0 to {}, or false for none", u32::MAX),
            Self::BigCount => format!("a whole number from 0 to {}", u64::MAX),
            Self::Number => "a number".into(),
            Self::Flag => "true or false".into(),
            Self::Jitter => one_of(Jitter::EVERY.map(Jitter::as_str)),
            Self::Backoff => one_of(Backoff::EVERY.map(Backoff::as_str)),
            Self::Limit => one_of(Limit::EVERY.map(Limit::as_str)),
            Self::Order => one_of(MailboxOrder::EVERY.map(MailboxOrder::as_str)),
            Self::OneWay => one_of(OneWayStrategy::EVERY.map(OneWayStrategy::as_str)),
            Self::BudgetMode => one_of(BudgetMode::EVERY.map(BudgetMode::as_str)),
            Self::HalfOpen => one_of(HalfOpenMode::EVERY.map(HalfOpenMode::as_str)),
            Self::Enforcement => one_of(Enforcement::EVERY.map(Enforcement::as_str)),
            Self::OnFull => "one of \"block\", \"drop_oldest\", \"drop_newest\", \"error\", \
                             or { block = { timeout = \"5s\" } }"
                .into(),
            Self::Window => {
                "a duration, like \"30s\", a number of calls, like 100, or one of each, \
                             like [100, \"30s\"]"
                    .into()
            }
            Self::Table(fields) | Self::Filled(fields) => format!("a table of {}", names(fields)),
            Self::Optional(fields) => format!("a table of {}, or false for none", names(fields)),
            Self::Shorthand(fields) => {
                let first = fields.first().map_or("", |field| field.name);
                format!("a number (its {first}), a table of {}, or false for none", names(fields))
            }
            Self::Switch(fields) => {
                format!("true for the defaults, a table of {}, or false for none", names(fields))
            }
            Self::UtcOffset => {
                "local time ahead of UTC in quotes, like \"+02:00\", from \"-14:00\" to \"+14:00\""
                    .into()
            }
            Self::Methods => "a table for each method, like [name.methods.charge]".into(),
            Self::Text => "text in quotes".into(),
            Self::Names => "a list of names in quotes, like [\"payments\"]".into(),
            Self::Store => {
                "\"memory\", an address in quotes, like \"redis://host:6379\", or a list of \
                            addresses of one Cluster"
                    .into()
            }
            Self::Per => one_of(Per::EVERY.map(Per::as_str)),
            Self::Mode => one_of(Mode::EVERY.map(Mode::as_str)),
            Self::OnFailure => one_of(OnFailure::EVERY.map(OnFailure::as_str)),
            Self::Named(fields) => {
                format!("a table by name, each of which is a table of {}", names(fields))
            }
        }
    }
}

/// The names of `fields`, listed.
pub(super) fn names(fields: &[Field]) -> String {
    fields.iter().map(|field| format!("`{}`", field.name)).collect::<Vec<_>>().join(", ")
}

/// Where in a section a key of this name belongs.
pub(super) fn home(name: &str, fields: &[Field], path: &str) -> Option<String> {
    fields.iter().find_map(|field| {
        let here =
            if path.is_empty() { field.name.into() } else { format!("{path}.{}", field.name) };
        if field.name == name { Some(here) } else { home(name, field.kind.fields(), &here) }
    })
}

fn one_of<const N: usize>(names: [&str; N]) -> String {
    format!("one of {}", names.map(|name| format!("\"{name}\"")).join(", "))
}

/// The known name that differs by a slip of the finger.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // No known key is this long, and the distance costs length times length.
    if name.len() > 64 {
        return None;
    }
    known
        .into_iter()
        .map(|known| (strsim::osa_distance(name, known), known))
        .filter(|(distance, known)| *distance <= (known.len() / 3).max(1))
        .min()
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use strsim::osa_distance as distance;

    #[test]
    fn a_slip_of_the_finger_is_one_letter_or_two_swapped() {
        for (word, known) in [("wirte", "write"), ("balanse", "balance"), ("paymnets", "payments")]
        {
            assert_eq!(nearest(word, [known, "other"]), Some(known));
        }
        assert_eq!(nearest("read", ["write", "balance"]), None);
        assert_eq!((distance("", "abc"), distance("abc", ""), distance("ab", "ba")), (3, 3, 1));
        assert_eq!((distance("kitten", "sitting"), distance("abcd", "badc")), (3, 2));
    }
}
