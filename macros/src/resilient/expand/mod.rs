//! A [`Model`] into Rust. Nothing here can fail: what could go wrong has been found by now, and where
//! something has, the client comes out hollow, so that the mistakes reported are the only ones seen.

mod answer;
mod body;
mod bounds;
mod client;
mod definition;
mod detached;
mod erased;
mod keys;
mod method;
mod parts;
mod rules;
mod supertraits;

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};
use syn::visit_mut::VisitMut;
use syn::{ExprPath, GenericParam, Generics, Ident, Path, Type, TypeParamBound, parse_quote};

use super::model::{Extent, Method, Model, Sharing, cfgs};
use super::replace::{SelfIs, mentions};

pub(crate) use parts::{implement, part, pieces};

/// The trait, its client and the client's impls.
pub(crate) fn expand(model: &Model, extent: Extent) -> TokenStream {
    let definition = definition::definition(model);
    if extent == Extent::None {
        return definition;
    }
    let context = Context::new(model, extent == Extent::Whole);
    let (client, erased) = (client::client(&context), erased::erased(&context));
    quote!(#definition #client #erased)
}

/// What every part of the client needs.
struct Context<'a> {
    model: &'a Model,
    /// Whether there were no mistakes.
    sound: bool,
    /// `::seawall::client`.
    support: TokenStream,
    /// `cfg`s of the trait.
    cfgs: Vec<&'a syn::Attribute>,
    /// `Trait<A, B>`.
    bound: Path,
    /// Parameters of the client's type: the service and the trait's own, without bounds.
    plain: Generics,
    /// The same, bounded so that the service implements the trait.
    bounded: Generics,
    /// The same for what a dependency is made of, which outlives its caller.
    lasting: Generics,
    /// An enum of the guarded methods: a variant as a number is the method's index, whatever is cfg'd out.
    indices: Ident,
    /// The index of the first of them among the client's methods; nothing, if that is the first.
    offset: TokenStream,
}

impl<'a> Context<'a> {
    fn new(model: &'a Model, sound: bool) -> Self {
        let root = &model.options.root;
        let definition = &model.definition;
        let name = &definition.ident;
        let (_, arguments, _) = definition.generics.split_for_impl();
        let bound: Path = match &model.options.remote {
            Some(remote) => parse_quote!(#remote #arguments),
            None => parse_quote!(#name #arguments),
        };
        let bounded = bounded(model, &bound);
        Self {
            model,
            sound,
            support: quote!(#root::client),
            cfgs: cfgs(&definition.attrs).collect(),
            plain: plain(model),
            lasting: lasting(model, &bounded),
            bounded,
            bound,
            indices: format_ident!("__{}", model.client),
            offset: TokenStream::new(),
        }
    }

    /// `::seawall::client` as if it stood at `span`, so that a complaint about what is called there does too.
    fn support_at(&self, span: Span) -> TokenStream {
        let moved = self.support.clone().into_iter().map(|mut token| {
            token.set_span(span);
            token
        });
        moved.collect()
    }

    /// What makes an answer of a fault, for a method whose answers are no `Result`s.
    fn on_fault(&self, method: &'a Method) -> Option<&'a ExprPath> {
        let of_trait = self.model.options.on_fault.as_ref();
        method.call.on_fault.as_ref().or(of_trait.filter(|_| !is_result(&method.output)))
    }

    /// What makes an error of a fault, if that is not `From`.
    fn fault_with(&self, method: &'a Method) -> Option<&'a ExprPath> {
        let of_trait = self.model.options.fault_with.as_ref().map(|(_, path)| path);
        method.call.fault_with.as_ref().or(of_trait)
    }

    /// `offset +`, as a constant; nothing, if there is none.
    fn first(&self) -> Option<TokenStream> {
        let offset = &self.offset;
        (!offset.is_empty()).then(|| quote!(const { #offset } +))
    }

    /// How clones share the service: a type.
    fn shared(&self) -> TokenStream {
        let (support, service) = (&self.support, &self.model.service);
        match self.model.options.sharing {
            Sharing::Exclusive => quote!(#support::Exclusive<#service>),
            _ => quote!(::std::sync::Arc<#service>),
        }
    }

    /// A method's index, as an expression.
    fn index(&self, method: &Method) -> TokenStream {
        let (first, indices, name) = (self.first(), &self.indices, &method.sig.ident);
        quote!(#first #indices::#name as usize)
    }

    /// The methods behind the guards, in the order of their indices.
    fn guarded(&self) -> impl Iterator<Item = &'a Method> {
        self.model.methods.iter().filter(|method| self.sound && method.is_guarded())
    }
}

/// Whether a type is called a `Result`.
fn is_result(ty: &Type) -> bool {
    match ty {
        Type::Group(group) => is_result(&group.elem),
        Type::Paren(paren) => is_result(&paren.elem),
        Type::Path(path) => {
            let last = path.path.segments.last();
            last.is_some_and(|last| last.ident.to_string().ends_with("Result"))
        }
        _ => false,
    }
}

fn plain(model: &Model) -> Generics {
    let service = &model.service;
    let mut generics = model.definition.generics.clone();
    generics.where_clause = None;
    for param in &mut generics.params {
        match param {
            GenericParam::Lifetime(param) => {
                param.colon_token = None;
                param.bounds.clear();
            }
            GenericParam::Type(param) => {
                param.bounds = std::mem::take(&mut param.bounds)
                    .into_iter()
                    .filter(|bound| matches!(bound, TypeParamBound::Trait(t) if t.maybe.is_some()))
                    .collect();
                param.colon_token = (!param.bounds.is_empty()).then(Default::default);
                // A default of `Self` would be the client.
                param.default.take_if(|(_, ty)| mentions(&*ty, "Self"));
            }
            GenericParam::Const(_) => {}
        }
    }
    let unsized_too = model.takes_dyn().then(|| quote!(: ?Sized));
    insert_service(&mut generics, parse_quote!(#service #unsized_too));
    generics
}

fn bounded(model: &Model, bound: &Path) -> Generics {
    let service = &model.service;
    let mut generics = model.definition.generics.clone();
    SelfIs(service).visit_generics_mut(&mut generics);
    for param in &mut generics.params {
        match param {
            GenericParam::Type(param) => param.default = None,
            GenericParam::Const(param) => param.default = None,
            GenericParam::Lifetime(_) => {}
        }
    }
    let unsized_too = model.takes_dyn().then(|| quote!(?Sized+));
    insert_service(&mut generics, parse_quote!(#service: #unsized_too #bound));
    bounds::add(&mut generics, model);
    generics
}

fn lasting(model: &Model, bounded: &Generics) -> Generics {
    let service = &model.service;
    let mut generics = bounded.clone();
    generics.make_where_clause().predicates.push(parse_quote!(#service: 'static));
    generics
}

/// Lifetimes come first, then the service, then what the trait has besides.
fn insert_service(generics: &mut Generics, service: GenericParam) {
    let lifetimes = generics.lifetimes().count();
    generics.params.insert(lifetimes, service);
}
