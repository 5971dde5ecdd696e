//! What a call goes by beside its arguments: the key of its breaker, and that of its last good answer.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{ExprPath, Type};

use super::Context;
use super::body::{Locals, list};
use super::client::length;
use super::method::local;
use crate::resilient::model::{Arg, Method, Passing};

/// Finding the key, before the call begins and takes the arguments; and having the call go by it.
pub(super) fn key(
    context: &Context<'_>,
    method: &Method,
    locals: &Locals,
) -> Option<(TokenStream, TokenStream)> {
    let path = method.call.key.as_ref()?;
    let Locals { link, call, key, .. } = locals;
    // Where it is not `Display`, or the function not what it should be, the complaint belongs at its name.
    let support = context.support_at(path.span());
    let value = key_value(method, path);
    let found = quote_spanned!(path.span()=> let #key = #support::key(#link.methods(), #value););
    let support = &context.support;
    Some((found, quote!(#support::Call::by_key(&mut #call, &#key);)))
}

/// What `path` says of the arguments: one of them, or what a function makes of all. By reference.
fn key_value(method: &Method, path: &ExprPath) -> TokenStream {
    match method.argument(path) {
        Some(_) => quote!(&#path),
        None => {
            let args = list(method, by_reference);
            quote_spanned!(path.span()=> &#path(#args))
        }
    }
}

fn by_reference(arg: &Arg) -> TokenStream {
    let (name, span) = (&arg.name, arg.ty.span());
    match arg.passing {
        Passing::Lent => quote!(#name),
        Passing::Exclusive => quote_spanned!(span=> &*#name),
        Passing::Opaque | Passing::Owned => quote_spanned!(span=> &#name),
    }
}

/// What the answer is kept for, before the arguments are taken; and having the last good one stand in.
pub(super) fn last_good(
    context: &Context<'_>,
    method: &Method,
    output: &Type,
    locals: &Locals,
) -> Option<(TokenStream, TokenStream)> {
    let kept = method.call.last_good.as_ref()?;
    let (support, key) = (&context.support, local("__kept_for"));
    let Locals { link, call, result, .. } = locals;
    let add = |cfgs: &[&syn::Attribute], span, value: TokenStream| {
        let here = context.support_at(span);
        quote_spanned!(span=> #(#cfgs)* #here::AnswerKey::add(&mut #key, #value);)
    };
    let parts: Vec<_> = match &kept.key {
        Some(path) => vec![add(&[], path.span(), key_value(method, path))],
        None => method
            .args
            .iter()
            .map(|arg| {
                let cfgs: Vec<_> = arg.cfgs.iter().collect();
                add(&cfgs, arg.ty.span(), by_reference(arg))
            })
            .collect(),
    };
    let (indices, name, first) = (&context.indices, &method.sig.ident, context.first());
    let (max_age, max_entries) = (length(kept.max_age), kept.max_entries as usize);
    let here = context.support_at(kept.span);
    let given = quote_spanned! {kept.span=>
        let #result = #here::Call::last_good::<#output>(
            &mut #call,
            (#link.methods(), #first #indices::#name as usize),
            &#key,
            #support::LastGood { max_age: #max_age, max_entries: #max_entries },
            #result,
        );
    };
    let found = quote! {
        #[allow(unused_mut)]
        let mut #key = #support::AnswerKey::new();
        #(#parts)*
    };
    Some((found, given))
}
