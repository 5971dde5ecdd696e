//! Errors that say that the server has not begun the work.

use std::error::Error;
use std::io;

/// Whether an error says, by the protocol, that the server has not begun what it was asked for, so that sending it once more
/// does no harm, whatever it is. For `#[call(unprocessed = …)]`.
///
/// It is looked for in the error and its sources:
///
/// | error | says so, because |
/// | --- | --- |
/// | `std::io::ErrorKind::ConnectionRefused` | there was no connection to send anything over |
/// | HTTP/2, a stream that the server has reset with `REFUSED_STREAM` (feature `http2`) | RFC 9113, section 8.7: the request was not processed |
/// | HTTP/2, a stream beyond the last one that the server's `GOAWAY` with `NO_ERROR` names (feature `http2`) | the same section |
///
/// Anything else may have been begun: a timeout, a connection that broke off, a `GOAWAY` with an error.
///
/// ```
/// use std::io;
///
/// #[seawall::resilient]
/// trait Bank {
///     /// Not idempotent; but what has not left may be sent.
///     #[call(unprocessed = never_left)]
///     async fn charge(&self, cents: u64) -> io::Result<()>;
/// }
///
/// fn never_left(error: &io::Error) -> bool {
///     seawall::classify::unprocessed(error)
/// }
/// ```
#[must_use]
pub fn unprocessed(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if refused_connection(error) || refused_stream(error) {
            return true;
        }
        next = error.source();
    }
    false
}

fn refused_connection(error: &(dyn Error + 'static)) -> bool {
    let Some(error) = error.downcast_ref::<io::Error>() else { return false };
    // What is inside an `io::Error` is not its source, but has that of it.
    let inner = error.get_ref().map(|inner| inner as &(dyn Error + 'static));
    error.kind() == io::ErrorKind::ConnectionRefused || inner.is_some_and(refused_stream)
}

#[cfg(feature = "http2")]
fn refused_stream(error: &(dyn Error + 'static)) -> bool {
    let Some(error) = error.downcast_ref::<h2::Error>() else { return false };
    let reason = error.reason();
    // Of the far end: our own resets say nothing about what it does.
    error.is_remote()
        && ((error.is_reset() && reason == Some(h2::Reason::REFUSED_STREAM))
            || (error.is_go_away() && reason == Some(h2::Reason::NO_ERROR)))
}

#[cfg(not(feature = "http2"))]
fn refused_stream(_: &(dyn Error + 'static)) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("around it")]
    struct Around(#[source] io::Error);

    #[test]
    fn a_refused_connection_is_found_however_deep_and_others_are_not() {
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        assert!(unprocessed(&refused()));
        assert!(unprocessed(&Around(refused())));
        for kind in [io::ErrorKind::ConnectionReset, io::ErrorKind::TimedOut, io::ErrorKind::Other]
        {
            assert!(!unprocessed(&Around(kind.into())), "{kind}");
        }
    }

    #[cfg(feature = "http2")]
    #[test]
    fn a_reset_of_this_end_says_nothing() {
        let ours = h2::Error::from(h2::Reason::REFUSED_STREAM);
        assert!(!ours.is_remote());
        assert!(!unprocessed(&ours));
    }
}
