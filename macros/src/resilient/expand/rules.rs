//! How a method's answers are read.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{ExprPath, Type};

use super::Context;
use crate::resilient::future;
use crate::resilient::model::Method;

/// A constant, so that a call has nothing to write.
pub(super) fn rules(context: &Context<'_>, method: &Method, output: &Type) -> TokenStream {
    let span = output.span();
    let support = context.support_at(span);
    let (call, options) = (&method.call, &context.model.options);
    if context.on_fault(method).is_some() {
        // An answer that is no `Result` is a success, whatever the trait has for others.
        return quote_spanned!(span=> &const { #support::Rules::USUAL });
    }
    // What the method says goes over what the trait says.
    let classify = call.classify.as_ref().or(options.classify.as_ref());
    let retry_after = call.retry_after.as_ref().or(options.retry_after.as_ref());
    let quota = call.quota.as_ref().or(options.quota.as_ref());
    let class = if future::is_leased(&method.output) {
        leased_class(context, output, classify)
    } else {
        classify.map(|path| quote!(classify: #path))
    };
    let when = call.retry.as_ref().and_then(|retry| retry.when.as_ref());
    let fields: Vec<_> = [
        class,
        when.map(|path| quote!(retry_if: #path)),
        call.unprocessed.as_ref().map(|path| quote!(unprocessed: #path)),
        retry_after.map(|path| quote!(retry_after: #path)),
        quota.map(|path| quote!(quota: #path)),
        // Only a retry has an attempt before it.
        method.may_repeat().then(|| {
            quote!(keep: |error| {
                use #support::{KeepsError as _, KeepsNothing as _};
                (&mut #support::Keep(::core::option::Option::Some(error))).keep()
            })
        }),
    ]
    .into_iter()
    .flatten()
    .collect();
    let usual = quote_spanned!(span=> #support::Rules::USUAL);
    // A constant, so that a call has nothing to write.
    match fields.as_slice() {
        [] => quote_spanned!(span=> &const { #usual }),
        some => quote!(&const { #support::Rules::<#output> { #(#some),*, ..#usual } }),
    }
}

/// How an answer is read whose attempt goes on.
fn leased_class(
    context: &Context<'_>,
    output: &Type,
    classify: Option<&ExprPath>,
) -> Option<TokenStream> {
    let support = &context.support;
    let classify = match classify {
        Some(path) => quote!(#path),
        None => quote!((#support::Rules::<#output>::USUAL.classify)),
    };
    Some(quote! {
        classify: |answer| #support::class_so_far(#classify(answer)),
        goes_on: |answer| #support::goes_on(answer, #classify(answer))
    })
}
