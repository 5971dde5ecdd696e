//! The `#[resilient]` attribute: turns a trait of async methods into a guarded client.
//! Use it through the `seawall` crate, which re-exports it.

mod resilient;

use proc_macro::TokenStream;

/// (docs to come)
#[proc_macro_attribute]
pub fn resilient(args: TokenStream, item: TokenStream) -> TokenStream {
    resilient::resilient(args.into(), item.into()).into()
}
