//! Attributes that box the futures of a trait's `async fn`s: `async_trait`, and those that the user names.
//!
//! The trait keeps them, and the client's impl of it carries the same.

use quote::{ToTokens, quote};
use syn::punctuated::Punctuated;
use syn::{Attribute, Meta, Path, Token, parse_quote};

/// The boxing attributes among some others.
#[derive(Default)]
pub(crate) struct Boxing {
    /// To be repeated on the client's impl.
    pub(crate) attrs: Vec<Attribute>,
    /// Each says `?Send`.
    pub(crate) is_local: bool,
}

impl Boxing {
    /// Those among `attrs`; `named` is the one that `boxed_by` names.
    pub(crate) fn among(attrs: &[Attribute], named: Option<&Path>) -> Self {
        let mut found = Vec::new();
        for attr in attrs {
            if is_boxing(&attr.meta, named) {
                found.push((attr.clone(), says_local(&attr.meta)));
                continue;
            }
            let Some(metas) = conditional(attr) else { continue };
            let mut metas = metas.into_iter();
            let Some(condition) = metas.next() else { continue };
            for meta in metas.filter(|meta| is_boxing(meta, named)) {
                let is_local = says_local(&meta);
                found.push((parse_quote!(#[cfg_attr(#condition, #meta)]), is_local));
            }
        }
        let is_local = !found.is_empty() && found.iter().all(|(_, is_local)| *is_local);
        Self { attrs: found.into_iter().map(|(attr, _)| attr).collect(), is_local }
    }

    /// Whether there are any.
    pub(crate) fn is_there(&self) -> bool {
        !self.attrs.is_empty()
    }
}

/// What stands in `#[cfg_attr(…)]`.
fn conditional(attr: &Attribute) -> Option<Punctuated<Meta, Token![,]>> {
    if !attr.path().is_ident("cfg_attr") {
        return None;
    }
    attr.parse_args_with(Punctuated::parse_terminated).ok()
}

fn is_boxing(meta: &Meta, named: Option<&Path>) -> bool {
    let path = meta.path();
    let is_named = named.is_some_and(|named| same(named, path));
    is_named || path.segments.last().is_some_and(|last| last.ident == "async_trait")
}

fn same(one: &Path, other: &Path) -> bool {
    let text = |path: &Path| path.to_token_stream().to_string();
    text(one) == text(other)
}

fn says_local(meta: &Meta) -> bool {
    match meta {
        Meta::List(list) => {
            list.tokens.to_string().replace(' ', "") == quote!(?Send).to_string().replace(' ', "")
        }
        _ => false,
    }
}
