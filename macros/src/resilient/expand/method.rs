//! One method of the client.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::visit_mut::VisitMut;
use syn::{FnArg, Ident, Pat, PatIdent, Signature, Token, Type, parse_quote};

use super::body::{given, guarded, stream};
use super::detached::one_way;
use super::{Context, definition};
use crate::resilient::model::{Arg, Coming, Method, Receiver, chosen};
use crate::resilient::replace::SelfIs;
use crate::resilient::validate::{is_passed_on, opaque};

/// A method of the client's impl of the trait; `None` where the trait's own body serves.
pub(super) fn of_trait(context: &Context<'_>, method: &Method) -> Option<TokenStream> {
    if !method.is_guarded() && method.has_body && !is_passed_on(context.model, method) {
        return None;
    }
    let (cfgs, mut sig) = (method.cfgs(), signature(method));
    let body = || body(context, method, &method.output);
    let body = match method.coming {
        // Only what must be a future or a stream of its own kind needs to be one.
        Coming::Future { is_boxed: true, .. } | Coming::Stream { is_boxed: true, .. }
            if !context.sound =>
        {
            quote!(::core::unreachable!())
        }
        Coming::Stream { is_boxed: false, .. } if !context.sound => straight(context, method),
        // What boxes the trait's futures boxes this one.
        Coming::Async if !context.model.is_rewritten() => body(),
        Coming::Async => {
            // Not an `async fn`: a caller that must prove its own future `Send` reads it off this signature, where
            // otherwise the compiler looks inside and stumbles over lifetimes (rust-lang/rust#100013).
            definition::promise_send(&mut sig);
            future(body())
        }
        Coming::Future { is_boxed, .. } if method.is_guarded() => {
            given_back(context, method, is_boxed, &future(body()))
        }
        Coming::Stream { is_boxed, .. } if method.is_guarded() => {
            given_back(context, method, is_boxed, &stream(context, method, &method.output))
        }
        Coming::AtOnce if method.is_guarded() => wait(context, &body()),
        _ => body(),
    };
    Some(quote!(#(#cfgs)* #sig { #body }))
}

fn future(body: TokenStream) -> TokenStream {
    quote!(async move { #body })
}

/// Has the calling thread wait.
fn wait(context: &Context<'_>, body: &TokenStream) -> TokenStream {
    let support = &context.support;
    if context.sound { quote!(#support::wait(async move { #body })) } else { body.clone() }
}

/// The body of a method that gives a future or a stream back at once.
fn given_back(
    context: &Context<'_>,
    method: &Method,
    is_boxed: bool,
    answer: &TokenStream,
) -> TokenStream {
    let asked = method.is_eager().then(|| ask(context, method));
    let answer = if is_boxed { quote!(::std::boxed::Box::pin(#answer)) } else { answer.clone() };
    quote!(#asked #answer)
}

/// Asks the service at once, and keeps what its answer needs.
fn ask(context: &Context<'_>, method: &Method) -> TokenStream {
    if !context.sound {
        return TokenStream::new();
    }
    let (asked, kept) = (local("__asked"), local("__kept"));
    let (this, function, args) = (this(method), function(context, method), given(method));
    let service = service(method, &quote!(#this.link));
    quote! {
        let #asked = #function(#service, #args);
        let #kept = ::core::clone::Clone::clone(&#this.link);
    }
}

/// The service as the method takes it, out of this link.
pub(super) fn service(method: &Method, link: &TokenStream) -> TokenStream {
    match method.receiver {
        Receiver::Arc(_) => quote!(::std::sync::Arc::clone(#link.shared())),
        _ => quote!(#link.service()),
    }
}

/// `self`, as the method has it.
pub(super) fn this(method: &Method) -> Token![self] {
    match &method.receiver {
        Receiver::Shared(this) | Receiver::Exclusive(this) | Receiver::Arc(this) => *this,
        _ => Token![self](Span::call_site()),
    }
}

/// A name out of reach of the user's.
pub(super) fn local(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

/// An inherent method; with `errors = "wrapped"` its errors are.
pub(super) fn inherent(context: &Context<'_>, method: &Method) -> TokenStream {
    let mut sig = signature(method);
    let mut output = method.output.clone();
    let mut replace = SelfIs(&context.model.service);
    replace.visit_signature_mut(&mut sig);
    replace.visit_type_mut(&mut output);
    let (vis, attrs) = (&context.model.definition.vis, &method.attrs);
    if let (Coming::Stream { is_boxed, .. }, true) = (method.coming, method.is_guarded()) {
        let body = if context.sound {
            given_back(context, method, is_boxed, &stream(context, method, &output))
        } else {
            straight(context, method)
        };
        return quote!(#(#attrs)* #vis #sig { #body });
    }
    let mut body = body(context, method, &output);
    if method.is_guarded() {
        if method.is_async() {
            sig.asyncness.get_or_insert_default();
        } else {
            body = wait(context, &body);
        }
        sig.output = if context.model.is_wrapped() && context.on_fault(method).is_none() {
            wrapped(context, &output)
        } else {
            parse_quote!(-> #output)
        };
        let asked = method.is_eager().then(|| ask(context, method));
        body = quote!(#asked #body);
    }
    quote!(#(#attrs)* #vis #sig { #body })
}

fn body(context: &Context<'_>, method: &Method, output: &Type) -> TokenStream {
    if context.sound && method.is_guarded() && method.call.oneway.is_some() {
        one_way(context, method, output, &guarded(context, method, output))
    } else if context.sound && method.is_guarded() {
        guarded(context, method, output)
    } else if context.sound || opaque(output).is_some() {
        straight(context, method)
    } else {
        quote!(::core::unreachable!("`#[resilient]` has reported a mistake"))
    }
}

/// The signature as the client repeats it: a plain name for every argument, no attributes but `cfg`.
pub(super) fn signature(method: &Method) -> Signature {
    let mut sig = method.sig.clone();
    let mut args = method.args.iter();
    for input in &mut sig.inputs {
        match input {
            FnArg::Receiver(receiver) => receiver.attrs.clear(),
            FnArg::Typed(typed) => {
                if let Some(Arg { name, cfgs, .. }) = args.next() {
                    typed.attrs.clone_from(cfgs);
                    *typed.pat = plain(name.clone());
                }
            }
        }
    }
    sig
}

fn plain(ident: Ident) -> Pat {
    Pat::Ident(PatIdent { attrs: Vec::new(), by_ref: None, mutability: None, ident, subpat: None })
}

fn wrapped(context: &Context<'_>, output: &Type) -> syn::ReturnType {
    // Where the type is not a `Result`, the complaint belongs at the type.
    let support = context.support_at(output.span());
    let wrapped = quote_spanned! {output.span()=>
        -> ::core::result::Result<
            <#output as #support::Fallible>::Ok,
            #support::CallError<<#output as #support::Fallible>::Err>,
        >
    };
    parse_quote!(#wrapped)
}

/// A call that passes no guard.
fn straight(context: &Context<'_>, method: &Method) -> TokenStream {
    let function = function(context, method);
    let service = match &method.receiver {
        Receiver::Shared(this) | Receiver::Arc(this) => {
            let service = service(method, &quote!(#this.link));
            Some(quote!(#service,))
        }
        _ => None,
    };
    let args = given(method);
    let wait = (method.coming == Coming::Async).then(|| quote!(.await));
    quote!(#function(#service #args) #wait)
}

/// The service's own method, with the type arguments that the caller chose.
pub(super) fn function(context: &Context<'_>, method: &Method) -> TokenStream {
    let (service, bound, name) = (&context.model.service, &context.bound, &method.sig.ident);
    let chosen: Vec<_> = chosen(&method.sig.generics).collect();
    let chosen = (!chosen.is_empty()).then(|| quote!(::<#(#chosen),*>));
    quote!(<#service as #bound>::#name #chosen)
}
