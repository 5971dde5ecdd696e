//! Names that only a few may say.

use super::names::{Name, Names};
use super::tree::File;

/// Crates and types that tell the time or roll dice.
const TIME_AND_CHANCE: [&str; 8] = [
    "Instant",
    "SystemTime",
    "UNIX_EPOCH",
    "quanta",
    "fastrand",
    "rand",
    "getrandom",
    "RandomState",
];
/// The same, by the end or the beginning of a path.
const CALLS: [[&str; 2]; 2] = [["tokio", "time"], ["thread", "sleep"]];

/// Code that names actix depends on what actix does on a panic, at a stop, when its mailbox fills. What a
/// user's own actor has to be is re-exported by `actor`, and may be named by that way.
pub(crate) fn actix(file: &File) -> Vec<String> {
    let names = Names::of(file);
    let by_way_of_actor = names.iter().any(|name| name.segments == ["crate", "actor", "actix"]);
    if file.path.starts_with("framework/src/actor/") || by_way_of_actor {
        return Vec::new();
    }
    let first = |name: &Name| name.segments.first().cloned().unwrap_or_default();
    let named = names.iter().filter(|name| matches!(first(name).as_str(), "actix" | "actix_rt"));
    named
        .map(|name| {
            let said = name.segments.join("::");
            let allowed = "in framework/src/actor/, or after `use crate::actor::actix`";
            format!("{}:{}: `{said}`; allowed: {allowed}", file.path, name.line)
        })
        .collect()
}

/// Time and chance are arguments. A test cannot control code that reads them itself.
pub(crate) fn time_and_chance(file: &File) -> Vec<String> {
    let own = file.path.trim_start_matches("framework/src/");
    let reader = matches!(own, "clock.rs" | "entropy.rs");
    if reader || own.starts_with("time/") {
        return Vec::new();
    }
    let forbidden = |segments: &[String]| {
        segments.iter().any(|segment| TIME_AND_CHANCE.contains(&segment.as_str()))
            || segments.windows(2).any(|pair| CALLS.iter().any(|call| pair == call))
    };
    let names = Names::of(file).into_iter().filter(|name| forbidden(&name.segments));
    names
        .map(|name| {
            let said = name.segments.join("::");
            let allowed = "take `now: Moment`, a `unit` in [0, 1) or `&Entropy`; \
                           clock.rs, entropy.rs and time/ read the system";
            format!("{}:{}: `{said}`; allowed: {allowed}", file.path, name.line)
        })
        .collect()
}

/// Notes to oneself: do it, or write it down where users look.
pub(crate) fn later(path: &str, text: &str) -> Vec<String> {
    // Put together here, or this file would be the first to be found.
    let notes = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
    let lines = text.lines().enumerate();
    lines
        .filter(|(_, line)| notes.iter().any(|note| line.contains(note)))
        .map(|(at, line)| format!("{path}:{}: {}; allowed: doing it", at + 1, line.trim()))
        .collect()
}
