//! Tokens into a [`Model`]. A mistake is noted and the rest read on.

mod last_good;
mod meant;
mod options;
mod values;

use proc_macro2::{Span, TokenStream};
use quote::format_ident;
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{
    Attribute, FnArg, Ident, ItemTrait, Meta, Pat, Path, ReceiverKind, ReturnType, TraitItem,
    TraitItemFn, Type, parse_quote,
};

pub(crate) use options::options;
pub(crate) use values::list;
use values::{Keys, OF_CALL, OF_RESILIENT, attempts, duration, flag, metas, path, string, weight};

use last_good::last_good;

use super::boxing::Boxing;
use super::errors::Errors;
use super::future::{self, Returned};
use super::model::{
    Arg, CallOptions, Coming, Method, Model, OneWay, Passing, Receiver, Retry, cfgs,
};
use super::replace::mentions;

const CLASSIFY: &str = "a function from a reference to what the method returns to `Class`";
const RETRY_AFTER: &str =
    "a function from a reference to what the method returns to `Option<Duration>`";
const UNPROCESSED: &str =
    "a function from `&E` to `bool`: true for an error that says that the work was not begun";
const QUOTA: &str = "a function from a reference to what the method returns to `Option<Report>`";
const MERGE: &str =
    "a function `(&mut A, A) -> Result<(), A>`, `A` being the argument, or a tuple of them";
const ON_FAULT: &str = "a function from `Fault` to what the method returns";
const FAULT_WITH: &str = "a function from `Fault` to the method's error type";
const NO_TIME: &str = "a timeout of zero would end every attempt before it starts";
const ALL_SLOW: &str = "with a slow_call of zero every attempt would be slow";

/// Where `seawall` is found, by these arguments.
pub(crate) fn root(args: &TokenStream) -> Path {
    options(args.clone(), &mut Errors::default()).root
}

/// The arguments but for `client`.
pub(crate) fn without_client(args: TokenStream) -> TokenStream {
    let metas = metas(args, &mut Errors::default());
    let rest = metas.into_iter().filter(|meta| !meta.path().is_ident("client"));
    quote::quote!(#(#rest),*)
}

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
    let boxing = Boxing::among(&definition.attrs, options.boxed_by.as_ref());
    let methods = definition
        .items
        .iter_mut()
        .filter_map(|item| match item {
            TraitItem::Fn(function) => Some(method(function, errors)),
            _ => None,
        })
        .collect();
    let mut model = Model { options, definition, methods, client, boxing, service };
    let (takes_dyn, is_inherent) = (model.takes_dyn(), model.options.inherent.is_some());
    for method in &mut model.methods {
        let by_value = matches!(method.receiver, Receiver::Other(_));
        let is_for_types = method.needs_sized() && takes_dyn;
        let is_made_of_nothing = matches!(method.receiver, Receiver::None);
        method.is_left_out = if is_inherent {
            by_value || is_made_of_nothing
        } else {
            method.has_body && (by_value || is_for_types)
        };
    }
    model
}

fn method(function: &mut TraitItemFn, errors: &mut Errors) -> Method {
    let mut call = call(&mut function.attrs, errors);
    let mut receiver = Receiver::None;
    let mut args = Vec::new();
    for input in &function.sig.inputs {
        match input {
            FnArg::Receiver(found) => {
                receiver = match &found.kind {
                    ReceiverKind::Reference(_, _, None) => Receiver::Shared(found.self_token),
                    ReceiverKind::Reference(_, _, Some(_)) => Receiver::Exclusive(found.self_token),
                    ReceiverKind::Typed(_, ty) => typed_receiver(found, ty),
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
    let returned = match &function.sig.output {
        ReturnType::Default => {
            let span = function.sig.ident.span();
            syn::parse2(quote::quote_spanned!(span=> ())).unwrap_or_else(|_| parse_quote!(()))
        }
        ReturnType::Type(_, ty) => (**ty).clone(),
    };
    let (coming, output) = coming(function, returned, &call);
    if call.oneway.is_some() && is_unit(&output) {
        // Nobody is told.
        call.on_fault = Some(parse_quote!(::core::mem::drop));
    }
    Method {
        sig: function.sig.clone(),
        attrs: function.attrs.clone(),
        has_body: function.default.is_some(),
        is_left_out: false,
        receiver,
        args,
        output,
        coming,
        call,
    }
}

/// `self` with a type: `&Self` is `&self`, and an `Arc` is shared as the service is.
fn typed_receiver(found: &syn::Receiver, ty: &Type) -> Receiver {
    let this = found.self_token;
    match ty {
        Type::Reference(reference) if is_self(&reference.elem) => match reference.mutability {
            Some(_) => Receiver::Exclusive(this),
            None => Receiver::Shared(this),
        },
        Type::Path(path) => {
            let last = path.path.segments.last();
            let is_arc =
                last.is_some_and(|last| last.ident == "Arc" && mentions(&last.arguments, "Self"));
            if is_arc { Receiver::Arc(this) } else { Receiver::Other(found.clone()) }
        }
        _ => Receiver::Other(found.clone()),
    }
}

fn is_unit(ty: &Type) -> bool {
    matches!(ty, Type::Tuple(tuple) if tuple.elems.is_empty())
}

fn is_self(ty: &Type) -> bool {
    matches!(ty, Type::Path(path) if path.path.is_ident("Self"))
}

/// How the answer comes, and what it is.
fn coming(function: &TraitItemFn, returned: Type, call: &CallOptions) -> (Coming, Type) {
    if function.sig.asyncness.is_some() {
        return (Coming::Async, returned);
    }
    let found = if call.future { future::named(&returned) } else { future::read(&returned) };
    match found {
        Returned::Future { output, is_boxed, borrows, is_send } => {
            let (is_static, is_eager) = (borrows.is_static(), borrows.leaves_out(&function.sig));
            (Coming::Future { is_boxed, is_static, is_eager, is_send }, *output)
        }
        Returned::Stream { item, is_boxed, borrows, is_send } => {
            let (is_static, is_eager) = (borrows.is_static(), borrows.leaves_out(&function.sig));
            (Coming::Stream { is_boxed, is_static, is_eager, is_send }, *item)
        }
        Returned::Unclear => (Coming::Unclear, returned),
        Returned::Plain => (Coming::AtOnce, returned),
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
    let mut keys = Keys::new("call", OF_CALL).or_of("resilient", OF_RESILIENT);
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
                let known = list(OF_CALL);
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
        "weight" => {
            let value = meta.require_name_value().map(|pair| &pair.value);
            call.weight = errors.take(value.and_then(weight));
        }
        "blocking" => {
            call.blocking = true;
            errors.take(flag(meta));
        }
        "oneway" => call.oneway = Some(one_way(key.span(), meta, errors)),
        "future" => {
            call.future = true;
            errors.take(flag(meta));
        }
        "on_fault" => call.on_fault = errors.take(path(meta, ON_FAULT)),
        "fault_with" => call.fault_with = errors.take(path(meta, FAULT_WITH)),
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
            match last_good(meta, errors) {
                None => call.fallback = errors.take(path(meta, wanted)),
                kept => call.last_good = kept,
            }
        }
        "unprocessed" => call.unprocessed = errors.take(path(meta, UNPROCESSED)),
        "retry_after" => call.retry_after = errors.take(path(meta, RETRY_AFTER)),
        "quota" => call.quota = errors.take(path(meta, QUOTA)),
        _ => call.classify = errors.take(path(meta, CLASSIFY)),
    }
}

fn one_way(span: Span, meta: &Meta, errors: &mut Errors) -> OneWay {
    let mut one_way = OneWay { span, merge: None };
    match meta {
        Meta::Path(_) => {}
        Meta::List(list) if !list.tokens.is_empty() => {
            let mut keys = Keys::new("oneway", &["merge"]);
            for meta in metas(list.tokens.clone(), errors) {
                if keys.admit(&meta, errors).is_some() {
                    one_way.merge = errors.take(path(&meta, MERGE));
                }
            }
        }
        other => errors.over(other, "`oneway` is written `oneway` or `oneway(merge = path)`"),
    }
    one_way
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
