//! One method of the client.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::visit_mut::VisitMut;
use syn::{
    ExprPath, FnArg, GenericParam, Ident, Pat, PatIdent, Signature, Token, Type, parse_quote,
};

use super::{Context, definition};
use crate::resilient::model::{Arg, Method, Passing, Receiver};
use crate::resilient::replace::SelfIs;
use crate::resilient::validate::{is_passed_on, opaque};

/// A method of the client's impl of the trait; `None` where the trait's own body serves.
pub(super) fn of_trait(context: &Context<'_>, method: &Method) -> Option<TokenStream> {
    let body = if !method.is_async() && method.has_body && !is_passed_on(method) {
        return None;
    } else {
        body(context, method, &method.output)
    };
    let (cfgs, mut sig) = (method.cfgs(), signature(method));
    if !method.is_async() {
        return Some(quote!(#(#cfgs)* #sig { #body }));
    }
    // Not an `async fn`: a caller that must prove its own future `Send` reads it off this signature,
    // where otherwise the compiler looks inside and stumbles over lifetimes (rust-lang/rust#100013).
    definition::promise_send(&mut sig);
    Some(quote!(#(#cfgs)* #sig { async move { #body } }))
}

/// An inherent method, whose errors are wrapped.
pub(super) fn inherent(context: &Context<'_>, method: &Method) -> TokenStream {
    let mut sig = signature(method);
    let mut output = method.output.clone();
    let mut replace = SelfIs(&context.model.service);
    replace.visit_signature_mut(&mut sig);
    replace.visit_type_mut(&mut output);
    let body = body(context, method, &output);
    if method.is_guarded() {
        sig.output = wrapped(context, &output);
    }
    let (vis, attrs) = (&context.model.definition.vis, &method.attrs);
    quote!(#(#attrs)* #vis #sig { #body })
}

fn body(context: &Context<'_>, method: &Method, output: &Type) -> TokenStream {
    if context.sound && method.is_guarded() {
        guarded(context, method, output)
    } else if context.sound || opaque(output).is_some() {
        straight(context, method)
    } else {
        quote!(::core::unreachable!("`#[resilient]` has reported a mistake"))
    }
}

/// The signature as the client repeats it: a plain name for every argument, no attributes but `cfg`.
fn signature(method: &Method) -> Signature {
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
        Receiver::Shared(this) => Some(quote!(#this.link.service(),)),
        _ => None,
    };
    let args = given(method);
    let wait = method.is_async().then(|| quote!(.await));
    quote!(#function(#service #args) #wait)
}

/// The locals of a guarded body, out of reach of the user's names.
struct Locals {
    link: Ident,
    service: Ident,
    call: Ident,
    key: Ident,
    result: Ident,
    error: Ident,
    answer: Ident,
}

impl Locals {
    fn new(output: &Type) -> Self {
        let local = |name: &str| Ident::new(name, Span::mixed_site());
        Self {
            link: local("__link"),
            service: local("__service"),
            call: local("__call"),
            key: local("__key"),
            // At the type that it has, so that whatever is wrong with that type is seen there.
            result: Ident::new("__seawall_result", output.span()),
            error: local("__error"),
            answer: local("__answer"),
        }
    }
}

fn guarded(context: &Context<'_>, method: &Method, output: &Type) -> TokenStream {
    let support = &context.support;
    let locals = Locals::new(output);
    let Locals { link, service, call, result, .. } = &locals;
    let this = match &method.receiver {
        Receiver::Shared(this) => *this,
        _ => Token![self](Span::call_site()),
    };
    let (indices, name) = (&context.indices, &method.sig.ident);
    let attempts = attempts(context, method, output, &locals);
    let fallback =
        method.call.fallback.as_ref().map(|path| fallback(context, method, path, output, &locals));
    let here = context.support_at(output.span());
    let finish = quote_spanned!(output.span()=> #here::Call::finish(&mut #call, #result));
    let answer = answer(context, output, result);
    let (key, by_key) = key(context, method, &locals).unzip();
    quote! {
        let #link = &#this.link;
        let #service = #link.service();
        #key
        let mut #call = #support::Call::begin(#link.methods(), #indices::#name as usize);
        #by_key
        let #result = #attempts;
        #fallback
        let #result = #finish;
        #answer
    }
}

/// Finding the key, before the call begins and takes the arguments; and having the call go by it.
fn key(
    context: &Context<'_>,
    method: &Method,
    locals: &Locals,
) -> Option<(TokenStream, TokenStream)> {
    let path = method.call.key.as_ref()?;
    let Locals { link, call, key, .. } = locals;
    // Where it is not `Display`, or the function not what it should be, the complaint belongs at its name.
    let support = context.support_at(path.span());
    let value = match method.key_argument() {
        Some(_) => quote!(&#path),
        None => {
            let args = list(method, |arg| {
                let name = &arg.name;
                match arg.passing {
                    Passing::Lent => quote!(#name),
                    Passing::Exclusive => quote!(&*#name),
                    Passing::Opaque | Passing::Owned => quote!(&#name),
                }
            });
            quote_spanned!(path.span()=> &#path(#args))
        }
    };
    let found = quote_spanned!(path.span()=> let #key = #support::key(#link.methods(), #value););
    let support = &context.support;
    Some((found, quote!(#support::Call::by_key(&mut #call, &#key);)))
}

/// The dependency's part of the call.
fn attempts(context: &Context<'_>, method: &Method, output: &Type, locals: &Locals) -> TokenStream {
    let Locals { service, call, .. } = locals;
    let function = function(context, method);
    let rules = rules(context, method, output);
    let (given, kept) = (given(method), kept(context, method));
    // Where the method's type is not a `Result`, the complaint belongs at the type.
    let span = output.span();
    let support = context.support_at(span);
    match (method.call.idempotent, method.call.fallback.is_some()) {
        // The closure owns the arguments, so that they need not be `Sync` to be kept over an attempt.
        (true, false) => {
            quote_spanned!(span=> #support::Call::repeat(&mut #call, move || #function(#service, #kept), #rules).await)
        }
        // The fallback gets them in the end: until then they are borrowed.
        (true, true) => {
            quote_spanned!(span=> #support::Call::repeat(&mut #call, || #function(#service, #kept), #rules).await)
        }
        (false, true) => {
            quote_spanned!(span=> #support::Call::once(&mut #call, || #function(#service, #kept), #rules).await)
        }
        (false, false) => {
            quote_spanned!(span=> #support::Call::once(&mut #call, move || #function(#service, #given), #rules).await)
        }
    }
}

fn rules(context: &Context<'_>, method: &Method, output: &Type) -> TokenStream {
    let span = output.span();
    let support = context.support_at(span);
    let (call, options) = (&method.call, &context.model.options);
    // What the method says goes over what the trait says.
    let classify = call.classify.as_ref().or(options.classify.as_ref());
    let retry_after = call.retry_after.as_ref().or(options.retry_after.as_ref());
    let quota = call.quota.as_ref().or(options.quota.as_ref());
    let when = call.retry.as_ref().and_then(|retry| retry.when.as_ref());
    let fields: Vec<_> = [
        classify.map(|path| quote!(classify: #path)),
        when.map(|path| quote!(retry_if: #path)),
        retry_after.map(|path| quote!(retry_after: #path)),
        quota.map(|path| quote!(quota: #path)),
    ]
    .into_iter()
    .flatten()
    .collect();
    let usual = quote_spanned!(span=> #support::Rules::USUAL);
    // A constant, so that a call has nothing to write.
    match fields.as_slice() {
        [] => quote_spanned!(span=> &const { #usual }),
        all @ [_, _, _, _] => quote!(&const { #support::Rules::<#output> { #(#all),* } }),
        some => quote!(&const { #support::Rules::<#output> { #(#some),*, ..#usual } }),
    }
}

fn fallback(
    context: &Context<'_>,
    method: &Method,
    path: &ExprPath,
    output: &Type,
    locals: &Locals,
) -> TokenStream {
    let support = &context.support;
    let Locals { service, call, result, error, answer, .. } = locals;
    let args = given(method);
    // Where the function is not what it should be, the complaint belongs at its name.
    let here = context.support_at(path.span());
    let asked = quote_spanned! {path.span()=>
        #here::Call::fall_back::<#output, _>(&mut #call, || #path(#service, &#error, #args)).await
    };
    quote! {
        let #result = match #result {
            ::core::result::Result::Err(#error) if #call.may_fall_back(&#error) => {
                let #answer = #asked;
                match #answer {
                    ::core::option::Option::Some(#answer) => {
                        #support::Fallible::into_result(#answer).map_err(#support::CallError::Inner)
                    }
                    ::core::option::Option::None => ::core::result::Result::Err(#error),
                }
            }
            #result => #result,
        };
    }
}

/// From Seawall's result to what the caller was promised.
fn answer(context: &Context<'_>, output: &Type, result: &Ident) -> TokenStream {
    let options = &context.model.options;
    if options.wrapped.is_some() {
        return quote!(#result);
    }
    // Where the type is not a `Result`, or its error cannot be made of a `Fault`, the complaint
    // belongs at the type.
    let span = output.span();
    let support = context.support_at(span);
    match &options.fault_with {
        Some((_, path)) => quote_spanned!(span=> #support::answer_with::<#output>(#result, #path)),
        None => quote_spanned!(span=> #support::answer::<#output>(#result)),
    }
}

/// The arguments as they came.
fn given(method: &Method) -> TokenStream {
    list(method, |arg| {
        let name = &arg.name;
        quote!(#name)
    })
}

/// The arguments for one attempt, with the originals kept.
fn kept(context: &Context<'_>, method: &Method) -> TokenStream {
    let support = &context.support;
    list(method, |arg| {
        let name = &arg.name;
        match arg.passing {
            // Where the type is not `Clone`, the complaint belongs at the argument.
            Passing::Owned => quote_spanned!(name.span()=> #support::cloned(&#name)),
            _ => quote!(#name),
        }
    })
}

fn list(method: &Method, passed: impl Fn(&Arg) -> TokenStream) -> TokenStream {
    let args = method.args.iter().map(|arg| {
        let (cfgs, value) = (&arg.cfgs, passed(arg));
        quote!(#(#cfgs)* #value)
    });
    quote!(#(#args),*)
}

/// The service's own method, with the type arguments that the caller chose.
fn function(context: &Context<'_>, method: &Method) -> TokenStream {
    let (service, bound, name) = (&context.model.service, &context.bound, &method.sig.ident);
    let chosen: Vec<_> = method
        .sig
        .generics
        .params
        .iter()
        .filter_map(|param| match param {
            GenericParam::Type(param) => Some(&param.ident),
            GenericParam::Const(param) => Some(&param.ident),
            GenericParam::Lifetime(_) => None,
        })
        .collect();
    let chosen = (!chosen.is_empty()).then(|| quote!(::<#(#chosen),*>));
    quote!(<#service as #bound>::#name #chosen)
}
