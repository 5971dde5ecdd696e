//! How long things are, and how much is handed to them.

use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use super::tree::{File, is_for_tests};

/// Lines of a file, its tests not counted.
const FILE_LINES_MAX: usize = 400;
/// Lines of a function, from `fn` to the brace that closes it.
const FUNCTION_LINES_MAX: usize = 70;
/// Parameters of a function, `self` among them.
const PARAMETERS_MAX: usize = 5;

pub(crate) fn check(file: &File) -> Vec<String> {
    let mut lengths = Lengths { path: &file.path, test_lines: 0, mistakes: Vec::new() };
    lengths.visit_file(file.syntax());
    let lines = file.text.lines().count().saturating_sub(lengths.test_lines);
    if lines > FILE_LINES_MAX {
        lengths
            .mistakes
            .push(format!("{}: {lines} lines without tests; allowed: {FILE_LINES_MAX}", file.path));
    }
    lengths.mistakes
}

struct Lengths<'a> {
    path: &'a str,
    test_lines: usize,
    mistakes: Vec<String>,
}

impl Lengths<'_> {
    fn signature(&mut self, signature: &syn::Signature) {
        let parameters = signature.inputs.len();
        if parameters > PARAMETERS_MAX {
            self.mistakes.push(format!(
                "{}:{}: `{}` has {parameters} parameters; allowed: {PARAMETERS_MAX}, or a struct of them",
                self.path,
                signature.span().start().line,
                signature.ident
            ));
        }
    }

    fn function(&mut self, signature: &syn::Signature, block: &syn::Block) {
        self.signature(signature);
        let first = signature.span().start().line;
        let lines = block.brace_token.span.close().end().line + 1 - first;
        if lines > FUNCTION_LINES_MAX {
            self.mistakes.push(format!(
                "{}:{first}: `{}` has {lines} lines; allowed: {FUNCTION_LINES_MAX}",
                self.path, signature.ident
            ));
        }
    }
}

impl<'ast> Visit<'ast> for Lengths<'_> {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if !is_for_tests(&module.attrs) {
            return visit::visit_item_mod(self, module);
        }
        let span = module.span();
        self.test_lines += span.end().line + 1 - span.start().line;
    }

    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.function(&function.sig, &function.block);
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.function(&function.sig, &function.block);
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast syn::TraitItemFn) {
        match &function.default {
            Some(block) => self.function(&function.sig, block),
            None => self.signature(&function.sig),
        }
        visit::visit_trait_item_fn(self, function);
    }
}
