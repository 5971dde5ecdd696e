//! Whether a request can be sent again.

/// Another copy of a request, to be sent again. Implemented for functions from `&Request` to `Option<Request>`
/// (`reqwest::Request::try_clone` is one), and for [`SentOnce`].
pub trait Resend<Q>: Clone {
    /// `None`: this one cannot be copied, and is sent once.
    fn resend(&self, request: &Q) -> Option<Q>;
}

/// No request is sent again.
#[derive(Clone, Copy, Debug, Default)]
pub struct SentOnce;

impl<Q> Resend<Q> for SentOnce {
    fn resend(&self, _: &Q) -> Option<Q> {
        None
    }
}

impl<Q, F: Fn(&Q) -> Option<Q> + Clone> Resend<Q> for F {
    fn resend(&self, request: &Q) -> Option<Q> {
        self(request)
    }
}
