//! The key of a request: the client, user or route that a limit is counted for.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::mem;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::{Extensions, HeaderMap, HeaderName, Method, Request, Uri};

use super::address::{self, Prefixes, Proxies};
use crate::limit::OverflowGroup;

/// A key's text longer than this is no key: a client must not choose how much memory its key takes.
pub const MAX_KEY_BYTES: usize = 256;

/// A request without its body.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// `GET`.
    pub method: &'a Method,
    /// Where to.
    pub uri: &'a Uri,
    /// As they came.
    pub headers: &'a HeaderMap,
    /// What layers further out, and the server, have put there.
    pub extensions: &'a Extensions,
}

impl<'a, B> From<&'a Request<B>> for Head<'a> {
    fn from(request: &'a Request<B>) -> Self {
        Self {
            method: request.method(),
            uri: request.uri(),
            headers: request.headers(),
            extensions: request.extensions(),
        }
    }
}

/// The address of the connected peer, for servers that are not axum: put it among the request's extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// One key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum KeyValue {
    /// Of all who have none.
    Shared,
    /// Of an address, or the network that it is in.
    Address(IpAddr),
    /// Of a text.
    Text(Box<str>),
    /// Of a header, its name and what it says, as [`KeyValue::header`] writes them. Its name is in it, because two headers
    /// that say the same are two keys: a client that may choose one of them must not spend what is the other's.
    Header(Box<str>),
    /// Of several together.
    Several(Box<[KeyValue]>),
}

impl KeyValue {
    /// The key of a header that says this.
    #[must_use]
    pub fn header(name: &HeaderName, value: &str) -> Self {
        // No name has a colon in it, so no two pairs are written alike.
        Self::Header([name.as_str(), ": ", value].concat().into())
    }
}

impl KeyValue {
    /// The network whose keys share an overflow: an attacker with many addresses uses up that of its own network.
    fn overflow_group(&self) -> Option<OverflowGroup> {
        match self {
            Self::Address(address) => Some(OverflowGroup(address::provider_of(*address))),
            Self::Several(keys) => keys.iter().find_map(Self::overflow_group),
            Self::Shared | Self::Text(_) | Self::Header(_) => None,
        }
    }
}

impl Hash for KeyValue {
    fn hash<H: Hasher>(&self, state: &mut H) {
        if let Some(group) = self.overflow_group() {
            group.hash(state);
        }
        mem::discriminant(self).hash(state);
        match self {
            Self::Shared => {}
            Self::Address(address) => address.hash(state),
            Self::Text(text) | Self::Header(text) => text.hash(state),
            Self::Several(keys) => keys.hash(state),
        }
    }
}

impl From<&str> for KeyValue {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

/// How to tell whose a request is.
///
/// A key made of what the client sends is the client's choice: a limit by a header that nobody has checked limits
/// nobody, and costs a limiter for each value. Use one that was authenticated further out.
#[derive(Clone)]
pub struct Key {
    source: Source,
    prefixes: Prefixes,
    /// It has warned that clients share a key. Shared by its clones.
    has_warned: Arc<AtomicBool>,
}

type Function = dyn Fn(&Head<'_>) -> Option<KeyValue> + Send + Sync;

#[derive(Clone)]
enum Source {
    Peer,
    XForwardedFor(Arc<Proxies>),
    Forwarded(Arc<Proxies>),
    Header(HeaderName),
    AddressHeader(HeaderName, Arc<Proxies>),
    PathTemplate,
    Function(Arc<Function>),
    And(Arc<[Key]>),
    Or(Arc<[Key]>),
}

impl Key {
    /// The address that the request came from. With axum, serve by
    /// `into_make_service_with_connect_info::<SocketAddr>()`; with other servers put a [`Peer`] among the
    /// extensions. Behind a proxy this is the proxy: see [`Key::x_forwarded_for`].
    ///
    /// Behind a Unix socket no client has an address, so all of them share one key ([`Unkeyed::Shared`](super::Unkeyed)).
    /// Ways out: put the client's address there as a [`Peer`], from the PROXY protocol or a header that your own proxy
    /// sets; or use [`Key::header`] with an authenticated user. A warning is logged once, as it is where the peer is a
    /// proxy that is not among the trusted ones.
    #[must_use]
    pub fn peer() -> Self {
        Source::Peer.into()
    }

    /// The client that `X-Forwarded-For` names: the rightmost address that is not one of our `proxies`. A client that connects
    /// without being one of them is its own key, whatever it claims. What is left of that address anybody can have made
    /// up, and is not looked at; where a proxy of ours has written something else than an address, the key is that proxy.
    #[must_use]
    pub fn x_forwarded_for(proxies: Proxies) -> Self {
        Source::XForwardedFor(Arc::new(proxies)).into()
    }

    /// The same by `Forwarded` (RFC 7239), whose proxies must put into quotes, and escape, what they pass on of the client's,
    /// such as `host`: what they write is believed. An element that is malformed ends the list, as one that is no address
    /// does. There is no key that takes whichever of both is there: a proxy that writes one of
    /// them passes the other on as the client has made it up.
    #[must_use]
    pub fn forwarded(proxies: Proxies) -> Self {
        Source::Forwarded(Arc::new(proxies)).into()
    }

    /// The one address in a header that only our `proxies` may set, such as `CF-Connecting-IP` or `X-Real-IP`. A client
    /// that connects without being one of them is its own key, whatever the header says. The key is the proxy's where the
    /// header is missing, stands there more than once, or is no address. Have the proxy remove the header from what
    /// clients send.
    #[must_use]
    pub fn address_header(name: HeaderName, proxies: Proxies) -> Self {
        Source::AddressHeader(name, Arc::new(proxies)).into()
    }

    /// What a header says. None if it is not there, or not text, or longer than [`MAX_KEY_BYTES`]; or there more than once,
    /// because then the client's own may stand beside the one that was checked, and nobody knows which of them the service
    /// goes by.
    #[must_use]
    pub fn header(name: HeaderName) -> Self {
        Source::Header(name).into()
    }

    /// The route, such as `/users/{id}`: not the path, of which there are as many as a client likes. Requests without a route
    /// (404, or no axum) have one key together. The layer must be inside the router: `Router::layer` is.
    #[must_use]
    pub fn path_template() -> Self {
        Source::PathTemplate.into()
    }

    /// What `function` says. It is called in the request's task, and should be quick. Equal values are one key, wherever they
    /// come from: of several functions, have each say something that the others never do. An address in it counts by its
    /// network, as [`Key::ipv6_prefix`] and [`Key::ipv4_prefix`] say.
    #[must_use]
    pub fn function(
        function: impl Fn(&Head<'_>) -> Option<KeyValue> + Send + Sync + 'static,
    ) -> Self {
        Source::Function(Arc::new(function)).into()
    }

    /// Both together: a limiter for each pair. None if one of them is.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Source::And(Arc::new([self, other])).into()
    }

    /// This, and the other if this is none: an account's key, or else the address.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Source::Or(Arc::new([self, other])).into()
    }

    /// How many bits of an IPv6 address count. Default 64: one subscriber has at least such a network, and chooses addresses
    /// in it at will. More than 128 is 128. Of a key made of others, of all addresses in it, whatever was said of them before.
    #[must_use]
    pub fn ipv6_prefix(self, bits: u8) -> Self {
        self.with_prefixes(&|prefixes| prefixes.v6 = bits.min(128))
    }

    /// How many bits of an IPv4 address count. Default 32. More than 32 is 32. Of a key made of others as
    /// [`Key::ipv6_prefix`] has it.
    #[must_use]
    pub fn ipv4_prefix(self, bits: u8) -> Self {
        self.with_prefixes(&|prefixes| prefixes.v4 = bits.min(32))
    }

    fn with_prefixes(mut self, set: &dyn Fn(&mut Prefixes)) -> Self {
        set(&mut self.prefixes);
        if let Source::And(keys) | Source::Or(keys) = &mut self.source {
            *keys = keys.iter().map(|key| key.clone().with_prefixes(set)).collect();
        }
        self
    }

    /// The key of a request.
    #[must_use]
    pub fn of(&self, head: &Head<'_>) -> Option<KeyValue> {
        match &self.source {
            Source::Peer => self.address(head, None, |peer| peer),
            Source::XForwardedFor(proxies) => self
                .address(head, Some(proxies), |peer| proxies.x_forwarded_for(peer, head.headers)),
            Source::Forwarded(proxies) => {
                self.address(head, Some(proxies), |peer| proxies.forwarded(peer, head.headers))
            }
            Source::AddressHeader(name, proxies) => {
                self.address(head, Some(proxies), |peer| proxies.named_by(peer, head.headers, name))
            }
            Source::Header(name) => header(head, name),
            Source::PathTemplate => path_template(head),
            Source::Function(function) => function(head).map(|key| self.by_network(key)),
            Source::And(keys) => {
                keys.iter().map(|key| key.of(head)).collect::<Option<_>>().map(KeyValue::Several)
            }
            Source::Or(keys) => keys.iter().find_map(|key| key.of(head)),
        }
    }

    /// The client's address, as `client` finds it from the peer's.
    fn address(
        &self,
        head: &Head<'_>,
        proxies: Option<&Proxies>,
        client: impl FnOnce(IpAddr) -> IpAddr,
    ) -> Option<KeyValue> {
        let Some(peer) = peer(head) else {
            self.warn(
                "requests have no peer address (a Unix socket, or a server without connect info): \
                 their clients share one key; see Key::peer",
            );
            return None;
        };
        let is_trusted = proxies.is_some_and(|proxies| proxies.has(peer));
        if !is_trusted && address::is_forwarded(head.headers) {
            self.warn(
                "a request was forwarded by a peer that is not a trusted proxy: all clients behind \
                 that peer share its key; see Key::x_forwarded_for",
            );
        }
        Some(self.by_network(KeyValue::Address(client(peer))))
    }

    /// The same key with its addresses replaced by their networks.
    fn by_network(&self, key: KeyValue) -> KeyValue {
        match key {
            KeyValue::Address(address) => {
                KeyValue::Address(self.prefixes.network_of(address::translated(address)))
            }
            KeyValue::Several(keys) => {
                KeyValue::Several(keys.into_iter().map(|key| self.by_network(key)).collect())
            }
            key => key,
        }
    }

    /// Warns once. A client may send what it likes, so nothing of the request is logged.
    fn warn(&self, what: &'static str) {
        if !self.has_warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(target: "seawall", key = ?self, "{what}");
        }
    }
}

impl From<Source> for Key {
    fn from(source: Source) -> Self {
        Self { source, prefixes: Prefixes::default(), has_warned: Arc::default() }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Source::Peer => f.write_str("peer"),
            Source::XForwardedFor(proxies) => write!(f, "x_forwarded_for({proxies:?})"),
            Source::Forwarded(proxies) => write!(f, "forwarded({proxies:?})"),
            Source::Header(name) => write!(f, "header({name})"),
            Source::AddressHeader(name, proxies) => {
                write!(f, "address_header({name}, {proxies:?})")
            }
            Source::PathTemplate => f.write_str("path_template"),
            Source::Function(_) => f.write_str("function"),
            Source::And(keys) => write!(f, "and({keys:?})"),
            Source::Or(keys) => write!(f, "or({keys:?})"),
        }
    }
}

fn header(head: &Head<'_>, name: &HeaderName) -> Option<KeyValue> {
    let mut lines = head.headers.get_all(name).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else { return None };
    let value = line.to_str().ok().filter(|value| (1..=MAX_KEY_BYTES).contains(&value.len()))?;
    Some(KeyValue::header(name, value))
}

fn text(text: &str) -> Option<KeyValue> {
    (text.len() <= MAX_KEY_BYTES).then(|| text.into())
}

fn peer(head: &Head<'_>) -> Option<IpAddr> {
    let peer = head.extensions.get::<Peer>().map(|peer| peer.0);
    #[cfg(feature = "axum")]
    let peer = peer.or_else(|| {
        use axum::extract::connect_info::{ConnectInfo, MockConnectInfo};
        let connected = head.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0);
        connected
            .or_else(|| head.extensions.get::<MockConnectInfo<SocketAddr>>().map(|info| info.0))
    });
    peer.map(|peer| address::plain(peer.ip()))
}

#[cfg(feature = "axum")]
fn path_template(head: &Head<'_>) -> Option<KeyValue> {
    let matched = head.extensions.get::<axum::extract::MatchedPath>();
    // No route begins like this, so no other request has this key.
    text(matched.map_or("(no route)", axum::extract::MatchedPath::as_str))
}

#[cfg(not(feature = "axum"))]
fn path_template(_: &Head<'_>) -> Option<KeyValue> {
    text("(no route)")
}
