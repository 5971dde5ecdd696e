//! An attempt that runs on a thread.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;

use super::Context;
use super::body::{Locals, kept, list};
use super::method::{function, local};
use crate::resilient::model::{Arg, Method, Passing, Receiver};

/// The future of an attempt on a thread. The thread owns all that it needs: the service, and what is behind each reference.
pub(super) fn on_thread(
    context: &Context<'_>,
    method: &Method,
    locals: &Locals,
    is_kept: bool,
) -> TokenStream {
    let (support, link, service) = (&context.support, &locals.link, local("__shared"));
    let function = function(context, method);
    let owned = method.args.iter().map(|arg| {
        let (cfgs, name, value) = (&arg.cfgs, &arg.name, owned(context, arg, is_kept));
        quote!(#(#cfgs)* let #name = #value;)
    });
    let given = list(method, |arg| {
        let name = &arg.name;
        match arg.passing {
            Passing::Lent => quote!(::core::borrow::Borrow::borrow(&#name)),
            _ => quote!(#name),
        }
    });
    let lent = match method.receiver {
        Receiver::Arc(_) => quote!(#service),
        _ => quote!(&*#service),
    };
    let asked = quote!(#function(#lent, #given));
    let asked = if method.is_async() { quote!(#support::wait(#asked)) } else { asked };
    quote!({
        #(#owned)*
        let #service = ::std::sync::Arc::clone(#link.shared());
        #support::on_thread(#link.methods(), move || #asked)
    })
}

/// An argument for the thread to keep.
fn owned(context: &Context<'_>, arg: &Arg, is_kept: bool) -> TokenStream {
    let name = &arg.name;
    match arg.passing {
        // Where it cannot be copied, the complaint belongs at the argument.
        Passing::Lent => {
            let support = context.support_at(arg.ty.span());
            quote_spanned!(arg.ty.span()=> #support::sent(#name))
        }
        _ if is_kept => kept(context, arg),
        _ => quote!(#name),
    }
}
