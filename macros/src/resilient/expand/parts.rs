//! `part` and `with`: one client for a trait whose supertraits are services too.
//!
//! A macro cannot see what a supertrait is. So a part leaves behind what the client of a sum needs: the specs of its guarded
//! methods, and a macro that hands the trait on to [`implement`], with the client that is to implement it.

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::{Generics, Ident, Path};

use super::{Context, client, definition};
use crate::resilient::model::{Extent, Model};

/// A trait that other traits' clients implement too: itself, and what they need for that.
pub(crate) fn part(
    model: &Model,
    extent: Extent,
    args: &TokenStream,
    source: &TokenStream,
) -> TokenStream {
    let definition = definition::definition(model);
    if extent != Extent::Whole {
        return definition;
    }
    let context = Context::new(model, true);
    let (root, support, cfgs) = (&model.options.root, &context.support, &context.cfgs);
    let (vis, name) = (&model.definition.vis, &model.definition.ident);
    let hidden = format_ident!("__seawall_part_{}", name.unraw());
    let specs = context.guarded().map(|method| client::spec(&context, method));
    quote! {
        #definition

        // The constant and the macro carry the trait's own name, so importing the trait imports them too. Rust keeps
        // traits, constants and macros in separate namespaces, so the three do not collide.
        #(#cfgs)*
        #[doc(hidden)]
        #[allow(dead_code, non_upper_case_globals)]
        #vis const #name: &[#support::MethodSpec] = &[#(#specs,)*];

        #(#cfgs)*
        #[doc(hidden)]
        #[allow(unused_macros)]
        macro_rules! #hidden {
            ($($client:tt)*) => {
                #root::client::resilient_part! { { #args } { #source } { $($client)* } }
            };
        }
        #(#cfgs)*
        #[doc(hidden)]
        #[allow(unused_imports)]
        pub(crate) use #hidden as #name;
    }
}

/// The client that is to implement a part.
pub(crate) struct Site {
    pub(crate) client: Ident,
    pub(crate) service: Ident,
    /// Parameters of the client's type.
    plain: Generics,
    /// The same, bounded so that the service implements the sum.
    bounded: Generics,
    /// The index of the part's first method among the client's.
    offset: TokenStream,
}

impl Parse for Site {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        fn group(input: ParseStream<'_>) -> syn::Result<TokenStream> {
            let content;
            syn::braced!(content in input);
            content.parse()
        }
        let client = syn::parse2(group(input)?)?;
        let service = syn::parse2(group(input)?)?;
        let plain = syn::parse2(group(input)?)?;
        let mut bounded: Generics = syn::parse2(group(input)?)?;
        let conditions = group(input)?;
        if !conditions.is_empty() {
            bounded.where_clause = Some(syn::parse2(conditions)?);
        }
        Ok(Self { client, service, plain, bounded, offset: group(input)? })
    }
}

/// The client's impl of a part.
pub(crate) fn implement(model: &Model, extent: Extent, site: Site) -> TokenStream {
    if extent != Extent::Whole {
        // Has been complained of where the part stands.
        return TokenStream::new();
    }
    let mut context = Context::new(model, true);
    (context.plain, context.bounded) = (site.plain, site.bounded);
    super::bounds::add(&mut context.bounded, model);
    context.offset = site.offset;
    let (indices, methods) = (client::indices(&context), client::trait_impl(&context));
    quote!(const _: () = { #indices #methods };)
}

/// The impls of a sum's parts.
pub(super) fn impls(context: &Context<'_>) -> TokenStream {
    let (client, service) = (&context.model.client, &context.model.service);
    let (params, _, conditions) = context.bounded.split_for_impl();
    let (plain, _, _) = context.plain.split_for_impl();
    let with = &context.model.options.with;
    let uses = with.iter().enumerate().map(|(at, part)| {
        let offset = total(context, with.iter().take(at));
        quote! {
            #part! { { #client } { #service } { #plain } { #params } { #conditions } { #offset } }
        }
    });
    quote!(#(#uses)*)
}

/// How many methods the client has of its own and of these parts.
fn total<'a>(context: &Context<'_>, parts: impl Iterator<Item = &'a Path>) -> TokenStream {
    let (support, own) = (&context.support, own(context));
    quote!(#support::method_count(&[#own, #(#parts),*]))
}

fn own(context: &Context<'_>) -> TokenStream {
    let specs = context.guarded().map(|method| client::spec(context, method));
    quote!(&[#(#specs,)*])
}

/// The specs of all methods, those of the parts behind the client's own.
pub(super) fn all_specs(context: &Context<'_>) -> TokenStream {
    let (support, own, with) = (&context.support, own(context), &context.model.options.with);
    if with.is_empty() {
        return own;
    }
    let count = total(context, with.iter());
    quote! {{
        const COUNT: usize = #count;
        const ALL: [#support::MethodSpec; COUNT] = #support::all_methods(&[#own, #(#with),*]);
        &ALL
    }}
}

/// Tells where the arguments of the hidden macro are not what [`part`] wrote.
pub(crate) fn pieces(input: TokenStream) -> syn::Result<(TokenStream, TokenStream, Site)> {
    let parse = |input: ParseStream<'_>| {
        let (args, definition, site);
        syn::braced!(args in input);
        let args: TokenStream = args.parse()?;
        syn::braced!(definition in input);
        let definition: TokenStream = definition.parse()?;
        syn::braced!(site in input);
        Ok((args, definition.into_token_stream(), site.parse()?))
    };
    syn::parse::Parser::parse2(parse, input)
}
