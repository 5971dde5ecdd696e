//! What the client implements because the trait asks for it, and what to say where it does not.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Path, TypeParamBound};

use super::Context;
use crate::resilient::model::Sharing;

/// Supertraits that every client has, or that are seen to.
const KNOWN: [&str; 9] =
    ["Send", "Sync", "Unpin", "UnwindSafe", "RefUnwindSafe", "Debug", "Display", "Clone", "Any"];

/// Other traits that the client implements, because the trait asks for them.
pub(super) fn all(context: &Context<'_>) -> TokenStream {
    let client = &context.model.client;
    let (params, _, conditions) = context.bounded.split_for_impl();
    let (_, arguments, _) = context.plain.split_for_impl();
    let markers = context.model.options.markers.iter().map(|marker| {
        quote! {
            #[automatically_derived]
            impl #params #marker for #client #arguments #conditions {}
        }
    });
    let is_display = paths(context).any(|path| is_called(path, &["Display"]));
    let can_show = context.model.options.sharing != Sharing::Exclusive;
    let display = (is_display && can_show && context.sound).then(|| {
        quote! {
            #[automatically_derived]
            impl #params ::core::fmt::Display for #client #arguments #conditions {
                fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                    ::core::fmt::Display::fmt(self.link.service(), f)
                }
            }
        }
    });
    let foreign = paths(context).filter(|path| is_foreign(context, path));
    let foreign = foreign.map(|path| required(context, path));
    quote!(#(#markers)* #display #(#foreign)*)
}

fn paths<'a>(context: &'a Context<'_>) -> impl Iterator<Item = &'a Path> {
    context.model.definition.supertraits.iter().filter_map(|bound| match bound {
        TypeParamBound::Trait(bound) => Some(&bound.path),
        _ => None,
    })
}

fn is_called(path: &Path, names: &[&str]) -> bool {
    path.segments.last().is_some_and(|last| names.iter().any(|name| last.ident == name))
}

fn shown(path: &Path) -> String {
    path.to_token_stream().to_string().replace(' ', "")
}

/// Whether nobody has said where the client gets it from. A blanket impl may give it all the same.
fn is_foreign(context: &Context<'_>, path: &Path) -> bool {
    let options = &context.model.options;
    let mut named = options.markers.iter().chain(&options.with);
    // One with parameters would need the trait's own here.
    let is_plain = path.segments.iter().all(|segment| segment.arguments.is_none());
    let asks = context.sound && !context.model.is_inherent();
    asks && is_plain && !is_called(path, &KNOWN) && !named.any(|named| shown(named) == shown(path))
}

/// An error that shows what to write, if the client does not implement this supertrait. Rust's own says only that it does not.
fn required(context: &Context<'_>, path: &Path) -> TokenStream {
    let client = &context.model.client;
    let (params, _, conditions) = context.bounded.split_for_impl();
    let (_, arguments, _) = context.plain.split_for_impl();
    let supertrait = shown(path);
    let (name, service) = (&context.model.definition.ident, &context.model.service);
    let message = format!("`{name}` asks for `{supertrait}`, which `{client}` does not implement");
    let part = format!(
        "if it has methods to guard: `#[resilient(part)]` on `{supertrait}`, and `with({supertrait})` here"
    );
    let empty = format!("if it is empty: `markers({supertrait})` here");
    let by_hand = format!(
        "otherwise, where `self.service()` is the service: `impl<{service}: {name}> {supertrait} for {client}<{service}> {{ … }}`"
    );
    let required = quote_spanned!(path.span()=> __required::<#client #arguments>());
    quote! {
        const _: () = {
            #[diagnostic::on_unimplemented(
                message = #message,
                label = "not implemented by the client",
                note = #part,
                note = #empty,
                note = #by_hand
            )]
            trait __SeawallRequired {}
            #[diagnostic::do_not_recommend]
            impl<__Client: #path + ?::core::marker::Sized> __SeawallRequired for __Client {}
            #[allow(dead_code)]
            fn __required<__Client: __SeawallRequired + ?::core::marker::Sized>() {}
            #[allow(dead_code)]
            fn __check #params () #conditions {
                #required
            }
        };
    }
}
