//! What a method must be to run on a thread.

use crate::resilient::errors::Errors;
use crate::resilient::model::{Coming, Method, Model, Passing, Receiver, Sharing};

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
    let answers_once = match method.coming {
        Coming::Async | Coming::AtOnce => true,
        Coming::Future { is_eager, .. } => !is_eager,
        Coming::Stream { .. } | Coming::Unclear => false,
    };
    if !answers_once {
        errors.over(
            &method.output,
            "a `blocking` method answers once: by a value, an `async fn`, or a future that borrows its arguments",
        );
    }
    for arg in &method.args {
        let why = match arg.passing {
            Passing::Lent | Passing::Owned => continue,
            Passing::Exclusive => "a thread may go on with it after its call",
            Passing::Opaque => "nobody can see whether it can be sent to a thread: name the type",
        };
        errors.over(&arg.ty, format!("a `blocking` method's arguments go to a thread, and {why}"));
    }
}
