//! Options of the trait that its methods, or other options, stand against.

use syn::{GenericParam, TraitItem};

use crate::resilient::errors::Errors;
use crate::resilient::model::{Coming, Model, Receiver, Sharing};

/// What stands against a type without parameters for the trait.
pub(super) fn check_erased(model: &Model, errors: &mut Errors) {
    let Some(span) = model.options.erased else { return };
    if model.takes_dyn() {
        errors
            .push(span, "this trait is used as `dyn` as it is: `Arc<dyn Trait>` takes its client");
    }
    if model.is_inherent() || model.options.part.is_some() || model.options.remote.is_some() {
        errors.push(
            span,
            "`dyn` makes a type that implements the trait, and needs a client that does",
        );
    }
    let parameters = model
        .definition
        .generics
        .params
        .iter()
        .filter(|param| !matches!(param, GenericParam::Lifetime(_)));
    for param in parameters {
        errors.over(
            param,
            "with `dyn` the trait has no type parameters: they would have to be the type's too",
        );
    }
    for item in &model.definition.items {
        match item {
            TraitItem::Type(item) => errors.over(
                &item.ident,
                "with `dyn` the trait has no associated types: each implementation has its own",
            ),
            TraitItem::Const(item) => errors.over(
                &item.ident,
                "with `dyn` the trait has no constants: each implementation has its own",
            ),
            _ => {}
        }
    }
    for method in model.methods.iter().filter(|method| !method.needs_sized()) {
        if method.is_generic() {
            errors.over(
                &method.sig.ident,
                "with `dyn` a method has no type parameters, unless it says `where Self: Sized`",
            );
        } else if !matches!(method.receiver, Receiver::Shared(_))
            || matches!(method.coming, Coming::Stream { .. })
        {
            errors.over(&method.sig.ident, "with `dyn` a method takes `&self` and answers at once or by a future, unless it says `where Self: Sized`");
        }
    }
}

/// A part has no client, and so none of a client's options.
pub(super) fn check_part(model: &Model, errors: &mut Errors) {
    let options = &model.options;
    for path in
        options.with.iter().filter(|path| path.segments.iter().any(|it| !it.arguments.is_none()))
    {
        errors.over(path, "a part has no type parameters");
    }
    let Some(span) = options.part else { return };
    let is_client =
        options.client.is_some() || options.wrapped.is_some() || options.inherent.is_some();
    if options.remote.is_some() {
        errors.push(
            span,
            "a `part` is a trait of one's own: its attribute leaves something beside it",
        );
    }
    if is_client || !options.with.is_empty() || !options.markers.is_empty() {
        errors.push(span, "a `part` has no client of its own: name the client, and what else it implements, where it is used");
    }
    if let Some(param) = model.definition.generics.params.first() {
        errors.over(param, "a `part` has no type parameters");
    }
    if options.sharing != Sharing::Shared {
        errors.push(span, "a `part` is shared as the client is that it is a part of");
    }
}
