//! What must hold for a client to implement the trait, and does not follow from the trait.

use quote::ToTokens;
use syn::visit_mut::VisitMut;
use syn::{
    GenericArgument, Generics, PathArguments, Type, TypeParamBound, WherePredicate, parse_quote,
};

use crate::resilient::model::{Coming, Method, Model, Receiver, Sharing};
use crate::resilient::replace::{SelfIs, mentions};

/// Adds it to the client's generics.
pub(super) fn add(generics: &mut Generics, model: &Model) {
    let service = &model.service;
    let mut predicates: Vec<WherePredicate> = Vec::new();
    if model.is_send() && !model.is_rewritten() {
        predicates.push(parse_quote!(#service: ::core::marker::Send));
        if needs_sync(model) {
            predicates.push(parse_quote!(#service: ::core::marker::Sync));
        }
        predicates.extend(arguments(model));
    }
    if model.methods.iter().any(|method| method.is_guarded() && method.sends_arguments()) {
        // A thread, or a task of its own, shares the service.
        predicates.push(parse_quote! {
            #service: ::core::marker::Send + ::core::marker::Sync + 'static
        });
    }
    if model.options.sharing == Sharing::Cloned {
        predicates.push(parse_quote!(#service: ::core::clone::Clone));
    }
    if !model.is_rewritten() || is_static(model) {
        predicates.push(parse_quote!(#service: 'static));
    }
    if is_static(model) {
        let types =
            parameters(model).map(|name| -> WherePredicate { parse_quote!(#name: 'static) });
        predicates.extend(types);
    }
    if !model.is_wrapped() && model.options.fault_with.is_none() {
        predicates.extend(errors(model));
    }
    if !predicates.is_empty() {
        generics.make_where_clause().predicates.extend(predicates);
    }
}

/// Whether calls share a reference to the service.
fn needs_sync(model: &Model) -> bool {
    model.options.sharing != Sharing::Exclusive
        || model
            .methods
            .iter()
            .any(|method| method.is_guarded() && !matches!(method.receiver, Receiver::Exclusive(_)))
}

/// Whether the trait's types have to outlive every borrow.
fn is_static(model: &Model) -> bool {
    let answers_for_ever = |method: &Method| {
        matches!(
            method.coming,
            Coming::Future { is_static: true, .. } | Coming::Stream { is_static: true, .. }
        )
    };
    if model.methods.iter().any(answers_for_ever) {
        return true;
    }
    model.definition.supertraits.iter().any(|bound| match bound {
        TypeParamBound::Lifetime(lifetime) => lifetime.ident == "static",
        _ => false,
    })
}

/// The trait's own type parameters.
fn parameters(model: &Model) -> impl Iterator<Item = &syn::Ident> {
    model.definition.generics.type_params().map(|param| &param.ident)
}

/// A call that waits keeps its arguments, so those of the trait's own types have to be what its future is.
fn arguments(model: &Model) -> impl Iterator<Item = WherePredicate> {
    let is_kept = |name: &&syn::Ident| {
        let name = name.to_string();
        let guarded = model.methods.iter().filter(|method| method.is_guarded());
        guarded.flat_map(|method| &method.args).any(|arg| mentions(&arg.ty, &name))
    };
    parameters(model)
        .filter(is_kept)
        .map(|name| parse_quote!(#name: ::core::marker::Send + ::core::marker::Sync))
}

/// Errors that only the service knows have to be able to carry a fault.
fn errors(model: &Model) -> Vec<WherePredicate> {
    let root = &model.options.root;
    let names: Vec<String> = parameters(model).map(ToString::to_string).collect();
    let is_of_service =
        |ty: &Type| mentions(ty, "Self") || names.iter().any(|name| mentions(ty, name));
    let is_asked =
        |method: &&Method| method.call.fault_with.is_none() && method.call.on_fault.is_none();
    let guarded = model.methods.iter().filter(|method| method.is_guarded()).filter(is_asked);
    let errors = guarded.filter_map(|method| error(&method.output)).filter(is_of_service);
    let (mut seen, mut predicates) = (Vec::new(), Vec::new());
    for mut error in errors {
        SelfIs(&model.service).visit_type_mut(&mut error);
        let text = error.to_token_stream().to_string();
        if !seen.contains(&text) {
            seen.push(text);
            predicates.push(parse_quote!(#error: #root::client::TakesFault));
        }
    }
    predicates
}

/// The error of a `Result`, where it is written out: the last of its type's arguments.
fn error(output: &Type) -> Option<Type> {
    let Type::Path(path) = output else { return None };
    let PathArguments::AngleBracketed(arguments) = &path.path.segments.last()?.arguments else {
        return None;
    };
    // With one argument it is an alias, which names the error elsewhere.
    match arguments.args.last() {
        Some(GenericArgument::Type(ty)) if arguments.args.len() > 1 => Some(ty.clone()),
        _ => None,
    }
}
