//! The trait itself: as its author wrote it, but that each `async fn` that nothing boxes becomes a `fn` whose future is `Send`.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{
    Block, ItemTrait, ReturnType, Signature, TraitItem, TraitItemFn, TypeParamBound, parse_quote,
};

use crate::resilient::model::Model;
use crate::resilient::replace::mentions;

/// The trait, rewritten.
pub(super) fn definition(model: &Model) -> TokenStream {
    if model.options.remote.is_some() {
        return TokenStream::new();
    }
    let mut definition = model.definition.clone();
    if !model.is_rewritten() {
        return definition.into_token_stream();
    }
    share(&mut definition);
    for item in &mut definition.items {
        if let TraitItem::Fn(function) = item
            && function.sig.asyncness.is_some()
        {
            rewrite(function);
        }
    }
    definition.into_token_stream()
}

/// A client is shared between tasks, and so is the service behind it.
fn share(definition: &mut ItemTrait) {
    let supertraits = &mut definition.supertraits;
    let present = |supertraits: &syn::punctuated::Punctuated<TypeParamBound, _>, name: &str| {
        supertraits.iter().any(|bound| match bound {
            TypeParamBound::Trait(bound) => bound.path.is_ident(name),
            _ => false,
        })
    };
    if !present(supertraits, "Send") {
        supertraits.push(parse_quote!(::core::marker::Send));
    }
    if !present(supertraits, "Sync") {
        supertraits.push(parse_quote!(::core::marker::Sync));
    }
    definition.colon_token.get_or_insert_default();
}

fn rewrite(function: &mut TraitItemFn) {
    if let Some(body) = function.default.take() {
        function.attrs.push(parse_quote!(#[allow(clippy::manual_async_fn)]));
        function.default = Some(deferred(&function.sig, &body));
    }
    promise_send(&mut function.sig);
}

/// `async fn … -> R` as `fn … -> impl Future<Output = R> + Send`.
pub(super) fn promise_send(sig: &mut Signature) {
    let Some(asyncness) = sig.asyncness.take() else { return };
    let output = output(sig);
    // The place that the compiler names when a future is not `Send`.
    let send = quote_spanned!(asyncness.span()=> ::core::marker::Send);
    sig.output = parse_quote!(-> impl ::core::future::Future<Output = #output> + #send);
}

fn output(sig: &Signature) -> TokenStream {
    match &sig.output {
        ReturnType::Default => quote_spanned!(sig.ident.span()=> ()),
        ReturnType::Type(_, ty) => ty.into_token_stream(),
    }
}

/// The body of an `async fn` as the future it stands for.
fn deferred(sig: &Signature, body: &Block) -> Block {
    // An `async fn` knows its return type from the first line on; an `async` block must be told, so
    // that coercions and inference work as they did. There is no naming an `impl Trait`.
    let output = output(sig);
    let hint = (!mentions(&output, "impl")).then(|| {
        quote! {
            #[allow(unreachable_code, clippy::diverging_sub_expression)]
            if let ::core::option::Option::Some(__output) = ::core::option::Option::None::<#output> {
                return __output;
            }
        }
    });
    let statements = &body.stmts;
    let block = quote_spanned!(body.span()=> async move { #hint #(#statements)* });
    parse_quote!({ #block })
}
