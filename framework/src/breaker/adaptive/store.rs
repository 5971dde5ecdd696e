//! Where histories are kept between runs: the seam. Who fills it does the waiting.

use std::io;

use super::codec::History;

/// Keeps histories by the name of their dependency. Called from one thread that may wait, never from a call's.
pub trait HistoryStore: Send + Sync + 'static {
    /// The latest history that is whole, and what was found that is not.
    ///
    /// # Errors
    /// The store cannot be asked just now. Nothing is saved over what it holds until it can.
    fn load(&self, dependency: &str) -> io::Result<Loaded>;

    /// Keeps `history`. If that fails halfway, or the machine stops, an earlier one is still there.
    ///
    /// # Errors
    /// It was not kept. It will be tried again.
    fn save(&self, dependency: &str, history: &History) -> io::Result<()>;
}

/// What a store had.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Loaded {
    /// The latest that is whole; `None` if there is none.
    pub history: Option<History>,
    /// What cannot be read, and why, for people. It is told of and otherwise passed over.
    pub rejected: Vec<String>,
}
