//! Whose request it is.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::{Extensions, HeaderMap, HeaderName, Method, Request, Uri};

use super::address::{self, Prefixes, Proxies};

/// A key's text longer than this is no key: a stranger must not choose how much memory his key takes.
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

/// The address of whoever is connected, for servers that are not axum: put it among the request's extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// One key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeyValue {
    /// Of all who have none.
    Shared,
    /// Of an address, or the network that it is in.
    Address(IpAddr),
    /// Of a text.
    Text(Box<str>),
    /// Of a header, its name and what it says, as [`KeyValue::header`] writes them. Its name is in it, because two headers
    /// that say the same are two keys: whoever may choose one of them must not spend what is the other's.
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
}

type Function = dyn Fn(&Head<'_>) -> Option<KeyValue> + Send + Sync;

#[derive(Clone)]
enum Source {
    Peer,
    XForwardedFor(Arc<Proxies>),
    Forwarded(Arc<Proxies>),
    Header(HeaderName),
    PathTemplate,
    Function(Arc<Function>),
    And(Arc<[Key]>),
    Or(Arc<[Key]>),
}

impl Key {
    /// The address that the request came from. With axum, serve by
    /// `into_make_service_with_connect_info::<SocketAddr>()`; with other servers put a [`Peer`] among the
    /// extensions. Behind a proxy this is the proxy: see [`Key::x_forwarded_for`].
    #[must_use]
    pub fn peer() -> Self {
        Source::Peer.into()
    }

    /// The client that `X-Forwarded-For` names: the rightmost address that is not one of our `proxies`. Whoever connects
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
    /// come from: of several functions, have each say something that the others never do.
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

    /// How many bits of an IPv6 address count. Default 64: what one subscriber has at least, and can choose the rest of as he
    /// likes. More than 128 is 128. Of a key made of others, of all addresses in it, whatever was said of them before.
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

    /// Whose the request is.
    #[must_use]
    pub fn of(&self, head: &Head<'_>) -> Option<KeyValue> {
        match &self.source {
            Source::Peer => self.address(peer(head)),
            Source::XForwardedFor(proxies) => {
                self.address(peer(head).map(|peer| proxies.x_forwarded_for(peer, head.headers)))
            }
            Source::Forwarded(proxies) => {
                self.address(peer(head).map(|peer| proxies.forwarded(peer, head.headers)))
            }
            Source::Header(name) => header(head, name),
            Source::PathTemplate => path_template(head),
            Source::Function(function) => function(head),
            Source::And(keys) => {
                keys.iter().map(|key| key.of(head)).collect::<Option<_>>().map(KeyValue::Several)
            }
            Source::Or(keys) => keys.iter().find_map(|key| key.of(head)),
        }
    }

    fn address(&self, address: Option<IpAddr>) -> Option<KeyValue> {
        address.map(|address| KeyValue::Address(self.prefixes.network_of(address)))
    }
}

impl From<Source> for Key {
    fn from(source: Source) -> Self {
        Self { source, prefixes: Prefixes::default() }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Source::Peer => f.write_str("peer"),
            Source::XForwardedFor(proxies) => write!(f, "x_forwarded_for({proxies:?})"),
            Source::Forwarded(proxies) => write!(f, "forwarded({proxies:?})"),
            Source::Header(name) => write!(f, "header({name})"),
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
    // No route begins like this, so it is nobody else's key.
    text(matched.map_or("(no route)", axum::extract::MatchedPath::as_str))
}

#[cfg(not(feature = "axum"))]
fn path_template(_: &Head<'_>) -> Option<KeyValue> {
    text("(no route)")
}
