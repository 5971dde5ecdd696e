//! What a return type says of when the answer comes.

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::punctuated::Punctuated;
use syn::{
    AngleBracketedGenericArguments, GenericArgument, PathArguments, PathSegment, Token, Type,
    TypeParamBound, parse_quote,
};

/// What a method that is not an `async fn` returns.
pub(crate) enum Returned {
    /// A future.
    Future {
        /// What it resolves to.
        output: Box<Type>,
        /// It is boxed, by whatever name.
        is_boxed: bool,
        /// It borrows nothing.
        is_static: bool,
        /// It promises to be `Send`, as far as can be seen.
        is_send: bool,
    },
    /// A stream.
    Stream,
    /// It may be a future.
    Unclear,
    /// An answer that is there at once.
    Plain,
}

/// Traits in `impl Trait` that are no futures.
const PLAIN: [&str; 14] = [
    "Iterator",
    "DoubleEndedIterator",
    "ExactSizeIterator",
    "IntoIterator",
    "Display",
    "Debug",
    "Fn",
    "FnMut",
    "FnOnce",
    "AsRef",
    "Deref",
    "Into",
    "ToString",
    "Error",
];

/// Reads a return type.
pub(crate) fn read(ty: &Type) -> Returned {
    match ty {
        Type::Group(group) => read(&group.elem),
        Type::Paren(paren) => read(&paren.elem),
        Type::ImplTrait(opaque) => read_impl(&opaque.bounds),
        Type::Path(path) if path.qself.is_none() => {
            path.path.segments.last().map_or(Returned::Plain, read_path)
        }
        _ => Returned::Plain,
    }
}

/// A type that `#[call(future)]` says is a boxed future.
pub(crate) fn named(ty: &Type) -> Returned {
    Returned::Future {
        output: Box::new(parse_quote!(<#ty as ::core::future::Future>::Output)),
        is_boxed: true,
        is_static: !has_lifetime(ty.to_token_stream()),
        is_send: true,
    }
}

type Bounds = Punctuated<TypeParamBound, Token![+]>;

fn read_impl(bounds: &Bounds) -> Returned {
    if let Some(output) = future_of(bounds) {
        // `Send` may be hidden in a bound of the project's own, or come from another attribute.
        return Returned::Future {
            output: Box::new(output),
            is_boxed: false,
            is_static: lifetime_is_static(bounds) == Some(true),
            is_send: true,
        };
    }
    let mut names = bounds.iter().filter_map(name);
    if names.clone().any(|name| name == "Stream") {
        Returned::Stream
    } else if names.any(|name| PLAIN.contains(&name.as_str())) {
        Returned::Plain
    } else {
        Returned::Unclear
    }
}

fn read_path(last: &PathSegment) -> Returned {
    let name = last.ident.to_string();
    match (name.as_str(), &last.arguments) {
        ("BoxFuture" | "LocalBoxFuture", PathArguments::AngleBracketed(arguments)) => {
            read_box_future(arguments, name == "BoxFuture")
        }
        ("BoxStream" | "LocalBoxStream", _) => Returned::Stream,
        ("Pin", PathArguments::AngleBracketed(arguments)) => read_pin(arguments),
        _ if name.contains("Future") => Returned::Unclear,
        _ => Returned::Plain,
    }
}

fn read_box_future(arguments: &AngleBracketedGenericArguments, is_send: bool) -> Returned {
    let output = arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty.clone()),
        _ => None,
    });
    let is_static = arguments.args.iter().any(|argument| match argument {
        GenericArgument::Lifetime(lifetime) => lifetime.ident == "static",
        _ => false,
    });
    match output {
        Some(output) => {
            Returned::Future { output: Box::new(output), is_boxed: true, is_static, is_send }
        }
        None => Returned::Unclear,
    }
}

/// `Pin<Box<dyn Future<Output = R> + …>>`.
fn read_pin(arguments: &AngleBracketedGenericArguments) -> Returned {
    let Some(Type::TraitObject(object)) = only_type(arguments).and_then(boxed) else {
        return Returned::Unclear;
    };
    let bounds = &object.bounds;
    match future_of(bounds) {
        Some(output) => Returned::Future {
            output: Box::new(output),
            is_boxed: true,
            // In a return type a trait object without a lifetime is `'static`.
            is_static: lifetime_is_static(bounds).unwrap_or(true),
            is_send: bounds.iter().filter_map(name).any(|name| name == "Send"),
        },
        None if bounds.iter().filter_map(name).any(|name| name == "Stream") => Returned::Stream,
        None => Returned::Plain,
    }
}

fn boxed(ty: &Type) -> Option<&Type> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last().filter(|last| last.ident == "Box")?;
    match &last.arguments {
        PathArguments::AngleBracketed(arguments) => only_type(arguments),
        _ => None,
    }
}

fn only_type(arguments: &AngleBracketedGenericArguments) -> Option<&Type> {
    match arguments.args.first() {
        Some(GenericArgument::Type(ty)) => Some(ty),
        _ => None,
    }
}

/// `R` of `Future<Output = R>` among the bounds.
fn future_of(bounds: &Bounds) -> Option<Type> {
    bounds.iter().find_map(|bound| {
        let TypeParamBound::Trait(bound) = bound else { return None };
        let last = bound.path.segments.last().filter(|last| last.ident == "Future")?;
        let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
        arguments.args.iter().find_map(|argument| match argument {
            GenericArgument::AssocType(assoc) if assoc.ident == "Output" => Some(assoc.ty.clone()),
            _ => None,
        })
    })
}

fn name(bound: &TypeParamBound) -> Option<String> {
    match bound {
        TypeParamBound::Trait(bound) => Some(bound.path.segments.last()?.ident.to_string()),
        _ => None,
    }
}

/// Whether the lifetime among the bounds is `'static`; `None`: there is none.
fn lifetime_is_static(bounds: &Bounds) -> Option<bool> {
    bounds.iter().find_map(|bound| match bound {
        TypeParamBound::Lifetime(lifetime) => Some(lifetime.ident == "static"),
        _ => None,
    })
}

/// Whether a lifetime stands anywhere among some tokens.
pub(crate) fn has_lifetime(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Punct(punct) => punct.as_char() == '\'',
        TokenTree::Group(group) => has_lifetime(group.stream()),
        TokenTree::Ident(_) | TokenTree::Literal(_) => false,
    })
}

/// Whether a type borrows, as far as can be seen.
pub(crate) fn borrows(ty: &Type) -> bool {
    fn has_reference(tokens: TokenStream) -> bool {
        tokens.into_iter().any(|token| match token {
            TokenTree::Punct(punct) => matches!(punct.as_char(), '&' | '\''),
            TokenTree::Group(group) => has_reference(group.stream()),
            TokenTree::Ident(_) | TokenTree::Literal(_) => false,
        })
    }
    has_reference(ty.to_token_stream())
}
