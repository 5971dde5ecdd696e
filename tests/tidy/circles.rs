//! Circles of files that import one another. Two may; more cannot be read one at a time.

use std::collections::{BTreeMap, BTreeSet};

use syn::spanned::Spanned;

use super::names::{Name, Names};
use super::rows::{from_root, module_path};
use super::tree::File;

type Module = Vec<String>;
type Imports = BTreeMap<Module, BTreeSet<Module>>;

/// Every circle of more than two of these files.
pub(crate) fn check(files: &[&File]) -> Vec<String> {
    let modules: BTreeSet<Module> = files.iter().map(|file| module_path(&file.path)).collect();
    let imports: Imports =
        files.iter().map(|file| (module_path(&file.path), imports(file, &modules))).collect();
    let reach: Imports = modules.iter().map(|it| (it.clone(), reached(it, &imports))).collect();
    let mut mistakes = Vec::new();
    let mut seen = BTreeSet::new();
    for (module, there) in &reach {
        let circle: BTreeSet<&Module> =
            there.iter().filter(|it| reach[*it].contains(module)).collect();
        if circle.len() > 2 && seen.insert(circle.clone()) {
            let names: Vec<String> = circle.iter().map(|it| it.join("/")).collect();
            mistakes.push(format!(
                "framework/src: {} import one another; allowed: a circle of two files",
                names.join(", ")
            ));
        }
    }
    mistakes
}

/// What can be come to from a file, by one import or more.
fn reached(from: &Module, imports: &Imports) -> BTreeSet<Module> {
    let mut reached = BTreeSet::new();
    let mut open = vec![from];
    while let Some(module) = open.pop() {
        for next in imports.get(module).into_iter().flatten() {
            if reached.insert(next.clone()) {
                open.push(next);
            }
        }
    }
    reached
}

/// The files that one names. What it only re-exports does not count: that is a list of its children.
fn imports(file: &File, modules: &BTreeSet<Module>) -> BTreeSet<Module> {
    let own = module_path(&file.path);
    let exported: Vec<(usize, usize)> = file
        .syntax()
        .items
        .iter()
        .filter_map(|item| match item {
            syn::Item::Use(it) if !matches!(it.vis, syn::Visibility::Inherited) => {
                Some((it.span().start().line, it.span().end().line))
            }
            _ => None,
        })
        .collect();
    let lines: Vec<&str> = file.text.lines().collect();
    let is_import = |name: &Name| {
        // `pub(super)` and `pub(in crate::limit)` say who may see, and see nobody.
        name.segments.iter().any(|segment| segment != "super")
            && !exported.iter().any(|(from, to)| (*from..=*to).contains(&name.line))
            && !lines.get(name.line - 1).is_some_and(|line| line.contains("pub(in "))
    };
    let mut found = BTreeSet::new();
    for name in Names::of(file).into_iter().filter(is_import) {
        let meant = from_root(&name, &own).or_else(|| {
            // A child, named from here.
            let child: Module = own.iter().chain(name.segments.first()).cloned().collect();
            let rest = name.segments.iter().skip(1).cloned();
            modules.contains(&child).then(|| child.into_iter().chain(rest).collect())
        });
        let Some(meant) = meant else { continue };
        let file_of = (1..=meant.len()).rev().find(|end| modules.contains(&meant[..*end]));
        if let Some(end) = file_of
            && meant[..end] != own[..]
        {
            found.insert(meant[..end].to_vec());
        }
    }
    found
}
