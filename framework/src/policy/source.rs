//! The text of a policy file, and where things are in it.

use std::ops::Range;

use super::diagnostic::Mistake;

/// The most characters of a line or a value that a diagnostic quotes.
const MAX_QUOTE: usize = 120;

/// The text of a policy file.
#[derive(Clone, Debug)]
pub(super) struct Source<'a> {
    text: &'a str,
    /// The offset at which each line starts.
    starts: Vec<usize>,
}

impl<'a> Source<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let starts = text.match_indices('\n').map(|(at, _)| at + 1);
        Self { text, starts: std::iter::once(0).chain(starts).collect() }
    }

    /// What stands at `span`.
    fn slice(&self, span: &Range<usize>) -> &'a str {
        self.text.get(span.clone()).unwrap_or("")
    }

    /// The line of a byte offset, counted from 0, and the offset of its start.
    fn line(&self, offset: usize) -> (usize, usize) {
        let number = self.starts.partition_point(|start| *start <= offset).saturating_sub(1);
        (number, self.starts.get(number).copied().unwrap_or_default())
    }

    /// The line of a byte offset, counted from 0.
    pub(super) fn line_number(&self, offset: usize) -> usize {
        self.line(offset).0
    }

    /// A mistake at `span`, with the value that stands at `value`.
    pub(super) fn mistake(
        &self,
        span: &Range<usize>,
        key: String,
        value: &Range<usize>,
        message: String,
    ) -> Mistake {
        let offset = span.start.min(self.text.len());
        let (line, start) = self.line(offset);
        let rest = self.text.get(start..).unwrap_or("");
        let content = rest.lines().next().unwrap_or("");
        let before = self.text.get(start..offset).unwrap_or("");
        let column = before.chars().count();
        let width = self.slice(span).lines().next().unwrap_or("").chars().count();
        // A long line is quoted from a little before the mistake.
        let skip =
            if content.chars().nth(MAX_QUOTE).is_some() { column.saturating_sub(20) } else { 0 };
        let content = without_passwords(content);
        let quoted: String = content.chars().skip(skip).take(MAX_QUOTE).map(plain).collect();
        Mistake {
            line: line + 1,
            column: column + 1,
            key,
            value: shortened(&without_passwords(self.slice(value))),
            message,
            help: None,
            quoted,
            underline: (column - skip, width.clamp(1, MAX_QUOTE)),
            offset,
        }
    }
}

/// A character as wide as it looks, so that the underline meets what it underlines.
fn plain(c: char) -> char {
    if c.is_control() { ' ' } else { c }
}

/// With stars in the place of what stands before the `@` of an address, character for character.
fn without_passwords(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        shown.push_str(before);
        shown.push_str("://");
        let end = after.find(|c: char| c == '"' || c == '\'' || c.is_whitespace());
        let address = &after[..end.unwrap_or(after.len())];
        let user = address.rfind('@').unwrap_or(0);
        shown.extend(address[..user].chars().map(|_| '*'));
        rest = &after[user..];
    }
    shown.push_str(rest);
    shown
}

/// A value on one line, and not too long.
fn shortened(value: &str) -> String {
    let line = value.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= MAX_QUOTE {
        line
    } else {
        line.chars().take(MAX_QUOTE).chain("…".chars()).collect()
    }
}
