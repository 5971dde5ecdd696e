//! What a method must be for its arguments to leave its caller's task.

use super::forbid;
use crate::resilient::errors::Errors;
use crate::resilient::model::{Coming, Method, Model, OneWay, Passing, Receiver, Sharing};

/// Notes what keeps a `blocking` method from running on a thread of its own.
pub(super) fn check_blocking(model: &Model, method: &Method, errors: &mut Errors) {
    let name = &method.sig.ident;
    if model.options.sharing == Sharing::Exclusive {
        errors.over(
            name,
            "with `exclusive` one call at a time has the service, and a thread may have it for longer than its call: \
             a `blocking` method shares it",
        );
    } else if !matches!(method.receiver, Receiver::Shared(_) | Receiver::Arc(_)) {
        errors.over(name, "a `blocking` method takes `&self`: its thread shares the service");
    }
    check_answer(method, "blocking", errors);
    check_arguments(method, "a `blocking` method's arguments go to a thread", errors);
}

/// Notes what keeps a method from being called for nobody.
pub(super) fn check_oneway(model: &Model, method: &Method, one_way: &OneWay, errors: &mut Errors) {
    check_answer(method, "oneway", errors);
    check_arguments(method, "a `oneway` method's arguments wait in a queue", errors);
    forbid(&["fallback", "on_fault"], method, errors, |key| {
        format!("nobody waits for the answer of a `oneway` method: no `{key}`")
    });
    if method.is_generic() {
        errors.push(
            one_way.span,
            "the calls of a `oneway` method wait in one queue, and so have arguments of one type",
        );
    }
    if model.boxing.is_local {
        errors.push(
            one_way.span,
            "a `oneway` method is called by a task of its own, so its future is `Send`",
        );
    }
}

fn check_answer(method: &Method, key: &str, errors: &mut Errors) {
    let answers_once = match method.coming {
        Coming::Async | Coming::AtOnce => true,
        Coming::Future { is_eager, .. } => !is_eager,
        Coming::Stream { .. } | Coming::Unclear => false,
    };
    if !answers_once {
        errors.over(
            &method.output,
            format!("a `{key}` method answers once: by a value, an `async fn`, or a future that borrows its arguments"),
        );
    }
}

fn check_arguments(method: &Method, what: &str, errors: &mut Errors) {
    for arg in &method.args {
        let why = match arg.passing {
            Passing::Lent | Passing::Owned => continue,
            Passing::Exclusive => "it may be used after its call has ended",
            Passing::Opaque => "nobody can see whether it can be sent: name the type",
        };
        errors.over(&arg.ty, format!("{what}, and {why}"));
    }
}
