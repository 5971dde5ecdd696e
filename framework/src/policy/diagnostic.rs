//! What is wrong with a policy file, said so that it can be put right.

use std::fmt;
use std::sync::Arc;

use crate::error::debug_as_display;

/// The most mistakes that are written out; the rest is counted.
const MAX_SHOWN: usize = 100;
/// The most mistakes that are gathered from each of syntax, keys and values, and contradictions: a
/// file of nothing but mistakes must not take the day.
pub(super) const MAX_MISTAKES: usize = 1_000;

/// One mistake in a policy file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) key: String,
    pub(super) value: String,
    pub(super) message: String,
    pub(super) help: Option<String>,
    pub(super) quoted: String,
    /// Characters to skip in the quoted line, and characters to underline.
    pub(super) underline: (usize, usize),
    pub(super) offset: usize,
}

impl Mistake {
    /// The line, counted from 1.
    #[must_use]
    pub fn line(&self) -> usize {
        self.line
    }
    /// The column in characters, counted from 1.
    #[must_use]
    pub fn column(&self) -> usize {
        self.column
    }
    /// The key with everything it stands in: `payments.retry.max_attempts`. Empty for a mistake of syntax.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }
    /// The value as it is written, shortened if it is long. Empty for a mistake of syntax.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }
    /// What is wrong, and what would be allowed.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
    /// What was probably meant, where that can be guessed, or what else plays a part.
    #[must_use]
    pub fn help(&self) -> Option<&str> {
        self.help.as_deref()
    }

    pub(super) fn with_help(mut self, help: Option<String>) -> Self {
        self.help = help;
        self
    }

    fn write(&self, file: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.key.as_str(), self.value.as_str()) {
            ("", _) => writeln!(f, "error: {}", self.message)?,
            (key, "") => writeln!(f, "error: {key}: {}", self.message)?,
            (key, value) => writeln!(f, "error: {key} = {value}: {}", self.message)?,
        }
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        let (skip, width) = self.underline;
        writeln!(f, "{margin}--> {file}:{}:{}", self.line, self.column)?;
        writeln!(f, "{margin} |")?;
        writeln!(f, "{number} | {}", self.quoted)?;
        write!(f, "{margin} | {}{}", " ".repeat(skip), "^".repeat(width))?;
        match &self.help {
            Some(help) => write!(f, "\n{margin} = help: {help}"),
            None => Ok(()),
        }
    }
}

/// A policy file that cannot be used. Its `Debug` is its message.
#[derive(Clone)]
#[non_exhaustive]
pub enum PolicyFileError {
    /// It cannot be read.
    Read {
        /// Which file.
        file: String,
        /// Why not.
        source: Arc<std::io::Error>,
    },
    /// It changed each time that it was read: it is being written.
    Changing {
        /// Which file.
        file: String,
    },
    /// It can be read, but something in it is wrong.
    Invalid {
        /// Which file.
        file: String,
        /// Everything that is wrong with it, from top to bottom; never empty. Of more than 1,000
        /// mistakes of a kind, the first 1,000 found.
        mistakes: Vec<Mistake>,
    },
}

impl PolicyFileError {
    /// Which file.
    #[must_use]
    pub fn file(&self) -> &str {
        match self {
            Self::Read { file, .. } | Self::Changing { file } | Self::Invalid { file, .. } => file,
        }
    }
    /// Everything that is wrong with the file, from top to bottom; nothing if it could not be read.
    #[must_use]
    pub fn mistakes(&self) -> &[Mistake] {
        match self {
            Self::Read { .. } | Self::Changing { .. } => &[],
            Self::Invalid { mistakes, .. } => mistakes,
        }
    }
}

impl fmt::Display for PolicyFileError {
    /// As a compiler would: a block for each mistake, with the line and what is wrong underlined.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { file, source } => write!(f, "error: cannot read {file}: {source}"),
            Self::Changing { file } => {
                write!(f, "error: {file} changed each time that it was read: is it being written?")
            }
            Self::Invalid { file, mistakes } => {
                for (i, mistake) in mistakes.iter().take(MAX_SHOWN).enumerate() {
                    if i > 0 {
                        f.write_str("\n\n")?;
                    }
                    mistake.write(file, f)?;
                }
                match mistakes.len().saturating_sub(MAX_SHOWN) {
                    0 => Ok(()),
                    more if mistakes.len() >= MAX_MISTAKES => {
                        write!(f, "\n\nerror: and at least {more} more in {file}")
                    }
                    more => write!(f, "\n\nerror: and {more} more in {file}"),
                }
            }
        }
    }
}

impl fmt::Debug for PolicyFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug_as_display(self, f)
    }
}

impl std::error::Error for PolicyFileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            // The text says already what the system said.
            Self::Read { source, .. } => source.source(),
            Self::Changing { .. } | Self::Invalid { .. } => None,
        }
    }
}
