//! What the user said, as plain data.

use std::time::Duration;

use proc_macro2::Span;
use syn::{Attribute, ExprPath, Ident, ItemTrait, Path, Signature, Token, Type};

/// A resilient trait.
pub(crate) struct Model {
    /// What stands in `#[resilient(…)]`.
    pub(crate) options: Options,
    /// The trait as written, without its `#[call(…)]` attributes.
    pub(crate) definition: ItemTrait,
    /// Its functions, in the order in which they stand.
    pub(crate) methods: Vec<Method>,
    /// The client's name.
    pub(crate) client: Ident,
    /// The name of the client's type parameter: one that the trait does not use.
    pub(crate) service: Ident,
}

/// What stands in `#[resilient(…)]`.
pub(crate) struct Options {
    /// `errors = "wrapped"`, at its key.
    pub(crate) wrapped: Option<Span>,
    /// `fault_with = path`, at its key.
    pub(crate) fault_with: Option<(Span, ExprPath)>,
    /// `classify = path`, for every method that names none of its own.
    pub(crate) classify: Option<ExprPath>,
    /// `retry_after = path`, likewise.
    pub(crate) retry_after: Option<ExprPath>,
    /// `quota = path`, likewise.
    pub(crate) quota: Option<ExprPath>,
    /// `client = Name`.
    pub(crate) client: Option<Ident>,
    /// Where `seawall` is found: `::seawall`, or what `crate = "…"` says.
    pub(crate) root: Path,
}

/// One function of the trait.
pub(crate) struct Method {
    /// As written.
    pub(crate) sig: Signature,
    /// Every attribute but `#[call(…)]`.
    pub(crate) attrs: Vec<Attribute>,
    /// Whether the trait gives it a body.
    pub(crate) has_body: bool,
    /// How it may be reached through a client.
    pub(crate) receiver: Receiver,
    /// What it takes beside `self`.
    pub(crate) args: Vec<Arg>,
    /// What it returns: for an async method the future's output.
    pub(crate) output: Type,
    /// What stands in `#[call(…)]`.
    pub(crate) call: CallOptions,
}

/// What a method wants of `self`.
pub(crate) enum Receiver {
    /// `&self`: all that a shared service can give.
    Shared(Token![self]),
    /// Anything else.
    Other(syn::Receiver),
    /// Nothing: an associated function.
    None,
}

/// One argument.
pub(crate) struct Arg {
    /// Its name in the client: the user's where there is one.
    pub(crate) name: Ident,
    /// Its `cfg`s.
    pub(crate) cfgs: Vec<Attribute>,
    /// Its type.
    pub(crate) ty: Type,
    /// How a second attempt can have it too.
    pub(crate) passing: Passing,
}

/// How an argument is handed on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Passing {
    /// `&T`: lent again to every attempt.
    Lent,
    /// `&mut T`: for one attempt only.
    Exclusive,
    /// `impl Trait`: for one attempt only, since nobody can see whether it can be cloned.
    Opaque,
    /// A value: cloned where it is needed more than once.
    Owned,
}

/// What stands in `#[call(…)]`. A key that is present keeps its place, to point at.
#[derive(Default)]
pub(crate) struct CallOptions {
    /// The attribute itself, if there is one.
    pub(crate) attribute: Option<Span>,
    /// Every key, in the order given.
    pub(crate) keys: Vec<Ident>,
    pub(crate) idempotent: bool,
    pub(crate) timeout: Option<Duration>,
    /// `slow_call = "200ms"`, at its key.
    pub(crate) slow_call: Option<(Span, Duration)>,
    pub(crate) retry: Option<Retry>,
    pub(crate) fallback: Option<ExprPath>,
    pub(crate) classify: Option<ExprPath>,
    /// `key = argument` or `key = path`: what a breaker is kept for.
    pub(crate) key: Option<ExprPath>,
    pub(crate) retry_after: Option<ExprPath>,
    pub(crate) quota: Option<ExprPath>,
    pub(crate) skip: bool,
}

/// `retry = 3` or `retry(max_attempts = 3, when = path)`.
pub(crate) struct Retry {
    /// The key.
    pub(crate) span: Span,
    /// How many attempts at most, the first included.
    pub(crate) max_attempts: Option<u32>,
    /// Which errors are worth another attempt.
    pub(crate) when: Option<ExprPath>,
}

impl Method {
    /// Whether it is async, and so may be guarded.
    pub(crate) fn is_async(&self) -> bool {
        self.sig.asyncness.is_some()
    }

    /// Whether its calls go through the guards.
    pub(crate) fn is_guarded(&self) -> bool {
        self.is_async() && !self.call.skip
    }

    /// Whether its arguments must outlive an attempt: for the next one, or for the fallback.
    pub(crate) fn keeps_arguments(&self) -> bool {
        self.call.idempotent || self.call.fallback.is_some()
    }

    /// The argument that `key` names; if it names none, it is a function's path.
    pub(crate) fn key_argument(&self) -> Option<&Arg> {
        let name = self.call.key.as_ref()?.path.get_ident()?;
        self.args.iter().find(|arg| arg.name == *name)
    }

    /// Its `cfg`s, to be repeated on everything made for it.
    pub(crate) fn cfgs(&self) -> impl Iterator<Item = &Attribute> {
        cfgs(&self.attrs)
    }
}

/// How much of a client there can be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// All of it.
    Whole,
    /// Its outside, so that the code that uses it adds nothing to the mistakes reported.
    Hollow,
    /// Nothing: it could not even be declared.
    None,
}

impl Model {
    /// Whether errors come out as `CallError`, from inherent methods.
    pub(crate) fn is_wrapped(&self) -> bool {
        self.options.wrapped.is_some()
    }
}

/// The `cfg`s among some attributes.
pub(crate) fn cfgs(attrs: &[Attribute]) -> impl Iterator<Item = &Attribute> {
    attrs.iter().filter(|attr| attr.path().is_ident("cfg"))
}
