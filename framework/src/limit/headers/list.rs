//! Lists of structured fields (RFC 9651, 4.2.1), as far as rate-limit fields go.
//!
//! A parser of our own, because what is needed of the RFC is small: members are strings, tokens or integers with
//! parameters, and everything is borrowed from the field. Inner lists are not in these fields and make one malformed,
//! and one that is malformed anywhere is ignored whole (draft 11, section 7; RFC 9651, 4.2). Wider than the RFC in one
//! thing: a member may be `key=value`, which is a dictionary's, because draft 7 had those.

/// What stands by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bare<'a> {
    /// Between quotes, its escapes left in.
    String(&'a str),
    /// A word, or a key.
    Token(&'a str),
    /// A whole number; negative ones are there, and are of no use here.
    Integer(i64),
    /// Something that no rate-limit field means anything by: a decimal, bytes, a boolean, a date.
    Other,
}

impl<'a> Bare<'a> {
    pub(super) fn count(self) -> Option<u64> {
        match self {
            Self::Integer(number) => u64::try_from(number).ok(),
            _ => None,
        }
    }

    pub(super) fn text(self) -> Option<&'a str> {
        match self {
            Self::String(text) | Self::Token(text) => Some(text),
            _ => None,
        }
    }
}

/// A member of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Member<'a> {
    pub(super) bare: Bare<'a>,
    /// The value, if the member is `key=value`.
    pub(super) value: Option<Bare<'a>>,
    /// Its parameters as written, known to be well-formed.
    parameters: &'a [u8],
}

impl<'a> Member<'a> {
    /// The parameter `key`; the last one counts (RFC 9651, 3.1.2).
    pub(super) fn parameter(&self, key: &str) -> Option<Bare<'a>> {
        let mut parser = Parser { rest: self.parameters };
        let mut found = None;
        while let Some((name, value)) = parser.parameter()? {
            if name == key {
                found = Some(value);
            }
        }
        found
    }
}

/// A name as a string between quotes. Of printable ASCII only.
pub(super) fn quoted(name: &str) -> String {
    let mut quoted = String::with_capacity(name.len() + 2);
    quoted.push('"');
    for letter in name.chars() {
        if matches!(letter, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(letter);
    }
    quoted.push('"');
    quoted
}

/// Tells `each` of every member, in order. `None`: the field is malformed, and what was told does not count.
pub(super) fn parse<'a>(field: &'a [u8], mut each: impl FnMut(Member<'a>)) -> Option<()> {
    let mut parser = Parser { rest: field };
    parser.skip(b" ");
    if parser.rest.is_empty() {
        return Some(());
    }
    loop {
        each(parser.member()?);
        parser.skip(b" \t");
        if parser.rest.is_empty() {
            return Some(());
        }
        parser.take(b',')?;
        parser.skip(b" \t");
        // A comma at the end promises a member.
        if parser.rest.is_empty() {
            return None;
        }
    }
}

struct Parser<'a> {
    rest: &'a [u8],
}

impl<'a> Parser<'a> {
    fn skip(&mut self, any_of: &[u8]) {
        let past = self.rest.iter().take_while(|&byte| any_of.contains(byte)).count();
        self.rest = &self.rest[past..];
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        self.rest = self.rest.strip_prefix(&[byte])?;
        Some(())
    }

    /// As many bytes as `are`, of which there is at least one.
    fn run(&mut self, are: impl Fn(u8) -> bool) -> Option<&'a str> {
        let length = self.rest.iter().take_while(|&&byte| are(byte)).count();
        let (run, rest) = self.rest.split_at(length);
        self.rest = rest;
        std::str::from_utf8(run).ok().filter(|run| !run.is_empty())
    }

    fn member(&mut self) -> Option<Member<'a>> {
        let bare = self.bare()?;
        let is_key = matches!(bare, Bare::Token(_)) && self.rest.first() == Some(&b'=');
        let value = if is_key {
            self.take(b'=')?;
            Some(self.bare()?)
        } else {
            None
        };
        let before = self.rest;
        while self.parameter()?.is_some() {}
        let parameters = &before[..before.len() - self.rest.len()];
        Some(Member { bare, value, parameters })
    }

    /// The next parameter. `Some(None)`: there is none. `None`: it is malformed.
    fn parameter(&mut self) -> Option<Option<(&'a str, Bare<'a>)>> {
        if self.rest.first() != Some(&b';') {
            return Some(None);
        }
        self.take(b';')?;
        self.skip(b" ");
        if !self.rest.first().is_some_and(|&byte| byte.is_ascii_lowercase() || byte == b'*') {
            return None;
        }
        let key =
            self.run(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'.' | b'*'))?;
        // A parameter without a value is true.
        let value = if self.take(b'=').is_some() { self.bare()? } else { Bare::Other };
        Some(Some((key, value)))
    }

    fn bare(&mut self) -> Option<Bare<'a>> {
        match *self.rest.first()? {
            b'"' => self.string().map(Bare::String),
            b'-' | b'0'..=b'9' => self.number(),
            b'a'..=b'z' | b'A'..=b'Z' | b'*' => self.token().map(Bare::Token),
            b':' => self.bytes(),
            b'?' => {
                self.take(b'?')?;
                self.take(b'0').or_else(|| self.take(b'1'))?;
                Some(Bare::Other)
            }
            b'@' => {
                self.take(b'@')?;
                self.number().filter(|date| matches!(date, Bare::Integer(_)))?;
                Some(Bare::Other)
            }
            _ => None,
        }
    }

    fn string(&mut self) -> Option<&'a str> {
        self.take(b'"')?;
        let mut length = 0;
        loop {
            match *self.rest.get(length)? {
                b'"' => break,
                b'\\' if matches!(self.rest.get(length + 1), Some(b'"' | b'\\')) => length += 2,
                b'\\' => return None,
                0x20..=0x7e => length += 1,
                _ => return None,
            }
        }
        let (string, rest) = self.rest.split_at(length);
        self.rest = rest;
        self.take(b'"')?;
        std::str::from_utf8(string).ok()
    }

    fn token(&mut self) -> Option<&'a str> {
        self.run(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:/".contains(&byte))
    }

    fn bytes(&mut self) -> Option<Bare<'a>> {
        self.take(b':')?;
        let base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
        let length = self.rest.iter().take_while(|&&byte| base64(byte)).count();
        self.rest = &self.rest[length..];
        self.take(b':')?;
        Some(Bare::Other)
    }

    /// At most 15 digits, or 12 and a fraction of 3.
    fn number(&mut self) -> Option<Bare<'a>> {
        let negative = self.take(b'-').is_some();
        let whole = self.run(|byte| byte.is_ascii_digit())?;
        if self.take(b'.').is_some() {
            let fraction = self.run(|byte| byte.is_ascii_digit())?;
            return (whole.len() <= 12 && fraction.len() <= 3).then_some(Bare::Other);
        }
        let number: i64 = Some(whole).filter(|whole| whole.len() <= 15)?.parse().ok()?;
        Some(Bare::Integer(if negative { -number } else { number }))
    }
}
