//! `#[retry(…)]`: a function that makes attempts.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{
    Expr, ExprAssign, FnArg, Ident, ItemFn, Pat, PatIdent, ReceiverKind, ReturnType, Signature,
    Token,
};

use crate::resilient::{Errors, list};

const KEYS: [&str; 4] = ["when", "retry_after", "budget", "within"];
const WANTED: &str = "`#[retry(config)]` or `#[retry(config, when = is_transient)]`: the config is an expression of type \
                      `seawall::retry::Config`, or one that derefs to it";

/// What `#[retry(arguments)]` makes of a function.
pub(crate) fn retry(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let function = errors.take(syn::parse2::<ItemFn>(item.clone()).map_err(|error| {
        let message = "`#[retry]` goes on a function with a body, free or in an `impl`";
        syn::Error::new(error.span(), format!("{message} ({error})"))
    }));
    let settings = settings(arguments, &mut errors);
    let (Some(function), Some(settings)) = (function, settings) else {
        let errors = errors.into_tokens();
        return quote!(#errors #item);
    };
    let arguments = arguments_of(&function.sig, &mut errors);
    if !errors.is_empty() {
        let errors = errors.into_tokens();
        return quote!(#errors #item);
    }
    expand(function, &settings, &arguments)
}

/// What the attribute says.
struct Settings {
    config: Expr,
    /// Calls of `Retrying`'s methods, each with its value.
    further: Vec<(Ident, TokenStream)>,
}

fn settings(arguments: TokenStream, errors: &mut Errors) -> Option<Settings> {
    if arguments.is_empty() {
        errors.push(proc_macro2::Span::call_site(), format!("no settings; write {WANTED}"));
        return None;
    }
    let parsed = Punctuated::<Expr, Token![,]>::parse_terminated.parse2(arguments);
    let mut all = errors.take(parsed)?.into_iter();
    let config = all.next()?;
    if let Expr::Assign(key) = &config {
        errors.over(key, format!("the first argument is the config; write {WANTED}"));
        return None;
    }
    let mut further: Vec<(Ident, TokenStream)> = Vec::new();
    for argument in all {
        let Expr::Assign(ExprAssign { left, right, .. }) = &argument else {
            errors.over(&argument, format!("not a key; known here: {}", list(&KEYS)));
            continue;
        };
        let key = match &**left {
            Expr::Path(path) => path.path.get_ident().cloned(),
            _ => None,
        };
        let Some(key) = key.filter(|key| KEYS.iter().any(|known| key == known)) else {
            errors.over(left, format!("unknown key; known here: {}", list(&KEYS)));
            continue;
        };
        if further.iter().any(|(other, _)| *other == key) {
            errors.over(left, format!("`{key}` is set twice"));
        }
        if let Some(value) = errors.take(value(&key, right)) {
            further.push((key, value));
        }
    }
    Some(Settings { config, further })
}

/// The argument of `Retrying`'s method of this name.
fn value(key: &Ident, value: &Expr) -> syn::Result<TokenStream> {
    if key == "budget" {
        return Ok(quote!(&(#value)));
    }
    if key != "within" {
        return Ok(quote!(#value));
    }
    let wrong =
        || syn::Error::new_spanned(value, "a duration with its unit, like \"5s\" or \"250ms\"");
    let Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) = value else {
        return Err(wrong());
    };
    let length = humantime::parse_duration(&text.value()).map_err(|_| wrong())?;
    let (seconds, nanos) = (length.as_secs(), length.subsec_nanos());
    Ok(quote!(::core::time::Duration::new(#seconds, #nanos)))
}

/// The arguments by name: every attempt gets its own.
fn arguments_of(signature: &Signature, errors: &mut Errors) -> Vec<PatIdent> {
    if let ReturnType::Default = signature.output {
        errors.over(
            &signature.ident,
            "`#[retry]` needs a function that returns a `Result`: an error is retried",
        );
    }
    if let Some(constness) = signature.constness {
        errors.over(constness, "a `const fn` cannot wait");
    }
    let mut named = Vec::new();
    for input in &signature.inputs {
        match input {
            FnArg::Receiver(receiver) => {
                let is_shared = matches!(receiver.kind, ReceiverKind::Reference(_, _, None));
                if !is_shared {
                    errors.over(receiver, "every attempt needs `self`: take `&self`");
                }
            }
            FnArg::Typed(typed) => match &*typed.pat {
                Pat::Ident(name) if name.by_ref.is_none() && name.subpat.is_none() => {
                    named.push(name.clone());
                }
                other => errors.over(other, "every attempt needs this argument: give it a name"),
            },
        }
    }
    named
}

fn expand(function: ItemFn, settings: &Settings, arguments: &[PatIdent]) -> TokenStream {
    let ItemFn { attrs, vis, mut sig, block, .. } = function;
    let ReturnType::Type(_, answer) = sig.output.clone() else { return TokenStream::new() };
    // Bound by the attempts, not by the function.
    for input in &mut sig.inputs {
        if let FnArg::Typed(typed) = input
            && let Pat::Ident(name) = &mut *typed.pat
        {
            name.mutability = None;
        }
    }
    let own = arguments.iter().map(|PatIdent { mutability, ident, .. }| {
        quote_spanned!(ident.span()=> let #mutability #ident = ::seawall::client::cloned(&#ident);)
    });
    let Settings { config, further } = settings;
    let methods = further.iter().map(|(key, value)| quote_spanned!(key.span()=> .#key(#value)));
    let made = format_ident!("__attempt");
    let operation = if sig.asyncness.is_some() {
        quote! {
            move || {
                #(#own)*
                async move {
                    #[allow(unused_mut)]
                    let mut #made = async move || -> #answer #block;
                    #made().await
                }
            }
        }
    } else {
        quote! {
            move || {
                #(#own)*
                #[allow(unused_mut)]
                let mut #made = move || -> #answer #block;
                #made()
            }
        }
    };
    let run = if sig.asyncness.is_some() { quote!(run().await) } else { quote!(run_blocking()) };
    let config = quote_spanned! {config.span()=>
        let __config: &::seawall::retry::Config = &(#config);
    };
    quote! {
        #(#attrs)*
        #vis #sig {
            #config
            ::seawall::retrying::retry::<_, <#answer as ::seawall::error::Fallible>::Err>(__config, #operation)
                #(#methods)*
                .#run
        }
    }
}
