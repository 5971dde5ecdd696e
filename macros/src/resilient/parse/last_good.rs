//! `fallback = last_good(max_age = "5m", max_entries = 1000, key = path)`.

use std::time::Duration;

use syn::{Expr, Meta};

use super::values::{Keys, count, duration, metas, path, string, ungrouped};
use crate::resilient::errors::Errors;
use crate::resilient::model::LastGood;

const KEY: &str = "an argument, or a function from references to all of them to something `Hash`";
const NO_ENTRIES: &str = "with no answer kept there would never be one";
const NO_AGE: &str = "an answer of no age at all would never be old enough to be needed";

/// `last_good(…)`, if that is what is written there.
pub(super) fn last_good(meta: &Meta, errors: &mut Errors) -> Option<LastGood> {
    let Meta::NameValue(pair) = meta else { return None };
    let Expr::Call(call) = ungrouped(&pair.value) else { return None };
    let Expr::Path(name) = &*call.func else { return None };
    let name = name.path.get_ident().filter(|name| *name == "last_good")?;
    let (max_age, max_entries) = (Duration::from_secs(300), 1_000);
    let mut kept = LastGood { span: name.span(), max_age, max_entries, key: None };
    let mut keys = Keys::new("last_good", &["max_age", "max_entries", "key"]);
    // Parsed anew, as the keys of an attribute are.
    let args = &call.args;
    for meta in metas(quote::quote!(#args), errors) {
        let Some(key) = keys.admit(&meta, errors) else { continue };
        match key.to_string().as_str() {
            "max_age" => {
                let text = errors.take(string(&meta, "max_age = \"5m\""));
                let age = text.and_then(|text| errors.take(duration(&text, NO_AGE)));
                kept.max_age = age.unwrap_or(max_age);
            }
            "max_entries" => {
                let value = meta.require_name_value().map(|pair| &pair.value);
                kept.max_entries = errors
                    .take(value.and_then(|value| count(value, "answers", NO_ENTRIES)))
                    .unwrap_or(max_entries);
            }
            _ => kept.key = errors.take(path(&meta, KEY)),
        }
    }
    Some(kept)
}
