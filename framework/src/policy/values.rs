//! Single values of `[limits.name]`. What makes no sense is noted, and `None`.

use std::ops::Range;

use toml::Spanned;
use toml::de::DeValue;

use super::decode::{Decoder, Setting, leaf, named};
use super::schema::Kind;
use crate::constraint::InvalidSettings;
use crate::limit::{Mode, OnFailure, Per};

pub(super) type Value<'a> = Spanned<DeValue<'a>>;

pub(super) fn simple(
    decoder: &mut Decoder<'_>,
    path: &str,
    kind: Kind,
    value: &Value<'_>,
) -> Option<Setting> {
    leaf(kind, value.get_ref()).map_err(|why| decoder.wrong(path, &value.span(), why)).ok()
}

/// One of several words.
fn word<T: Copy>(
    decoder: &mut Decoder<'_>,
    path: &str,
    value: &Value<'_>,
    (kind, every, name_of): (Kind, &[T], fn(T) -> &'static str),
) -> Option<T> {
    let found = match value.get_ref() {
        DeValue::String(name) => named(every, name_of, name),
        _ => None,
    };
    if found.is_none() {
        decoder.wrong(path, &value.span(), format!("must be {}", kind.expected()));
    }
    found
}

pub(super) fn mode(decoder: &mut Decoder<'_>, path: &str, value: &Value<'_>) -> Option<Mode> {
    word(decoder, path, value, (Kind::Mode, &Mode::EVERY, Mode::as_str))
}

pub(super) fn per(decoder: &mut Decoder<'_>, path: &str, value: &Value<'_>) -> Option<Per> {
    word(decoder, path, value, (Kind::Per, &Per::EVERY, Per::as_str))
}

pub(super) fn on_failure(
    decoder: &mut Decoder<'_>,
    path: &str,
    value: &Value<'_>,
) -> Option<OnFailure> {
    word(decoder, path, value, (Kind::OnFailure, &OnFailure::EVERY, OnFailure::as_str))
}

pub(super) fn text(decoder: &mut Decoder<'_>, path: &str, value: &Value<'_>) -> Option<String> {
    match value.get_ref() {
        DeValue::String(text) => Some(text.to_string()),
        _ => {
            decoder.wrong(path, &value.span(), format!("must be {}", Kind::Text.expected()));
            None
        }
    }
}

pub(super) fn names(
    decoder: &mut Decoder<'_>,
    path: &str,
    value: &Value<'_>,
) -> Option<Vec<String>> {
    let names = match value.get_ref() {
        DeValue::Array(names) => {
            names.iter().map(|name| name.get_ref().as_str().map(str::to_owned)).collect()
        }
        _ => None,
    };
    if names.is_none() {
        decoder.wrong(path, &value.span(), format!("must be {}", Kind::Names.expected()));
    }
    names
}

/// The addresses, and whether they are a Cluster's. `None`: it is in this process.
pub(super) fn store(decoder: &mut Decoder<'_>, value: &Value<'_>) -> Option<(Vec<String>, bool)> {
    let read = match value.get_ref() {
        DeValue::String(word) if word == "memory" => return None,
        DeValue::String(url) => Some((vec![url.to_string()], false)),
        DeValue::Array(urls) => {
            let url = |url: &Value<'_>| url.get_ref().as_str().map(str::to_owned);
            let urls: Option<Vec<_>> = urls.iter().map(url).collect();
            urls.map(|urls| (urls, true))
        }
        _ => None,
    };
    let is_redis = |url: &String| {
        ["redis://", "rediss://", "redis+unix://", "unix://"].iter().any(|it| url.starts_with(it))
    };
    let read = read.filter(|(urls, _)| !urls.is_empty() && urls.iter().all(is_redis));
    if read.is_none() {
        decoder.wrong("store", &value.span(), format!("must be {}", Kind::Store.expected()));
    }
    read
}

/// What a part's settings say is wrong.
pub(super) fn blame(decoder: &mut Decoder<'_>, span: &Range<usize>, invalid: &InvalidSettings) {
    for setting in invalid.as_slice() {
        let message = format!("is {}, and must be {}", setting.value, setting.allowed);
        decoder.wrong(setting.key, span, message);
    }
}
