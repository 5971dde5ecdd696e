//! What a return type says of when the answer comes.

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::punctuated::Punctuated;
use syn::{
    AngleBracketedGenericArguments, GenericArgument, Lifetime, PathArguments, PathSegment,
    Signature, Token, Type, TypeParamBound, WherePredicate, parse_quote,
};

/// What a method that is not an `async fn` returns.
pub(crate) enum Returned {
    /// A future.
    Future {
        /// What it resolves to.
        output: Box<Type>,
        /// It is boxed, by whatever name.
        is_boxed: bool,
        /// What it borrows.
        borrows: Borrows,
        /// It promises to be `Send`, as far as can be seen.
        is_send: bool,
    },
    /// A stream.
    Stream {
        /// What it is a stream of.
        item: Box<Type>,
        is_boxed: bool,
        borrows: Borrows,
        is_send: bool,
    },
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

/// Whether an answer is a `Result` of a boxed stream, by whatever name.
pub(crate) fn holds_stream(output: &Type) -> bool {
    let answer = of_result(output).map(|ty| read(&ty));
    matches!(answer, Some(Returned::Stream { is_boxed: true, .. }))
}

/// Whether an answer is a `Result` of a `Leased`.
pub(crate) fn is_leased(output: &Type) -> bool {
    let Some(Type::Path(answer)) = of_result(output) else { return false };
    answer.path.segments.last().is_some_and(|last| last.ident == "Leased")
}

/// What a `Result`, by whatever name, is of.
fn of_result(output: &Type) -> Option<Type> {
    let Type::Path(path) = output else { return None };
    let last = path.path.segments.last()?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    let is_result = last.ident.to_string().ends_with("Result");
    first_type(arguments).filter(|_| is_result).map(|(ty, _)| ty)
}

/// Whether an answer is a boxed stream itself.
pub(crate) fn is_stream(output: &Type) -> bool {
    matches!(read(output), Returned::Stream { is_boxed: true, .. })
}

/// A type that `#[call(future)]` says is a boxed future.
pub(crate) fn named(ty: &Type) -> Returned {
    Returned::Future {
        output: Box::new(parse_quote!(<#ty as ::core::future::Future>::Output)),
        is_boxed: true,
        borrows: if has_lifetime(ty.to_token_stream()) {
            Borrows::of("_")
        } else {
            Borrows::of("static")
        },
        is_send: true,
    }
}

type Bounds = Punctuated<TypeParamBound, Token![+]>;

fn read_impl(bounds: &Bounds) -> Returned {
    if let Some(output) = assigned(bounds, "Future", "Output") {
        // `Send` may be hidden in a bound of the project's own, or come from another attribute.
        return Returned::Future {
            output: Box::new(output),
            is_boxed: false,
            borrows: lifetime(bounds).unwrap_or(Borrows(None)),
            is_send: true,
        };
    }
    if let Some(item) = assigned(bounds, "Stream", "Item") {
        return Returned::Stream {
            item: Box::new(item),
            is_boxed: false,
            borrows: lifetime(bounds).unwrap_or(Borrows(None)),
            is_send: true,
        };
    }
    let mut names = bounds.iter().filter_map(name);
    if names.any(|name| PLAIN.contains(&name.as_str())) {
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
        ("BoxStream" | "LocalBoxStream", PathArguments::AngleBracketed(arguments)) => {
            read_box_stream(arguments, name == "BoxStream")
        }
        ("Pin", PathArguments::AngleBracketed(arguments)) => read_pin(arguments),
        ("Box", PathArguments::AngleBracketed(arguments)) => read_box(arguments),
        _ if name.contains("Future") || is_called_stream(&name) => Returned::Unclear,
        _ => Returned::Plain,
    }
}

/// A `Box` that is not pinned: whether it holds what would have to be guarded.
fn read_box(arguments: &AngleBracketedGenericArguments) -> Returned {
    let Some(Type::TraitObject(object)) = only_type(arguments) else { return Returned::Plain };
    let mut names = object.bounds.iter().filter_map(name);
    let waits = names.any(|name| name == "Future" || name == "Stream");
    if waits { Returned::Unclear } else { Returned::Plain }
}

/// Whether a type's name says that it is a stream of answers, and not one of bytes.
fn is_called_stream(name: &str) -> bool {
    let of_bytes = ["TcpStream", "UnixStream", "TlsStream", "DuplexStream"];
    name.ends_with("Stream") && !of_bytes.contains(&name)
}

fn read_box_future(arguments: &AngleBracketedGenericArguments, is_send: bool) -> Returned {
    match first_type(arguments) {
        Some((output, borrows)) => {
            Returned::Future { output: Box::new(output), is_boxed: true, borrows, is_send }
        }
        None => Returned::Unclear,
    }
}

fn read_box_stream(arguments: &AngleBracketedGenericArguments, is_send: bool) -> Returned {
    match first_type(arguments) {
        Some((item, borrows)) => {
            Returned::Stream { item: Box::new(item), is_boxed: true, borrows, is_send }
        }
        None => Returned::Unclear,
    }
}

/// The first type among the arguments, and the lifetime.
fn first_type(arguments: &AngleBracketedGenericArguments) -> Option<(Type, Borrows)> {
    let ty = arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty.clone()),
        _ => None,
    })?;
    let lifetime = arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::Lifetime(lifetime) => Some(Borrows(Some(lifetime.ident.to_string()))),
        _ => None,
    });
    Some((ty, lifetime.unwrap_or_else(|| Borrows::of("_"))))
}

/// `Pin<Box<dyn Future<Output = R> + …>>`.
fn read_pin(arguments: &AngleBracketedGenericArguments) -> Returned {
    let Some(Type::TraitObject(object)) = only_type(arguments).and_then(boxed) else {
        return Returned::Unclear;
    };
    let bounds = &object.bounds;
    // In a return type a trait object without a lifetime is `'static`.
    let borrows = lifetime(bounds).unwrap_or_else(|| Borrows::of("static"));
    let is_send = bounds.iter().filter_map(name).any(|name| name == "Send");
    if let Some(output) = assigned(bounds, "Future", "Output") {
        Returned::Future { output: Box::new(output), is_boxed: true, borrows, is_send }
    } else if let Some(item) = assigned(bounds, "Stream", "Item") {
        Returned::Stream { item: Box::new(item), is_boxed: true, borrows, is_send }
    } else {
        Returned::Plain
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

/// `R` of `Future<Output = R>`, say, among the bounds.
fn assigned(bounds: &Bounds, of: &str, name: &str) -> Option<Type> {
    bounds.iter().find_map(|bound| {
        let TypeParamBound::Trait(bound) = bound else { return None };
        let last = bound.path.segments.last().filter(|last| last.ident == of)?;
        let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
        arguments.args.iter().find_map(|argument| match argument {
            GenericArgument::AssocType(assoc) if assoc.ident == name => Some(assoc.ty.clone()),
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

/// The lifetime among the bounds.
fn lifetime(bounds: &Bounds) -> Option<Borrows> {
    bounds.iter().find_map(|bound| match bound {
        TypeParamBound::Lifetime(lifetime) => Some(Borrows(Some(lifetime.ident.to_string()))),
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

/// What an answer may borrow: all of the arguments, or what has this lifetime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Borrows(Option<String>);

impl Borrows {
    fn of(lifetime: &str) -> Self {
        Self(Some(lifetime.to_owned()))
    }

    /// Nothing.
    pub(crate) fn is_static(&self) -> bool {
        self.0.as_deref() == Some("static")
    }

    /// Whether it may not borrow all that the method is given: then the service has to be asked before the guards are.
    pub(crate) fn leaves_out(&self, sig: &Signature) -> bool {
        let Some(lifetime) = &self.0 else { return false };
        let given = sig.inputs.iter().map(ToTokens::to_token_stream);
        let mut lifetimes = Vec::new();
        for (at, input) in given.enumerate() {
            // An elided lifetime in the answer is that of `&self`.
            let is_self = at == 0 && sig.receiver().is_some();
            if !(is_self && lifetime == "_") {
                collect(input, &mut lifetimes);
            }
        }
        // Two that are elided are two.
        let is_other = |given: &String| given != lifetime || lifetime == "_";
        lifetimes.iter().any(|given| is_other(given) && !outlives(sig, given, lifetime))
    }
}

/// Every lifetime among some tokens; that of a reference without one is `_`.
fn collect(tokens: TokenStream, lifetimes: &mut Vec<String>) {
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Group(group) => collect(group.stream(), lifetimes),
            TokenTree::Punct(punct) if punct.as_char() == '\'' => {
                lifetimes.extend(tokens.next().map(|name| name.to_string()));
            }
            TokenTree::Punct(punct) if punct.as_char() == '&' => {
                let is_named = tokens.peek().is_some_and(
                    |next| matches!(next, TokenTree::Punct(next) if next.as_char() == '\''),
                );
                if !is_named {
                    lifetimes.push("_".to_owned());
                }
            }
            _ => {}
        }
    }
}

/// Whether the signature says that one lifetime outlives another.
fn outlives(sig: &Signature, longer: &str, shorter: &str) -> bool {
    let says = |lifetime: &Lifetime, bounds: &Punctuated<Lifetime, Token![+]>| {
        lifetime.ident == longer && bounds.iter().any(|bound| bound.ident == shorter)
    };
    let in_params = sig.generics.lifetimes().any(|param| says(&param.lifetime, &param.bounds));
    let predicates = sig.generics.where_clause.iter().flat_map(|it| &it.predicates);
    let mut predicates = predicates.into_iter().filter_map(|predicate| match predicate {
        WherePredicate::Lifetime(predicate) => Some(predicate),
        _ => None,
    });
    longer == "static"
        || in_params
        || predicates.any(|predicate| says(&predicate.lifetime, &predicate.bounds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_eager(text: &str) -> bool {
        let function: syn::TraitItemFn = syn::parse_str(text).unwrap();
        let syn::ReturnType::Type(_, ty) = &function.sig.output else { panic!("{text}") };
        match read(ty) {
            Returned::Future { borrows, .. } | Returned::Stream { borrows, .. } => {
                borrows.leaves_out(&function.sig)
            }
            _ => panic!("{text}"),
        }
    }

    #[test]
    fn what_may_have_to_be_guarded_is_never_taken_for_an_answer() {
        for unclear in [
            "Box<dyn Future<Output = u8> + Send>",
            "Box<dyn Stream<Item = u8> + Send>",
            "ReplyFuture<u8>",
            "Self::Future",
            "EntryStream<'_>",
            "impl Send",
            "impl IntoFuture<Output = u8>",
        ] {
            let ty: Type = syn::parse_str(unclear).unwrap();
            assert!(matches!(read(&ty), Returned::Unclear), "{unclear}");
        }
        for plain in
            ["Box<dyn Fn() -> u8>", "TcpStream", "u8", "impl Iterator<Item = u8>", "&StreamConfig"]
        {
            let ty: Type = syn::parse_str(plain).unwrap();
            assert!(matches!(read(&ty), Returned::Plain), "{plain}");
        }
    }

    #[test]
    fn the_service_is_asked_at_once_only_where_the_answer_may_not_borrow_what_it_is_asked_with() {
        for lazy in [
            "fn m(&self) -> BoxFuture<'_, u8>;",
            "fn m(&self, x: u8) -> BoxStream<'_, u8>;",
            "fn m<'a>(&'a self, x: &'a str) -> BoxFuture<'a, u8>;",
            "fn m<'a, 'b: 'a>(&'a self, x: &'b str) -> BoxFuture<'a, u8>;",
            "fn m<'a, 'b>(&'a self, x: &'b str) -> BoxFuture<'a, u8> where 'b: 'a;",
            "fn m(&self, x: &'static str) -> BoxFuture<'_, u8>;",
            "fn m(&self, x: &str) -> impl Future<Output = u8> + Send;",
            "fn m(self: Arc<Self>, x: String) -> BoxFuture<'static, u8>;",
        ] {
            assert!(!is_eager(lazy), "{lazy}");
        }
        for eager in [
            "fn m(&self, x: &str) -> BoxFuture<'_, u8>;",
            "fn m(&self, x: Cow<'_, str>) -> BoxStream<'_, u8>;",
            "fn m(&self) -> BoxFuture<'static, u8>;",
            "fn m(&self) -> Pin<Box<dyn Future<Output = u8> + Send>>;",
            "fn m<'a>(&'a self, x: &str) -> BoxFuture<'a, u8>;",
            "fn m<'a, 'b>(&'a self, x: &'b str) -> BoxFuture<'a, u8>;",
            "fn m(&self, x: &str) -> impl Future<Output = u8> + '_;",
            "fn m(self: Arc<Self>, x: &str) -> BoxFuture<'static, u8>;",
        ] {
            assert!(is_eager(eager), "{eager}");
        }
    }
}
