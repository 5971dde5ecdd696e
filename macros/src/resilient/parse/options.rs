//! What stands in `#[resilient(…)]`.

use proc_macro2::{Span, TokenStream, TokenTree};
use syn::{ExprPath, Ident, Meta, Path, parse_quote};

use super::values::{Keys, OF_CALL, OF_RESILIENT, flag, metas, path, paths, string};
use super::{CLASSIFY, ON_FAULT, QUOTA, RETRY_AFTER};
use crate::resilient::errors::Errors;
use crate::resilient::model::{Options, Sharing};

/// Reads the attribute's arguments.
pub(crate) fn options(args: TokenStream, errors: &mut Errors) -> Options {
    let mut options = Options {
        wrapped: None,
        fault_with: None,
        on_fault: None,
        inherent: None,
        sharing: Sharing::Shared,
        part: None,
        with: Vec::new(),
        markers: Vec::new(),
        remote: None,
        erased: None,
        boxed_by: None,
        classify: None,
        retry_after: None,
        quota: None,
        client: None,
        root: parse_quote!(::seawall),
    };
    let mut keys = Keys::new("resilient", OF_RESILIENT).or_of("call", OF_CALL);
    for meta in metas(readable(args), errors) {
        if let Some(key) = keys.admit(&meta, errors)
            && !answers(&mut options, &key, &meta, errors)
        {
            shape(&mut options, &key, &meta, errors);
        }
    }
    options
}

/// `dyn` is a keyword, which no parser of attributes takes for a key: as a raw identifier it does.
fn readable(args: TokenStream) -> TokenStream {
    let raw = |token| match token {
        TokenTree::Ident(word) if word == "dyn" => Ident::new_raw("dyn", word.span()).into(),
        other => other,
    };
    args.into_iter().map(raw).collect()
}

/// What is made of answers and faults. False: it is another key.
fn answers(options: &mut Options, key: &Ident, meta: &Meta, errors: &mut Errors) -> bool {
    let span = key.span();
    match key.to_string().as_str() {
        "errors" => options.wrapped = wrapped(span, meta, errors),
        "fault_with" => {
            let wanted = "a function from `Fault` to your error type";
            options.fault_with = errors.take(path(meta, wanted)).map(|path| (span, path));
        }
        "on_fault" => options.on_fault = errors.take(path(meta, ON_FAULT)),
        "classify" => options.classify = errors.take(path(meta, CLASSIFY)),
        "retry_after" => options.retry_after = errors.take(path(meta, RETRY_AFTER)),
        "quota" => options.quota = errors.take(path(meta, QUOTA)),
        _ => return false,
    }
    true
}

/// What the trait and its client are like.
fn shape(options: &mut Options, key: &Ident, meta: &Meta, errors: &mut Errors) {
    let span = key.span();
    let listed = |example, errors: &mut Errors| errors.take(paths(meta, example));
    match key.to_string().as_str() {
        "inherent" => {
            options.inherent = Some(span);
            errors.take(flag(meta));
        }
        "clone" | "exclusive" => {
            errors.take(flag(meta));
            if options.sharing != Sharing::Shared {
                errors.push(span, "`clone` gives each call a service of its own, and `exclusive` the same one, one after another: either");
            }
            let is_clone = key == "clone";
            options.sharing = if is_clone { Sharing::Cloned } else { Sharing::Exclusive };
        }
        "dyn" => {
            options.erased = Some(span);
            errors.take(flag(meta));
        }
        "part" => {
            options.part = Some(span);
            errors.take(flag(meta));
        }
        "with" => options.with = listed("with(Supertrait)", errors).unwrap_or_default(),
        "markers" => options.markers = listed("markers(Sealed)", errors).unwrap_or_default(),
        "boxed_by" => {
            let named = listed("boxed_by(path::of::the_attribute)", errors);
            options.boxed_by = named.and_then(|mut paths| paths.pop());
        }
        "remote" => {
            let wanted = "the trait of another crate whose methods are written down here";
            options.remote = errors.take(path(meta, wanted)).map(|path: ExprPath| path.path);
        }
        "client" => {
            let name = errors.take(path(meta, "the name of the client to generate"));
            match name.map(|path| path.path.require_ident().cloned()) {
                Some(Ok(name)) => options.client = Some(name),
                Some(Err(error)) => errors.add(error),
                None => {}
            }
        }
        _ => {
            let value = errors.take(string(meta, "crate = \"path::to::seawall\""));
            if let Some(value) = value {
                let root = value.parse_with(Path::parse_mod_style);
                options.root = errors.take(root).unwrap_or_else(|| options.root.clone());
            }
        }
    }
}

fn wrapped(span: Span, meta: &Meta, errors: &mut Errors) -> Option<Span> {
    let value = errors.take(string(meta, "errors = \"wrapped\""))?;
    if value.value() == "wrapped" {
        return Some(span);
    }
    errors.push(value.span(), "`errors` knows one value: \"wrapped\"");
    None
}
