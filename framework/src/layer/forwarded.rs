//! The lists that proxies write, read from the right: only the right end is written by proxies of ours, and nothing further
//! left, be it as malformed as it may, can change how it is read.

use http::HeaderMap;

/// A list's elements, the last one first. `None`: not text.
pub(super) fn elements<'a>(
    headers: &'a HeaderMap,
    name: &str,
) -> impl Iterator<Item = Option<&'a str>> {
    split(headers, name, |line| line.iter().rposition(|&byte| byte == b','))
}

/// The same of a list that may have strings between quotes. A proxy puts there what the client has sent, such as its
/// `Host`, in which commas are allowed: a comma between quotes separates nothing.
pub(super) fn quoted_elements<'a>(
    headers: &'a HeaderMap,
    name: &str,
) -> impl Iterator<Item = Option<&'a str>> {
    split(headers, name, last_comma)
}

fn split<'a>(
    headers: &'a HeaderMap,
    name: &str,
    last: impl Fn(&[u8]) -> Option<usize> + Copy,
) -> impl Iterator<Item = Option<&'a str>> {
    let lines: Vec<_> = headers.get_all(name).iter().collect();
    lines.into_iter().rev().flat_map(move |line| {
        let mut rest = Some(line.as_bytes());
        std::iter::from_fn(move || {
            let line = rest?;
            let (before, element) = match last(line) {
                Some(comma) => (Some(&line[..comma]), &line[comma + 1..]),
                None => (None, line),
            };
            rest = before;
            Some(std::str::from_utf8(element).ok())
        })
    })
}

/// The last comma that is not between quotes, seen from the right.
fn last_comma(line: &[u8]) -> Option<usize> {
    let mut is_quoted = false;
    for (at, &byte) in line.iter().enumerate().rev() {
        match byte {
            b'"' if !is_quoted => is_quoted = true,
            b'"' => is_quoted = is_escaped(&line[..at]),
            b',' if !is_quoted => return Some(at),
            _ => {}
        }
    }
    None
}

/// Whether what comes after this is escaped by a backslash that is not escaped itself.
fn is_escaped(before: &[u8]) -> bool {
    before.iter().rev().take_while(|&&byte| byte == b'\\').count() % 2 == 1
}

/// RFC 7239, 4: the value of `for` among an element's pairs. None if it is there twice, which it must not be.
pub(super) fn node(element: &str) -> Option<&str> {
    let mut node = None;
    let mut rest = element;
    loop {
        let end = first_semicolon(rest);
        let pair = &rest[..end.unwrap_or(rest.len())];
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if name.trim().eq_ignore_ascii_case("for") && node.replace(value.trim()).is_some() {
            return None;
        }
        match end {
            Some(end) => rest = &rest[end + 1..],
            None => break,
        }
    }
    let node = node?;
    Some(node.strip_prefix('"').and_then(|node| node.strip_suffix('"')).unwrap_or(node))
}

/// The first semicolon that is not between quotes.
fn first_semicolon(element: &str) -> Option<usize> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    element.bytes().position(|byte| {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = is_quoted,
            b'"' => is_quoted = !is_quoted,
            _ => {}
        }
        byte == b';' && !is_quoted
    })
}
