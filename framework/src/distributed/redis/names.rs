//! What keys are called in Redis.
//!
//! `namespace:{tag}:limit:part:kind`. A Cluster keeps keys of the same tag together: the tag is `=subject`, or `-limit` for a limit
//! that is one for all. A part is `=part`, or `-` where there is none. What is kept differs by kind, so a limit that
//! changes its algorithm begins anew.

use std::sync::Arc;

use sha1_smol::Sha1;

use crate::distributed::store::LimitKey;

/// Longer subjects and parts, in bytes, are called by their digest.
const LONGEST: usize = 120;
/// Slots of a Cluster.
pub(super) const SLOTS: u16 = 16_384;

/// The name of the key that has a limit's state.
pub(super) fn of(namespace: &str, key: &LimitKey, kind: &str) -> String {
    let tag = match &key.subject {
        Some(subject) => format!("={}", escaped(subject)),
        None => format!("-{}", key.limit),
    };
    let part = key.part.as_deref().map_or_else(|| "-".to_owned(), |it| format!("={}", escaped(it)));
    format!("{namespace}:{{{tag}}}:{}:{part}:{kind}", key.limit)
}

/// The name of the key that says who holds leases of it: in the same slot.
pub(super) fn leases(state: &str) -> String {
    format!("{state}:leases")
}

/// The name of the key that says who is alive.
pub(super) fn instances(namespace: &str, group: &str) -> String {
    format!("{namespace}:{{instances-{}}}", escaped(group))
}

/// The names of the keys that say how a breaker is in all instances: who has opened, who probes, when it was closed.
pub(super) fn board(namespace: &str, breaker: &str) -> [String; 3] {
    let tag = escaped(breaker);
    ["open", "prober", "closed"].map(|what| format!("{namespace}:{{breaker-{tag}}}:{what}"))
}

/// The name of the key that has what a breaker has learned.
pub(super) fn history(namespace: &str, breaker: &str) -> String {
    format!("{namespace}:{{breaker-{}}}:history", escaped(breaker))
}

/// What `SCAN` finds all keys of a limit by.
pub(super) fn pattern(namespace: &str, limit: &str, kind: &str) -> String {
    format!("{namespace}:{{*}}:{limit}:*:{kind}")
}

/// What a key's name stands for; `None`: it is not the state of a limit.
pub(super) fn parse(namespace: &str, name: &str) -> Option<LimitKey> {
    let rest = name.strip_prefix(namespace)?.strip_prefix(":{")?;
    let (tag, rest) = rest.split_once("}:")?;
    let (limit, rest) = rest.split_once(':')?;
    let (part, kind) = rest.split_once(':')?;
    if kind.contains(':') {
        return None;
    }
    let part = match part.strip_prefix('=') {
        Some(part) => Some(plain(part)),
        None if part == "-" => None,
        None => return None,
    };
    let subject = tag.strip_prefix('=').map(plain);
    Some(LimitKey { limit: limit.into(), subject, part })
}

/// The slot of a Cluster in which keys of this name are: of what is between the first braces, if there is something.
/// Redis Cluster specification, "Keys distribution model".
pub(super) fn slot(name: &str) -> u16 {
    let tag = name.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(tag, _)| tag);
    let hashed = tag.filter(|tag| !tag.is_empty()).unwrap_or(name);
    crc16::State::<crc16::XMODEM>::calculate(hashed.as_bytes()) % SLOTS
}

/// Without the characters that mean something in a name; `%` and two digits stand for them.
fn escaped(text: &str) -> String {
    if text.len() > LONGEST {
        return format!("~{}", Sha1::from(text).digest());
    }
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'_' | b'.' | b'/' | b'@' | b'+' => {
                escaped.push(char::from(byte));
            }
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

fn plain(escaped: &str) -> Arc<str> {
    let mut bytes = Vec::with_capacity(escaped.len());
    let mut rest = escaped.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match digits.and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(byte) if first == b'%' => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn key(subject: Option<&str>, part: Option<&str>) -> LimitKey {
        LimitKey {
            limit: "api".into(),
            subject: subject.map(Into::into),
            part: part.map(Into::into),
        }
    }

    #[test]
    fn a_name_says_what_it_stands_for() {
        let subjects = [None, Some(""), Some("user:42"), Some("a}{b:c"), Some("100 %"), Some("ü")];
        for subject in subjects {
            for part in [None, Some(""), Some("POST /a:b")] {
                let key = key(subject, part);
                let name = of("shop", &key, "log");
                assert_eq!(parse("shop", &name).unwrap(), key, "{name}");
                assert_eq!(parse("shop", &leases(&name)), None);
                assert_eq!(parse("other", &name), None);
            }
        }
        assert_eq!(of("shop", &key(Some("user:42"), None), "log"), "shop:{=user%3A42}:api:-:log");
    }

    #[test]
    fn a_long_subject_is_called_by_its_digest() {
        let (a, b) = ("a".repeat(LONGEST + 1), "a".repeat(LONGEST + 2));
        let names = [&a, &b].map(|long| of("n", &key(Some(long), None), "log"));
        assert_ne!(names[0], names[1]);
        assert!(names[0].len() < 70, "{}", names[0]);
    }

    #[test]
    fn keys_of_one_subject_share_a_slot() {
        // As `CLUSTER KEYSLOT` has it.
        assert_eq!(slot("123456789"), 12_739);
        assert_eq!(slot("{user1000}.following"), slot("user1000"));
        assert_eq!(slot("foo{}{bar}"), slot("foo{}{bar}"));
        let name = of("shop", &key(Some("user:42"), None), "log");
        assert_eq!(slot(&name), slot(&of("shop", &key(Some("user:42"), Some("GET /")), "log")));
        assert_eq!(slot(&name), slot(&leases(&name)));
    }
}
