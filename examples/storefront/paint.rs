//! Where text goes and what colour it has.

use std::io::{self, IsTerminal, Write};

/// Standard output for what programs read, and for people whichever stream is left to them.
#[derive(Debug)]
pub(crate) struct Out {
    json: bool,
    terminal: bool,
    colour: bool,
    /// Whether the terminal shows its other screen, which gives way to what was there before.
    drawing: bool,
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
        Self { json, terminal, colour: terminal && wanted, drawing: false }
    }

    /// Whether a person watches, on something that can redraw.
    pub(crate) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Whether colours can be told apart.
    pub(crate) fn is_coloured(&self) -> bool {
        self.colour
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

    /// A line for people, broken between words where it is longer than most terminals are wide.
    pub(crate) fn show(&self, text: &str) -> io::Result<()> {
        self.write(&(wrapped(text) + "\n"))
    }

    /// Draws a screenful over the one before. What does not fit the terminal is cut off.
    pub(crate) fn redraw(&mut self, lines: &[String]) -> io::Result<()> {
        let mut text = String::new();
        if !self.drawing {
            // The other screen; no cursor; no wrapping.
            text.push_str("\x1b[?1049h\x1b[?25l\x1b[?7l");
        }
        for (row, line) in lines.iter().enumerate() {
            text.push_str(&format!("\x1b[{};1H{line}\x1b[K", row + 1));
        }
        text.push_str("\x1b[J");
        self.drawing = true;
        self.write(&text)
    }

    /// Gives the terminal back as it was.
    pub(crate) fn release(&mut self) -> io::Result<()> {
        let drawing = std::mem::take(&mut self.drawing);
        if drawing { self.write("\x1b[?7h\x1b[?25h\x1b[?1049l") } else { Ok(()) }
    }

    fn write(&self, text: &str) -> io::Result<()> {
        if self.json {
            // Nobody need be watching: the line of JSON is what was asked for.
            let _ = io::stderr().lock().write_all(text.as_bytes());
            Ok(())
        } else {
            let mut stdout = io::stdout().lock();
            stdout.write_all(text.as_bytes())?;
            stdout.flush()
        }
    }
}

/// How wide text for people may be.
const WIDTH: usize = 79;

/// Words longer than a line, and lines with colours or columns in them, stay as they are.
fn wrapped(text: &str) -> String {
    let prose = !text.contains("  ") && !text.contains('\x1b');
    if !prose || text.chars().count() <= WIDTH {
        return text.to_owned();
    }
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.join("\n")
}

impl Drop for Out {
    fn drop(&mut self) {
        // Nobody is left to be told that the terminal went away.
        let _ = self.release();
    }
}
