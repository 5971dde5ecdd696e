//! What stands in a Cargo.toml.

use super::tree::Tree;

/// Dependencies without a reason. A comment beside one is its own; a comment above covers the lines
/// below it up to the next comment or empty line. The workspace's own crates need none.
pub(crate) fn check(path: &str, text: &str) -> Vec<String> {
    let mut mistakes = Vec::new();
    let mut in_dependencies = false;
    let mut covered = false;
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        let mistake = |what: &str| {
            format!(
                "{path}:{}: `{what}` does not say why it is here; allowed: a comment above or beside it",
                at + 1
            )
        };
        if line.is_empty() {
            covered = false;
        } else if line.starts_with('#') {
            covered = true;
        } else if let Some(table) = line.strip_prefix('[') {
            let table = table.trim_end_matches(']');
            in_dependencies = table.ends_with("dependencies");
            // `[dependencies.serde]`: a table of its own.
            let single = table.rsplit_once("dependencies.").map(|(_, name)| name);
            if let Some(name) = single.filter(|name| !covered && !is_ours(name)) {
                mistakes.push(mistake(name));
            }
            covered = false;
        } else if in_dependencies && !covered && !line.contains(" # ") {
            let name = line.split(['=', '.', ' ']).next().unwrap_or(line);
            if !is_ours(name) && line.contains('=') {
                mistakes.push(mistake(name));
            }
        }
    }
    mistakes
}

fn is_ours(name: &str) -> bool {
    name == "seawall" || name.starts_with("seawall-")
}

/// Examples that the README does not name: nobody finds those.
pub(crate) fn examples(tree: &Tree) -> Vec<String> {
    let Some(readme) = tree.text("README.md") else { return Vec::new() };
    let mistakes = ["examples/Cargo.toml", "examples/clients/Cargo.toml"].map(|path| {
        let manifest = tree.text(path).unwrap_or_default();
        unnamed_examples(path, manifest, readme)
    });
    mistakes.concat()
}

fn unnamed_examples(path: &str, manifest: &str, readme: &str) -> Vec<String> {
    let mut in_example = false;
    let mut mistakes = Vec::new();
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            in_example = line == "[[example]]";
        }
        let name = line.strip_prefix("name = \"").and_then(|rest| rest.strip_suffix('"'));
        if let Some(name) = name.filter(|name| in_example && !readme.contains(name)) {
            mistakes.push(format!("{path}: `{name}` is not in README.md; allowed: named there"));
        }
    }
    mistakes
}

/// Notes that the list of decisions lacks.
pub(crate) fn decisions(tree: &Tree) -> Vec<String> {
    const FOLDER: &str = "docs/decisions/";
    let list = tree.text("docs/decisions/README.md").unwrap_or_default();
    let notes = tree.texts.iter().filter_map(|(path, _)| path.strip_prefix(FOLDER));
    let missing =
        notes.filter(|note| *note != "README.md" && !list.contains(&format!("]({note})")));
    missing
        .map(|note| format!("{FOLDER}{note}: is not in {FOLDER}README.md; add \"[…]({note})\""))
        .collect()
}
