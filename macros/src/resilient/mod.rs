//! tokens → [`parse`] → [`model`] → [`validate`] → [`expand`] → tokens. Mistakes are gathered on the
//! way and reported together; expanding cannot fail.

mod boxing;
mod errors;
mod expand;
mod future;
mod model;
mod parse;
mod replace;
mod validate;

use proc_macro2::{Span, TokenStream};
use quote::quote;

use self::errors::Errors;

/// What `#[resilient(args)] item` becomes.
pub(crate) fn resilient(args: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let definition = match syn::parse2(item.clone()) {
        Ok(syn::Item::Trait(definition)) => definition,
        Ok(_) => {
            errors.push(Span::call_site(), "`#[resilient]` goes on a trait of async methods");
            let errors = errors.into_tokens();
            return quote!(#item #errors);
        }
        // The compiler has parsed the item before us, so this is syntax that is newer than we are.
        Err(error) => return error.into_compile_error(),
    };
    let model = parse::parse(args, definition, &mut errors);
    let client = validate::validate(&model, &mut errors);
    let expansion = expand::expand(&model, client);
    let errors = errors.into_tokens();
    quote!(#expansion #errors)
}
