//! Whose request it is.

use std::net::IpAddr;

use proptest::prelude::*;

use super::*;

fn from(peer: &str, headers: &[(&str, &str)]) -> Request<()> {
    let mut request = get("/");
    if let Ok(peer) = peer.parse::<IpAddr>() {
        request.extensions_mut().insert(Peer((peer, 4711).into()));
    }
    for (name, value) in headers {
        let name: http::HeaderName = name.parse().unwrap();
        request.headers_mut().append(name, value.parse().unwrap());
    }
    request
}

fn key_of(key: &Key, request: &Request<()>) -> Option<KeyValue> {
    key.of(&Head::from(request))
}

fn address(address: &str) -> Option<KeyValue> {
    Some(KeyValue::Address(address.parse().unwrap()))
}

fn proxies() -> Proxies {
    Proxies::new(["10.0.0.0/8", "fd00::/8", "192.0.2.1"]).unwrap()
}

#[test]
fn networks_are_checked_all_at_once() {
    for good in
        ["10.0.0.0/8", "0.0.0.0/0", "::/0", "fd00::/8", "192.0.2.1", "2001:db8::1", "::1/128"]
    {
        assert!(good.parse::<Network>().is_ok(), "{good}");
    }
    for bad in [
        "",
        "10.0.0.1/8",
        "10.0.0.0/33",
        "fd00::/129",
        "10.0.0/8",
        "10.0.0.0/-1",
        "10.0.0.0/",
        "10.0.0.0/+8",
        "x/8",
        "::ffff:10.0.0.0/102",
        "::ffff:10.0.0.0/80",
    ] {
        let wrong = bad.parse::<Network>().unwrap_err();
        assert!(wrong.to_string().contains("10.0.0.0/8"), "{wrong}");
    }
    let wrong = Proxies::new(["10.0.0.0/8", "10.0.0.1/8", "nonsense"]).unwrap_err();
    assert_eq!(wrong.as_slice().len(), 2);
    let all_v4: Network = "0.0.0.0/0".parse().unwrap();
    assert!(all_v4.contains("8.8.8.8".parse().unwrap()));
    assert!(all_v4.contains("::ffff:8.8.8.8".parse().unwrap()), "the same address");
    assert!(!all_v4.contains("2001:db8::1".parse().unwrap()));
}

#[test]
fn an_ipv4_network_in_ipv6s_clothes_is_that_network() {
    for (clothed, plain) in [
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("::ffff:0.0.0.0/96", "0.0.0.0/0"),
        ("::ffff:192.0.2.1", "192.0.2.1/32"),
        ("::ffff:c000:201/128", "192.0.2.1/32"),
    ] {
        let network: Network = clothed.parse().unwrap();
        assert_eq!((network, network.to_string()), (plain.parse().unwrap(), plain.to_owned()));
    }
    let key = Key::x_forwarded_for(Proxies::new(["::ffff:10.0.0.0/104"]).unwrap());
    for peer in ["10.1.1.1", "::ffff:10.1.1.1"] {
        let request = from(peer, &[("x-forwarded-for", "203.0.113.7")]);
        assert_eq!(key_of(&key, &request), address("203.0.113.7"), "{peer} is a proxy of ours");
    }
}

#[test]
fn a_prefix_reaches_every_address_inside_a_key() {
    let account = Key::header(http::HeaderName::from_static("x-account"));
    let nested = Key::peer().ipv6_prefix(56).ipv4_prefix(16);
    let keys = [
        account.clone().or(Key::peer()),
        account.or(nested.or(Key::path_template())),
        Key::x_forwarded_for(proxies()).or(Key::peer()),
    ];
    for key in keys.map(|key| key.ipv6_prefix(48).ipv4_prefix(24)) {
        assert_eq!(key_of(&key, &from("2001:db8:1:2::6", &[])), address("2001:db8:1::"), "{key:?}");
        assert_eq!(key_of(&key, &from("203.0.113.7", &[])), address("203.0.113.0"), "{key:?}");
    }
    let both = Key::peer().and(Key::path_template()).ipv6_prefix(48);
    let seen = key_of(&both, &from("2001:db8:1:2::6", &[]));
    let parts = [address("2001:db8:1::").unwrap(), "(no route)".into()];
    assert_eq!(seen, Some(KeyValue::Several(parts.into())));
}

#[test]
fn a_peer_is_an_address_and_in_ipv6_the_network_that_a_subscriber_has() {
    let key = Key::peer();
    assert_eq!(key_of(&key, &from("203.0.113.7", &[])), address("203.0.113.7"));
    assert_eq!(key_of(&key, &from("::ffff:203.0.113.7", &[])), address("203.0.113.7"));
    assert_eq!(key_of(&key, &from("2001:db8:1:2:3:4:5:6", &[])), address("2001:db8:1:2::"));
    assert_eq!(
        key_of(&key.clone().ipv6_prefix(48), &from("2001:db8:1:2::6", &[])),
        address("2001:db8:1::")
    );
    assert_eq!(
        key_of(&key.clone().ipv6_prefix(255), &from("2001:db8::6", &[])),
        address("2001:db8::6")
    );
    assert_eq!(key_of(&key.clone().ipv6_prefix(0), &from("2001:db8::6", &[])), address("::"));
    assert_eq!(
        key_of(&key.clone().ipv4_prefix(24), &from("203.0.113.7", &[])),
        address("203.0.113.0")
    );
    assert_eq!(key_of(&key, &from("", &[])), None);
}

#[test]
fn the_rightmost_address_that_is_no_proxy_of_ours_is_the_client() {
    let key = Key::x_forwarded_for(proxies());
    let client = |peer, forwarded: &[&str]| {
        let headers: Vec<_> = forwarded.iter().map(|&line| ("x-forwarded-for", line)).collect();
        key_of(&key, &from(peer, &headers))
    };
    assert_eq!(client("10.1.1.1", &["203.0.113.7"]), address("203.0.113.7"));
    assert_eq!(client("10.1.1.1", &["203.0.113.7, 10.2.2.2"]), address("203.0.113.7"));
    assert_eq!(client("10.1.1.1", &["6.6.6.6, 203.0.113.7"]), address("203.0.113.7"), "made up");
    assert_eq!(client("10.1.1.1", &["6.6.6.6", "203.0.113.7", "10.2.2.2"]), address("203.0.113.7"));
    assert_eq!(client("203.0.113.9", &["6.6.6.6"]), address("203.0.113.9"), "not one of ours");
    assert_eq!(client("10.1.1.1", &[]), address("10.1.1.1"));
    assert_eq!(client("10.1.1.1", &["10.3.3.3, 10.2.2.2"]), address("10.3.3.3"), "one of us asks");
    assert_eq!(client("10.1.1.1", &["6.6.6.6, unknown"]), address("10.1.1.1"));
    assert_eq!(client("10.1.1.1", &["6.6.6.6, junk, 10.2.2.2"]), address("10.2.2.2"));
    assert_eq!(client("10.1.1.1", &["203.0.113.7:1234"]), address("203.0.113.7"));
    assert_eq!(client("10.1.1.1", &["[2001:db8::1]:1234"]), address("2001:db8::"));
    assert_eq!(client("10.1.1.1", &["2001:db8::1"]), address("2001:db8::"));
    assert_eq!(client("fd00::1", &["::ffff:10.2.2.2"]), address("10.2.2.2"));
    assert_eq!(client("", &["203.0.113.7"]), None, "nobody vouches for it");
}

#[test]
fn forwarded_is_read_as_rfc_7239_has_it_and_only_where_it_was_asked_for() {
    let key = Key::forwarded(proxies());
    let client = |line: &str| key_of(&key, &from("10.1.1.1", &[("forwarded", line)]));
    assert_eq!(client("for=203.0.113.7"), address("203.0.113.7"));
    assert_eq!(client("For=\"[2001:db8:cafe::17]:4711\""), address("2001:db8:cafe::"));
    assert_eq!(client("for=192.0.2.60;proto=http;by=203.0.113.43"), address("192.0.2.60"));
    assert_eq!(client("proto=http ; for=\"192.0.2.43:47\" , for=10.9.9.9"), address("192.0.2.43"));
    assert_eq!(client("for=6.6.6.6, for=_hidden"), address("10.1.1.1"));
    assert_eq!(client("for=6.6.6.6, proto=http"), address("10.1.1.1"));
    assert_eq!(
        client("for=\"6.6.6.6, for=203.0.113.7"),
        address("203.0.113.7"),
        "an open quote to the left"
    );
    assert_eq!(client("For=203.0.113.7;;proto=https;"), address("203.0.113.7"), "empty pairs");
    assert_eq!(client("for=\"203\\.0.113.\\7\""), address("203.0.113.7"), "needless escapes");
    assert_eq!(client("for=[2001:db8::1]:80;host=a.example:80"), address("2001:db8::"), "lenient");
    // A Host may have commas and semicolons, and proxies put it between quotes.
    for host in ["a,for=6.6.6.6;x=", "a;for=6.6.6.6;b", "a\\\",for=6.6.6.6;x=", ",for=6.6.6.6"] {
        for element in
            [format!("for=203.0.113.7;host=\"{host}\""), format!("host=\"{host}\";for=203.0.113.7")]
        {
            assert_eq!(client(&element), address("203.0.113.7"), "{element}");
            let behind = format!("for=9.9.9.9, {element}, for=10.2.2.2;host=\"{host}\"");
            assert_eq!(client(&behind), address("203.0.113.7"), "{behind}");
        }
    }
    assert_eq!(client("for=6.6.6.6;for=203.0.113.7"), address("10.1.1.1"), "it must not");
    let both = [("forwarded", "for=6.6.6.6"), ("x-forwarded-for", "203.0.113.7")];
    assert_eq!(
        key_of(&Key::x_forwarded_for(proxies()), &from("10.1.1.1", &both)),
        address("203.0.113.7")
    );
    let other = [("x-forwarded-for", "6.6.6.6")];
    assert_eq!(key_of(&key, &from("10.1.1.1", &other)), address("10.1.1.1"));
}

#[test]
fn what_a_proxy_has_quoted_is_the_clients_text_and_no_address() {
    let key = Key::forwarded(proxies());
    let client = |line: &str| key_of(&key, &from("10.1.1.1", &[("forwarded", line)]));
    for host in [
        "x,for=6.6.6.6;a=",
        ";for=6.6.6.6",
        r#"\",for=6.6.6.6;a=\""#,
        r"\\",
        r#"\\\",for=6.6.6.6"#,
        "",
        "for=6.6.6.6,for=6.6.6.6",
    ] {
        for line in [
            format!(r#"for=203.0.113.7;host="{host}";proto=https"#),
            format!(r#"host="{host}";for=203.0.113.7"#),
            format!(r#"for=6.6.6.6, for="203.0.113.7";host="{host}""#),
            format!(r#"for="6.6.6.6, for=203.0.113.7;host="{host}""#),
            format!(r#"for=6.6.6.6;a=", for=203.0.113.7;host="{host}",for=10.2.2.2;host="{host}""#),
        ] {
            assert_eq!(client(&line), address("203.0.113.7"), "{line}");
        }
    }
}

#[test]
fn an_element_that_is_malformed_ends_the_list() {
    let key = Key::forwarded(proxies());
    let client = |line: &str| key_of(&key, &from("10.1.1.1", &[("forwarded", line)]));
    for malformed in [
        "for=10.2.2.2;host=\"x",
        "for=10.2.2.2;host=x\"",
        "for=10.2.2.2;host=x\"y\"",
        "for=10.2.2.2;host=\"x\"y",
        r#"for=10.2.2.2;host="x\""#,
        r#"for=10.2.2.2;host="x\\"y""#,
        r"for=10.2.2.2;host=x\",
        "for=10.2.2.2;for=10.2.2.2",
        "for=10.2.2.2 host=x",
        "for =10.2.2.2",
        "for=",
        "for",
        "=10.2.2.2",
        "=;for=10.2.2.2",
        "10.2.2.2",
        "",
    ] {
        for left in ["for=6.6.6.6", "for=6.6.6.6;a=b, for=10.2.2.2", "for=6.6.6.6;a=\"b\""] {
            let line = format!("{left}, {malformed}");
            assert_eq!(client(&line), address("10.1.1.1"), "{line}");
            let lines = [("forwarded", left), ("forwarded", malformed)];
            assert_eq!(key_of(&key, &from("10.1.1.1", &lines)), address("10.1.1.1"), "{lines:?}");
        }
    }
}

#[test]
fn keys_by_header_are_bounded_and_keys_combine() {
    let account = Key::header(http::HeaderName::from_static("x-account"));
    let of = |value: &str| key_of(&account, &from("1.2.3.4", &[("x-account", value)]));
    let key = |value: &str| KeyValue::header(&http::HeaderName::from_static("x-account"), value);
    assert_eq!(of("a"), Some(key("a")));
    assert_eq!(of(""), None);
    assert_eq!(of(&"x".repeat(MAX_KEY_BYTES)), Some(key(&"x".repeat(MAX_KEY_BYTES))));
    assert_eq!(of(&"x".repeat(MAX_KEY_BYTES + 1)), None);
    let request = from("1.2.3.4", &[]);
    assert_eq!(key_of(&account.clone().or(Key::peer()), &request), address("1.2.3.4"));
    assert_eq!(key_of(&account.clone().and(Key::peer()), &request), None);
    let both = key_of(&account.and(Key::peer()), &from("1.2.3.4", &[("x-account", "a")]));
    let parts = [key("a"), address("1.2.3.4").unwrap()];
    assert_eq!(both, Some(KeyValue::Several(parts.into())));
}

#[test]
fn a_client_that_may_choose_one_header_cannot_spend_what_is_anothers() {
    let [a, b] = ["x-account", "x-session"].map(http::HeaderName::from_static);
    let key = Key::header(a).or(Key::header(b));
    let of = |lines: &[(&str, &str)]| key_of(&key, &from("1.2.3.4", lines));
    let keys = [of(&[("x-account", "bob")]), of(&[("x-session", "bob")])];
    assert!(keys.iter().all(Option::is_some) && keys[0] != keys[1], "{keys:?}");
    // Neither by what a function may make of a text, nor by a second line beside the one that was checked.
    assert_ne!(keys[0], Some("x-account: bob".into()));
    assert_eq!(of(&[("x-account", "eve"), ("x-account", "bob")]), None);
}

#[test]
fn paths_that_nobody_routes_are_one_key() {
    let keys: Vec<_> =
        (0..100).map(|i| key_of(&Key::path_template(), &get(&format!("/{i}")))).collect();
    assert!(keys.iter().all(|key| key.is_some() && *key == keys[0]));
}

proptest! {
    #[test]
    fn nothing_that_a_stranger_sends_makes_him_somebody_else(
        lines in prop::collection::vec("[ -~]{0,40}", 0..4),
        last in "[0-9]{1,3}\\.[0-9]{1,3}",
    ) {
        // The proxy appends, after whatever the client has sent.
        let real = format!("203.0.{last}");
        let Ok(real_address) = real.parse::<IpAddr>() else { return Ok(()) };
        for (key, name, written) in [
            (Key::x_forwarded_for(proxies()), "x-forwarded-for", real.clone()),
            (Key::forwarded(proxies()), "forwarded", format!("for={real}")),
        ] {
            let mut sent: Vec<_> = lines.iter().map(|line| (name, line.as_str())).collect();
            let direct = key_of(&key, &from("198.51.100.1", &sent));
            prop_assert_eq!(direct, address("198.51.100.1"));
            // On a line of its own, and at the end of the client's last line.
            sent.push((name, &written));
            let seen = key_of(&key, &from("10.1.1.1", &sent));
            prop_assert_eq!(seen, Some(KeyValue::Address(real_address)));
            let joined = format!("{}, {written}", lines.last().map_or("", String::as_str));
            let seen = key_of(&key, &from("10.1.1.1", &[(name, &joined)]));
            prop_assert_eq!(seen, Some(KeyValue::Address(real_address)));
        }
    }

    /// The proxy's own element holds what the client has chosen, quoted as RFC 9110 has it, in any order with the rest.
    #[test]
    fn nothing_that_a_proxy_passes_on_in_quotes_makes_a_stranger_somebody_else(
        host in "([ -~]|[,;=\"\\\\]|for=6\\.6\\.6\\.6|10\\.2\\.2\\.2){0,12}",
        left in "([ -~]|[,;=\"\\\\]|for=6\\.6\\.6\\.6){0,12}",
        order in 0..3,
        has_proxy in any::<bool>(),
        own_line in any::<bool>(),
    ) {
        let quoted = format!("\"{}\"", host.replace('\\', "\\\\").replace('"', "\\\""));
        let element = match order {
            0 => format!("for=203.0.113.7;host={quoted};proto=https"),
            1 => format!("host={quoted};proto=http;for=203.0.113.7"),
            _ => format!("by={quoted};For=\"203.0.113.7:47\";host={quoted}"),
        };
        let proxy = if has_proxy { format!(", for=10.2.2.2;host={quoted}") } else { String::new() };
        let sent = if own_line {
            vec![("forwarded", left), ("forwarded", element + &proxy)]
        } else {
            vec![("forwarded", format!("{left}, {element}{proxy}"))]
        };
        let sent: Vec<_> = sent.iter().map(|(name, line)| (*name, line.as_str())).collect();
        let seen = key_of(&Key::forwarded(proxies()), &from("10.1.1.1", &sent));
        prop_assert_eq!(seen, address("203.0.113.7"));
    }

    /// Of a line that is well-formed the elements from the right are those from the left.
    #[test]
    fn read_from_either_end_a_line_says_the_same(
        values in prop::collection::vec("[ -~]{0,6}", 1..5),
    ) {
        let escaped = |value: &String| value.replace('\\', "\\\\").replace('"', "\\\"");
        let elements: Vec<_> = values.iter().map(|it| format!("x=y;for=\"{}\"", escaped(it))).collect();
        let line = elements.join(",");
        let mut nodes: Vec<_> = super::address::Nodes::of(line.as_bytes()).collect();
        nodes.reverse();
        let nodes: Vec<_> = nodes.into_iter().map(|node| node.unwrap().into_owned()).collect();
        prop_assert_eq!(nodes, values);
    }

    #[test]
    fn no_bytes_panic(line in prop::collection::vec(any::<u8>(), 0..60)) {
        let _ = super::address::Nodes::of(&line).count();
    }

    #[test]
    fn any_text_is_a_network_or_a_mistake(text in "[0-9a-f:./ x]{0,45}") {
        if let Ok(network) = text.parse::<Network>() {
            let written = network.to_string();
            prop_assert_eq!(written.parse::<Network>().ok(), Some(network));
        }
    }
}

#[test]
fn addresses_that_a_function_returns_count_by_their_network() {
    let forwarded = |head: &Head<'_>| {
        let address = head.headers.get("x-client")?.to_str().ok()?;
        Some(KeyValue::Address(address.parse().ok()?))
    };
    let (clock, _crank) = clock();
    let limiters =
        KeyedLimiter::<KeyValue, _>::new(bucket(2, 0.001), KeyedConfig::default(), Moment::ZERO);
    let layer =
        RateLimitLayer::new(PerKey::new(limiters, Key::function(forwarded).ipv6_prefix(64)));
    let mut service = layer.clock(clock).layer(Inner::default());
    let passed = (0..50).filter(|host| {
        let client = format!("2001:db8:1:2::{host:x}");
        ask(&mut service, from("10.0.0.1", &[("x-client", &client)])).status() == StatusCode::OK
    });
    assert_eq!(passed.count(), 2);
    let both = Key::function(|_| {
        let address = KeyValue::Address("198.51.100.77".parse().ok()?);
        Some(KeyValue::Several([address, "gold".into()].into()))
    });
    let network = KeyValue::Address("198.51.100.0".parse().unwrap());
    let expected = KeyValue::Several([network, "gold".into()].into());
    assert_eq!(key_of(&both.ipv4_prefix(24), &get("/")), Some(expected));
}

#[test]
fn an_address_header_is_believed_from_trusted_proxies_only() {
    let name: http::HeaderName = "cf-connecting-ip".parse().unwrap();
    let key = Key::address_header(name, proxies());
    let seen = |peer, headers: &[(&str, &str)]| key_of(&key, &from(peer, headers));
    let named = [("cf-connecting-ip", "203.0.113.9")];
    assert_eq!(seen("10.1.1.1", &named), address("203.0.113.9"));
    assert_eq!(seen("198.51.100.1", &named), address("198.51.100.1"), "it made the header up");
    let six = [("cf-connecting-ip", "2001:db8::17")];
    assert_eq!(seen("10.1.1.1", &six), address("2001:db8::"), "by its network");
    for bad in [&[][..], &[("cf-connecting-ip", "x")], &[named[0], ("cf-connecting-ip", "1.1.1.1")]]
    {
        assert_eq!(seen("10.1.1.1", bad), address("10.1.1.1"), "{bad:?}");
    }
    assert_eq!(seen("", &named), None, "no peer, no word to believe");
}

#[test]
fn clients_behind_nat64_are_their_ipv4_addresses_and_no_proxies() {
    let key = Key::peer();
    assert_eq!(key_of(&key, &from("64:ff9b::203.0.113.9", &[])), address("203.0.113.9"));
    assert_eq!(key_of(&key, &from("64:ff9b::203.0.113.10", &[])), address("203.0.113.10"));
    assert_eq!(key_of(&key, &from("::ffff:203.0.113.9", &[])), address("203.0.113.9"));
    assert_eq!(key_of(&key, &from("64:ff9b:1::1", &[])), address("64:ff9b:1::"), "another prefix");
    let named = Key::x_forwarded_for(proxies());
    let hop = [("x-forwarded-for", "64:ff9b::203.0.113.9")];
    assert_eq!(key_of(&named, &from("10.1.1.1", &hop)), address("203.0.113.9"));
    let posing = from("64:ff9b::10.1.1.1", &[("x-forwarded-for", "6.6.6.6")]);
    assert_eq!(key_of(&named, &posing), address("10.1.1.1"), "a NAT64 client is not our proxy");
}

/// Counts warnings.
#[derive(Clone, Default)]
struct Warnings(Arc<AtomicUsize>);

impl tracing::Subscriber for Warnings {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "seawall" && *metadata.level() == tracing::Level::WARN
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::Id {
        tracing::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::Id, _: &tracing::Id) {}
    fn event(&self, _: &tracing::Event<'_>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
    fn enter(&self, _: &tracing::Id) {}
    fn exit(&self, _: &tracing::Id) {}
}

#[test]
fn clients_that_share_a_key_behind_a_socket_or_a_strange_proxy_are_warned_of_once() {
    let warned = |key: &Key, requests: &[Request<()>]| {
        let warnings = Warnings::default();
        tracing::subscriber::with_default(warnings.clone(), || {
            for _ in 0..3 {
                requests.iter().for_each(|request| drop(key_of(&key.clone(), request)));
            }
        });
        warnings.0.load(Ordering::SeqCst)
    };
    let unix_socket = from("", &[]);
    let by_stranger = from("198.51.100.1", &[("x-forwarded-for", "203.0.113.9")]);
    let by_proxy = from("10.1.1.1", &[("x-forwarded-for", "203.0.113.9")]);
    let direct = from("198.51.100.1", &[]);
    assert_eq!(warned(&Key::peer(), &[unix_socket]), 1);
    assert_eq!(warned(&Key::peer(), &[from("10.1.1.1", &[("forwarded", "for=1.1.1.1")])]), 1);
    assert_eq!(warned(&Key::x_forwarded_for(proxies()), &[by_stranger]), 1);
    assert_eq!(warned(&Key::x_forwarded_for(proxies()), &[by_proxy, direct]), 0);
}

/// A tenth of 100,000 keys and 140 requests a second, each from another /64 of one /46: every key is in use for ever.
#[test]
fn an_attacker_with_a_large_network_uses_up_only_its_own_part_of_the_overflow() {
    let config = KeyedConfig::builder().max_keys(10_000).build().unwrap();
    let limiters = KeyedLimiter::<KeyValue, _>::new(bucket(5, 5.0 / 3600.0), config, Moment::ZERO);
    let per_key = PerKey::new(limiters, Key::peer());
    let mut now = Moment::ZERO;
    let passes = |request: &Request<()>, now| match per_key.check(&Head::from(request), now, 1) {
        Answer::Decided { decision, .. } => decision.allowed,
        other => panic!("{other:?}"),
    };
    let (mut honest, mut served) = (0, 0);
    for second in 0..3_600_u32 {
        for of_second in 0..14 {
            let host = (second * 14 + of_second) % (1 << 18);
            let attacker = format!("2001:db8:{:x}:{:x}::1", host >> 16, host & 0xFFFF);
            passes(&from(&attacker, &[]), now);
        }
        now = now + Duration::from_secs(1);
        // From the time when every key is taken: newcomers, each from a network of its own.
        if second >= 1_200 && second % 60 == 0 {
            honest += 2;
            served += u32::from(passes(&from(&format!("{}.7.1.1", second / 60), &[]), now));
            served += u32::from(passes(&from(&format!("2a00:{second:x}::1"), &[]), now));
        }
    }
    assert!(honest == 80 && served >= 76, "{served} of {honest}");
}
