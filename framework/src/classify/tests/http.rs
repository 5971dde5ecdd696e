use std::time::{Duration, UNIX_EPOCH};

use ::http::header::{DATE, HeaderMap, HeaderValue, RETRY_AFTER};
use ::http::{Response, StatusCode};
use proptest::prelude::*;

use crate::classify::{
    MAX_RETRY_AFTER, response, response_retry_after, retry_after_header, status,
};
use crate::outcome::Class;

#[test]
fn every_status_that_there_can_be_has_a_class() {
    for code in 100..1000 {
        let expected = match code {
            // Numbers whose reason is in the table, one by one.
            408 | 429 => Class::Failure,
            501 | 505 | 510 => Class::Ignored,
            // And the rest by the hundred.
            code => match code / 100 {
                1..=3 => Class::Success,
                4 => Class::Ignored,
                _ => Class::Failure,
            },
        };
        assert_eq!(status(StatusCode::from_u16(code).unwrap()), expected, "{code}");
    }
}

#[test]
fn a_response_counts_as_its_status_and_no_response_as_a_failure() {
    let answer = |status: u16| Ok::<_, &str>(Response::builder().status(status).body(()).unwrap());
    assert_eq!(response(&answer(204)), Class::Success);
    assert_eq!(response(&answer(404)), Class::Ignored);
    assert_eq!(response(&answer(503)), Class::Failure);
    assert_eq!(response(&Err::<Response<()>, _>("no")), Class::Failure);
    assert_eq!(response_retry_after(&Err::<Response<()>, _>("no")), None);
}

fn header(value: &[u8], date: Option<&str>) -> Option<Duration> {
    let mut headers = HeaderMap::new();
    headers.insert(RETRY_AFTER, HeaderValue::from_bytes(value).unwrap());
    if let Some(date) = date {
        headers.insert(DATE, HeaderValue::from_str(date).unwrap());
    }
    retry_after_header(&headers)
}

#[test]
fn seconds_are_what_they_say_up_to_the_cap() {
    let secs = Duration::from_secs;
    for (value, expected) in [
        ("0", Some(secs(0))),
        ("7", Some(secs(7))),
        ("007", Some(secs(7))),
        (" 120\t", Some(secs(120))),
        ("2592001", Some(MAX_RETRY_AFTER)),
        ("18446744073709551616", Some(MAX_RETRY_AFTER)),
        ("99999999999999999999999999999999999999999999", Some(MAX_RETRY_AFTER)),
        ("", None),
        (" ", None),
        ("-1", None),
        ("+7", None),
        // Servers write fractions, and the pacer reads them: so do retry and breaker.
        ("1.5", Some(Duration::from_millis(1_500))),
        ("0.65", Some(Duration::from_millis(650))),
        ("2.0", Some(secs(2))),
        ("0.0000000001", Some(Duration::from_nanos(1))),
        ("1.", None),
        (".5", None),
        ("1.5.0", None),
        ("7s", None),
        ("7, 8", None),
        ("\u{666}", None), // a digit, but not one of HTTP's
        ("soon", None),
    ] {
        assert_eq!(header(value.as_bytes(), None), expected, "{value:?}");
    }
}

#[test]
fn a_date_counts_from_the_answers_own_date_in_all_three_formats() {
    let base = Some("Sun, 06 Nov 1994 08:49:07 GMT");
    for value in [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
    ] {
        assert_eq!(header(value.as_bytes(), base), Some(Duration::from_secs(30)), "{value}");
        assert_eq!(header(value.as_bytes(), None), None, "{value}: nothing to compare with");
        assert_eq!(header(value.as_bytes(), Some("yesterday")), None, "{value}");
        let later = Some("Sun, 06 Nov 1994 08:50:00 GMT");
        assert_eq!(header(value.as_bytes(), later), Some(Duration::ZERO), "{value}: has passed");
    }
    let far = b"Fri, 31 Dec 9999 23:59:59 GMT";
    assert_eq!(header(far, base), Some(MAX_RETRY_AFTER));
    for wrong in ["Mon, 06 Nov 1994 08:49:37 GMT", "Sun, 31 Feb 1994 08:49:37 GMT", "Sun, 06 Nov"] {
        assert_eq!(header(wrong.as_bytes(), base), None, "{wrong}");
    }
}

#[test]
fn of_several_fields_the_first_one_counts_and_none_is_none() {
    let mut headers = HeaderMap::new();
    assert_eq!(retry_after_header(&headers), None);
    headers.append(RETRY_AFTER, HeaderValue::from_static("3"));
    headers.append(RETRY_AFTER, HeaderValue::from_static("9"));
    assert_eq!(retry_after_header(&headers), Some(Duration::from_secs(3)));
}

/// Bytes that a header can have, many of them nearly a date.
fn nearly() -> impl Strategy<Value = Vec<u8>> {
    let date =
        "(Sun|Mon|Sunday), [0-9 ]{2}[ -](Feb|Nov)[ -][0-9]{2,4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT";
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        "[0-9]{0,30}".prop_map(String::into_bytes),
        date.prop_map(String::into_bytes),
        "(Sun|Mon) (Feb|Nov) [ 0-9]{2} [0-9:]{8} [0-9]{4}".prop_map(String::into_bytes),
    ]
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic_and_never_as_more_than_the_cap(
        value in nearly(),
        date in nearly(),
    ) {
        let mut headers = HeaderMap::new();
        for (name, bytes) in [(RETRY_AFTER, value), (DATE, date)] {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                headers.insert(name, value);
            }
        }
        prop_assert!(retry_after_header(&headers).is_none_or(|asked| asked <= MAX_RETRY_AFTER));
    }

    #[test]
    fn a_date_written_by_somebody_else_is_so_many_seconds_after_another(
        now in 0_u64..253_000_000_000,
        later in 0_u64..3_000_000,
    ) {
        let at = |seconds| httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds));
        let expected = Duration::from_secs(later).min(MAX_RETRY_AFTER);
        prop_assert_eq!(header(at(now + later).as_bytes(), Some(&at(now))), Some(expected));
    }
}
