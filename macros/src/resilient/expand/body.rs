//! The body of a method that passes the guards.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::visit_mut::VisitMut;
use syn::{ExprPath, Ident, Type};

use super::answer::{answer, error_maker, refused};
use super::keys::{key, last_good};
use super::method::{function, local, service, this};
use super::rules::rules;
use super::{Context, detached};
use crate::resilient::future;
use crate::resilient::model::{Arg, Coming, Method, Passing, Receiver, Sharing};
use crate::resilient::replace::SelfIs;

/// The locals of a guarded body, out of reach of the user's names.
pub(super) struct Locals {
    pub(super) link: Ident,
    pub(super) service: Ident,
    pub(super) call: Ident,
    pub(super) key: Ident,
    pub(super) result: Ident,
    pub(super) error: Ident,
    pub(super) fault: Ident,
    pub(super) answer: Ident,
}

impl Locals {
    fn new(output: &Type) -> Self {
        Self {
            link: local("__link"),
            service: local("__service"),
            call: local("__call"),
            key: local("__key"),
            // At the type that it has, so that whatever is wrong with that type is seen there.
            result: Ident::new("__seawall_result", output.span()),
            error: local("__error"),
            fault: local("__fault"),
            answer: local("__answer"),
        }
    }
}

/// The body of a method that passes the guards.
pub(super) fn guarded(context: &Context<'_>, method: &Method, output: &Type) -> TokenStream {
    let support = &context.support;
    let locals = Locals::new(output);
    let Locals { link, call, result, fault, .. } = &locals;
    let held = held(method);
    let lend = lend(context, method, &locals);
    let index = context.index(method);
    let attempts = attempts(context, method, output, &locals);
    let fallback =
        method.call.fallback.as_ref().map(|path| fallback(context, method, path, output, &locals));
    let (kept_for, last_good) = last_good(context, method, output, &locals).unzip();
    let answer = answer(context, method, output, &locals);
    let (key, by_key) = key(context, method, &locals).unzip();
    let accepted =
        method.call.oneway.is_some().then(|| quote!(#support::Call::accepted(&mut #call);));
    // Whatever has a say in a call that the breaker refuses; nobody has in most methods.
    let refused =
        (fallback.is_none() && key.is_none() && last_good.is_none() && accepted.is_none())
            .then(|| refused(context, method, output, &locals))
            .flatten();
    // A statement of its own, so that the future does not keep the fault.
    let refused = refused.map(|refused| {
        quote! {
            if let ::core::option::Option::Some(#fault) =
                #support::Call::refused_at_once(#link.methods(), #index)
            {
                break '__seawall_body #refused;
            }
        }
    });
    let body = quote! {
        #refused
        #key
        #kept_for
        let mut #call = #support::Call::begin(#link.methods(), #index);
        #by_key
        #accepted
        let #result = #attempts;
        #fallback
        #last_good
        #answer
    };
    let body = if refused.is_some() { quote!('__seawall_body: { #body }) } else { body };
    quote! {
        let #link = &#held;
        #lend
        #body
    }
}

/// A stream that passes the guards when it is first polled.
pub(super) fn stream(context: &Context<'_>, method: &Method, item: &Type) -> TokenStream {
    let span = item.span();
    let (support, here) = (&context.support, context.support_at(span));
    let locals = Locals::new(item);
    let link = &locals.link;
    let index = context.index(method);
    let held = held(method);
    let lend = lend(context, method, &locals);
    let stream = asked(context, method, &locals, false);
    // One that is not boxed may have to stay where it is.
    let is_boxed = matches!(method.coming, Coming::Stream { is_boxed: true, .. });
    let stream = if is_boxed { stream } else { quote!(::std::boxed::Box::pin(#stream)) };
    let open = match context.on_fault(method) {
        Some(path) => {
            quote_spanned!(span=> #here::open_or(#link.methods(), #index, move || #stream, #path).await)
        }
        None => {
            let answer: Type = syn::parse_quote!(#support::FirstOf<#item>);
            let rules = rules(context, method, &answer);
            let fault = error_maker(context, method, span);
            quote_spanned!(span=> #here::open(#link.methods(), #index, move || #stream, #rules, #fault).await)
        }
    };
    quote!(#support::guarded(async move { let #link = &#held; #lend #open }))
}

/// Where the two pointers are.
fn held(method: &Method) -> TokenStream {
    if method.is_eager() || method.call.oneway.is_some() {
        let kept = local("__kept");
        quote!(#kept)
    } else {
        let this = this(method);
        quote!(#this.link)
    }
}

/// The service, borrowed once for all attempts and the fallback. An attempt that must own the service, or lock it, gets it
/// by itself: see [`asked`].
fn lend(context: &Context<'_>, method: &Method, locals: &Locals) -> Option<TokenStream> {
    let Locals { link, service, .. } = locals;
    let by_reference = matches!(method.receiver, Receiver::Shared(_));
    let is_lent = by_reference
        && context.model.options.sharing != Sharing::Exclusive
        && !method.is_eager()
        && !method.call.blocking;
    (is_lent || method.call.fallback.is_some()).then(|| quote!(let #service = #link.service();))
}

/// The future of one attempt, as an expression.
fn attempt(context: &Context<'_>, method: &Method, locals: &Locals, kept: bool) -> TokenStream {
    let (support, mut asked) = (&context.support, asked(context, method, locals, kept));
    let on_fault = context.on_fault(method);
    let (link, answer, index) = (&locals.link, &locals.answer, context.index(method));
    let held = if on_fault.is_some() {
        let held = quote!(::std::boxed::Box::pin(#support::holding(#link.methods(), #index, #answer.await)));
        future::is_stream(&method.output).then_some(held)
    } else {
        let held = quote!(match #answer.await {
            ::core::result::Result::Ok(__stream) => ::core::result::Result::Ok(
                ::std::boxed::Box::pin(#support::holding(#link.methods(), #index, __stream)),
            ),
            ::core::result::Result::Err(__error) => ::core::result::Result::Err(__error),
        });
        future::holds_stream(&method.output).then_some(held)
    };
    let held = if future::is_leased(&method.output) {
        let here = context.support_at(method.output.span());
        Some(quote_spanned! {method.output.span()=>
            #here::leased(#answer.await, #link.table(), #index)
        })
    } else {
        held
    };
    if let Some(held) = held {
        let mut output = method.output.clone();
        if context.model.is_inherent() {
            SelfIs(&context.model.service).visit_type_mut(&mut output);
        }
        asked = quote! {{
            let #answer = #asked;
            async move {
                let #answer: #output = #held;
                #answer
            }
        }};
    }
    match on_fault {
        Some(_) => quote!(#support::certain(#asked)),
        None => asked,
    }
}

/// What the service gives back, as an expression; `kept`: the arguments are needed again.
fn asked(context: &Context<'_>, method: &Method, locals: &Locals, kept: bool) -> TokenStream {
    let Locals { link, service, .. } = locals;
    let function = function(context, method);
    let passed = |arg: &Arg| if kept { self::kept(context, arg) } else { name(arg) };
    let args = list(method, passed);
    // The arguments first, so that a block that owns them has this attempt's own.
    let bound = || {
        let bound = method.args.iter().map(|arg| {
            let (cfgs, name, value) = (&arg.cfgs, &arg.name, passed(arg));
            quote!(#(#cfgs)* let #name = #value;)
        });
        quote!(#(#bound)*)
    };
    let (given, one) = (given(method), local("__one"));
    if method.call.blocking {
        detached::on_thread(context, method, locals, kept)
    } else if method.is_eager() {
        let asked = local("__asked");
        quote!(#asked)
    } else if context.model.options.sharing == Sharing::Exclusive {
        let (bound, lent) = (bound(), lent(method, &one));
        quote!({
            #bound
            async move {
                let mut #one = #link.shared().lock().await;
                #function(#lent, #given).await
            }
        })
    } else if matches!(method.receiver, Receiver::Exclusive(_)) {
        let bound = bound();
        quote!({
            #bound
            let mut #one = ::core::clone::Clone::clone(#link.service());
            async move { #function(&mut #one, #given).await }
        })
    } else {
        let lent = match method.receiver {
            Receiver::Arc(_) => self::service(method, &quote!(#link)),
            _ => quote!(#service),
        };
        if method.is_async() {
            return quote!(#function(#lent, #args));
        }
        let bound = bound();
        quote!({ #bound async move { #function(#lent, #given) } })
    }
}

/// What a guard of the service lends to the method.
fn lent(method: &Method, guard: &Ident) -> TokenStream {
    match method.receiver {
        Receiver::Exclusive(_) => quote!(&mut *#guard),
        _ => quote!(&*#guard),
    }
}

/// The dependency's part of the call.
fn attempts(context: &Context<'_>, method: &Method, output: &Type, locals: &Locals) -> TokenStream {
    let call = &locals.call;
    let rules = rules(context, method, output);
    let attempt = attempt(context, method, locals, method.keeps_arguments());
    // Where the method's type is not a `Result`, the complaint belongs at the type.
    let span = output.span();
    let support = context.support_at(span);
    // The closure owns the arguments, so that they need not be `Sync` to be kept over an attempt. But a fallback gets them
    // in the end: until then they are borrowed.
    let owns = method.call.fallback.is_none().then(|| quote!(move));
    let (goes, none) = (local("__goes_ahead"), quote!(::core::option::Option::None));
    let asked = quote!(let #goes = #support::Call::goes_ahead(&mut #call););
    // A call that is refused makes no future for that.
    if method.may_repeat() {
        let (make, answer, delay) = (local("__make"), local("__attempted"), local("__delay"));
        let (ok, err) = (quote!(::core::result::Result::Ok), quote!(::core::result::Result::Err));
        quote_spanned!(span=> {
            #asked
            let mut #make = #owns || #attempt;
            let #answer = if !#goes {
                #none
            } else if #support::Call::is_not_hedged(&#call) {
                #support::Call::attempt(&mut #call, &mut #make, #rules).await
            } else {
                #support::Call::attempt_hedged(&mut #call, &mut #make, #rules).await
            };
            if #support::Call::is_last(&#call, &#answer) {
                #answer
            } else {
                match #support::Call::after_attempt(&mut #call, #answer, #rules) {
                    #err(#answer) => #answer,
                    #ok(#delay) => {
                        #support::Call::repeat_after(&mut #call, #delay, #make, #rules).await
                    }
                }
            }
        })
    } else {
        quote_spanned!(span=> {
            #asked
            if #goes {
                #support::Call::attempt(&mut #call, #owns || #attempt, #rules).await
            } else {
                #none
            }
        })
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
        let #result = match #support::Call::failed::<#output>(&mut #call, #result) {
            ::core::result::Result::Err(#error) => {
                let #answer = #asked;
                match #answer {
                    ::core::option::Option::None => #support::Call::no_fallback::<#output>(#error),
                    #answer => #answer,
                }
            }
            ::core::result::Result::Ok(#result) => #result,
        };
    }
}

/// The arguments as they came.
pub(super) fn given(method: &Method) -> TokenStream {
    list(method, name)
}

fn name(arg: &Arg) -> TokenStream {
    let name = &arg.name;
    quote!(#name)
}

/// An argument for one attempt, with the original kept.
pub(super) fn kept(context: &Context<'_>, arg: &Arg) -> TokenStream {
    let (support, name) = (&context.support, &arg.name);
    match arg.passing {
        // Where the type is not `Clone`, the complaint belongs at the argument.
        Passing::Owned => quote_spanned!(name.span()=> #support::cloned(&#name)),
        _ => quote!(#name),
    }
}

pub(super) fn list(method: &Method, passed: impl Fn(&Arg) -> TokenStream) -> TokenStream {
    let args = method.args.iter().map(|arg| {
        let (cfgs, value) = (&arg.cfgs, passed(arg));
        quote!(#(#cfgs)* #value)
    });
    quote!(#(#args),*)
}
