//! The keys of an attribute, and what may stand behind each.

use std::time::Duration;

use proc_macro2::TokenStream;
use syn::ext::IdentExt;
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::{Expr, ExprLit, ExprPath, Ident, Lit, LitStr, Meta, Path, Token};

use super::meant::meant;
use crate::resilient::errors::Errors;

/// The keys of `#[resilient]`.
pub(super) const OF_RESILIENT: &[&str] = &[
    "errors",
    "fault_with",
    "on_fault",
    "inherent",
    "clone",
    "exclusive",
    "part",
    "with",
    "markers",
    "remote",
    "dyn",
    "boxed_by",
    "classify",
    "retry_after",
    "quota",
    "client",
    "crate",
];
/// The keys of `#[call]`.
pub(super) const OF_CALL: &[&str] = &[
    "idempotent",
    "timeout",
    "slow_call",
    "retry",
    "unprocessed",
    "retry_after",
    "quota",
    "fallback",
    "classify",
    "key",
    "skip",
    "weight",
    "blocking",
    "oneway",
    "future",
    "on_fault",
    "fault_with",
];

/// The keys of one attribute: each known, each given once.
pub(super) struct Keys {
    place: &'static str,
    known: &'static [&'static str],
    /// Another attribute, and its keys.
    elsewhere: (&'static str, &'static [&'static str]),
    seen: Vec<Ident>,
}

impl Keys {
    pub(super) fn new(place: &'static str, known: &'static [&'static str]) -> Self {
        Self { place, known, elsewhere: ("", &[]), seen: Vec::new() }
    }

    /// Says so, if a key belongs to that attribute.
    pub(super) fn or_of(self, attribute: &'static str, known: &'static [&'static str]) -> Self {
        Self { elsewhere: (attribute, known), ..self }
    }

    /// The key of `meta`, unless it is unknown or has been seen before.
    pub(super) fn admit(&mut self, meta: &Meta, errors: &mut Errors) -> Option<Ident> {
        let key = meta.path().get_ident().map(IdentExt::unraw);
        let Some(key) = key.filter(|key| self.known.iter().any(|known| key == known)) else {
            let (place, known) = (self.place, list(self.known));
            let key = meta.path().get_ident().map(|key| key.unraw().to_string());
            let meant = key.and_then(|key| meant(&key, self.known, self.elsewhere));
            let message = match meant {
                Some(meant) => format!("unknown key: {meant} (`{place}` takes {known})"),
                None => format!("unknown key; `{place}` takes {known}"),
            };
            errors.over(meta.path(), message);
            return None;
        };
        if self.seen.contains(&key) {
            errors.over(&key, format!("`{key}` is given twice"));
            return None;
        }
        self.seen.push(key.clone());
        Some(key)
    }
}

pub(crate) fn list(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

pub(super) fn metas(tokens: TokenStream, errors: &mut Errors) -> Punctuated<Meta, Token![,]> {
    errors.take(Punctuated::parse_terminated.parse2(tokens)).unwrap_or_default()
}

pub(super) fn flag(meta: &Meta) -> syn::Result<()> {
    match meta {
        Meta::Path(_) => Ok(()),
        Meta::List(list) => Err(syn::Error::new_spanned(&list.tokens, "this key takes no value")),
        Meta::NameValue(pair) => {
            Err(syn::Error::new_spanned(&pair.value, "this key takes no value"))
        }
    }
}

/// The value of `key = value`, free of the groups that `macro_rules!` puts around fragments.
fn value<'a>(meta: &'a Meta, wanted: &str) -> syn::Result<&'a Expr> {
    let Meta::NameValue(pair) = meta else {
        return Err(syn::Error::new_spanned(meta, format!("this key is written `{wanted}`")));
    };
    Ok(ungrouped(&pair.value))
}

pub(super) fn ungrouped(mut expr: &Expr) -> &Expr {
    while let Expr::Group(group) = expr {
        expr = &group.expr;
    }
    expr
}

pub(super) fn string(meta: &Meta, example: &str) -> syn::Result<LitStr> {
    match value(meta, example)? {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Ok(text.clone()),
        other => Err(syn::Error::new_spanned(other, format!("a string is expected: `{example}`"))),
    }
}

pub(super) fn path(meta: &Meta, wanted: &str) -> syn::Result<ExprPath> {
    let key = meta.path().get_ident().map(Ident::to_string).unwrap_or_default();
    match value(meta, &format!("{key} = path"))? {
        Expr::Path(path) => Ok(path.clone()),
        other => Err(syn::Error::new_spanned(other, format!("a path is expected: {wanted}"))),
    }
}

/// The paths of `key(path, path)`; at least one.
pub(super) fn paths(meta: &Meta, example: &str) -> syn::Result<Vec<Path>> {
    let wrong = || syn::Error::new_spanned(meta, format!("this key is written `{example}`"));
    let Meta::List(list) = meta else { return Err(wrong()) };
    let paths = Punctuated::<Path, Token![,]>::parse_terminated.parse2(list.tokens.clone())?;
    if paths.is_empty() { Err(wrong()) } else { Ok(paths.into_iter().collect()) }
}

pub(super) fn attempts(value: &Expr) -> syn::Result<u32> {
    let why_not =
        "0 attempts would never call the dependency; 1 is a single attempt without a retry";
    count(value, "attempts", why_not)
}

/// How many permits an attempt needs.
pub(super) fn weight(value: &Expr) -> syn::Result<u32> {
    const MAX: u32 = 1_000;
    let weight = count(value, "permits", "an attempt needs a permit at least")?;
    if weight > MAX {
        let message = format!("an attempt needs at most {MAX} permits");
        return Err(syn::Error::new_spanned(value, message));
    }
    Ok(weight)
}

/// A number of something; `why_not` says what is wrong with none.
pub(super) fn count(value: &Expr, of: &str, why_not: &str) -> syn::Result<u32> {
    let Expr::Lit(ExprLit { lit: Lit::Int(count), .. }) = ungrouped(value) else {
        let message = format!("a whole number of {of} is expected");
        return Err(syn::Error::new_spanned(value, message));
    };
    match count.base10_parse() {
        Ok(0) => Err(syn::Error::new(count.span(), why_not)),
        Ok(count) => Ok(count),
        Err(_) => Err(syn::Error::new(
            count.span(),
            format!("a number of {of} is a whole number from 1 to {}", u32::MAX),
        )),
    }
}

/// A length of time; `why_not` says what is wrong with none at all.
pub(super) fn duration(text: &LitStr, why_not: &str) -> syn::Result<Duration> {
    match humantime::parse_duration(&text.value()) {
        Ok(Duration::ZERO) => Err(syn::Error::new(text.span(), why_not)),
        Ok(length) => Ok(length),
        Err(error) => Err(syn::Error::new(
            text.span(),
            format!("not a length of time such as \"300ms\" or \"1m 30s\": {error}"),
        )),
    }
}
