//! Finds what can be changed in a file, and writes the file with every change in it, each behind a switch.
//!
//! `a < b` becomes `(if crate::mutants::on(7) { a <= b } else { a < b })`. So one build holds them all, and the
//! number in an environment variable says which one is on. No line moves: what the compiler says of a line is said
//! of the changes in it.

use std::ops::Range;

use quote::ToTokens;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{BinOp, Block, Expr, Stmt};

/// Stands for the number of a change, which is given when the file is written. No source has it.
const ID: &str = "\u{1}";

/// One change that a test should see.
#[derive(Clone, Debug)]
pub(crate) struct Mutant {
    /// Where, from the root of the repository.
    pub(crate) file: String,
    /// The first and last line of what is changed.
    pub(crate) lines: (usize, usize),
    /// What was done.
    pub(crate) what: String,
    range: Range<usize>,
    /// What stands before and after it, with [`ID`] for its number.
    around: (String, String),
}

impl Mutant {
    /// Its name from run to run, whatever was written above it.
    pub(crate) fn id(&self) -> String {
        format!("{}: {}", self.file, self.what)
    }
}

/// Every change of a file.
pub(crate) fn find(file: &str, text: &str, syntax: &syn::File) -> Vec<Mutant> {
    let mut finder = Finder { file, text, found: Vec::new() };
    finder.visit_file(syntax);
    finder.found
}

/// The text with these changes in it; each has its number.
pub(crate) fn write(text: &str, mutants: &[(usize, &Mutant)]) -> String {
    // At one offset: what ends there, the inner first; then what begins there, the outer first.
    let mut pieces = Vec::new();
    for (id, mutant) in mutants {
        let Range { start, end } = mutant.range;
        let with_id = |text: &str| text.replace(ID, &id.to_string());
        let width = end - start;
        if width == 0 {
            pieces.push(((start, 1, usize::MAX), with_id(&mutant.around.0)));
        } else {
            pieces.push(((start, 2, usize::MAX - width), with_id(&mutant.around.0)));
            pieces.push(((end, 0, width), with_id(&mutant.around.1)));
        }
    }
    pieces.sort_by_key(|(place, _)| *place);
    let mut written = String::with_capacity(text.len() * 3);
    let mut from = 0;
    for ((offset, ..), piece) in pieces {
        written.push_str(&text[from..offset]);
        written.push_str(&piece);
        from = offset;
    }
    written.push_str(&text[from..]);
    written
}

struct Finder<'a> {
    file: &'a str,
    text: &'a str,
    found: Vec<Mutant>,
}

impl Finder<'_> {
    fn add(&mut self, of: &impl Spanned, what: String, before: &str, after: &str) {
        let span = of.span();
        self.found.push(Mutant {
            file: self.file.to_owned(),
            lines: (span.start().line, span.end().line),
            what,
            range: span.byte_range(),
            around: (before.to_owned(), after.to_owned()),
        });
    }

    /// The source of it in one line, unless a comment is in it.
    fn source(&self, of: &impl Spanned) -> Option<String> {
        let raw = &self.text[of.span().byte_range()];
        (!raw.contains("//")).then(|| raw.replace('\n', " "))
    }

    fn body(&mut self, signature: &syn::Signature, block: &Block) {
        let syn::ReturnType::Type(_, returned) = &signature.output else {
            return self.early(signature, block, "");
        };
        let Some(returned) = self.source(returned) else { return };
        let numbers = ["u8", "u16", "u32", "u64", "u128", "usize", "i32", "i64"];
        match returned.as_str() {
            "bool" => {
                self.early(signature, block, "true");
                self.early(signature, block, "false");
            }
            "f64" => self.early(signature, block, "0.0"),
            "Duration" => self.early(signature, block, "std::time::Duration::ZERO"),
            number if numbers.contains(&number) => {
                self.early(signature, block, "0");
                self.early(signature, block, "1");
            }
            option if option.starts_with("Option<") => self.early(signature, block, "None"),
            result if result.starts_with("Result<()") => self.early(signature, block, "Ok(())"),
            _ => {}
        }
    }

    /// The function answers so at once.
    fn early(&mut self, signature: &syn::Signature, block: &Block, value: &str) {
        let at = block.brace_token.span.open();
        let what = format!("{} returns at once: {value}", signature.ident);
        let line = signature.ident.span().start().line;
        let end = at.byte_range().end;
        self.found.push(Mutant {
            file: self.file.to_owned(),
            lines: (line, at.start().line),
            what,
            range: end..end,
            around: (format!(" if crate::mutants::on({ID}) {{ return {value}; }}"), String::new()),
        });
    }

    fn condition(&mut self, condition: &Expr) {
        if !matches!(condition, Expr::Binary(_) | Expr::Let(_)) && !contains_let(condition) {
            let source = self.source(condition).unwrap_or_default();
            self.add(
                condition,
                format!("not: {source}"),
                &format!("(crate::mutants::on({ID}) != ("),
                "))",
            );
        }
    }
}

/// A `let` in it, as `if let A = b && c` has.
fn contains_let(expr: &Expr) -> bool {
    match expr {
        Expr::Let(_) => true,
        Expr::Binary(binary) => contains_let(&binary.left) || contains_let(&binary.right),
        _ => false,
    }
}

/// Not for mutation: tests, what only models see, and what only a developer reads.
fn left_out(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let said = attribute.to_token_stream().to_string().replace(' ', "");
        said.contains("cfg(test")
            || said.contains("cfg(all(test")
            || said.contains("cfg(seawall_loom")
            || said.contains("#[cfg(any(test")
    })
}

fn other(op: &BinOp) -> Option<&'static str> {
    Some(match op {
        BinOp::Lt(_) => "<=",
        BinOp::Le(_) => "<",
        BinOp::Gt(_) => ">=",
        BinOp::Ge(_) => ">",
        BinOp::Eq(_) => "!=",
        BinOp::Ne(_) => "==",
        BinOp::And(_) => "||",
        BinOp::Or(_) => "&&",
        BinOp::Add(_) => "-",
        BinOp::Sub(_) => "+",
        BinOp::Mul(_) => "/",
        BinOp::Div(_) => "*",
        BinOp::BitOr(_) => "&",
        BinOp::BitAnd(_) => "|",
        BinOp::Shl(_) => ">>",
        BinOp::Shr(_) => "<<",
        _ => return None,
    })
}

fn assigns(op: &BinOp) -> bool {
    matches!(
        op,
        BinOp::AddAssign(_)
            | BinOp::SubAssign(_)
            | BinOp::MulAssign(_)
            | BinOp::DivAssign(_)
            | BinOp::BitOrAssign(_)
            | BinOp::BitAndAssign(_)
            | BinOp::ShlAssign(_)
            | BinOp::ShrAssign(_)
    )
}

/// A statement that can be left out without a variable being left without a value.
fn can_go(expr: &Expr) -> bool {
    match expr {
        Expr::Call(call) => call.attrs.is_empty(),
        Expr::MethodCall(call) => call.attrs.is_empty(),
        Expr::Await(call) => call.attrs.is_empty(),
        Expr::Try(call) => call.attrs.is_empty(),
        Expr::Binary(binary) => assigns(&binary.op),
        Expr::Assign(assign) => matches!(*assign.left, Expr::Field(_) | Expr::Unary(_)),
        _ => false,
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !left_out(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let of = item.trait_.as_ref().and_then(|(path, _)| path.segments.last());
        let printed = of.is_some_and(|of| of.ident == "Debug" || of.ident == "Display");
        if !printed && !left_out(&item.attrs) {
            visit::visit_item_impl(self, item);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if item.sig.constness.is_none() && !left_out(&item.attrs) {
            self.body(&item.sig, &item.block);
            self.visit_block(&item.block);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if item.sig.constness.is_none() && !left_out(&item.attrs) {
            self.body(&item.sig, &item.block);
            self.visit_block(&item.block);
        }
    }

    // What the compiler works out itself.
    fn visit_item_const(&mut self, _: &'ast syn::ItemConst) {}
    fn visit_item_static(&mut self, _: &'ast syn::ItemStatic) {}
    fn visit_impl_item_const(&mut self, _: &'ast syn::ImplItemConst) {}
    fn visit_trait_item_const(&mut self, _: &'ast syn::TraitItemConst) {}
    fn visit_type(&mut self, _: &'ast syn::Type) {}
    fn visit_pat(&mut self, pattern: &'ast syn::Pat) {
        if let syn::Pat::Guard(guarded) = pattern {
            self.visit_expr(&guarded.guard);
        }
    }
    fn visit_variant(&mut self, _: &'ast syn::Variant) {}
    fn visit_expr_const(&mut self, _: &'ast syn::ExprConst) {}
    fn visit_generic_argument(&mut self, _: &'ast syn::GenericArgument) {}
    fn visit_expr_repeat(&mut self, repeat: &'ast syn::ExprRepeat) {
        self.visit_expr(&repeat.expr);
    }

    fn visit_expr_if(&mut self, branch: &'ast syn::ExprIf) {
        self.condition(&branch.cond);
        visit::visit_expr_if(self, branch);
    }

    fn visit_expr_while(&mut self, turns: &'ast syn::ExprWhile) {
        self.condition(&turns.cond);
        visit::visit_expr_while(self, turns);
    }

    fn visit_expr_match(&mut self, choice: &'ast syn::ExprMatch) {
        let rest = |arm: &syn::Arm| matches!(arm.pat, syn::Pat::Wild(_));
        let has_rest = choice.arms.last().is_some_and(rest);
        for arm in &choice.arms {
            if let syn::Pat::Guard(guarded) = &arm.pat {
                self.condition(&guarded.guard);
            } else if has_rest && !rest(arm) && arm.attrs.is_empty() {
                let what = format!("without the arm {}", self.source(&arm.pat).unwrap_or_default());
                self.add(&arm.pat, what, "", &format!(" if !crate::mutants::on({ID})"));
            }
        }
        visit::visit_expr_match(self, choice);
    }

    fn visit_expr_binary(&mut self, binary: &'ast syn::ExprBinary) {
        if let Some(other) = other(&binary.op)
            && !contains_let(&binary.left)
            && !contains_let(&binary.right)
            && let Some(left) = self.source(&binary.left)
            && let Some(right) = self.source(&binary.right)
        {
            let op = binary.op.to_token_stream();
            self.add(
                binary,
                format!("{left} {op} {right}: {other}"),
                &format!("(if crate::mutants::on({ID}) {{ {left} {other} {right} }} else {{ "),
                " })",
            );
        }
        visit::visit_expr_binary(self, binary);
    }

    fn visit_stmt(&mut self, statement: &'ast Stmt) {
        if let Stmt::Expr(expr, Some(_)) = statement
            && can_go(expr)
        {
            let source = self.source(statement).unwrap_or_default();
            let what = format!("without {source}");
            self.add(statement, what, &format!("if !crate::mutants::on({ID}) {{ "), " }");
        }
        visit::visit_stmt(self, statement);
    }
}
