//! Files that were cut short, changed, swapped, or written by somebody else.

#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::*;
use crate::breaker::adaptive::Config;
use crate::breaker::{self, CircuitBreaker};
use crate::clock::Moment;
use crate::outcome::Outcome;

/// A directory that is gone with its test.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static MADE: AtomicU64 = AtomicU64::new(0);
        let n = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("seawall-history-{}-{n}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    fn store(&self) -> FileStore {
        FileStore::new(&self.0).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// One that has learned so many calls.
fn history(calls: u64) -> History {
    let config = breaker::Config::builder().adaptive(Config::default()).build().unwrap();
    let breaker = CircuitBreaker::new(config, Moment::ZERO);
    for _ in 0..calls {
        let call = breaker.let_in(Moment::ZERO, &mut None).unwrap();
        breaker.note(call, Outcome::Success, Moment::ZERO);
    }
    let later = Duration::from_secs(600);
    breaker.tend(Moment::ZERO + later, later);
    breaker.history().unwrap()
}

fn loaded(history: &History) -> Loaded {
    Loaded { history: Some(history.clone()), rejected: Vec::new() }
}

#[test]
fn what_is_saved_is_loaded_and_nothing_is_there_at_first() {
    let scratch = Scratch::new();
    assert_eq!(scratch.store().load("payments").unwrap(), Loaded::default());
    scratch.store().save("payments", &history(1)).unwrap();
    scratch.store().save("payments", &history(2)).unwrap();
    assert_eq!(scratch.store().load("payments").unwrap(), loaded(&history(2)));
    assert_eq!(scratch.store().load("Payments").unwrap(), Loaded::default());
    assert_eq!(scratch.names().len(), 2, "{:?}", scratch.names());
}

#[test]
fn a_latest_torn_at_any_byte_gives_way_to_the_one_before() {
    let scratch = Scratch::new();
    let store = scratch.store();
    let (before, latest) = (history(1), history(2).to_bytes());
    for length in 0..latest.len() {
        // Every byte near the ends; in the middle they are all alike.
        if (64..latest.len() - 64).contains(&length) && length % 97 != 0 {
            continue;
        }
        fs::write(store.path("a", "previous"), before.to_bytes()).unwrap();
        fs::write(store.path("a", "history"), &latest[..length]).unwrap();
        let found = store.load("a").unwrap();
        assert_eq!(found.history.as_ref(), Some(&before), "{length}");
        assert_eq!(found.rejected.len(), 1, "{length}");
        assert!(found.rejected[0].contains("damaged"), "{:?}", found.rejected);
        // And the torn one is not taken for a good one when the next is written.
        store.save("a", &history(3)).unwrap();
        let previous = fs::read(store.path("a", "previous")).unwrap();
        assert_eq!(History::from_bytes(&previous).as_ref(), Ok(&before), "{length}");
    }
}

#[test]
fn a_save_that_stops_anywhere_loses_nothing() {
    let scratch = Scratch::new();
    let store = scratch.store();
    store.save("a", &history(1)).unwrap();
    store.save("a", &history(2)).unwrap();
    // While it wrote.
    fs::write(store.path("a", "new"), &history(3).to_bytes()[..100]).unwrap();
    assert_eq!(store.load("a").unwrap(), loaded(&history(2)));
    // Between the two moves.
    fs::rename(store.path("a", "history"), store.path("a", "previous")).unwrap();
    assert_eq!(store.load("a").unwrap(), loaded(&history(2)));
    store.save("a", &history(4)).unwrap();
    assert_eq!(store.load("a").unwrap(), loaded(&history(4)));
}

#[test]
fn foreign_later_and_enormous_files_are_put_aside_not_deleted() {
    let scratch = Scratch::new();
    let store = scratch.store();
    let mut later = history(1).to_bytes();
    later[8] = 2;
    fs::write(store.path("a", "history"), &later).unwrap();
    fs::write(store.path("a", "previous"), b"# my notes\n").unwrap();
    fs::write(store.path("b", "history"), vec![b'S'; 10_000_000]).unwrap();
    let found = store.load("a").unwrap();
    assert_eq!((found.history, found.rejected.len()), (None, 2));
    assert!(found.rejected[0].contains("version 2"), "{:?}", found.rejected);
    assert!(found.rejected[1].contains("not a history"), "{:?}", found.rejected);
    assert_eq!(store.load("b").unwrap().rejected.len(), 1);
    assert_eq!(fs::read(store.path("a", "history.v2")).unwrap(), later);
    assert_eq!(fs::read(store.path("a", "previous.unreadable")).unwrap(), b"# my notes\n");
    assert_eq!(store.load("a").unwrap(), Loaded::default(), "told of once");
}

#[test]
fn whatever_a_dependency_is_called_its_file_stays_in_the_directory() {
    let scratch = Scratch::new();
    let store = scratch.store();
    let long = "x".repeat(128);
    let names = ["../../etc/passwd", "a/b", "a.b", "a b", "A", "a", "ä", "..", "con", &long, "🦀"];
    for (n, name) in (1..).zip(names) {
        store.save(name, &history(n)).unwrap();
    }
    for (n, name) in (1..).zip(names) {
        assert_eq!(store.load(name).unwrap(), loaded(&history(n)), "{name}");
    }
    let files = scratch.names();
    assert_eq!(files.len(), names.len());
    for file in files {
        assert!(
            file.len() < 100
                && file
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c)),
            "{file}"
        );
    }
}

#[test]
fn what_cannot_be_read_just_now_is_an_error_and_stays_where_it_is() {
    let scratch = Scratch::new();
    let store = scratch.store();
    // Anything that can be opened and not read.
    fs::create_dir(store.path("a", "history")).unwrap();
    assert!(store.load("a").is_err());
    assert!(store.path("a", "history").is_dir());
    assert!(FileStore::new(store.path("a", "history").join("below")).is_ok());
    fs::write(scratch.0.join("file"), b"").unwrap();
    assert!(FileStore::new(scratch.0.join("file")).is_err());
}
