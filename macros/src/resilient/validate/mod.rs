//! What does not go together, said at the token that is too much.

mod detached;
mod options;

use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::visit::Visit;
use syn::{Ident, Safety, TraitItem, Type, TypeImplTrait};

use super::errors::Errors;
use super::model::{Arg, Coming, Extent, Method, Model, Passing, Receiver, Sharing, chosen};
use super::replace::BareSelf;
use detached::{check_blocking, check_oneway};
use options::{check_erased, check_part};

/// Functions that a client has of its own.
pub(crate) const OWN_NAMES: [&str; 3] = ["clone", "service", "spawn"];

/// Notes every contradiction in `model`, and says how much of a client is left.
pub(crate) fn validate(model: &Model, errors: &mut Errors) -> Extent {
    let declarable = check_trait(model, errors);
    check_items(model, errors);
    for method in &model.methods {
        check_names(model, method, errors);
        if method.may_be_guarded() {
            check_call(method, errors);
            check_async(model, method, errors);
            continue;
        }
        if let (Some(span), false) = (method.call.attribute, method.call.skip) {
            errors.push(
                span,
                "`#[call]` guards async methods; this one is passed straight on to the service, unless it is `blocking` or `oneway`",
            );
        }
        if !model.is_inherent() {
            check_passed_on(model, method, errors);
        }
    }
    if errors.is_empty()
        && model.options.part.is_none()
        && model.options.with.is_empty()
        && !model.methods.iter().any(Method::is_guarded)
    {
        errors.over(
            &model.definition.ident,
            "nothing in this trait would be guarded: no method is async, returns a future, or is without `skip`",
        );
    }
    match (declarable, errors.is_empty()) {
        (false, _) => Extent::None,
        (true, false) => Extent::Hollow,
        (true, true) => Extent::Whole,
    }
}

/// Whether a client of this trait can be declared at all.
fn check_trait(model: &Model, errors: &mut Errors) -> bool {
    let definition = &model.definition;
    let mut declarable = true;
    if let Some(token) = &definition.unsafety {
        errors.over(token, "a generated client cannot vouch for an unsafe trait");
        declarable = false;
    }
    if let Err(error) = definition.modifiers.require_empty() {
        errors.add(error);
        declarable = false;
    }
    let mut names = chosen(&definition.generics).chain([&definition.ident]);
    if let Some(name) = names.find(|name| **name == model.client) {
        errors.over(name, format!("the client is to be called `{name}` too; call it otherwise with `#[resilient(client = Name)]`"));
        declarable = false;
    }
    declarable
}

fn check_items(model: &Model, errors: &mut Errors) {
    check_part(model, errors);
    check_erased(model, errors);
    if let (Some(_), Some(span)) = (model.options.wrapped, model.options.inherent) {
        errors.push(span, "`errors = \"wrapped\"` makes inherent methods already");
    }
    if let (Some(_), Some((span, _))) = (model.options.wrapped, &model.options.fault_with) {
        errors.push(*span, "`fault_with` has nothing to do with `errors = \"wrapped\"`, which keeps faults as they are");
    }
    for item in &model.definition.items {
        match item {
            TraitItem::Fn(_) | TraitItem::Const(_) | TraitItem::Type(_) => {}
            other => {
                errors.over(other, "`#[resilient]` cannot see what this becomes: write it out")
            }
        }
    }
}

fn check_names(model: &Model, method: &Method, errors: &mut Errors) {
    let name = &method.sig.ident;
    // A client that implements the trait does without functions of its own whose names the trait has; but it is `Clone`.
    let taken = if model.is_inherent() { &OWN_NAMES[..] } else { &["clone"] };
    if taken.iter().any(|own| name.unraw() == own) {
        errors.push(
            name.span(),
            format!("the client has a `{name}` of its own: call this method something else"),
        );
    }
}

/// The keys of `#[call(…)]` against each other and against the arguments.
fn check_call(method: &Method, errors: &mut Errors) {
    let call = &method.call;
    if call.skip {
        for key in call.keys.iter().filter(|key| *key != "skip") {
            errors.push(
                key.span(),
                format!("`{key}` has nothing to act on: `skip` leaves the method unguarded"),
            );
        }
        return;
    }
    if let (Some(retry), false) = (&call.retry, call.idempotent) {
        errors.push(
            retry.span,
            "`retry` needs `idempotent`: only you can say that a second attempt does no harm",
        );
    }
    if let (Some((span, slow)), Some(timeout)) = (call.slow_call, call.timeout)
        && slow > timeout
    {
        errors.push(
            span,
            format!("`slow_call` is at most the `timeout` ({timeout:?}), which ends every attempt"),
        );
    }
    if method.keeps_arguments() {
        for arg in &method.args {
            check_kept(method, arg, errors);
        }
    }
}

/// Notes every key of `#[call(…)]` that is one of these, with the reason.
pub(super) fn forbid(
    keys: &[&str],
    method: &Method,
    errors: &mut Errors,
    reason: impl Fn(&Ident) -> String,
) {
    for key in method.call.keys.iter().filter(|key| keys.iter().any(|forbidden| key == forbidden)) {
        errors.push(key.span(), reason(key));
    }
}

fn check_kept(method: &Method, arg: &Arg, errors: &mut Errors) {
    let why = match (method.may_repeat(), method.call.fallback.is_some()) {
        (true, false) if method.call.idempotent => "an `idempotent` method may be attempted again",
        (true, false) => "what was not begun may be sent again",
        (true, true) => "the method may be attempted again, and has a fallback",
        _ => "the fallback gets the arguments too",
    };
    let what = match arg.passing {
        Passing::Lent | Passing::Owned => return,
        Passing::Exclusive => "an attempt may have changed what is behind a `&mut`",
        Passing::Opaque => {
            "an `impl Trait` by value cannot be seen to be `Clone`: name the type, or take a reference"
        }
    };
    errors.over(&arg.ty, format!("{why}, and {what}"));
}

/// What every async method must be for a client to stand before it.
fn check_async(model: &Model, method: &Method, errors: &mut Errors) {
    if keeps_body(model, method) {
        return;
    }
    if method.call.blocking && !method.call.skip {
        check_blocking(model, method, errors);
    } else {
        check_receiver(model, method, errors);
    }
    if let (Some(one_way), false) = (&method.call.oneway, method.call.skip) {
        check_oneway(model, method, one_way, errors);
    }
    if method.is_eager() && method.is_guarded() {
        check_eager(model, method, errors);
    }
    if matches!(method.coming, Coming::Stream { .. }) && method.is_guarded() {
        check_stream(model, method, errors);
    }
    if let Some(path) = &method.call.on_fault {
        let judged = ["fallback", "unprocessed", "classify", "retry_after", "quota", "fault_with"];
        forbid(&judged, method, errors, |key| {
            format!(
                "`{key}` needs a `Result` to judge or to replace, and `on_fault` is for answers that are none"
            )
        });
        if model.is_wrapped() && method.call.oneway.is_none() {
            errors.over(path, "`on_fault` has nothing to do with `errors = \"wrapped\"`, which keeps faults as they are");
        }
    }
    if let Some(span) = unsafety(method) {
        errors.push(span, "a generated client cannot keep an unsafe method's promises");
    }
    if method.is_guarded()
        && let Some(found) = opaque(&method.output)
    {
        errors.over(
            found,
            "a guarded method names what it returns; `#[call(skip)]` leaves it unguarded",
        );
    }
    if let Some(span) = bare_self(method) {
        errors.push(
            span,
            "`Self` is the service to its implementor and the client to its callers: name a type",
        );
    }
}

/// Whether the service can be had as the method wants it.
fn check_receiver(model: &Model, method: &Method, errors: &mut Errors) {
    let sharing = model.options.sharing;
    match &method.receiver {
        Receiver::Shared(_) => {}
        Receiver::Exclusive(_) if sharing != Sharing::Shared && !method.call.skip => {}
        Receiver::Exclusive(this) => errors.push(
            this.span,
            "one service is shared by all calls, and this one wants it for itself: with `#[resilient(clone)]` each call works on \
             a clone of the service, with `#[resilient(exclusive)]` one call at a time has it",
        ),
        Receiver::Arc(_) if sharing != Sharing::Exclusive => {}
        Receiver::Arc(this) => {
            errors.push(this.span, "a service that one call at a time has cannot be shared in an `Arc`")
        }
        Receiver::Other(receiver) => {
            errors.over(receiver, "an async method takes `&self`: one service is shared by all calls")
        }
        Receiver::None => errors.over(
            &method.sig.ident,
            "an async method takes `&self`: one service is shared by all calls; of a trait with constructors \
             `#[resilient(inherent)]` makes a client with the other methods only",
        ),
    }
}

/// One whose answer may not borrow all of its arguments: the service is asked before the guards are.
fn check_eager(model: &Model, method: &Method, errors: &mut Errors) {
    forbid(&["idempotent", "unprocessed", "fallback", "key", "retry"], method, errors, |key| {
        format!(
            "the answer may not borrow all of the arguments, so the service is asked at once and only once: no `{key}`"
        )
    });
    if model.options.sharing != Sharing::Shared {
        errors.over(
            &method.sig.ident,
            "the answer may not borrow all that it is asked with, so the service would have to be asked before anybody waits for it",
        );
    }
}

/// One that answers by a stream, of which the wait for the first item is the only attempt.
fn check_stream(model: &Model, method: &Method, errors: &mut Errors) {
    // What has been said of a service that is asked at once is not said again.
    if !method.is_eager() {
        forbid(&["idempotent", "unprocessed", "fallback", "key", "quota"], method, errors, |key| {
            format!("a stream is asked for once, and cannot be begun anew: no `{key}`")
        });
    }
    let takes = model.options.sharing;
    if takes == Sharing::Exclusive || matches!(method.receiver, Receiver::Exclusive(_)) {
        errors.over(
            &method.sig.ident,
            "a stream keeps the service for as long as it lasts, and so has to share it",
        );
    }
    if let Some(span) = model.options.wrapped {
        errors.push(
            span,
            "the items of a stream cannot be wrapped: `inherent` leaves them as they are",
        );
    }
}

/// What every other method must be for a client to pass it on.
fn check_passed_on(model: &Model, method: &Method, errors: &mut Errors) {
    // One with a body of its own need not be passed on.
    if method.has_body && !is_passed_on(model, method) {
        return;
    }
    if method.coming == Coming::Unclear && !method.call.skip {
        errors.over(
            &method.output,
            "this may be a future or a stream, and would be passed on unguarded: say `#[call(future)]` if it is a boxed future, else `#[call(skip)]`",
        );
    }
    let way_out =
        "give it a body, or keep the client out of the trait with `#[resilient(inherent)]`";
    let receiver = match &method.receiver {
        Receiver::Other(receiver) => Some(receiver.self_token.span),
        Receiver::Exclusive(this) => Some(this.span),
        _ => None,
    };
    if let Some(span) = receiver {
        errors.push(
            span,
            format!("a client shares its service and can pass on only `&self`: {way_out}"),
        );
    }
    if let (Receiver::Shared(this) | Receiver::Arc(this), Sharing::Exclusive) =
        (&method.receiver, model.options.sharing)
    {
        errors.push(
            this.span,
            format!("with `exclusive` a call may have the service just now, and this method cannot wait for it: {way_out}"),
        );
    }
    if let Some(span) = unsafety(method) {
        errors.push(
            span,
            format!("a generated client cannot keep an unsafe method's promises: {way_out}"),
        );
    }
    if let Some(span) = bare_self(method) {
        errors.push(
            span,
            format!("a client cannot turn its service's `Self` into its own: {way_out}"),
        );
    }
}

/// Whether a method that passes no guard goes to the service, or stays with the trait's own body.
pub(crate) fn is_passed_on(model: &Model, method: &Method) -> bool {
    let can_lend = match method.receiver {
        Receiver::Shared(_) | Receiver::Arc(_) => model.options.sharing != Sharing::Exclusive,
        Receiver::None => true,
        Receiver::Exclusive(_) | Receiver::Other(_) => false,
    };
    can_lend && unsafety(method).is_none() && bare_self(method).is_none() && !method.is_left_out
}

/// Whether an async method that passes no guard keeps the trait's own body.
fn keeps_body(model: &Model, method: &Method) -> bool {
    method.is_left_out || (method.call.skip && method.has_body && !is_passed_on(model, method))
}

fn unsafety(method: &Method) -> Option<Span> {
    match &method.sig.safety {
        Safety::Unsafe(token) => Some(token.span),
        _ => None,
    }
}

fn bare_self(method: &Method) -> Option<Span> {
    let mut search = BareSelf::default();
    search.visit_generics(&method.sig.generics);
    method.args.iter().for_each(|arg| search.visit_type(&arg.ty));
    search.visit_type(&method.output);
    search.0
}

/// The first `impl Trait` in a type.
pub(crate) fn opaque(ty: &Type) -> Option<&TypeImplTrait> {
    struct Search<'ast>(Option<&'ast TypeImplTrait>);
    impl<'ast> Visit<'ast> for Search<'ast> {
        fn visit_type_impl_trait(&mut self, found: &'ast TypeImplTrait) {
            self.0.get_or_insert(found);
        }
    }
    let mut search = Search(None);
    search.visit_type(ty);
    search.0
}
