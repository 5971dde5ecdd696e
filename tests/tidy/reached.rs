//! Which files the compiler gets to see.

use std::collections::BTreeMap;

use super::tree::{File, REFUSED, Tree, is_for_tests};

/// A crate's files, as `mod` declarations reach them from the targets in its manifest.
pub(crate) struct Crate {
    /// Whether each is there for tests only.
    files: BTreeMap<String, bool>,
}

impl Crate {
    pub(crate) fn read(tree: &Tree, folder: &str) -> Self {
        let mut one = Self { files: BTreeMap::new() };
        let manifest = tree.text(&format!("{folder}/Cargo.toml")).unwrap_or_default();
        let targets = manifest.lines().filter_map(target);
        let usual = ["src/lib.rs", "src/main.rs", "build.rs"];
        for target in targets.chain(usual) {
            one.reach(tree, &format!("{folder}/{target}"), true, false);
        }
        one
    }

    /// Whether a file is a part of what is built without tests.
    pub(crate) fn ships(&self, path: &str) -> bool {
        self.files.get(path) == Some(&false)
    }

    fn reach(&mut self, tree: &Tree, path: &str, is_root: bool, for_tests: bool) {
        let Some(file) = tree.file(path) else { return };
        match self.files.get(path) {
            Some(&known) if known <= for_tests => return,
            _ => drop(self.files.insert(path.to_owned(), for_tests)),
        }
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let beside = if is_root || name == "mod.rs" {
            folder.to_owned()
        } else {
            format!("{folder}/{}", name.trim_end_matches(".rs"))
        };
        for item in &file.syntax().items {
            let syn::Item::Mod(module) = item else { continue };
            // `#[path]` counts from the file's own folder, and what it names owns the folder it is in.
            if let Some(given) = given_path(module) {
                let for_tests = for_tests || is_for_tests(&module.attrs);
                self.reach(tree, &format!("{folder}/{given}"), true, for_tests);
            }
        }
        self.declared(tree, &file.syntax().items, &beside, for_tests);
    }

    fn declared(&mut self, tree: &Tree, items: &[syn::Item], folder: &str, for_tests: bool) {
        for item in items {
            let syn::Item::Mod(module) = item else { continue };
            let for_tests = for_tests || is_for_tests(&module.attrs);
            let inside = format!("{folder}/{}", module.ident);
            match &module.content {
                Some((_, items)) => self.declared(tree, items, &inside, for_tests),
                None => {
                    self.reach(tree, &format!("{inside}.rs"), false, for_tests);
                    self.reach(tree, &format!("{inside}/mod.rs"), false, for_tests);
                }
            }
        }
    }
}

/// `#[path = "x.rs"]` on a module.
fn given_path(module: &syn::ItemMod) -> Option<String> {
    let attribute = module.attrs.iter().find(|attribute| attribute.path().is_ident("path"))?;
    let syn::Meta::NameValue(pair) = &attribute.meta else { return None };
    match &pair.value {
        syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(path), .. }) => Some(path.value()),
        _ => None,
    }
}

/// `path = "x.rs"` in a manifest.
fn target(line: &str) -> Option<&str> {
    let value = line.trim().strip_prefix("path")?.trim_start().strip_prefix('=')?.trim();
    value.strip_prefix('"')?.strip_suffix("\"").filter(|path| path.ends_with(".rs"))
}

/// Files that nothing compiles.
pub(crate) fn dead(tree: &Tree) -> Vec<String> {
    let crates: Vec<Crate> =
        ["framework", "macros", "examples", "examples/clients", "tests", "benches"]
            .map(|folder| Crate::read(tree, folder))
            .into();
    let unreached = |file: &&File| !crates.iter().any(|one| one.files.contains_key(&file.path));
    let dead = tree.files.iter().filter(unreached).map(|file| {
        format!(
            "{}: nothing compiles it; allowed: reached by `mod` from a target in its Cargo.toml",
            file.path
        )
    });
    let cases = tree.texts.iter().filter(|(path, _)| path.starts_with(REFUSED));
    let silent = cases.filter(|(path, _)| !tree.root.join(path).with_extension("stderr").exists());
    let unused = silent.map(|(path, _)| {
        format!("{path}: no compiler's words beside it; allowed: a .stderr of the same name")
    });
    dead.chain(unused).collect()
}
