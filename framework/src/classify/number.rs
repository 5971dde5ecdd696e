//! Numbers as servers write them.

use std::time::Duration;

/// The longest time that is believed: a thousand years, so that no arithmetic on it can overflow.
pub const MAX_SECONDS: u64 = 1000 * 366 * 24 * 3600;

/// Whole seconds, rounded up.
pub(crate) fn seconds_up(time: Duration) -> u64 {
    time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0)).min(MAX_SECONDS)
}

/// A count: digits, with spaces around. Too many digits are the largest count there is; anything else is none.
pub(crate) fn count(text: &[u8]) -> Option<u64> {
    digits(text.trim_ascii())
}

/// A number with or without a fraction, as (whole, billionths). Some servers write `Retry-After: 0.65`.
pub(crate) fn decimal(text: &[u8]) -> Option<(u64, u32)> {
    let text = text.trim_ascii();
    let Some(point) = text.iter().position(|&byte| byte == b'.') else {
        return digits(text).map(|whole| (whole, 0));
    };
    let (whole, fraction) = (digits(&text[..point])?, &text[point + 1..]);
    digits(fraction)?;
    let nine = fraction.iter().chain(std::iter::repeat(&b'0')).take(9);
    let billionths = nine.fold(0, |sum: u32, digit| sum * 10 + u32::from(digit - b'0'));
    // What is cut off is rounded up, or a wait would be short by it.
    let cut = fraction.iter().skip(9).any(|&digit| digit != b'0');
    match billionths + u32::from(cut) {
        1_000_000_000 => Some((whole.saturating_add(1), 0)),
        billionths => Some((whole, billionths)),
    }
}

/// A length of time in seconds, at most [`MAX_SECONDS`].
pub(crate) fn seconds(text: &[u8]) -> Option<Duration> {
    decimal(text).map(|(whole, billionths)| Duration::new(whole.min(MAX_SECONDS), billionths))
}

fn digits(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let step =
        |sum: u64, digit: &u8| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
    Some(text.iter().fold(0, step))
}
