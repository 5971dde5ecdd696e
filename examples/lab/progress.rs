//! How far a long scenario is, for a person who waits.

use std::io::{IsTerminal, Write, stderr};

/// Says on the terminal, in one line that is written over, how much is done. Without a terminal it says nothing.
pub(crate) struct Progress {
    what: &'static str,
    done: usize,
    all: usize,
    is_seen: bool,
}

impl Progress {
    pub(crate) fn new(what: &'static str, all: usize) -> Self {
        Self { what, done: 0, all, is_seen: stderr().is_terminal() }
    }

    /// One more is done.
    pub(crate) fn step(&mut self) {
        self.done += 1;
        if self.is_seen {
            // A terminal that is gone needs no progress.
            let _ = write!(stderr(), "\r{}: {} of {} ", self.what, self.done, self.all);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_seen {
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }
}
