//! What leaves the caller's task: an attempt for a thread, a call for a queue.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Ident, Type};

use super::Context;
use super::body::{Locals, kept, list};
use super::method::{function, local, this};
use crate::resilient::model::{Arg, Method, Passing, Receiver};

/// The future of an attempt on a thread. The thread owns all that it needs: the service, and what is behind each reference.
pub(super) fn on_thread(
    context: &Context<'_>,
    method: &Method,
    locals: &Locals,
    is_kept: bool,
) -> TokenStream {
    let (support, link, service) = (&context.support, &locals.link, local("__shared"));
    let (function, index) = (function(context, method), context.index(method));
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
        #support::on_thread(#link.methods(), #index, move || #asked)
    })
}

/// An argument to be kept elsewhere.
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

/// The body of a method that has its call wait in a queue: `guarded` is what becomes of it there.
pub(super) fn one_way(
    context: &Context<'_>,
    method: &Method,
    output: &Type,
    guarded: &TokenStream,
) -> TokenStream {
    let (support, this, kept) = (&context.support, this(method), local("__kept"));
    let index = context.index(method);
    let merge = match method.call.oneway.as_ref().and_then(|one_way| one_way.merge.as_ref()) {
        // Where the function is not what it should be, the complaint belongs at its name.
        Some(path) => quote_spanned!(path.span()=> ::core::option::Option::Some(#path)),
        None => quote!(::core::option::Option::None),
    };
    let owned = together(method.args.iter().map(|arg| self::owned(context, arg, false)));
    let names = together(method.args.iter().map(|arg| arg.name.to_token_stream()));
    let lent = method.args.iter().filter_map(lent);
    let (sent, call) = (local("__sent"), local("__call_later"));
    let answer = one_way_answer(context, method, output, &sent);
    quote! {
        let #kept = ::core::clone::Clone::clone(&#this.link);
        let #call = {
            let #kept = ::core::clone::Clone::clone(&#kept);
            move |#names| {
                let #kept = ::core::clone::Clone::clone(&#kept);
                async move {
                    #(#lent)*
                    ::core::mem::drop({ #guarded });
                }
            }
        };
        let #sent = #support::send(
            #kept.table(),
            #index,
            #owned,
            #merge,
            #call,
        ).await;
        #answer
    }
}

/// One by itself, so that it can be merged as it is; several as a tuple.
fn together(values: impl ExactSizeIterator<Item = TokenStream>) -> TokenStream {
    if values.len() == 1 { quote!(#(#values)*) } else { quote!((#(#values,)*)) }
}

/// A reference to what has been kept, as the method takes it.
fn lent(arg: &Arg) -> Option<TokenStream> {
    let Type::Reference(reference) = plain(&arg.ty) else { return None };
    let (name, to) = (&arg.name, &reference.elem);
    Some(quote!(let #name: &#to = ::core::borrow::Borrow::borrow(&#name);))
}

/// Without what a `macro_rules!` fragment or a pair of parentheses wraps.
fn plain(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => plain(&group.elem),
        Type::Paren(paren) => plain(&paren.elem),
        ty => ty,
    }
}

/// What its caller is told.
fn one_way_answer(
    context: &Context<'_>,
    method: &Method,
    output: &Type,
    sent: &Ident,
) -> TokenStream {
    if context.on_fault(method).is_some() {
        return quote!(::core::mem::drop(#sent));
    }
    let (support, span) = (&context.support, output.span());
    if context.model.is_wrapped() {
        return quote_spanned!(span=> #support::sent_answer_wrapped(#sent));
    }
    // Where the type is not a `Result<(), E>`, or its error cannot be made of a `Fault`, the complaint belongs at the type.
    let here = context.support_at(span);
    match context.fault_with(method) {
        Some(path) => quote_spanned!(span=> #here::sent_answer::<#output>(#sent, #path)),
        None => quote_spanned!(span=> #here::sent_answer_usual::<#output>(#sent)),
    }
}
