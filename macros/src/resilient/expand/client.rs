//! The client: its type, and what it implements.

use std::time::Duration;

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::ext::IdentExt;
use syn::{GenericParam, TraitItem};

use super::{Context, method, parts, supertraits};
use crate::resilient::model::{Coming, Method, Sharing, cfgs};
use crate::resilient::validate::OWN_NAMES;

/// Everything about the client.
pub(super) fn client(context: &Context<'_>) -> TokenStream {
    let cfgs = &context.cfgs;
    let definition = definition(context);
    let indices = indices(context);
    let (copied, shown) = (clone(context), debug(context));
    let (proxy, own) = (proxy(context), own(context));
    let methods = if context.model.is_inherent() { inherent(context) } else { trait_impl(context) };
    let (also, of_parts) = (supertraits::all(context), parts::impls(context));
    quote! {
        #definition

        #(#cfgs)*
        #[allow(deprecated)]
        const _: () = {
            #indices
            #copied
            #shown
            #proxy
            #own
            #methods
            #also
            #of_parts
        };
    }
}

fn definition(context: &Context<'_>) -> TokenStream {
    let (support, cfgs, plain) = (&context.support, &context.cfgs, &context.plain);
    let (vis, name) = (&context.model.definition.vis, &context.model.definition.ident);
    let (client, shared) = (&context.model.client, context.shared());
    let markers = markers(context);
    let how = if context.model.is_wrapped() {
        "Its methods answer with `CallError`: Seawall's own word, or the service's."
    } else if context.model.is_inherent() {
        "It has the methods that are guarded, and does not implement the trait."
    } else {
        "It implements the trait, so it can stand wherever the service could."
    };
    let lists = lists(context);
    let name = match &context.model.options.remote {
        Some(remote) => quote!(#remote).to_string().replace(' ', ""),
        None => name.to_string(),
    };
    let summary = format!(
        "Calls a [`{name}`] through the guards of its dependency: `#[resilient]` made it. {how}"
    );
    quote! {
        #[doc = #summary]
        ///
        /// Cheap to clone; clones share the guards and the service.
        #(#[doc = #lists])*
        #(#cfgs)*
        #[allow(dead_code)]
        #vis struct #client #plain {
            link: #support::Link<#shared>,
            __marker: ::core::marker::PhantomData<fn() -> (#(#markers,)*)>,
        }
    }
}

/// Which methods pass the guards, and which do not, and why.
fn lists(context: &Context<'_>) -> Vec<String> {
    let methods = &context.model.methods;
    let named = |is_listed: &dyn Fn(&Method) -> bool| {
        let listed = methods.iter().filter(|method| is_listed(method));
        listed.map(|method| format!("`{}`", method.sig.ident)).collect::<Vec<_>>().join(", ")
    };
    let lists = [
        ("Guarded: ", named(&Method::is_guarded)),
        ("Not guarded, because `#[call(skip)]` says so: ", named(&|method| method.call.skip)),
        (
            "Not guarded, because they answer at once: ",
            named(&|method| {
                !method.is_guarded() && !method.call.skip && method.coming == Coming::AtOnce
            }),
        ),
    ];
    let lists = lists.into_iter().filter(|(_, names)| !names.is_empty());
    lists.flat_map(|(what, names)| [String::new(), format!(" {what}{names}.")]).collect()
}

/// Uses of the trait's parameters that need no bound on them.
fn markers<'a>(context: &'a Context<'_>) -> impl Iterator<Item = TokenStream> + 'a {
    context.model.definition.generics.params.iter().filter_map(|param| match param {
        GenericParam::Lifetime(param) => {
            let lifetime = &param.lifetime;
            Some(quote!(::core::marker::PhantomData<&#lifetime ()>))
        }
        GenericParam::Type(param) => {
            let ident = &param.ident;
            Some(quote!(::core::marker::PhantomData<#ident>))
        }
        GenericParam::Const(_) => None,
    })
}

pub(super) fn indices(context: &Context<'_>) -> TokenStream {
    let indices = &context.indices;
    let variants = context.guarded().map(|method| {
        let (cfgs, name) = (method.cfgs(), &method.sig.ident);
        quote!(#(#cfgs)* #name)
    });
    quote! {
        #[allow(dead_code, non_camel_case_types, clippy::upper_case_acronyms)]
        enum #indices { #(#variants,)* }
    }
}

fn clone(context: &Context<'_>) -> TokenStream {
    let client = &context.model.client;
    let (params, arguments, _) = context.plain.split_for_impl();
    quote! {
        #[automatically_derived]
        impl #params ::core::clone::Clone for #client #arguments {
            fn clone(&self) -> Self {
                Self {
                    link: ::core::clone::Clone::clone(&self.link),
                    __marker: ::core::marker::PhantomData,
                }
            }
        }
    }
}

fn debug(context: &Context<'_>) -> TokenStream {
    let client = &context.model.client;
    let name = client.unraw().to_string();
    let (params, arguments, _) = context.plain.split_for_impl();
    quote! {
        #[automatically_derived]
        impl #params ::core::fmt::Debug for #client #arguments {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.debug_tuple(#name).field(&self.link).finish()
            }
        }
    }
}

fn proxy(context: &Context<'_>) -> TokenStream {
    let (support, client) = (&context.support, &context.model.client);
    let service = &context.model.service;
    let (params, _, conditions) = context.lasting.split_for_impl();
    let (_, arguments, _) = context.plain.split_for_impl();
    let specs = parts::all_specs(context);
    let (shared, is_exclusive) =
        (context.shared(), context.model.options.sharing == Sharing::Exclusive);
    let exclusive = is_exclusive.then(|| {
        quote!(
            const IS_EXCLUSIVE: bool = true;
        )
    });
    quote! {
        #[automatically_derived]
        impl #params #support::Proxy for #client #arguments #conditions {
            type Service = #service;
            type Shared = #shared;
            #exclusive
            const METHODS: &'static [#support::MethodSpec] = #specs;
            fn from_link(link: #support::Link<Self::Shared>) -> Self {
                Self { link, __marker: ::core::marker::PhantomData }
            }
        }
    }
}

pub(super) fn spec(context: &Context<'_>, method: &Method) -> TokenStream {
    let (support, cfgs, call) = (&context.support, method.cfgs(), &method.call);
    let name = method.sig.ident.unraw().to_string();
    let attempts = call.retry.as_ref().and_then(|retry| retry.max_attempts);
    let said = [
        call.idempotent.then(|| quote!(idempotent: true)),
        call.timeout.map(|time| some("timeout", &length(time))),
        call.slow_call.map(|(_, time)| some("slow_call", &length(time))),
        attempts.map(|attempts| some("max_attempts", &quote!(#attempts))),
        call.fallback.is_some().then(|| quote!(fallback: true)),
        call.blocking.then(|| quote!(blocking: true)),
        call.weight.map(|weight| quote!(weight: #weight)),
    ];
    let can_be_said = said.len();
    let said: Vec<_> = said.into_iter().flatten().collect();
    // Fewer words for the compiler to read. A trait may have hundreds of methods of which nothing is said.
    let others = (said.len() < can_be_said).then(|| quote!(..#support::MethodSpec::NONE));
    quote!(#(#cfgs)* #support::MethodSpec { name: #name, #(#said,)* #others })
}

pub(super) fn length(time: Duration) -> TokenStream {
    let (secs, nanos) = (time.as_secs(), time.subsec_nanos());
    quote!(::core::time::Duration::new(#secs, #nanos))
}

fn some(field: &str, value: &TokenStream) -> TokenStream {
    let field = format_ident!("{field}");
    quote!(#field: ::core::option::Option::Some(#value))
}

/// What a client has beside the trait's methods.
fn own(context: &Context<'_>) -> TokenStream {
    let (root, client) = (&context.model.options.root, &context.model.client);
    let (vis, service) = (&context.model.definition.vis, &context.model.service);
    let (params, _, conditions) = context.lasting.split_for_impl();
    let (_, arguments, _) = context.plain.split_for_impl();
    let (any, _, _) = context.plain.split_for_impl();
    // The trait's own methods come first.
    let is_free = |name: &str| context.model.methods.iter().all(|it| it.sig.ident != name);
    let can_lend = context.model.options.sharing != Sharing::Exclusive;
    let spawn = is_free("spawn").then(|| {
        quote! {
            #[automatically_derived]
            #[allow(dead_code)]
            impl #params #client #arguments #conditions {
                /// Makes `service` a dependency called `name` and gives the client of it.
                ///
                /// # Errors
                /// The name is taken, its policy is not valid, or Seawall has shut down.
                #vis async fn spawn(
                    seawall: &#root::Seawall,
                    name: &str,
                    service: #service,
                ) -> ::core::result::Result<Self, #root::SpawnError>
                where
                    #service: ::core::marker::Sized,
                {
                    seawall.spawn::<Self>(name, service).await
                }
            }
        }
    });
    let lend = (is_free("service") && can_lend).then(|| {
        quote! {
            #[automatically_derived]
            #[allow(dead_code)]
            impl #any #client #arguments {
                /// The service itself. What is called on it passes no guard.
                #[must_use]
                #vis fn service(&self) -> &#service {
                    self.link.service()
                }
            }
        }
    });
    let within = is_free("within").then(|| {
        quote! {
            #[automatically_derived]
            #[allow(dead_code)]
            impl #any #client #arguments {
                /// The same client, for calls that take no longer than this, fallback and all, whatever the policy says.
                /// What its service calls in turn inherits it.
                #[must_use]
                #vis fn within(&self, length: ::core::time::Duration) -> Self {
                    Self { link: self.link.within(length), __marker: ::core::marker::PhantomData }
                }
            }
        }
    });
    quote!(#spawn #lend #within)
}

pub(super) fn trait_impl(context: &Context<'_>) -> TokenStream {
    let (client, bound) = (&context.model.client, &context.bound);
    let (params, _, conditions) = context.bounded.split_for_impl();
    let (_, arguments, _) = context.plain.split_for_impl();
    let passed_on =
        context.model.definition.items.iter().filter_map(|item| passed_on(context, item));
    let methods =
        context.model.methods.iter().filter_map(|method| method::of_trait(context, method));
    let (allow_hollow, boxing) = (hollow(context), &context.model.boxing.attrs);
    quote! {
        #[automatically_derived]
        #[allow(clippy::used_underscore_binding, clippy::type_complexity, clippy::manual_async_fn)]
        #[allow(clippy::shadow_reuse, clippy::shadow_same, clippy::shadow_unrelated)]
        #allow_hollow
        #(#boxing)*
        impl #params #bound for #client #arguments #conditions {
            #(#passed_on)*
            #(#methods)*
        }
    }
}

/// Associated types and constants are the service's.
fn passed_on(context: &Context<'_>, item: &TraitItem) -> Option<TokenStream> {
    let (service, bound) = (&context.model.service, &context.bound);
    match item {
        TraitItem::Type(item) => {
            let (cfgs, name) = (cfgs(&item.attrs), &item.ident);
            let (params, arguments, conditions) = item.generics.split_for_impl();
            Some(quote! {
                #(#cfgs)*
                type #name #params = <#service as #bound>::#name #arguments #conditions;
            })
        }
        TraitItem::Const(item) => {
            let (cfgs, name, ty) = (cfgs(&item.attrs), &item.ident, &item.ty);
            Some(quote!(#(#cfgs)* const #name: #ty = <#service as #bound>::#name;))
        }
        _ => None,
    }
}

fn inherent(context: &Context<'_>) -> TokenStream {
    let client = &context.model.client;
    let (params, _, conditions) = context.bounded.split_for_impl();
    let (_, arguments, _) = context.plain.split_for_impl();
    // A method whose name is taken has been complained of; a second one of its name would be noise.
    let is_free = |method: &&Method| OWN_NAMES.iter().all(|own| method.sig.ident.unraw() != own);
    let methods = context.model.methods.iter().filter(is_free);
    let methods = methods.filter(|method| method.may_be_guarded() && !method.is_left_out);
    let methods = methods.map(|method| method::inherent(context, method));
    let allow_hollow = hollow(context);
    quote! {
        #[automatically_derived]
        #[allow(dead_code, clippy::used_underscore_binding, clippy::type_complexity)]
        #[allow(clippy::shadow_reuse, clippy::shadow_same, clippy::shadow_unrelated)]
        #allow_hollow
        impl #params #client #arguments #conditions {
            #(#methods)*
        }
    }
}

/// A hollow body uses none of its arguments.
fn hollow(context: &Context<'_>) -> Option<TokenStream> {
    (!context.sound).then(|| quote!(#[allow(unused_variables)]))
}
