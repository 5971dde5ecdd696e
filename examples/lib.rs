//! Each example is a folder or a file beside this one: `cargo run --release --example NAME`. Here is what
//! those share that draw their result.

use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;

pub mod chart;

/// Where the result goes.
#[derive(Clone, Debug, clap::Args)]
pub struct Output {
    /// Draw the chart here [default: target/, by the name of the example; with --json, none]
    #[arg(long, value_name = "PATH")]
    pub svg: Option<PathBuf>,

    /// Print JSON and nothing else
    #[arg(long)]
    pub json: bool,
}

impl Output {
    /// Where to draw the chart of the example of this name, if anywhere.
    #[must_use]
    pub fn picture(&self, example: &str) -> Option<PathBuf> {
        let usual = || PathBuf::from("target").join(example).with_extension("svg");
        self.svg.clone().or_else(|| (!self.json).then(usual))
    }
}

/// Prints a page.
///
/// # Errors
/// It cannot be written, for another reason than that nobody reads on.
pub fn print(page: &str) -> io::Result<()> {
    match io::stdout().write_all(page.as_bytes()) {
        // The reader has seen enough (`| head`): no reason to complain.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}
