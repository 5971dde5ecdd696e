//! Histories as bytes: whole, cut, changed, foreign.

use proptest::prelude::*;

use crate::breaker::adaptive::baseline::{Baseline, Seen};
use crate::breaker::adaptive::{
    Config, FORMAT_VERSION, History, MAX_HISTORY_BYTES, Unreadable, UtcOffset,
};

fn history() -> History {
    let mut baseline = Baseline::default();
    for hour in 0..168 {
        baseline.learn(
            hour,
            Seen { calls: 1_000 + hour as u64, failures: hour as u64, at_s: 1_767_571_200 },
            &Config::default(),
        );
    }
    History { offset: UtcOffset::from_minutes(-210).unwrap(), baseline: Box::new(baseline) }
}

#[test]
fn what_was_written_is_read() {
    let bytes = history().to_bytes();
    assert_eq!(bytes.len(), 5_404, "as the documentation says");
    assert_eq!(History::from_bytes(&bytes), Ok(history()));
}

#[test]
fn a_write_torn_at_any_byte_is_told_from_a_whole_one() {
    let bytes = history().to_bytes();
    for length in 0..bytes.len() {
        assert_eq!(History::from_bytes(&bytes[..length]), Err(Unreadable::Damaged), "{length}");
        // A file system may have reserved the length before it wrote.
        let mut zeroed = bytes.clone();
        zeroed[length..].fill(0);
        if zeroed != bytes {
            assert!(History::from_bytes(&zeroed).is_err(), "{length}");
        }
    }
    let mut longer = bytes;
    longer.push(0);
    assert_eq!(History::from_bytes(&longer), Err(Unreadable::Damaged));
}

#[test]
fn other_versions_and_other_files_are_called_by_their_names() {
    let mut bytes = history().to_bytes();
    bytes[8..12].copy_from_slice(&(FORMAT_VERSION + 1).to_le_bytes());
    assert_eq!(History::from_bytes(&bytes), Err(Unreadable::Version(2)));
    bytes.truncate(40);
    assert_eq!(History::from_bytes(&bytes), Err(Unreadable::Version(2)), "whatever its length");
    assert_eq!(History::from_bytes(b"#!/bin/sh\n"), Err(Unreadable::Foreign));
    let mut long = history().to_bytes();
    long.resize(MAX_HISTORY_BYTES + 1, 0);
    assert_eq!(History::from_bytes(&long), Err(Unreadable::TooLong));
    long.truncate(MAX_HISTORY_BYTES);
    assert_eq!(History::from_bytes(&long), Err(Unreadable::Damaged), "that is not too long");
}

#[test]
fn numbers_that_nobody_could_have_learned_are_refused_though_the_check_is_right() {
    for wrong in [f64::NAN, f64::INFINITY, -1.0, 1e19] {
        let mut history = history();
        history.baseline.0[7].calls = wrong;
        assert_eq!(History::from_bytes(&history.to_bytes()), Err(Unreadable::Damaged), "{wrong}");
        let mut history = self::history();
        history.baseline.0[7].mean = wrong;
        assert_eq!(History::from_bytes(&history.to_bytes()), Err(Unreadable::Damaged), "{wrong}");
        let mut history = self::history();
        history.baseline.0[7].squares = wrong;
        assert_eq!(History::from_bytes(&history.to_bytes()), Err(Unreadable::Damaged), "{wrong}");
    }
}

proptest! {
    #[test]
    fn one_changed_byte_is_seen(at in any::<prop::sample::Index>(), by in 1_u8..) {
        let mut bytes = history().to_bytes();
        let at = at.index(bytes.len());
        bytes[at] = bytes[at].wrapping_add(by);
        prop_assert!(History::from_bytes(&bytes).is_err());
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), magic in any::<bool>()) {
        let mut all = if magic { b"SEAWALLH\x01\0\0\0".to_vec() } else { Vec::new() };
        all.extend(bytes);
        prop_assert!(History::from_bytes(&all).is_err());
    }
}
