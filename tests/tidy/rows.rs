//! Who may name whom.

use std::collections::{BTreeMap, BTreeSet};

use super::names::{Name, Names};
use super::tree::{File, Tree};

/// The framework's modules, lowest row first.
const ROWS: [&[&str]; 10] = [
    &[
        "classify",
        "clock",
        "constraint",
        "entropy",
        "error",
        "event",
        "outcome",
        "striped",
        "swappable",
        "sync",
    ],
    &["backpressure", "breaker", "bulkhead", "limit", "retry"],
    &["degraded", "listeners", "policy", "time"],
    &["blocking", "permit", "queue"],
    &["deadline", "dependency", "last_good", "paced"],
    &["call", "retrying"],
    &["actor"],
    &["distributed"],
    &["client", "layer", "outgoing", "simulation", "telemetry"],
    &["runtime"],
];
/// Nothing but documentation and re-exports; nobody may import from them.
const FRONT: [&str; 2] = ["lib", "prelude"];

fn row(module: &str) -> Option<usize> {
    ROWS.iter().position(|row| row.contains(&module))
}

/// What `lib.rs` re-exports: name to module.
pub(crate) fn exports(lib: Option<&File>) -> BTreeMap<String, String> {
    let names = lib.map(Names::of).unwrap_or_default();
    let exported = names.into_iter().filter(|name| name.segments.len() > 1);
    exported
        .filter_map(|name| Some((name.segments.last()?.clone(), name.segments.first()?.clone())))
        // A function may be exported under the name of a module (`retry`): what goes through that name is the module's.
        .filter(|(name, _)| row(name).is_none())
        .collect()
}

/// `framework/src/breaker/window/calls.rs` is `breaker::window::calls`.
pub(crate) fn module_path(file: &str) -> Vec<String> {
    let own = file.trim_start_matches("framework/src/").trim_end_matches(".rs");
    let own = own.strip_suffix("/mod").unwrap_or(own);
    own.split('/').map(str::to_owned).collect()
}

/// What a name means from the crate's root; `None` if it does not say so by itself.
pub(crate) fn from_root(name: &Name, file: &[String]) -> Option<Vec<String>> {
    let mut at: Vec<String> = file.iter().chain(&name.within).cloned().collect();
    let (first, rest) = name.segments.split_first()?;
    match first.as_str() {
        "crate" | "seawall" => return Some(rest.to_vec()),
        "super" => drop(at.pop()),
        _ => return None,
    }
    let mut rest = rest;
    while let Some(("super", after)) = rest.split_first().map(|(s, after)| (s.as_str(), after)) {
        at.pop();
        rest = after;
    }
    at.extend_from_slice(rest);
    Some(at)
}

/// Rows that a file names and may not. What the ground names in the ground goes to `ground`.
pub(crate) fn check(
    file: &File,
    exports: &BTreeMap<String, String>,
    ground: &mut Vec<(String, String)>,
) -> Vec<String> {
    let path = module_path(&file.path);
    let own = path.first().map_or("", String::as_str);
    if FRONT.contains(&own) {
        return Vec::new();
    }
    let Some(own_row) = row(own) else {
        let home = "give it a row in tests/tidy/rows.rs and in framework/src/lib.rs";
        return vec![format!("{}: the module `{own}` has no row: {home}", file.path)];
    };
    let mut mistakes = BTreeSet::new();
    for name in Names::of(file) {
        let Some(meant) = from_root(&name, &path) else { continue };
        let Some(first) = meant.first() else { continue };
        let target = exports.get(first).unwrap_or(first);
        let said = name.segments.join("::");
        let at = format!("{}:{}: `{said}`", file.path, name.line);
        if target == own {
            continue;
        }
        match row(target) {
            Some(below) if below < own_row => {}
            Some(0) if own_row == 0 => ground.push((own.to_owned(), target.clone())),
            Some(other) if other == own_row => drop(mistakes.insert(format!(
                "{at}: `{own}` and `{target}` share row {own_row} and may not name each other; {}",
                allowed(own_row)
            ))),
            Some(above) => drop(mistakes.insert(format!(
                "{at}: `{own}` is in row {own_row}, `{target}` above it in row {above}; {}",
                allowed(own_row)
            ))),
            None => drop(mistakes.insert(format!(
                "{at}: import from the module that has it, not by way of `{first}`; {}",
                allowed(own_row)
            ))),
        }
    }
    mistakes.into_iter().collect()
}

fn allowed(row: usize) -> String {
    let below: Vec<&str> = ROWS[..row].iter().flat_map(|row| row.iter().copied()).collect();
    format!("allowed: {}", below.join(", "))
}

/// The ground may name itself, but not in a circle.
pub(crate) fn cycle(edges: &[(String, String)]) -> Vec<String> {
    let mut left: BTreeSet<&(String, String)> = edges.iter().collect();
    loop {
        // A module that names no other any more cannot be on a circle.
        let naming: BTreeSet<&String> = left.iter().map(|(from, _)| from).collect();
        let before = left.len();
        left.retain(|(_, to)| naming.contains(to));
        if left.len() == before {
            break;
        }
    }
    let circle = |(from, to): &&(String, String)| {
        format!(
            "framework/src/{from}.rs: names `{to}`, which names it back; allowed: one direction"
        )
    };
    left.iter().map(circle).collect()
}

/// A module may name its parent's other children, not its grandparent's.
pub(crate) fn super_super(file: &File, names: &[Name]) -> Vec<String> {
    let bad =
        names.iter().filter(|name| name.segments.starts_with(&["super".into(), "super".into()]));
    bad.map(|name| {
        let said = name.segments.join("::");
        format!(
            "{}:{}: `{said}`; allowed: `super::` once, or `crate::` and the way down",
            file.path, name.line
        )
    })
    .collect()
}

/// What is the same in every policy's folder.
pub(crate) fn nouns(tree: &Tree) -> Vec<String> {
    let mut mistakes = Vec::new();
    for policy in ROWS[1] {
        let folder = format!("framework/src/{policy}/");
        // A limiter's settings are its quota.
        let config = if *policy == "limit" { "quota" } else { "config" };
        let is_there = |path: &str| tree.file(&format!("{folder}{path}")).is_some();
        for noun in ["mod", config] {
            if !is_there(&format!("{noun}.rs")) && !is_there(&format!("{noun}/mod.rs")) {
                mistakes.push(format!("{folder}: has no {noun}.rs, which every policy has"));
            }
        }
        let tested = |file: &&File| file.path.starts_with(&folder) && file.text.contains("#[test]");
        if !tree.files.iter().any(|file| tested(&file)) {
            mistakes.push(format!(
                "{folder}: has no tests; allowed: tests.rs, or `mod tests` in a file"
            ));
        }
    }
    mistakes
}
