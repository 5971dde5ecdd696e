//! `Self` means the service where a trait is implemented, and the client where it is called.

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::visit::{self, Visit};
use syn::visit_mut::{self, VisitMut};
use syn::{Ident, Path, TypePath, WherePredicate};

/// Writes the service's type parameter wherever `Self` stands.
pub(crate) struct SelfIs<'a>(pub(crate) &'a Ident);

impl VisitMut for SelfIs<'_> {
    fn visit_path_mut(&mut self, path: &mut Path) {
        if let Some(first) = path.segments.first_mut()
            && path.leading_colon.is_none()
            && first.ident == "Self"
        {
            first.ident = Ident::new(&self.0.to_string(), first.ident.span());
        }
        visit_mut::visit_path_mut(self, path);
    }
}

/// Finds `Self` itself, as opposed to an associated type of it.
#[derive(Default)]
pub(crate) struct BareSelf(pub(crate) Option<proc_macro2::Span>);

impl<'ast> Visit<'ast> for BareSelf {
    fn visit_type_path(&mut self, path: &'ast TypePath) {
        if path.qself.is_none() && path.path.is_ident("Self") {
            self.0.get_or_insert(path.path.segments[0].ident.span());
        }
        // `<Self as Trait>::Item` is an associated type, whatever `Self` is.
        visit::visit_path(self, &path.path);
    }

    fn visit_where_predicate(&mut self, predicate: &'ast WherePredicate) {
        // `where Self: Sized` and its like hold for the client as for the service.
        if let WherePredicate::Type(predicate) = predicate
            && is_self(&predicate.bounded_ty)
            && predicate.bounds.iter().all(holds_for_clients)
        {
            return;
        }
        visit::visit_where_predicate(self, predicate);
    }
}

fn is_self(ty: &syn::Type) -> bool {
    matches!(ty, syn::Type::Path(path) if path.qself.is_none() && path.path.is_ident("Self"))
}

fn holds_for_clients(bound: &syn::TypeParamBound) -> bool {
    match bound {
        syn::TypeParamBound::Lifetime(_) => true,
        syn::TypeParamBound::Trait(bound) => bound
            .path
            .segments
            .last()
            .is_some_and(|last| ["Sized", "Send", "Sync"].iter().any(|name| last.ident == name)),
        _ => false,
    }
}

/// Whether a word stands anywhere among some tokens.
pub(crate) fn mentions(tokens: impl ToTokens, word: &str) -> bool {
    fn search(tokens: TokenStream, word: &str) -> bool {
        tokens.into_iter().any(|token| match token {
            TokenTree::Ident(ident) => ident == word,
            TokenTree::Group(group) => search(group.stream(), word),
            TokenTree::Punct(_) | TokenTree::Literal(_) => false,
        })
    }
    search(tokens.into_token_stream(), word)
}
