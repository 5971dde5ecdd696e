//! `#[resilient] impl Type { … }`: a client with the methods of a type that has no trait.
//!
//! The methods become those of a hidden trait, which the type implements by what it has, and whose client has them as its own.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::ext::IdentExt;
use syn::visit_mut::VisitMut;
use syn::{
    Attribute, FnArg, Ident, ImplItem, ImplItemFn, ItemImpl, Pat, Signature, Type, Visibility,
};

use super::errors::Errors;
use super::parse;
use super::replace::SelfIs;

/// The impl, and what makes a client of it.
pub(crate) fn of_impl(args: &TokenStream, mut item: ItemImpl, errors: &mut Errors) -> TokenStream {
    let Some(name) = type_name(&item, errors) else { return quote!(#item) };
    let options = parse::options(args.clone(), errors);
    let client = options.client.unwrap_or_else(|| format_ident!("{}Client", name.unraw()));
    let methods = methods(&mut item, &name);
    if methods.is_empty() {
        errors.over(
            &name,
            "nothing here would be guarded: no method is `async` and more than private",
        );
        return quote!(#item);
    }
    if !errors.is_empty() {
        return quote!(#item);
    }
    let (hidden, of_any) = (format_ident!("__{client}Methods"), format_ident!("__{client}Of"));
    let (root, vis, ty) = (&options.root, visibility(&item), &item.self_ty);
    let is_wrapped = options.wrapped.is_some();
    let inherent = (!is_wrapped && options.inherent.is_none()).then(|| quote!(inherent,));
    let rest = parse::without_client(args.clone());
    let declared = methods.iter().map(|Method { attrs, sig, .. }| quote!(#(#attrs)* #sig;));
    let forwarded = methods.iter().map(|method| forwarded(method, ty));
    let summary = format!(" Calls a [`{name}`] through the guards of its dependency.");
    quote! {
        #item

        #[doc = #summary]
        #vis type #client = #of_any<#ty>;

        #[#root::resilient(#inherent client = #of_any, #rest)]
        #[doc(hidden)]
        #[allow(clippy::missing_errors_doc)]
        #vis trait #hidden {
            #(#declared)*
        }

        #[automatically_derived]
        impl #hidden for #ty {
            #(#forwarded)*
        }
    }
}

/// A guarded method: what the trait says of it.
struct Method {
    /// Its `#[call(…)]`, its documents and its `cfg`s.
    attrs: Vec<Attribute>,
    sig: Signature,
}

fn type_name(item: &ItemImpl, errors: &mut Errors) -> Option<Ident> {
    if let Some((of, _)) = &item.trait_ {
        errors.over(of, "`#[resilient]` goes on the trait itself, or on an impl without one");
        return None;
    }
    if let Some(param) = item.generics.params.first() {
        errors
            .over(param, "a client is made of a type without parameters: write a trait for others");
        return None;
    }
    let name = match &*item.self_ty {
        Type::Path(path) => path.path.segments.last().map(|last| last.ident.clone()),
        _ => None,
    };
    if name.is_none() {
        errors.over(&item.self_ty, "a client is made of a type that has a name");
    }
    name
}

/// Those that are async and can be called from elsewhere. Their `#[call(…)]`s leave the impl.
fn methods(item: &mut ItemImpl, name: &Ident) -> Vec<Method> {
    let is_ours = |attr: &Attribute| attr.path().is_ident("call");
    let mut methods = Vec::new();
    for item in &mut item.items {
        let ImplItem::Fn(function) = item else { continue };
        if is_guarded(function) {
            let keeps = |attr: &&Attribute| {
                is_ours(attr) || ["doc", "cfg"].iter().any(|name| attr.path().is_ident(name))
            };
            let attrs = function.attrs.iter().filter(keeps).cloned().collect();
            let mut sig = function.sig.clone();
            SelfIs(name).visit_signature_mut(&mut sig);
            for (at, input) in sig.inputs.iter_mut().enumerate() {
                if let FnArg::Typed(typed) = input {
                    let name = argument(&typed.pat, at);
                    *typed.pat = syn::parse_quote!(#name);
                }
            }
            methods.push(Method { attrs, sig });
        }
        function.attrs.retain(|attr| !is_ours(attr));
    }
    methods
}

fn is_guarded(function: &ImplItemFn) -> bool {
    let is_private = matches!(function.vis, Visibility::Inherited);
    function.sig.asyncness.is_some() && !is_private && function.sig.receiver().is_some()
}

/// The widest of the methods' own.
fn visibility(item: &ItemImpl) -> Visibility {
    let functions = item.items.iter().filter_map(|item| match item {
        ImplItem::Fn(function) if is_guarded(function) => Some(&function.vis),
        _ => None,
    });
    let widest = functions.max_by_key(|vis| matches!(vis, Visibility::Public(_)));
    widest.cloned().unwrap_or(Visibility::Inherited)
}

/// The argument's own name, where it has one.
fn argument(pattern: &Pat, at: usize) -> Ident {
    match pattern {
        Pat::Ident(pattern) if pattern.subpat.is_none() => pattern.ident.clone(),
        _ => format_ident!("__arg{at}"),
    }
}

fn forwarded(method: &Method, ty: &Type) -> TokenStream {
    let Method { attrs, sig } = method;
    let cfgs = attrs.iter().filter(|attr| attr.path().is_ident("cfg"));
    let args = sig.inputs.iter().filter_map(|input| match input {
        FnArg::Typed(typed) => Some(&typed.pat),
        FnArg::Receiver(_) => None,
    });
    let name = &sig.ident;
    quote!(#(#cfgs)* #sig { <#ty>::#name(self, #(#args),*).await })
}
