//! The scripts, and what they are called by.

use std::sync::OnceLock;

use sha1_smol::Sha1;

/// A script that a server keeps under its digest.
pub(super) struct Script {
    /// What the script begins with, and what it does.
    parts: [&'static str; 2],
    loaded: OnceLock<(String, String)>,
}

impl Script {
    const fn new(parts: [&'static str; 2]) -> Self {
        Self { parts, loaded: OnceLock::new() }
    }

    fn loaded(&self) -> &(String, String) {
        self.loaded.get_or_init(|| {
            let text = self.parts.concat();
            let digest = Sha1::from(&text).digest().to_string();
            (text, digest)
        })
    }

    /// The whole of it.
    pub(super) fn text(&self) -> &str {
        &self.loaded().0
    }

    /// The name that `EVALSHA` takes.
    pub(super) fn digest(&self) -> &str {
        &self.loaded().1
    }
}

const ALGORITHMS: &str = include_str!("lua/algorithms.lua");

pub(super) static TAKE: Script = Script::new([ALGORITHMS, include_str!("lua/take.lua")]);
pub(super) static LEASE: Script = Script::new([ALGORITHMS, include_str!("lua/lease.lua")]);
pub(super) static BOARD: Script = Script::new([ALGORITHMS, include_str!("lua/board.lua")]);
pub(super) static BEAT: Script = Script::new([ALGORITHMS, include_str!("lua/beat.lua")]);
