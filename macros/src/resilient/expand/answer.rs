//! What a method answers: its result, or an error made of a fault.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::Type;
use syn::spanned::Spanned;

use super::Context;
use super::body::Locals;
use crate::resilient::model::Method;

/// From Seawall's result to what the caller was promised.
pub(super) fn answer(
    context: &Context<'_>,
    method: &Method,
    output: &Type,
    Locals { call, result, .. }: &Locals,
) -> TokenStream {
    let options = &context.model.options;
    if options.wrapped.is_some() {
        let support = context.support_at(output.span());
        return quote_spanned!(output.span()=> #support::Call::finish_wrapped(&mut #call, #result));
    }
    if let Some(path) = context.on_fault(method) {
        let support = context.support_at(path.span());
        return quote_spanned!(path.span()=> #support::answer_or::<#output>(&mut #call, #result, #path));
    }
    // Where the type is not a `Result`, or its error cannot be made of a `Fault`, the complaint
    // belongs at the type.
    let span = output.span();
    let support = context.support_at(span);
    let make = error_maker(context, method, span);
    quote_spanned!(span=> #support::Call::finish::<#output>(&mut #call, #result, #make))
}

/// What makes an error of a fault. Where that is `From` and the error has none, the complaint belongs at `span`.
pub(super) fn error_maker(context: &Context<'_>, method: &Method, span: Span) -> TokenStream {
    let support = context.support_at(span);
    match context.fault_with(method) {
        Some(path) => quote!(#path),
        None => quote_spanned!(span=> #support::TakesFault::take_fault),
    }
}

/// The answer to a call that is not begun, because of a fault. `None`: such an answer is made in other ways.
pub(super) fn refused(
    context: &Context<'_>,
    method: &Method,
    output: &Type,
    Locals { fault, .. }: &Locals,
) -> Option<TokenStream> {
    let span = output.span();
    let support = context.support_at(span);
    if context.model.options.wrapped.is_some() {
        let error = quote!(#support::CallError::Fault(#fault));
        return Some(quote!(::core::result::Result::Err(#error)));
    }
    if context.on_fault(method).is_some() {
        return None;
    }
    let make = error_maker(context, method, span);
    Some(quote_spanned!(span=> #support::Call::refused::<#output>(#fault, #make)))
}
