//! `Forwarded` (RFC 7239): whom each element of a line is `for`.
//!
//! Read from the right, because only the right end is written by proxies of ours, and with its quotes, because a proxy
//! quotes what the client has chosen: `host="x,for=6.6.6.6"` is a name with a comma in it. A quoted string can be told
//! from the right as well as from the left: what closes it has nothing escaped before it that is outside of quotes, what
//! opens it has no backslash before it, and a quote in between has one that is not escaped itself.
//!
//! What is malformed ends the list: nothing to the left of it is looked at, so a quote that was left open there, or here,
//! moves no boundary that anybody goes by.

use std::borrow::Cow;

/// A line's elements, the last one first: whom each is for. `None`: it does not say, or is malformed. After one that is
/// malformed in its quotes there are no more.
pub(in crate::layer) struct Nodes<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> Nodes<'a> {
    pub(in crate::layer) fn of(line: &'a [u8]) -> Self {
        Self { rest: Some(line) }
    }
}

impl<'a> Iterator for Nodes<'a> {
    type Item = Option<Cow<'a, str>>;

    fn next(&mut self) -> Option<Self::Item> {
        let line = self.rest.take()?;
        let element = match last_comma(line) {
            Comma::At(comma) => {
                self.rest = line.get(..comma);
                line.get(comma + 1..)
            }
            Comma::Nowhere => Some(line),
            Comma::Unknown => None,
        };
        Some(element.and_then(node))
    }
}

enum Comma {
    At(usize),
    Nowhere,
    /// The quotes make no sense.
    Unknown,
}

/// The last comma outside of quotes.
fn last_comma(text: &[u8]) -> Comma {
    let mut is_quoted = false;
    for (at, byte) in text.iter().enumerate().rev() {
        match byte {
            b',' if !is_quoted => return Comma::At(at),
            b'"' if !is_quoted => is_quoted = true,
            b'"' => {
                let before = text.iter().take(at).rev();
                match before.take_while(|&&byte| byte == b'\\').count() {
                    0 => is_quoted = false,
                    odd if odd % 2 == 1 => {}
                    // Escaped backslashes, then the end of a string: but this is the beginning of one.
                    _ => return Comma::Unknown,
                }
            }
            _ => {}
        }
    }
    if is_quoted { Comma::Unknown } else { Comma::Nowhere }
}

/// RFC 7239, 4: the value of `for` among an element's pairs, each of which may be there once. Wider than the RFC in two
/// things that proxies do: spaces around a `;`, and addresses without the quotes that their `:` and `[` need.
fn node(element: &[u8]) -> Option<Cow<'_, str>> {
    let mut parser = Parser { rest: element };
    let mut node = None;
    loop {
        parser.skip_spaces();
        if parser.rest.is_empty() {
            return node;
        }
        if parser.take(b';').is_some() {
            continue;
        }
        let name = parser.run(|byte| byte.is_ascii_alphanumeric() || is_sign(byte))?;
        parser.take(b'=')?;
        let value = parser.value()?;
        parser.skip_spaces();
        if !matches!(parser.rest.first(), None | Some(b';')) {
            return None;
        }
        if name.eq_ignore_ascii_case(b"for") && node.replace(text(value)?).is_some() {
            return None;
        }
    }
}

/// Those of a token that are no letters and digits (RFC 9110, 5.6.2).
fn is_sign(byte: u8) -> bool {
    b"!#$%&'*+-.^_`|~".contains(&byte)
}

struct Parser<'a> {
    rest: &'a [u8],
}

impl<'a> Parser<'a> {
    fn take(&mut self, byte: u8) -> Option<()> {
        self.rest = self.rest.strip_prefix(&[byte])?;
        Some(())
    }

    fn skip_spaces(&mut self) {
        self.run(|byte| matches!(byte, b' ' | b'\t'));
    }

    /// As many bytes as `are`, of which there is at least one.
    fn run(&mut self, are: impl Fn(u8) -> bool) -> Option<&'a [u8]> {
        let length = self.rest.iter().take_while(|&&byte| are(byte)).count();
        let (run, rest) = self.rest.split_at(length);
        self.rest = rest;
        (!run.is_empty()).then_some(run)
    }

    /// What is between quotes, escapes and all, or stands without them.
    fn value(&mut self) -> Option<&'a [u8]> {
        if self.take(b'"').is_none() {
            return self.run(|byte| byte.is_ascii_graphic() && !b"\",;\\".contains(&byte));
        }
        let mut length = 0;
        loop {
            match *self.rest.get(length)? {
                b'"' => break,
                b'\\' => length += 2,
                _ => length += 1,
            }
        }
        let (value, rest) = self.rest.split_at(length);
        self.rest = rest;
        self.take(b'"')?;
        Some(value)
    }
}

/// Without its escapes: a backslash, and what it stands before is meant.
fn text(value: &[u8]) -> Option<Cow<'_, str>> {
    let value = std::str::from_utf8(value).ok()?;
    if !value.contains('\\') {
        return Some(value.into());
    }
    let mut letters = value.chars();
    let mut plain = String::with_capacity(value.len());
    while let Some(letter) = letters.next() {
        plain.push(if letter == '\\' { letters.next()? } else { letter });
    }
    Some(plain.into())
}
