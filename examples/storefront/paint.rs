//! Where text goes and what colour it has.

use std::io::{self, IsTerminal, Write};

/// Standard output for what programs read, and for people whichever stream is left to them.
#[derive(Debug)]
pub(crate) struct Out {
    json: bool,
    terminal: bool,
    colour: bool,
    /// Lines of the block that is redrawn in place; the cursor is hidden while there is one.
    block: usize,
}

/// What a colour stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hue {
    Good,
    Wary,
    Bad,
    Quiet,
    Strong,
}

impl Out {
    pub(crate) fn new(json: bool) -> Self {
        let terminal = if json { io::stderr().is_terminal() } else { io::stdout().is_terminal() };
        let capable = std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        // https://no-color.org: set and not empty means none.
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let terminal = terminal && capable;
        Self { json, terminal, colour: terminal && wanted, block: 0 }
    }

    /// Whether a person watches, on something that can redraw.
    pub(crate) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// `text` in a colour, where there are colours.
    pub(crate) fn paint(&self, hue: Hue, text: &str) -> String {
        let code = match hue {
            Hue::Good => 32,
            Hue::Wary => 33,
            Hue::Bad => 31,
            Hue::Quiet => 2,
            Hue::Strong => 1,
        };
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// A line for programs: always on standard output.
    pub(crate) fn line(&self, text: &str) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        writeln!(stdout, "{text}")?;
        stdout.flush()
    }

    /// Lines for people.
    pub(crate) fn show(&self, text: &str) -> io::Result<()> {
        self.write(&format!("{text}\n"))
    }

    /// Draws a block over the one before. Lines too long for the terminal are cut off, not wrapped.
    pub(crate) fn redraw(&mut self, lines: &[String]) -> io::Result<()> {
        let mut text = match self.block {
            0 => "\x1b[?25l\x1b[?7l".to_owned(),
            drawn => format!("\x1b[{drawn}F"),
        };
        for line in lines {
            text.push_str(line);
            text.push_str("\x1b[K\n");
        }
        self.block = lines.len();
        self.write(&text)
    }

    /// Leaves the block where it is and gives the cursor back.
    pub(crate) fn release(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.block) > 0 { self.write("\x1b[?7h\x1b[?25h") } else { Ok(()) }
    }

    fn write(&self, text: &str) -> io::Result<()> {
        if self.json {
            io::stderr().lock().write_all(text.as_bytes())
        } else {
            let mut stdout = io::stdout().lock();
            stdout.write_all(text.as_bytes())?;
            stdout.flush()
        }
    }
}

impl Drop for Out {
    fn drop(&mut self) {
        // Nobody is left to be told that the terminal went away.
        let _ = self.release();
    }
}
