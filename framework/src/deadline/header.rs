//! How long an answer is waited for, in a field of a request.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::Origin;

/// The field of gRPC calls: a number of up to eight digits and a unit, `800m`.
pub const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
/// The plain field, in whole milliseconds: the one that Envoy tells its upstreams.
pub const PLAIN_TIMEOUT: HeaderName = HeaderName::from_static("x-envoy-expected-rq-timeout-ms");
/// Where a request comes from, as [`Origin`] is written: which attempt of its caller it is, and the lot and the
/// priority of its root request. Of HTTP and of gRPC alike.
pub const ORIGIN: HeaderName = HeaderName::from_static("seawall-origin");
/// gRPC's numbers have eight digits at most.
const MAX_GRPC_NUMBER: u128 = 99_999_999;

/// Writes what is left in the [`scope`](super::scope) that this is called in: into the plain field, or of a request of gRPC into
/// [`GRPC_TIMEOUT`]. A field that is there and says less stays. Where the work comes from goes into [`ORIGIN`]. Outside any scope
/// it writes nothing.
pub fn write_header(headers: &mut HeaderMap) {
    if let Some(left) = super::left() {
        write(headers, is_grpc(headers), Some(&PLAIN_TIMEOUT), left);
    }
    write_origin(headers, super::origin());
}

/// Where a request comes from, by [`ORIGIN`]; what cannot be read says nothing.
#[must_use]
pub fn read_origin(headers: &HeaderMap) -> Origin {
    let said = headers.get(ORIGIN).and_then(|value| value.to_str().ok());
    said.and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// Writes where a request comes from, if that says anything.
pub(crate) fn write_origin(headers: &mut HeaderMap, origin: Origin) {
    if origin != Origin::default()
        && let Ok(value) = HeaderValue::try_from(origin.to_string())
    {
        headers.insert(ORIGIN, value);
    }
}

/// What a request says of how long its caller waits: in [`GRPC_TIMEOUT`], or else in `plain`. `None`: it says nothing that can
/// be read.
#[must_use]
pub fn read_header(headers: &HeaderMap, plain: &HeaderName) -> Option<Duration> {
    let grpc = headers.get(GRPC_TIMEOUT).and_then(|value| read(value, true));
    grpc.or_else(|| headers.get(plain).and_then(|value| read(value, false)))
}

/// Whether it is a call of gRPC (and not of gRPC-Web, whose trailers are in the body).
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    let value = headers.get(http::header::CONTENT_TYPE).map(|value| value.as_bytes());
    let rest = value.and_then(|value| value.strip_prefix(b"application/grpc"));
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';' | b' ')))
}

/// Writes the time that is left: `grpc-timeout` into calls of gRPC, whole milliseconds into `plain` of others. A field of
/// the caller's own that is shorter stays.
pub(crate) fn write(
    headers: &mut HeaderMap,
    is_grpc: bool,
    plain: Option<&HeaderName>,
    left: Duration,
) {
    // Rounded up: a server that gives up too early gives up for nothing.
    let ms = left.as_nanos().div_ceil(1_000_000);
    let (name, text) = if is_grpc {
        let text = if ms <= MAX_GRPC_NUMBER {
            format!("{ms}m")
        } else {
            format!("{}S", ms.div_ceil(1_000).min(MAX_GRPC_NUMBER))
        };
        (&GRPC_TIMEOUT, text)
    } else {
        let Some(plain) = plain else { return };
        (plain, ms.to_string())
    };
    let own = headers.get(name).and_then(|own| read(own, is_grpc));
    if own.is_none_or(|own| left < own)
        && let Ok(value) = HeaderValue::try_from(text)
    {
        headers.insert(name, value);
    }
}

fn read(value: &HeaderValue, is_grpc: bool) -> Option<Duration> {
    let value = value.to_str().ok()?;
    if !is_grpc {
        return value.parse().ok().map(Duration::from_millis);
    }
    let (number, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    let number: u64 = number.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(number.saturating_mul(3_600)),
        "M" => Duration::from_secs(number.saturating_mul(60)),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: HeaderName = HeaderName::from_static("x-timeout-ms");

    /// What is written for `left` milliseconds and a quarter, over a field that says `own`.
    fn written(is_grpc: bool, own: Option<&str>, left_ms: u64) -> String {
        let mut headers = HeaderMap::new();
        let name = if is_grpc { GRPC_TIMEOUT } else { PLAIN };
        if let Some(own) = own {
            headers.insert(&name, own.parse().unwrap());
        }
        let left = Duration::from_millis(left_ms) + Duration::from_micros(250);
        write(&mut headers, is_grpc, Some(&PLAIN), left);
        assert_eq!(headers.len(), 1);
        headers[&name].to_str().unwrap().to_owned()
    }

    #[test]
    fn what_is_left_is_written_in_the_words_of_either_protocol() {
        assert_eq!(written(true, None, 800), "801m");
        assert_eq!(written(false, None, 800), "801");
        assert_eq!(written(true, None, 100_000_000), "100001S", "eight digits at most");
    }

    #[test]
    fn a_shorter_time_of_the_callers_own_stays_and_a_longer_one_does_not() {
        for own in ["500m", "400000u", "300000000n", "0S"] {
            assert_eq!(written(true, Some(own), 800), own);
        }
        for own in ["1S", "1M", "1H", "900m", "soon", "", "m", "é"] {
            let own = Some(own).filter(|own| own.is_ascii());
            assert_eq!(written(true, own, 800), "801m", "{own:?}");
        }
        assert_eq!(written(false, Some("500"), 800), "500");
        assert_eq!(written(false, Some("900"), 800), "801");
    }

    #[test]
    fn what_a_request_says_is_read_in_either_field_and_in_that_of_grpc_first() {
        let mut headers = HeaderMap::new();
        assert_eq!(read_header(&headers, &PLAIN), None);
        headers.insert(PLAIN, "250".parse().unwrap());
        assert_eq!(read_header(&headers, &PLAIN), Some(Duration::from_millis(250)));
        headers.insert(GRPC_TIMEOUT, "100m".parse().unwrap());
        assert_eq!(read_header(&headers, &PLAIN), Some(Duration::from_millis(100)));
        headers.insert(GRPC_TIMEOUT, "soon".parse().unwrap());
        assert_eq!(read_header(&headers, &PLAIN), Some(Duration::from_millis(250)));
        for nonsense in ["", "-1", "1.5", "99999999999999999999", "é"] {
            headers.insert(PLAIN, HeaderValue::from_bytes(nonsense.as_bytes()).unwrap());
            assert_eq!(read_header(&headers, &PLAIN), None, "{nonsense}");
        }
    }

    #[test]
    fn what_is_left_in_the_scope_is_written_by_the_kind_of_the_request() {
        let mut headers = HeaderMap::new();
        write_header(&mut headers);
        assert!(headers.is_empty(), "in no scope");
        let time = crate::time::Time::from(crate::time::Time::manual());
        super::super::is_used_from_now_on();
        super::super::enter(super::super::Deadline::on(&time, Duration::from_secs(1)));
        write_header(&mut headers);
        assert_eq!(headers[PLAIN_TIMEOUT], "1000");
        headers.insert("content-type", "application/grpc+proto".parse().unwrap());
        write_header(&mut headers);
        assert_eq!(headers[GRPC_TIMEOUT], "1000m");
        super::super::leave();
    }

    #[test]
    fn without_a_field_nothing_is_written() {
        let mut headers = HeaderMap::new();
        write(&mut headers, false, None, Duration::from_secs(1));
        assert!(headers.is_empty());
    }
}
