//! Addresses, and which of those that a proxy names can be believed.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use http::header::FORWARDED;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::constraint::{Constraints, InvalidSettings};

mod forwarded;

pub(super) use forwarded::Nodes;

/// An IPv4-mapped IPv6 address (`::ffff:0:0/96`) is the IPv4 address: a server that listens on both sees it so.
pub(super) fn plain(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// An IPv6 address by which NAT64 writes an IPv4 client (`64:ff9b::/96`, RFC 6052) is that client. For keys only: which
/// proxies are trusted is decided by the address as it is.
pub(super) fn translated(address: IpAddr) -> IpAddr {
    const NAT64: u128 = 0x64_ff9b << 96;
    match plain(address) {
        IpAddr::V6(v6) if v6.to_bits() >> 32 == NAT64 >> 32 => {
            IpAddr::V4((v6.to_bits() as u32).into())
        }
        address => address,
    }
}

/// A number for the network that one provider, and so one attacker, has at most: IPv4 /16, IPv6 /32.
pub(super) fn provider_of(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(v4) => u64::from(v4.to_bits() >> 16),
        IpAddr::V6(v6) => 1 << 32 | (v6.to_bits() >> 96) as u64,
    }
}

/// Whether the request says that a proxy has forwarded it.
pub(super) fn is_forwarded(headers: &HeaderMap) -> bool {
    headers.contains_key(FORWARDED) || headers.contains_key("x-forwarded-for")
}

/// How many bits of an address count.
#[derive(Clone, Copy, Debug)]
pub(super) struct Prefixes {
    pub(super) v4: u8,
    pub(super) v6: u8,
}

impl Default for Prefixes {
    fn default() -> Self {
        Self { v4: 32, v6: 64 }
    }
}

impl Prefixes {
    pub(super) fn network_of(self, address: IpAddr) -> IpAddr {
        match address {
            IpAddr::V4(v4) => IpAddr::V4((v4.to_bits() & mask_v4(self.v4)).into()),
            IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & mask_v6(self.v6)).into()),
        }
    }
}

fn mask_v4(bits: u8) -> u32 {
    u32::MAX.checked_shl(32_u32.saturating_sub(bits.into())).unwrap_or(0)
}

fn mask_v6(bits: u8) -> u128 {
    u128::MAX.checked_shl(128_u32.saturating_sub(bits.into())).unwrap_or(0)
}

/// A network: `10.0.0.0/8`, `fd00::/8`, or one address. `::ffff:10.0.0.0/104` is the first of them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Network {
    base: IpAddr,
    bits: u8,
}

/// As many bits as there are before the address of an IPv4 host in its IPv6 form.
const MAPPED_BITS: u8 = 96;

impl Network {
    /// Addresses are compared in their plain form, so a network has to be in that too, or it would never match.
    fn canonical(base: IpAddr, bits: u8) -> Self {
        match (plain(base), bits.checked_sub(MAPPED_BITS)) {
            (plain, Some(bits)) if plain.is_ipv4() != base.is_ipv4() => Self { base: plain, bits },
            _ => Self { base, bits },
        }
    }

    /// Whether `address` is in it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let prefixes = Prefixes { v4: self.bits, v6: self.bits };
        let address = plain(address);
        address.is_ipv4() == self.base.is_ipv4() && prefixes.network_of(address) == self.base
    }
}

impl FromStr for Network {
    type Err = InvalidSettings;

    /// # Errors
    /// It is no network, or has bits outside of its prefix: then it may be another than was meant.
    fn from_str(text: &str) -> Result<Self, InvalidSettings> {
        let (base, bits) =
            text.split_once('/').map_or((text, None), |(base, bits)| (base, Some(bits)));
        let network = base.parse::<IpAddr>().ok().and_then(|base| {
            let most = if base.is_ipv4() { 32 } else { 128 };
            let bits = bits.map_or(Some(most), digits);
            let bits = bits.filter(|&bits| bits <= most)?;
            let is_base = Prefixes { v4: bits, v6: bits }.network_of(base) == base;
            is_base.then(|| Self::canonical(base, bits))
        });
        network.ok_or_else(|| {
            let mut check = Constraints::default();
            let allowed = "as \"10.0.0.0/8\" or \"fd00::/8\", with no bits set after the prefix";
            check.require(false, "network", text, allowed);
            check.finish(()).err().unwrap_or_default()
        })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.bits)
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The proxies whose word is taken: networks that only they are in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies(Vec<Network>);

impl Proxies {
    /// Those in `networks`.
    ///
    /// # Errors
    /// Every one that is no network.
    pub fn new<'a>(networks: impl IntoIterator<Item = &'a str>) -> Result<Self, InvalidSettings> {
        let mut check = Constraints::default();
        let mut proxies = Vec::new();
        for text in networks {
            match text.parse() {
                Ok(network) => proxies.push(network),
                Err(_) => check.require(
                    false,
                    "proxies",
                    text,
                    "networks such as \"10.0.0.0/8\" or \"fd00::/8\", with no bits set after the prefix",
                ),
            }
        }
        check.finish(Self(proxies))
    }

    pub(super) fn has(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }

    pub(super) fn x_forwarded_for<'a>(&self, peer: IpAddr, headers: &'a HeaderMap) -> IpAddr {
        let elements = |line: &'a HeaderValue| line.as_bytes().rsplit(|&byte| byte == b',');
        let lines = from_the_right(headers, "x-forwarded-for");
        self.walk(peer, lines.flat_map(elements).map(|it| address(std::str::from_utf8(it).ok()?)))
    }

    /// The one address in the header of this name, if the peer is a proxy; else the peer.
    pub(super) fn named_by(&self, peer: IpAddr, headers: &HeaderMap, name: &HeaderName) -> IpAddr {
        let mut values = headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (Some(value), None) if self.has(peer) => {
                value.to_str().ok().and_then(address).unwrap_or(peer)
            }
            _ => peer,
        }
    }

    pub(super) fn forwarded(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let lines = from_the_right(headers, FORWARDED.as_str());
        let nodes = lines.flat_map(|line| Nodes::of(line.as_bytes()));
        self.walk(peer, nodes.map(|node| address(&node?)))
    }

    /// From the peer outwards, for as long as each address was said by one of the proxies.
    fn walk(&self, peer: IpAddr, hops: impl Iterator<Item = Option<IpAddr>>) -> IpAddr {
        let mut client = peer;
        for hop in hops {
            match hop {
                Some(hop) if self.has(client) => client = hop,
                // Either this one is nobody's word, or a proxy knows no better: it stands for its clients.
                _ => break,
            }
        }
        client
    }
}

/// A list's lines, the last one first. From the right, because only the right end is written by proxies of ours: nothing
/// further left, be it as malformed as it may, can change how it is read.
fn from_the_right<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a HeaderValue> {
    headers.get_all(name).iter().rev()
}

/// `FromStr` would take a `+` as well.
fn digits(text: &str) -> Option<u8> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// An address, with or without a port; IPv6 with or without brackets.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let with_port = || text.parse::<SocketAddr>().map(|address| address.ip());
    bare.parse().or_else(|_| with_port()).ok().map(plain)
}
