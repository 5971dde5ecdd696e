//! What a user of the crate can name, as a list in the tree: a change to it is seen in review.
//!
//! Read from the source and not from rustdoc, whose JSON needs a nightly compiler. The list has every public item of a
//! public module, and of a private one what a public module re-exports, with public methods, fields and variants.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use quote::ToTokens;
use syn::{Attribute, Item, Visibility};

use super::rows::module_path;
use super::tree::{File, Tree};

/// Where the list is.
const LIST: &str = "tests/public_api.txt";
/// Set to this, the test writes the list instead of comparing it.
const OVERWRITE: (&str, &str) = ("SEAWALL_PUBLIC_API", "overwrite");

/// Lines that the list has and the source has not, and the other way round.
pub(crate) fn check(tree: &Tree, files: &[&File]) -> Vec<String> {
    let now = list(files);
    if std::env::var(OVERWRITE.0).is_ok_and(|said| said == OVERWRITE.1) {
        let text = now.iter().map(|line| format!("{line}\n")).collect::<String>();
        fs::write(tree.root.join(LIST), text).expect("the list can be written");
        return Vec::new();
    }
    let kept = fs::read_to_string(tree.root.join(LIST)).unwrap_or_default();
    let kept: BTreeSet<String> = kept.lines().map(str::to_owned).collect();
    let hint = format!("if it is meant: {}={} and run this test", OVERWRITE.0, OVERWRITE.1);
    let gone = kept.difference(&now).map(|line| format!("{LIST}: gone: {line}; {hint}"));
    let new = now.difference(&kept).map(|line| format!("{LIST}: new: {line}; {hint}"));
    gone.chain(new).collect()
}

/// Every public item of these files, a line each.
pub(crate) fn list(files: &[&File]) -> BTreeSet<String> {
    let modules: BTreeMap<Vec<String>, &File> =
        files.iter().map(|file| (module_path(&file.path), *file)).collect();
    let root = modules.get(&vec!["lib".to_owned()]).map_or(&[][..], |file| &file.syntax().items);
    let mut list = Lines { modules: &modules, lines: BTreeSet::new() };
    list.module(&[], root);
    list.lines
}

struct Lines<'a> {
    modules: &'a BTreeMap<Vec<String>, &'a File>,
    lines: BTreeSet<String>,
}

impl Lines<'_> {
    /// A public module: what is public in it, what it re-exports, and its public modules.
    fn module(&mut self, at: &[String], items: &[Item]) {
        for item in items {
            match item {
                Item::Mod(module) if is_public(&module.vis, &module.attrs) => {
                    let inner: Vec<String> =
                        at.iter().cloned().chain([module.ident.to_string()]).collect();
                    match (&module.content, self.modules.get(&inner)) {
                        (Some((_, items)), _) => self.module(&inner, items),
                        (None, Some(file)) => self.module(&inner, &file.syntax().items),
                        (None, None) => {}
                    }
                }
                Item::Use(it) if is_public(&it.vis, &it.attrs) => self.exported(at, &it.tree, at),
                _ => {
                    let name = name(item).unwrap_or_default();
                    self.item(&path(at, &name), item);
                    self.methods(&path(at, &name), &name, at);
                }
            }
        }
    }

    fn exported(&mut self, at: &[String], tree: &syn::UseTree, from: &[String]) {
        match tree {
            syn::UseTree::Path(it) => {
                let from: Vec<String> = match it.ident.to_string().as_str() {
                    "crate" => Vec::new(),
                    "self" => from.to_vec(),
                    inner => from.iter().cloned().chain([inner.to_owned()]).collect(),
                };
                self.exported(at, &it.tree, &from);
            }
            syn::UseTree::Group(it) => it.items.iter().for_each(|it| self.exported(at, it, from)),
            syn::UseTree::Name(it) => self.one(at, &it.ident.to_string(), from),
            syn::UseTree::Rename(it) => {
                let line = format!("use {} as {}", path(from, &it.ident.to_string()), it.rename);
                self.lines.insert(path(at, &line));
            }
            syn::UseTree::Glob(_) => drop(self.lines.insert(path(at, &path(from, "*")))),
        }
    }

    /// One name that `at` takes from `from`.
    fn one(&mut self, at: &[String], exported: &str, from: &[String]) {
        let Some(file) = self.modules.get(from) else {
            self.lines.insert(path(at, &format!("use {}", path(from, exported))));
            return;
        };
        let full = path(at, exported);
        let here = |item: &&Item| name(item).is_some_and(|name| name == exported);
        match file.syntax().items.iter().find(here) {
            Some(item) => self.item(&full, item),
            None => drop(self.lines.insert(format!("{full}: from {}", path(from, exported)))),
        }
        self.methods(&full, exported, from);
    }

    /// The public methods of a type, in all files of the module that has it.
    fn methods(&mut self, full: &str, name: &str, from: &[String]) {
        let Some(top) = from.first() else { return };
        let files: Vec<&File> =
            self.modules.iter().filter(|(at, _)| at.first() == Some(top)).map(|it| *it.1).collect();
        // Of several types of this name in one module, those of the folder that has it.
        let own = files.iter().filter(|file| module_path(&file.path).starts_with(from));
        let beside = &from[..from.len().saturating_sub(1)];
        let near = files.iter().filter(|file| {
            let at = module_path(&file.path);
            !at.starts_with(from) && at.starts_with(beside) && at.len() <= from.len()
        });
        let lines: Vec<String> = own.chain(near).flat_map(|file| methods(file, name)).collect();
        self.lines.extend(lines.into_iter().map(|line| format!("{full}: {line}")));
    }

    fn item(&mut self, full: &str, item: &Item) {
        let kind = match item {
            Item::Struct(it) if is_public(&it.vis, &it.attrs) => {
                for (at, field) in it.fields.iter().enumerate() {
                    let name = field.ident.as_ref().map_or_else(|| at.to_string(), <_>::to_string);
                    if is_public(&field.vis, &field.attrs) {
                        let line = format!("{full}: field {name}: {}", words(&field.ty));
                        self.lines.insert(line);
                    }
                }
                format!("struct{}", words(&it.generics))
            }
            Item::Enum(it) if is_public(&it.vis, &it.attrs) => {
                for variant in &it.variants {
                    let fields = words(&variant.fields);
                    self.lines.insert(format!("{full}: variant {}{fields}", variant.ident));
                }
                format!("enum{}", words(&it.generics))
            }
            Item::Trait(it) if is_public(&it.vis, &it.attrs) => {
                for inner in &it.items {
                    if let syn::TraitItem::Fn(it) = inner {
                        self.lines.insert(format!("{full}: {}", words(&it.sig)));
                    }
                }
                format!("trait{}", words(&it.generics))
            }
            Item::Fn(it) if is_public(&it.vis, &it.attrs) => words(&it.sig),
            Item::Const(it) if is_public(&it.vis, &it.attrs) => format!("const {}", words(&it.ty)),
            Item::Type(it) if is_public(&it.vis, &it.attrs) => format!("type {}", words(&it.ty)),
            _ => return,
        };
        self.lines.insert(format!("{full}: {kind}"));
    }
}

fn methods(file: &File, name: &str) -> Vec<String> {
    let of_type = |it: &syn::ItemImpl| match &*it.self_ty {
        syn::Type::Path(path) => {
            it.trait_.is_none() && path.path.segments.last().is_some_and(|last| last.ident == name)
        }
        _ => false,
    };
    let inherent = file.syntax().items.iter().filter_map(|item| match item {
        Item::Impl(it) if of_type(it) => Some(it),
        _ => None,
    });
    inherent
        .flat_map(|it| &it.items)
        .filter_map(|inner| match inner {
            syn::ImplItem::Fn(it) if is_public(&it.vis, &it.attrs) => Some(words(&it.sig)),
            syn::ImplItem::Const(it) if is_public(&it.vis, &it.attrs) => {
                Some(format!("const {}: {}", it.ident, words(&it.ty)))
            }
            _ => None,
        })
        .collect()
}

fn name(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Struct(it) => &it.ident,
        Item::Enum(it) => &it.ident,
        Item::Trait(it) => &it.ident,
        Item::Fn(it) => &it.sig.ident,
        Item::Const(it) => &it.ident,
        Item::Type(it) => &it.ident,
        _ => return None,
    };
    Some(ident.to_string())
}

fn path(at: &[String], name: &str) -> String {
    at.iter().map(String::as_str).chain([name]).collect::<Vec<_>>().join("::")
}

/// Public, and not hidden from the documentation.
fn is_public(vis: &Visibility, attributes: &[Attribute]) -> bool {
    let hidden = attributes.iter().any(|attribute| {
        attribute.path().is_ident("doc") && words(&attribute.meta).contains("hidden")
    });
    matches!(vis, Visibility::Public(_)) && !hidden
}

/// As one line, with no attributes in it.
fn words(syntax: &impl ToTokens) -> String {
    let text = syntax.to_token_stream().to_string().replace('\n', " ");
    let mut out = String::new();
    let mut rest = text.as_str();
    // Attributes, which are docs mostly.
    while let Some(start) = rest.find("# [") {
        out.push_str(&rest[..start]);
        let mut depth = 0;
        let end = rest[start..].char_indices().find(|(_, c)| {
            depth += match c {
                '[' => 1,
                ']' => -1,
                _ => 0,
            };
            *c == ']' && depth == 0
        });
        rest = end.map_or("", |(end, _)| &rest[start + end + 1..]);
    }
    out.push_str(rest);
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}
