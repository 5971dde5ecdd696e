//! Pages as gzip (RFC 1952), for scrapers that take it: most of a page is names that repeat.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::HeaderMap;
use hyper::header::ACCEPT_ENCODING;

/// A shorter page is not worth the work.
const LEAST_BYTES: usize = 1_024;

/// Whether a page of this length is to be sent as gzip to a peer that sent these headers.
pub(super) fn is_wanted(headers: &HeaderMap, length: usize) -> bool {
    length >= LEAST_BYTES && accepts(headers)
}

/// By `Accept-Encoding` (RFC 9110, section 12.5.3): gzip by name, or else by `*`, with a weight above zero.
fn accepts(headers: &HeaderMap) -> bool {
    let lists = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let (mut any, mut named) = (false, None);
    for coding in lists.flat_map(|list| list.split(',')) {
        let mut parts = coding.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let weight = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
        let is_taken = weight.is_none_or(|q| q.parse::<f32>().is_ok_and(|q| q > 0.0));
        if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") {
            named = Some(named.unwrap_or(false) || is_taken);
        } else if name == "*" {
            any = is_taken;
        }
    }
    named.unwrap_or(any)
}

/// The page, compressed at the fastest level: about a fifteenth of its bytes.
pub(super) fn compress(page: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(page.len() / 16), Compression::fast());
    // Writing to memory does not fail.
    let _ = encoder.write_all(page.as_bytes());
    encoder.finish().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn headers(values: &[&'static str]) -> HeaderMap {
        let values = values.iter().map(|value| HeaderValue::from_static(value));
        values.map(|value| (ACCEPT_ENCODING, value)).collect()
    }

    #[test]
    fn gzip_is_sent_to_those_that_take_it() {
        let takes: [&[_]; 8] = [
            &["gzip"],
            &["deflate, GZip;q=0.5"],
            &["br", "x-gzip"],
            &["*"],
            &["*;q=0, gzip"],
            &["gzip ; q=1"],
            &["gzip;q=0.001"],
            &["identity,*;q=0.1"],
        ];
        assert!(takes.iter().all(|values| accepts(&headers(values))));
        let refuses: [&[_]; 7] =
            [&[], &[""], &["gzip;q=0"], &["*, gzip;q=0.0"], &["br"], &["gzip;q=x"], &["*;q=0"]];
        assert!(refuses.iter().all(|values| !accepts(&headers(values))));
    }

    #[test]
    fn a_short_page_is_sent_as_it_is() {
        let headers = headers(&["gzip"]);
        assert_eq!((is_wanted(&headers, 1_023), is_wanted(&headers, 1_024)), (false, true));
    }
}
