//! `dyn`: a type without parameters for a trait whose futures are not boxed, made from any client or service of it.
//!
//! A hidden trait has the same methods with boxed futures, and every implementation of the trait has that one too.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};
use syn::ext::IdentExt;
use syn::visit_mut::{self, VisitMut};
use syn::{
    Lifetime, ParenthesizedGenericArguments, ReceiverKind, Signature, Type, TypeFnPtr,
    TypeReference, parse_quote,
};

use super::Context;
use super::body::given;
use super::method::signature;
use crate::resilient::model::Method;

/// The type, the hidden trait, and the impls of both traits.
pub(super) fn erased(context: &Context<'_>) -> TokenStream {
    if context.model.options.erased.is_none() || !context.sound {
        return TokenStream::new();
    }
    let (vis, name) = (&context.model.definition.vis, &context.model.definition.ident);
    let (boxed, hidden) = (name_of(context), format_ident!("__Dyn{}", name.unraw()));
    let cfgs = &context.cfgs;
    let methods: Vec<&Method> = context.model.methods.iter().filter(|it| is_there(it)).collect();
    let declared = methods.iter().map(|method| declared(method));
    let implemented = methods.iter().map(|method| implemented(method, &parse_quote!(__T), context));
    let passed_on = methods.iter().map(|method| passed_on(method, &hidden));
    let summary = format!(
        " Any [`{name}`], behind a pointer: one type to store. Each call of it boxes its future. Cheap to clone."
    );
    let shown = boxed.to_string();
    quote! {
        #[doc = #summary]
        #(#cfgs)*
        #[derive(Clone)]
        #[allow(dead_code)]
        #vis struct #boxed(::std::sync::Arc<dyn #hidden>);

        #(#cfgs)*
        #[doc(hidden)]
        #[allow(dead_code, clippy::missing_errors_doc)]
        trait #hidden: ::core::marker::Send + ::core::marker::Sync {
            #(#declared)*
        }

        #(#cfgs)*
        #[allow(dead_code, clippy::used_underscore_binding)]
        const _: () = {
            #[automatically_derived]
            impl<__T: #name + ::core::marker::Send + ::core::marker::Sync + 'static> #hidden for __T {
                #(#implemented)*
            }

            #[automatically_derived]
            impl #boxed {
                /// Puts a client, or a service, behind a pointer.
                #vis fn new(it: impl #name + ::core::marker::Send + ::core::marker::Sync + 'static) -> Self {
                    Self(::std::sync::Arc::new(it))
                }
            }

            #[automatically_derived]
            impl ::core::fmt::Debug for #boxed {
                fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                    f.debug_struct(#shown).finish_non_exhaustive()
                }
            }

            #[automatically_derived]
            #[allow(clippy::manual_async_fn)]
            impl #name for #boxed {
                #(#passed_on)*
            }
        };
    }
}

fn name_of(context: &Context<'_>) -> syn::Ident {
    format_ident!("Box{}", context.model.definition.ident.unraw())
}

/// Those for types only keep the trait's body.
fn is_there(method: &Method) -> bool {
    !method.needs_sized()
}

fn declared(method: &Method) -> TokenStream {
    let (cfgs, sig) = (method.cfgs(), boxed(method));
    quote!(#(#cfgs)* #sig;)
}

fn implemented(method: &Method, service: &syn::Ident, context: &Context<'_>) -> TokenStream {
    let (cfgs, sig, args) = (method.cfgs(), boxed(method), given(method));
    let (bound, name) = (&context.bound, &method.sig.ident);
    let asked = quote!(<#service as #bound>::#name(self, #args));
    let body = if method.is_async() { quote!(::std::boxed::Box::pin(#asked)) } else { asked };
    quote!(#(#cfgs)* #sig { #body })
}

fn passed_on(method: &Method, hidden: &syn::Ident) -> TokenStream {
    let (cfgs, mut sig) = (method.cfgs(), signature(method));
    let (name, args) = (hidden_name(&method.sig.ident), given(method));
    let asked = quote!(#hidden::#name(&*self.0, #args));
    if !method.is_async() {
        return quote!(#(#cfgs)* #sig { #asked });
    }
    super::definition::promise_send(&mut sig);
    quote!(#(#cfgs)* #sig { async move { #asked.await } })
}

/// The method with its future boxed. One lifetime stands for all that are elided: what is borrowed for longer will do.
fn boxed(method: &Method) -> Signature {
    let mut sig = signature(method);
    let lifetime = Lifetime::new("'__f", Span::call_site());
    sig.ident = hidden_name(&sig.ident);
    if !method.is_async() {
        return sig;
    }
    let mut output: Type = method.output.clone();
    Borrowed(&lifetime).visit_type_mut(&mut output);
    for input in &mut sig.inputs {
        match input {
            syn::FnArg::Receiver(receiver) => {
                if let ReceiverKind::Reference(_, elided @ None, _) = &mut receiver.kind {
                    *elided = Some(lifetime.clone());
                }
            }
            syn::FnArg::Typed(typed) => Borrowed(&lifetime).visit_type_mut(&mut typed.ty),
        }
    }
    let named: Vec<Lifetime> = sig.generics.lifetimes().map(|it| it.lifetime.clone()).collect();
    let conditions = &mut sig.generics.make_where_clause().predicates;
    conditions.extend(
        named.into_iter().map(|named| -> syn::WherePredicate { parse_quote!(#named: #lifetime) }),
    );
    sig.generics.params.insert(0, parse_quote!(#lifetime));
    sig.asyncness = None;
    sig.output = parse_quote! {
        -> ::core::pin::Pin<::std::boxed::Box<
            dyn ::core::future::Future<Output = #output> + ::core::marker::Send + #lifetime
        >>
    };
    sig
}

/// Not the method's own: both traits may be in scope.
fn hidden_name(method: &syn::Ident) -> syn::Ident {
    format_ident!("__dyn_{}", method.unraw())
}

/// Writes one lifetime wherever one is elided.
struct Borrowed<'a>(&'a Lifetime);

impl VisitMut for Borrowed<'_> {
    fn visit_type_reference_mut(&mut self, reference: &mut TypeReference) {
        reference.lifetime.get_or_insert_with(|| self.0.clone());
        visit_mut::visit_type_reference_mut(self, reference);
    }

    fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
        if lifetime.ident == "_" {
            *lifetime = self.0.clone();
        }
    }

    // Within these an elided lifetime is any.
    fn visit_parenthesized_generic_arguments_mut(&mut self, _: &mut ParenthesizedGenericArguments) {
    }
    fn visit_type_fn_ptr_mut(&mut self, _: &mut TypeFnPtr) {}
}
