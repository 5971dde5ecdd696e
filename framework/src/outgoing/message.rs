//! The requests and responses that the layer understands: `http`'s, and reqwest's own.

use http::{HeaderMap, StatusCode};
use http_body::Body;

use super::body::HeldBody;
use super::head::RequestHead;
use super::hold::Hold;

/// A request that the layer can send: [`http::Request`] with any body, and `reqwest::Request`.
pub trait OutgoingRequest: sealed::Request {}
impl<T: sealed::Request> OutgoingRequest for T {}

/// A response that the layer can read: [`http::Response`] with any body, and `reqwest::Response`.
pub trait OutgoingResponse: sealed::Response<Held = Self::Guarded> {
    /// The same, holding its permit until its body has ended.
    type Guarded;
}
impl<T: sealed::Response> OutgoingResponse for T {
    type Guarded = T::Held;
}

pub(super) mod sealed {
    use super::{HeaderMap, Hold, RequestHead, StatusCode};

    pub trait Request {
        fn head(&self) -> RequestHead<'_>;
        fn headers_mut(&mut self) -> &mut HeaderMap;
    }

    pub trait Response {
        type Held;
        fn status(&self) -> StatusCode;
        fn headers(&self) -> &HeaderMap;
        /// Whether there is no body, and so no trailers.
        fn has_ended(&self) -> bool;
        fn hold(self, hold: Hold) -> Self::Held;
    }
}

impl<B> sealed::Request for http::Request<B> {
    fn head(&self) -> RequestHead<'_> {
        RequestHead { method: self.method(), path: self.uri().path(), headers: self.headers() }
    }

    fn headers_mut(&mut self) -> &mut HeaderMap {
        self.headers_mut()
    }
}

impl<B: Body> sealed::Response for http::Response<B> {
    type Held = http::Response<HeldBody<B>>;

    fn status(&self) -> StatusCode {
        self.status()
    }

    fn headers(&self) -> &HeaderMap {
        self.headers()
    }

    fn has_ended(&self) -> bool {
        self.body().is_end_stream()
    }

    fn hold(self, hold: Hold) -> Self::Held {
        self.map(|body| HeldBody::new(body, hold))
    }
}

#[cfg(feature = "reqwest")]
mod with_reqwest {
    use super::{Body, HeaderMap, HeldBody, Hold, RequestHead, StatusCode, sealed};
    use reqwest::ResponseBuilderExt;

    impl sealed::Request for reqwest::Request {
        fn head(&self) -> RequestHead<'_> {
            RequestHead { method: self.method(), path: self.url().path(), headers: self.headers() }
        }

        fn headers_mut(&mut self) -> &mut HeaderMap {
            self.headers_mut()
        }
    }

    impl sealed::Response for reqwest::Response {
        type Held = Self;

        fn status(&self) -> StatusCode {
            self.status()
        }

        fn headers(&self) -> &HeaderMap {
            self.headers()
        }

        fn has_ended(&self) -> bool {
            self.content_length() == Some(0)
        }

        /// Rebuilds the response around its body.
        fn hold(self, hold: Hold) -> Self {
            if hold.is_nothing() {
                return self;
            }
            // The URL is the one thing that the way through `http` would lose.
            let url = http::Response::builder().url(self.url().clone()).body(());
            let mut response = http::Response::<reqwest::Body>::from(self);
            if let Ok(url) = url {
                response.extensions_mut().extend(url.into_parts().0.extensions);
            }
            let held = response.map(|body| {
                if body.is_end_stream() {
                    return body;
                }
                reqwest::Body::wrap(HeldBody::new(body, hold))
            });
            held.into()
        }
    }
}
