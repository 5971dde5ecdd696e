//! What of a request says which method it is for.

use http::{HeaderMap, Method};

use crate::deadline;

/// A request that is about to be sent, without its body.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    /// `POST`.
    pub method: &'a Method,
    /// The path, as it is sent: escaped, without the query.
    pub path: &'a str,
    /// Its headers, before the layer adds its own.
    pub headers: &'a HeaderMap,
}

impl RequestHead<'_> {
    /// Whether it is a call of gRPC (and not of gRPC-Web, whose trailers are in the body).
    #[must_use]
    pub fn is_grpc(&self) -> bool {
        deadline::is_grpc(self.headers)
    }
}

#[cfg(test)]
mod tests {
    use http::header::CONTENT_TYPE;

    use super::*;

    #[test]
    fn grpc_is_told_by_its_whole_content_type() {
        let is_grpc = |content_type: &str| {
            let headers = [(CONTENT_TYPE, content_type.parse().unwrap())].into_iter().collect();
            RequestHead { method: &Method::POST, path: "/", headers: &headers }.is_grpc()
        };
        for yes in ["application/grpc", "application/grpc+proto", "application/grpc;charset=utf-8"]
        {
            assert!(is_grpc(yes), "{yes}");
        }
        for no in ["application/grpc-web", "application/grpc-web+proto", "application/json", ""] {
            assert!(!is_grpc(no), "{no}");
        }
    }
}
