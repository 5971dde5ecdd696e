//! tokens → [`parse`] → [`model`] → [`validate`] → [`expand`] → tokens. Mistakes are gathered on the
//! way and reported together; expanding cannot fail.

mod boxing;
mod errors;
mod expand;
mod future;
mod model;
mod of_impl;
mod parse;
mod replace;
mod validate;

use proc_macro2::{Span, TokenStream};
use quote::quote;

pub(crate) use self::errors::Errors;
pub(crate) use self::parse::list;

/// What `#[resilient(args)] item` becomes.
pub(crate) fn resilient(args: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let definition = match syn::parse2(item.clone()) {
        Ok(syn::Item::Trait(definition)) => definition,
        Ok(syn::Item::Impl(item)) => {
            let expansion = of_impl::of_impl(&args, item, &mut errors);
            let errors = errors.into_tokens();
            return quote!(#expansion #errors);
        }
        Ok(_) => {
            errors.push(Span::call_site(), "`#[resilient]` goes on a trait of async methods, or on the impl of a type; above `#[automock]` and others that copy attributes, and not below");
            let errors = errors.into_tokens();
            return quote!(#item #errors);
        }
        // The compiler has parsed the item before us, so this is syntax that is newer than we are.
        Err(error) => return error.into_compile_error(),
    };
    if let Some(below) = below_enum_dispatch(&definition, &args) {
        return below;
    }
    let model = parse::parse(args.clone(), definition, &mut errors);
    let extent = validate::validate(&model, &mut errors);
    let expansion = if model.options.part.is_some() {
        expand::part(&model, extent, &args, &item)
    } else {
        expand::expand(&model, extent)
    };
    let errors = errors.into_tokens();
    quote!(#expansion #errors)
}

/// `enum_dispatch` has to see `async fn`s as they are written, and so comes first: the trait with our attribute behind it.
fn below_enum_dispatch(definition: &syn::ItemTrait, args: &TokenStream) -> Option<TokenStream> {
    let is_it = |attr: &syn::Attribute| {
        attr.path().segments.last()?.ident.eq("enum_dispatch").then_some(())
    };
    definition.attrs.iter().find_map(is_it)?;
    let root = parse::root(args);
    let mut definition = definition.clone();
    definition.attrs.push(syn::parse_quote!(#[#root::resilient(#args)]));
    Some(quote!(#definition))
}

/// A client's impl of a trait that is a part of its own.
pub(crate) fn resilient_part(input: TokenStream) -> TokenStream {
    let implemented = expand::pieces(input).and_then(|(args, definition, site)| {
        let definition = syn::parse2(definition)?;
        // What is wrong with it has been said where it stands.
        let mut errors = Errors::default();
        let mut model = parse::parse(args, definition, &mut errors);
        (model.client, model.service) = (site.client.clone(), site.service.clone());
        let extent = validate::validate(&model, &mut errors);
        Ok(expand::implement(&model, extent, site))
    });
    implemented.unwrap_or_else(syn::Error::into_compile_error)
}
