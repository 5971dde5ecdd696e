//! The trait itself: each `async fn` becomes a `fn` whose future is `Send`.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{ItemTrait, Signature, TraitItem, TraitItemFn, TypeParamBound, parse_quote};

use crate::resilient::model::Model;

/// The trait, rewritten.
pub(super) fn definition(model: &Model) -> TokenStream {
    let mut definition = model.definition.clone();
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
    let output = match &function.sig.output {
        syn::ReturnType::Default => {
            let span = function.sig.ident.span();
            quote_spanned!(span=> ())
        }
        syn::ReturnType::Type(_, ty) => ty.into_token_stream(),
    };
    if let Some(body) = function.default.take() {
        function.attrs.push(parse_quote!(#[allow(clippy::manual_async_fn)]));
        function.default = Some(deferred(&function.sig, &output, &body));
    }
    let Some(asyncness) = function.sig.asyncness.take() else { return };
    function.sig.output = parse_quote_output(asyncness.span(), &output);
}

fn parse_quote_output(span: proc_macro2::Span, output: &TokenStream) -> syn::ReturnType {
    // The place that the compiler names when an implementor's future is not `Send`.
    let bound = quote_spanned!(span=> + ::core::marker::Send);
    parse_quote!(-> impl ::core::future::Future<Output = #output> #bound)
}

/// The body of an `async fn` as the future it stands for.
fn deferred(sig: &Signature, output: &TokenStream, body: &syn::Block) -> syn::Block {
    // An `async fn` knows its return type from the first line on; an `async` block must be told, so
    // that coercions and inference work as they did. There is no naming an `impl Trait`.
    let names_output = !matches!(&sig.output, syn::ReturnType::Type(_, ty) if is_opaque(ty));
    let hint = names_output.then(|| {
        quote! {
            #[allow(unreachable_code, clippy::diverging_sub_expression)]
            if let ::core::option::Option::Some(__output) = ::core::option::Option::None::<#output> {
                return __output;
            }
        }
    });
    let statements = &body.stmts;
    let span = body.span();
    let block = quote_spanned!(span=> async move { #hint #(#statements)* });
    parse_quote!({ #block })
}

fn is_opaque(ty: &syn::Type) -> bool {
    crate::resilient::replace::mentions(ty, "impl")
}
