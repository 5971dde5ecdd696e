//! Every path that a file names, in `use`, in code and inside macros; test modules left out.

use proc_macro2::{TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use super::tree::{File, is_for_tests};

/// A path as written, with the inline modules it stands in.
#[derive(Debug)]
pub(crate) struct Name {
    pub(crate) segments: Vec<String>,
    pub(crate) line: usize,
    /// Inline modules around it.
    pub(crate) within: Vec<String>,
}

#[derive(Default)]
pub(crate) struct Names {
    found: Vec<Name>,
    within: Vec<String>,
}

impl Names {
    pub(crate) fn of(file: &File) -> Vec<Name> {
        let mut names = Self::default();
        names.visit_file(file.syntax());
        names.found
    }

    fn add(&mut self, segments: Vec<String>, line: usize) {
        self.found.push(Name { segments, line, within: self.within.clone() });
    }

    fn add_tree(&mut self, mut before: Vec<String>, tree: &syn::UseTree) {
        match tree {
            syn::UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.add_tree(before, &path.tree);
            }
            syn::UseTree::Name(name) => self.add_end(before, &name.ident),
            syn::UseTree::Rename(rename) => self.add_end(before, &rename.ident),
            syn::UseTree::Glob(glob) => {
                before.push("*".to_owned());
                self.add(before, glob.span().start().line);
            }
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.add_tree(before.clone(), tree);
                }
            }
        }
    }

    fn add_end(&mut self, mut segments: Vec<String>, end: &syn::Ident) {
        segments.push(end.to_string());
        self.add(segments, end.span().start().line);
    }

    /// Inside a macro there is no syntax yet: runs of `name :: name`.
    fn add_tokens(&mut self, tokens: TokenStream) {
        let mut run: Vec<String> = Vec::new();
        let mut line = 0;
        let mut colons = 0;
        for token in tokens {
            match &token {
                TokenTree::Ident(ident) => {
                    if colons != 2 && !run.is_empty() {
                        let segments = std::mem::take(&mut run);
                        self.add(segments, line);
                    }
                    line = ident.span().start().line;
                    run.push(ident.to_string());
                    colons = 0;
                    continue;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' && !run.is_empty() => {
                    colons += 1;
                    continue;
                }
                TokenTree::Group(group) => self.add_tokens(group.stream()),
                _ => {}
            }
            if !run.is_empty() {
                let segments = std::mem::take(&mut run);
                self.add(segments, line);
            }
            colons = 0;
        }
        if !run.is_empty() {
            self.add(run, line);
        }
    }
}

impl<'ast> Visit<'ast> for Names {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if !is_for_tests(&module.attrs) {
            self.within.push(module.ident.to_string());
            visit::visit_item_mod(self, module);
            self.within.pop();
        }
    }

    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        if !is_for_tests(&function.attrs) {
            visit::visit_item_fn(self, function);
        }
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        if !is_for_tests(&function.attrs) {
            visit::visit_impl_item_fn(self, function);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if !is_for_tests(&item.attrs) {
            self.add_tree(Vec::new(), &item.tree);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.add(segments, path.span().start().line);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, invocation: &'ast syn::Macro) {
        self.visit_path(&invocation.path);
        self.add_tokens(invocation.tokens.clone());
    }
}
