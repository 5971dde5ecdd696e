//! What the user said, as plain data.

use std::time::Duration;

use proc_macro2::Span;
use syn::{
    Attribute, ExprPath, GenericParam, Generics, Ident, ItemTrait, Path, Signature, Token, Type,
};

use super::boxing::Boxing;
use super::replace::mentions;

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
    /// What boxes the futures of its `async fn`s.
    pub(crate) boxing: Boxing,
    /// The name of the client's type parameter: one that the trait does not use.
    pub(crate) service: Ident,
}

/// What stands in `#[resilient(…)]`.
pub(crate) struct Options {
    /// `errors = "wrapped"`, at its key.
    pub(crate) wrapped: Option<Span>,
    /// `fault_with = path`, at its key.
    pub(crate) fault_with: Option<(Span, ExprPath)>,
    /// `on_fault = path`, for every method without a `Result` that names none of its own.
    pub(crate) on_fault: Option<ExprPath>,
    /// `inherent`, at its key: the client does not implement the trait.
    pub(crate) inherent: Option<Span>,
    /// How methods that take `&mut self` have the service.
    pub(crate) sharing: Sharing,
    /// `part`, at its key: other traits' clients implement it, and it has none of its own.
    pub(crate) part: Option<Span>,
    /// `with(A, B)`: supertraits that are parts.
    pub(crate) with: Vec<Path>,
    /// `dyn`, at its key: a type without parameters for a trait that is no `dyn` by itself.
    pub(crate) erased: Option<Span>,
    /// `markers(A, B)`: empty traits that the client implements too.
    pub(crate) markers: Vec<Path>,
    /// `remote = path`: the trait is another crate's, and is only written down here.
    pub(crate) remote: Option<Path>,
    /// `boxed_by(path)`: an attribute that boxes the trait's futures.
    pub(crate) boxed_by: Option<Path>,
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

/// How the client's clones share the service.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// Calls run side by side on one service.
    #[default]
    Shared,
    /// `clone`: each call that takes `&mut self` has a clone.
    Cloned,
    /// `exclusive`: one call at a time has the service.
    Exclusive,
}

/// One function of the trait.
pub(crate) struct Method {
    /// As written.
    pub(crate) sig: Signature,
    /// Every attribute but `#[call(…)]`.
    pub(crate) attrs: Vec<Attribute>,
    /// Whether the trait gives it a body.
    pub(crate) has_body: bool,
    /// The client has none of its own: it has the trait's body, or, with `inherent`, nothing.
    pub(crate) is_left_out: bool,
    /// How it may be reached through a client.
    pub(crate) receiver: Receiver,
    /// What it takes beside `self`.
    pub(crate) args: Vec<Arg>,
    /// What it returns: if that is a future, its output; of a stream, an item.
    pub(crate) output: Type,
    /// How the answer comes.
    pub(crate) coming: Coming,
    /// What stands in `#[call(…)]`.
    pub(crate) call: CallOptions,
}

/// How a method's answer comes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coming {
    /// By an `async fn`.
    Async,
    /// By a future that it returns.
    Future {
        is_boxed: bool,
        /// It borrows nothing.
        is_static: bool,
        /// It may not borrow all of the arguments: the service is asked at once, and what it gives back is guarded.
        is_eager: bool,
        is_send: bool,
    },
    /// By a stream that it returns; the output is an item of it.
    Stream {
        is_boxed: bool,
        is_static: bool,
        /// As of a future.
        is_eager: bool,
        is_send: bool,
    },
    /// It may be by a future.
    Unclear,
    /// At once.
    AtOnce,
}

/// What a method wants of `self`.
pub(crate) enum Receiver {
    /// `&self`.
    Shared(Token![self]),
    /// `&mut self`.
    Exclusive(Token![self]),
    /// `self: Arc<Self>`.
    Arc(Token![self]),
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
    /// Which errors say that the work was not begun.
    pub(crate) unprocessed: Option<ExprPath>,
    pub(crate) fallback: Option<ExprPath>,
    /// `fallback = last_good(…)`.
    pub(crate) last_good: Option<LastGood>,
    pub(crate) classify: Option<ExprPath>,
    /// `key = argument` or `key = path`: what a breaker is kept for.
    pub(crate) key: Option<ExprPath>,
    pub(crate) retry_after: Option<ExprPath>,
    pub(crate) quota: Option<ExprPath>,
    pub(crate) skip: bool,
    /// How many permits an attempt needs.
    pub(crate) weight: Option<u32>,
    /// It blocks, and runs on threads of the dependency's own.
    pub(crate) blocking: bool,
    /// Nobody waits for its answer.
    pub(crate) oneway: Option<OneWay>,
    /// `future`: what it returns is one, under another name.
    pub(crate) future: bool,
    /// `on_fault = path`, at its key: what it answers when there is no answer.
    pub(crate) on_fault: Option<ExprPath>,
    /// `fault_with = path`: over the trait's.
    pub(crate) fault_with: Option<ExprPath>,
}

/// `oneway` or `oneway(merge = path)`.
pub(crate) struct OneWay {
    /// The key.
    pub(crate) span: Span,
    /// Makes a call part of one that waits.
    pub(crate) merge: Option<ExprPath>,
}

/// `last_good(max_age = "5m", max_entries = 1000, key = path)`.
pub(crate) struct LastGood {
    /// The word itself.
    pub(crate) span: Span,
    pub(crate) max_age: Duration,
    pub(crate) max_entries: u32,
    /// An argument, or a function of all of them. `None`: all of them.
    pub(crate) key: Option<ExprPath>,
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
    /// Whether its answer comes later, and so may be guarded.
    pub(crate) fn is_async(&self) -> bool {
        matches!(self.coming, Coming::Async | Coming::Future { .. } | Coming::Stream { .. })
    }

    /// Whether its answer can be waited for: by its caller's task, or by its caller's thread.
    pub(crate) fn may_be_guarded(&self) -> bool {
        self.is_async() || self.sends_arguments()
    }

    /// Whether its arguments leave its caller's task: for a thread, or for a queue.
    pub(crate) fn sends_arguments(&self) -> bool {
        self.call.blocking || self.call.oneway.is_some()
    }

    /// Whether its calls go through the guards.
    pub(crate) fn is_guarded(&self) -> bool {
        self.may_be_guarded() && !self.call.skip && !self.is_left_out
    }

    /// Whether the service is asked before the guards are.
    pub(crate) fn is_eager(&self) -> bool {
        matches!(
            self.coming,
            Coming::Future { is_eager: true, .. } | Coming::Stream { is_eager: true, .. }
        )
    }

    /// Whether it can be had of a type only, and not of a `dyn`.
    pub(crate) fn needs_sized(&self) -> bool {
        let predicates = self.sig.generics.where_clause.iter().flat_map(|it| &it.predicates);
        predicates.into_iter().any(|predicate| {
            let text = quote::ToTokens::to_token_stream(predicate).to_string();
            text.starts_with("Self :") && text.contains("Sized")
        })
    }

    /// Whether it has type parameters, written out or as `impl Trait`.
    pub(crate) fn is_generic(&self) -> bool {
        chosen(&self.sig.generics).next().is_some()
            || self.args.iter().any(|arg| mentions(&arg.ty, "impl"))
    }

    /// Whether its arguments must outlive an attempt: for the next one, or for the fallback.
    pub(crate) fn keeps_arguments(&self) -> bool {
        self.may_repeat() || self.call.fallback.is_some()
    }

    /// Whether there may be another attempt.
    pub(crate) fn may_repeat(&self) -> bool {
        self.call.idempotent || self.call.unprocessed.is_some()
    }

    /// The argument that `key` names; if it names none, it is a function's path.
    pub(crate) fn argument(&self, key: &ExprPath) -> Option<&Arg> {
        let name = key.path.get_ident()?;
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

    /// Whether the client has methods of its own, and does not implement the trait.
    pub(crate) fn is_inherent(&self) -> bool {
        self.is_wrapped() || self.options.inherent.is_some()
    }

    /// Whether the client's futures are to be `Send`, so that the service has to be too.
    pub(crate) fn is_send(&self) -> bool {
        self.methods.iter().filter(|method| method.is_guarded()).any(|method| match method.coming {
            Coming::Async => {
                !self.boxing.is_local && (self.boxing.is_there() || self.is_rewritten())
            }
            Coming::Future { is_send, .. } | Coming::Stream { is_send, .. } => is_send,
            _ => false,
        })
    }

    /// Whether `async fn`s are rewritten, so that their futures are `Send`: nothing else makes them so.
    pub(crate) fn is_rewritten(&self) -> bool {
        !self.boxing.is_there()
            && self.options.remote.is_none()
            && self.methods.iter().any(|method| method.coming == Coming::Async)
    }

    /// Whether the service may be a `dyn` of the trait: nothing in the trait stands against it, as far as can be seen.
    pub(crate) fn takes_dyn(&self) -> bool {
        let definition = &self.definition;
        let is_sized = definition.supertraits.iter().any(|bound| match bound {
            syn::TypeParamBound::Trait(bound) => bound.path.is_ident("Sized"),
            _ => false,
        });
        let has_const =
            definition.items.iter().any(|item| matches!(item, syn::TraitItem::Const(_)));
        !is_sized
            && !has_const
            && self.options.sharing != Sharing::Cloned
            && self.methods.iter().all(|method| self.allows_dyn(method))
    }

    fn allows_dyn(&self, method: &Method) -> bool {
        if method.needs_sized() {
            // It keeps the trait's body, which calls what is guarded.
            return method.has_body;
        }
        // A fallback gets the service, and is written for a type.
        if method.call.fallback.is_some() {
            return false;
        }
        let is_boxed = match method.coming {
            Coming::Async => self.boxing.is_there(),
            Coming::Future { is_boxed, .. } | Coming::Stream { is_boxed, .. } => is_boxed,
            _ => true,
        };
        is_boxed && !method.is_generic() && !matches!(method.receiver, Receiver::None)
    }
}

/// The parameters that a caller may choose, by name: types and constants, but not lifetimes.
pub(crate) fn chosen(generics: &Generics) -> impl Iterator<Item = &Ident> {
    generics.params.iter().filter_map(|param| match param {
        GenericParam::Type(param) => Some(&param.ident),
        GenericParam::Const(param) => Some(&param.ident),
        GenericParam::Lifetime(_) => None,
    })
}

/// The `cfg`s among some attributes.
pub(crate) fn cfgs(attrs: &[Attribute]) -> impl Iterator<Item = &Attribute> {
    attrs.iter().filter(|attr| attr.path().is_ident("cfg"))
}
