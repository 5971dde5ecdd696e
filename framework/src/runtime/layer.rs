//! Makes the layer that guards an HTTP or gRPC client.

use std::fmt;
use std::sync::Arc;

use http::HeaderName;

use crate::dependency::MethodSpec;
use crate::layer::{PROTECTED_METHOD, ProtectLayer};
use crate::outcome::Class;
use crate::outgoing::{OutgoingLayer, RequestHead, ResponseStatus, SentOnce, Settings};
use crate::policy::Policy;

use super::calls::OTHER;
use super::error::SpawnError;
use super::seawall::Seawall;

impl Seawall {
    /// Guards around a client that is a `tower::Service`: hyper's, reqwest's, a channel of tonic's. The page of
    /// [`outgoing`](crate::outgoing) says what they do.
    ///
    /// ```
    /// # async fn made(seawall: seawall::Seawall) -> Result<(), seawall::SpawnError> {
    /// let layer = seawall
    ///     .layer("search")
    ///     .methods(&["find", "index"])
    ///     .label(|request| match request.path {
    ///         path if path.starts_with("/find/") => "find",
    ///         "/index" => "index",
    ///         _ => "other",
    ///     })
    ///     .spawn()
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn layer<'a>(&'a self, name: &'a str) -> LayerBuilder<'a> {
        LayerBuilder {
            seawall: self,
            name,
            methods: Vec::new(),
            settings: Settings::default(),
            resend: SentOnce,
        }
    }
}

impl Seawall {
    /// A guard in front of a server of this process; [`ProtectLayer`] says what it does. Its policy is the section of this name, or
    /// [`Policy::for_server`](crate::Policy::for_server) where there is none.
    ///
    /// # Errors
    /// As [`Seawall::spawn`].
    pub async fn protect(&self, name: &str) -> Result<ProtectLayer, SpawnError> {
        self.set_usual(name, Policy::for_server);
        Ok(ProtectLayer::new(self.declare(name, &[PROTECTED_METHOD]).await?))
    }
}

/// A layer that is being set up; see [`Seawall::layer`].
#[must_use = "nothing is guarded before `spawn`"]
pub struct LayerBuilder<'a, F = SentOnce> {
    seawall: &'a Seawall,
    name: &'a str,
    methods: Vec<MethodSpec>,
    settings: Settings,
    resend: F,
}

impl<'a, F> LayerBuilder<'a, F> {
    /// Declares methods, so that the labels of metrics stay bounded. Requests for any other count as
    /// [`OTHER`](super::OTHER).
    pub fn methods(mut self, names: &[&'static str]) -> Self {
        self.declare(names, false);
        self
    }

    /// Declares methods that do no harm when they are done twice. Their requests are sent again, as the policy says of
    /// retries, while `copy` can make another of them.
    ///
    /// ```
    /// # async fn made(seawall: seawall::Seawall) -> Result<(), seawall::SpawnError> {
    /// use http::Request;
    ///
    /// let copy = |request: &Request<String>| Some(request.clone());
    /// let layer = seawall.layer("search").idempotent(&["/find"], copy).spawn().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// For reqwest, `copy` is `reqwest::Request::try_clone`.
    pub fn idempotent<Q, G>(mut self, names: &[&'static str], copy: G) -> LayerBuilder<'a, G>
    where
        G: Fn(&Q) -> Option<Q> + Clone,
    {
        self.declare(names, true);
        let Self { seawall, name, methods, settings, resend: _ } = self;
        LayerBuilder { seawall, name, methods, settings, resend: copy }
    }

    /// Which method a request is for: one of the declared names. Default: its path.
    pub fn label<G>(mut self, label: G) -> Self
    where
        G: for<'r> Fn(&RequestHead<'r>) -> &'r str + Send + Sync + 'static,
    {
        self.settings.label = Arc::new(label);
        self
    }

    /// What a response says about the server's health. Default: [`ResponseStatus::class`].
    pub fn classify<G>(mut self, classify: G) -> Self
    where
        G: Fn(&ResponseStatus<'_>) -> Class + Send + Sync + 'static,
    {
        self.settings.classify = Arc::new(classify);
        self
    }

    /// The field in which requests that are not gRPC's say for how many milliseconds an answer is waited for; `None`: they
    /// do not say it. Default `x-envoy-expected-rq-timeout-ms`.
    pub fn timeout_header(mut self, name: impl Into<Option<HeaderName>>) -> Self {
        self.settings.timeout_header = name.into();
        self
    }

    /// Whether the service's `poll_ready` waits while a request would be refused: while the breaker is open, or the mailbox is full. For callers
    /// that produce work as they are ready (a consumer of a queue, `tower`'s `Buffer`, `LoadShed`, load balancers); somebody else may be
    /// faster, and then a request waits or is refused all the same. Default false: always ready.
    pub fn wait_until_ready(mut self, wait: bool) -> Self {
        self.settings.waits_until_ready = wait;
        self
    }

    /// Makes the dependency, with its actor, and the layer that leads through its guards.
    ///
    /// # Errors
    /// As [`Seawall::spawn`].
    pub async fn spawn(self) -> Result<OutgoingLayer<F>, SpawnError> {
        let Self { seawall, name, mut methods, settings, resend } = self;
        methods.push(MethodSpec { name: OTHER, ..MethodSpec::NONE });
        Ok(OutgoingLayer::new(seawall.declare(name, methods).await?, settings, resend))
    }

    /// The last declaration of a name counts.
    fn declare(&mut self, names: &[&'static str], idempotent: bool) {
        self.methods.retain(|spec| !names.contains(&spec.name));
        let spec = |&name| MethodSpec { name, idempotent, ..MethodSpec::NONE };
        self.methods.extend(names.iter().map(spec));
    }
}

impl<F> fmt::Debug for LayerBuilder<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("LayerBuilder");
        debug.field("name", &self.name).field("methods", &self.methods).finish_non_exhaustive()
    }
}
