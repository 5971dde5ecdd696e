//! A [`Model`] into Rust. Nothing here can fail: what could go wrong has been found by now, and where
//! something has, the client comes out hollow, so that the mistakes reported are the only ones seen.

mod client;
mod definition;
mod method;

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};
use syn::visit_mut::VisitMut;
use syn::{GenericParam, Generics, Ident, Path, TypeParamBound, parse_quote};

use super::model::{Extent, Method, Model, cfgs};
use super::replace::{SelfIs, mentions};

/// The trait, its client and the client's impls.
pub(crate) fn expand(model: &Model, extent: Extent) -> TokenStream {
    let definition = definition::definition(model);
    if extent == Extent::None {
        return definition;
    }
    let context = Context::new(model, extent == Extent::Whole);
    let client = client::client(&context);
    quote!(#definition #client)
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
}

impl<'a> Context<'a> {
    fn new(model: &'a Model, sound: bool) -> Self {
        let root = &model.options.root;
        let definition = &model.definition;
        let name = &definition.ident;
        let (_, arguments, _) = definition.generics.split_for_impl();
        let bound: Path = parse_quote!(#name #arguments);
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

    /// The methods behind the guards, in the order of their indices.
    fn guarded(&self) -> impl Iterator<Item = &'a Method> {
        self.model.methods.iter().filter(|method| self.sound && method.is_guarded())
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
    insert_service(&mut generics, parse_quote!(#service));
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
    insert_service(&mut generics, parse_quote!(#service: #bound));
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
