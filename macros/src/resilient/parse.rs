//! Tokens into a [`Model`]. A mistake is noted and the rest read on.

use std::time::Duration;

use proc_macro2::{Span, TokenStream};
use quote::format_ident;
use syn::ext::IdentExt;
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{
    Attribute, Expr, ExprLit, ExprPath, FnArg, Ident, ItemTrait, Lit, LitStr, Meta, Pat, Path,
    ReceiverKind, ReturnType, Token, TraitItem, TraitItemFn, Type, parse_quote,
};

use super::errors::Errors;
use super::model::{Arg, CallOptions, Method, Model, Options, Passing, Receiver, Retry, cfgs};
use super::replace::mentions;

const CLASSIFY: &str = "a function from a reference to what the method returns to `Class`";
const RETRY_AFTER: &str =
    "a function from a reference to what the method returns to `Option<Duration>`";
const QUOTA: &str = "a function from a reference to what the method returns to `Option<Report>`";
const NO_TIME: &str = "a timeout of zero would end every attempt before it starts";
const ALL_SLOW: &str = "with a slow_call of zero every attempt would be slow";

/// Reads `#[resilient(args)] definition`.
pub(crate) fn parse(args: TokenStream, mut definition: ItemTrait, errors: &mut Errors) -> Model {
    let candidates = ["S", "Service", "__Service"];
    let taken = |name: &&str| mentions(&definition, name) || mentions(&args, name);
    let service = candidates.into_iter().find(|name| !taken(name)).unwrap_or("__S");
    let service = Ident::new(service, Span::call_site());

    let options = options(args, errors);
    let client = options.client.clone().unwrap_or_else(|| {
        format_ident!("{}Client", definition.ident.unraw(), span = definition.ident.span())
    });
    let methods = definition
        .items
        .iter_mut()
        .filter_map(|item| match item {
            TraitItem::Fn(function) => Some(method(function, errors)),
            _ => None,
        })
        .collect();
    Model { options, definition, methods, client, service }
}

fn options(args: TokenStream, errors: &mut Errors) -> Options {
    let mut options = Options {
        wrapped: None,
        fault_with: None,
        classify: None,
        retry_after: None,
        quota: None,
        client: None,
        root: parse_quote!(::seawall),
    };
    let known = &["errors", "fault_with", "classify", "retry_after", "quota", "client", "crate"];
    let mut keys = Keys::new("resilient", known);
    for meta in metas(args, errors) {
        let Some(key) = keys.admit(&meta, errors) else { continue };
        let span = key.span();
        match key.to_string().as_str() {
            "errors" => {
                let value = errors.take(string(&meta, "errors = \"wrapped\""));
                match value {
                    Some(value) if value.value() == "wrapped" => options.wrapped = Some(span),
                    Some(value) => {
                        errors.push(value.span(), "`errors` knows one value: \"wrapped\"")
                    }
                    None => {}
                }
            }
            "fault_with" => {
                options.fault_with = errors
                    .take(path(&meta, "a function from `Fault` to your error type"))
                    .map(|path| (span, path));
            }
            "classify" => options.classify = errors.take(path(&meta, CLASSIFY)),
            "retry_after" => options.retry_after = errors.take(path(&meta, RETRY_AFTER)),
            "quota" => options.quota = errors.take(path(&meta, QUOTA)),
            "client" => {
                let name = errors.take(path(&meta, "the name of the client to generate"));
                match name.map(|path| path.path.require_ident().cloned()) {
                    Some(Ok(name)) => options.client = Some(name),
                    Some(Err(error)) => errors.add(error),
                    None => {}
                }
            }
            _ => {
                let value = errors.take(string(&meta, "crate = \"path::to::seawall\""));
                if let Some(value) = value {
                    let root = value.parse_with(Path::parse_mod_style);
                    options.root = errors.take(root).unwrap_or(options.root);
                }
            }
        }
    }
    options
}

fn method(function: &mut TraitItemFn, errors: &mut Errors) -> Method {
    let call = call(&mut function.attrs, errors);
    let mut receiver = Receiver::None;
    let mut args = Vec::new();
    for input in &function.sig.inputs {
        match input {
            FnArg::Receiver(found) => {
                receiver = match &found.kind {
                    ReceiverKind::Reference(_, _, None) => Receiver::Shared(found.self_token),
                    _ => Receiver::Other(found.clone()),
                }
            }
            FnArg::Typed(typed) => {
                let name = match &*typed.pat {
                    Pat::Ident(pat) if pat.subpat.is_none() => pat.ident.clone(),
                    other => format_ident!("__arg{}", args.len(), span = other.span()),
                };
                args.push(Arg {
                    name,
                    cfgs: cfgs(&typed.attrs).cloned().collect(),
                    ty: (*typed.ty).clone(),
                    passing: passing(&typed.ty),
                });
            }
        }
    }
    let output = match &function.sig.output {
        ReturnType::Default => {
            let span = function.sig.ident.span();
            syn::parse2(quote::quote_spanned!(span=> ())).unwrap_or_else(|_| parse_quote!(()))
        }
        ReturnType::Type(_, ty) => (**ty).clone(),
    };
    Method {
        sig: function.sig.clone(),
        attrs: function.attrs.clone(),
        has_body: function.default.is_some(),
        receiver,
        args,
        output,
        call,
    }
}

fn passing(ty: &Type) -> Passing {
    match ty {
        // What a `macro_rules!` fragment or a pair of parentheses wraps.
        Type::Group(group) => passing(&group.elem),
        Type::Paren(paren) => passing(&paren.elem),
        Type::Reference(reference) if reference.mutability.is_some() => Passing::Exclusive,
        Type::Reference(_) => Passing::Lent,
        Type::ImplTrait(_) => Passing::Opaque,
        _ => Passing::Owned,
    }
}

/// Takes every `#[call(…)]` out of `attrs` and reads it.
fn call(attrs: &mut Vec<Attribute>, errors: &mut Errors) -> CallOptions {
    let mut call = CallOptions::default();
    let known = &[
        "idempotent",
        "timeout",
        "slow_call",
        "retry",
        "retry_after",
        "quota",
        "fallback",
        "classify",
        "key",
        "skip",
    ];
    let mut keys = Keys::new("call", known);
    let (ours, theirs) = std::mem::take(attrs)
        .into_iter()
        .partition(|attr: &Attribute| attr.path().is_ident("call"));
    *attrs = theirs;
    attrs.retain(|attr| {
        let conditional = attr.path().is_ident("cfg_attr") && mentions(&attr.meta, "call");
        if conditional {
            errors.over(
                attr,
                "`#[call]` cannot be conditional: write the method twice, each under its `#[cfg]`",
            );
        }
        !conditional
    });
    for attr in ours {
        call.attribute.get_or_insert(attr.path().span());
        let metas = match attr.meta {
            Meta::List(list) if !list.tokens.is_empty() => metas(list.tokens, errors),
            other => {
                let known = list(known);
                errors.over(other, format!("`call` says nothing here; it takes {known}"));
                continue;
            }
        };
        for meta in metas {
            if let Some(key) = keys.admit(&meta, errors) {
                call_key(&mut call, &key, &meta, errors);
                call.keys.push(key);
            }
        }
    }
    call
}

fn call_key(call: &mut CallOptions, key: &Ident, meta: &Meta, errors: &mut Errors) {
    match key.to_string().as_str() {
        // Noted even where something hangs on it that should not: one mistake, one message.
        "idempotent" => {
            call.idempotent = true;
            errors.take(flag(meta));
        }
        "skip" => {
            call.skip = true;
            errors.take(flag(meta));
        }
        "timeout" => {
            call.timeout = errors
                .take(string(meta, "timeout = \"300ms\""))
                .and_then(|value| errors.take(duration(&value, NO_TIME)));
        }
        "slow_call" => {
            call.slow_call = errors
                .take(string(meta, "slow_call = \"200ms\""))
                .and_then(|value| errors.take(duration(&value, ALL_SLOW)))
                .map(|after| (key.span(), after));
        }
        "retry" => call.retry = Some(retry(key.span(), meta, errors)),
        "key" => {
            let wanted =
                "an argument, or a function from references to all of them to something `Display`";
            call.key = errors.take(path(meta, wanted));
        }
        "fallback" => {
            let wanted = "an async function `(&service, &CallError<E>, arguments…)` with the method's return type";
            call.fallback = errors.take(path(meta, wanted));
        }
        "retry_after" => call.retry_after = errors.take(path(meta, RETRY_AFTER)),
        "quota" => call.quota = errors.take(path(meta, QUOTA)),
        _ => call.classify = errors.take(path(meta, CLASSIFY)),
    }
}

fn retry(span: Span, meta: &Meta, errors: &mut Errors) -> Retry {
    let mut retry = Retry { span, max_attempts: None, when: None };
    match meta {
        Meta::NameValue(pair) => retry.max_attempts = errors.take(attempts(&pair.value)),
        Meta::List(list) if !list.tokens.is_empty() => {
            let mut keys = Keys::new("retry", &["max_attempts", "when"]);
            for meta in metas(list.tokens.clone(), errors) {
                let Some(key) = keys.admit(&meta, errors) else { continue };
                if key == "when" {
                    let wanted =
                        "a function from `&E` to `bool`: true for an error worth another attempt";
                    retry.when = errors.take(path(&meta, wanted));
                } else {
                    let value = meta.require_name_value().map(|pair| &pair.value);
                    retry.max_attempts = errors.take(value.and_then(attempts));
                }
            }
        }
        other => errors.over(
            other,
            "`retry` is written `retry = 3` or `retry(max_attempts = 3, when = is_worth_it)`",
        ),
    }
    retry
}

/// The keys of one attribute: each known, each given once.
struct Keys {
    place: &'static str,
    known: &'static [&'static str],
    seen: Vec<Ident>,
}

impl Keys {
    fn new(place: &'static str, known: &'static [&'static str]) -> Self {
        Self { place, known, seen: Vec::new() }
    }

    /// The key of `meta`, unless it is unknown or has been seen before.
    fn admit(&mut self, meta: &Meta, errors: &mut Errors) -> Option<Ident> {
        let Some(key) = meta.path().get_ident().filter(|key| self.known.iter().any(|k| key == k))
        else {
            let (place, known) = (self.place, list(self.known));
            errors.over(meta.path(), format!("unknown key; `{place}` takes {known}"));
            return None;
        };
        if self.seen.contains(key) {
            errors.over(key, format!("`{key}` is given twice"));
            return None;
        }
        self.seen.push(key.clone());
        Some(key.clone())
    }
}

fn list(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

fn metas(tokens: TokenStream, errors: &mut Errors) -> Punctuated<Meta, Token![,]> {
    errors.take(Punctuated::parse_terminated.parse2(tokens)).unwrap_or_default()
}

fn flag(meta: &Meta) -> syn::Result<()> {
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

fn ungrouped(mut expr: &Expr) -> &Expr {
    while let Expr::Group(group) = expr {
        expr = &group.expr;
    }
    expr
}

fn string(meta: &Meta, example: &str) -> syn::Result<LitStr> {
    match value(meta, example)? {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Ok(text.clone()),
        other => Err(syn::Error::new_spanned(other, format!("a string is expected: `{example}`"))),
    }
}

fn path(meta: &Meta, wanted: &str) -> syn::Result<ExprPath> {
    let key = meta.path().get_ident().map(Ident::to_string).unwrap_or_default();
    match value(meta, &format!("{key} = path"))? {
        Expr::Path(path) => Ok(path.clone()),
        other => Err(syn::Error::new_spanned(other, format!("a path is expected: {wanted}"))),
    }
}

fn attempts(value: &Expr) -> syn::Result<u32> {
    let Expr::Lit(ExprLit { lit: Lit::Int(count), .. }) = ungrouped(value) else {
        return Err(syn::Error::new_spanned(value, "a whole number of attempts is expected"));
    };
    match count.base10_parse() {
        Ok(0) => Err(syn::Error::new(
            count.span(),
            "0 attempts would never call the dependency; 1 is a single attempt without a retry",
        )),
        Ok(count) => Ok(count),
        Err(_) => Err(syn::Error::new(
            count.span(),
            format!("a number of attempts is a whole number from 1 to {}", u32::MAX),
        )),
    }
}

/// A length of time; `why_not` says what is wrong with none at all.
fn duration(text: &LitStr, why_not: &str) -> syn::Result<Duration> {
    match humantime::parse_duration(&text.value()) {
        Ok(Duration::ZERO) => Err(syn::Error::new(text.span(), why_not)),
        Ok(length) => Ok(length),
        Err(error) => Err(syn::Error::new(
            text.span(),
            format!("not a length of time such as \"300ms\" or \"1m 30s\": {error}"),
        )),
    }
}
