//! The tree keeps its shape: who may name whom, who reads time and chance, how long a file is, and that
//! nothing lies about unused. Each check prints every mistake: where it is, what it is, what is allowed.
//!
//! Each check also has a made-up mistake that it must find, so that it cannot go blind unnoticed.
#![allow(clippy::unwrap_used)] // a test may panic

mod tidy {
    pub(crate) mod circles;
    pub(crate) mod lengths;
    pub(crate) mod manifests;
    pub(crate) mod names;
    pub(crate) mod public_api;
    pub(crate) mod reached;
    pub(crate) mod rows;
    pub(crate) mod tree;
    pub(crate) mod words;
}

use tidy::names::Names;
use tidy::reached::Crate;
use tidy::tree::{File, Tree};
use tidy::{circles, lengths, manifests, public_api, reached, rows, words};

fn none(mistakes: Vec<String>) {
    assert!(mistakes.is_empty(), "{} mistakes:\n\n{}\n", mistakes.len(), mistakes.join("\n"));
}

/// A crate's files, tests left out.
fn shipped<'a>(tree: &'a Tree, name: &str) -> Vec<&'a File> {
    let reached = Crate::read(tree, name);
    tree.files.iter().filter(|file| reached.ships(&file.path)).collect()
}

fn framework(tree: &Tree) -> Vec<&File> {
    shipped(tree, "framework")
}

/// Every file of ours but tests.
fn all(tree: &Tree) -> Vec<&File> {
    let crates = ["framework", "macros", "examples", "examples/clients", "benches"];
    crates.iter().flat_map(|name| shipped(tree, name)).collect()
}

#[test]
fn a_row_names_only_rows_below_it_and_never_a_sibling() {
    let tree = Tree::read();
    let exports = rows::exports(tree.file("framework/src/lib.rs"));
    let mut mistakes = Vec::new();
    let mut ground = Vec::new();
    for file in framework(&tree) {
        mistakes.extend(rows::check(file, &exports, &mut ground));
    }
    mistakes.extend(rows::cycle(&ground));
    none(mistakes);
}

#[test]
fn no_circle_has_more_than_two_files() {
    none(circles::check(&framework(&Tree::read())));
}

#[test]
fn nobody_reaches_over_their_parents_head() {
    let tree = Tree::read();
    none(all(&tree).into_iter().flat_map(|f| rows::super_super(f, &Names::of(f))).collect());
}

#[test]
fn only_the_actors_name_actix() {
    let tree = Tree::read();
    none(framework(&tree).into_iter().flat_map(words::actix).collect());
}

#[test]
fn time_and_chance_have_one_reader_each() {
    let tree = Tree::read();
    none(framework(&tree).into_iter().flat_map(words::time_and_chance).collect());
}

#[test]
fn files_and_functions_are_short() {
    let tree = Tree::read();
    none(all(&tree).into_iter().flat_map(lengths::check).collect());
}

#[test]
fn no_file_is_dead() {
    let tree = Tree::read();
    none(reached::dead(&tree));
}

#[test]
fn every_policy_has_the_same_nouns() {
    none(rows::nouns(&Tree::read()));
}

#[test]
fn what_is_public_is_as_listed() {
    let tree = Tree::read();
    none(public_api::check(&tree, &framework(&tree)));
}

#[test]
fn nothing_is_left_for_later() {
    let tree = Tree::read();
    none(tree.texts.iter().flat_map(|(path, text)| words::later(path, text)).collect());
}

#[test]
fn every_dependency_says_why() {
    let tree = Tree::read();
    let manifests = tree.texts.iter().filter(|(path, _)| path.ends_with("Cargo.toml"));
    none(manifests.flat_map(|(path, text)| manifests::check(path, text)).collect());
}

#[test]
fn every_example_is_in_the_readme() {
    none(manifests::examples(&Tree::read()));
}

#[test]
fn every_decision_is_in_the_list_of_decisions() {
    none(manifests::decisions(&Tree::read()));
}

/// A newcomer reads one of them, and should not have to guess.
#[test]
fn both_first_pages_say_what_a_dependency_a_policy_an_attempt_and_a_fault_are() {
    let tree = Tree::read();
    for page in ["README.md", "framework/src/lib.rs"] {
        let text = tree.text(page).unwrap_or_default();
        for sentence in ["A *dependency* is", "A *policy* is", "An *attempt* is", "A *fault* is"] {
            assert!(text.contains(sentence), "{page}: no sentence begins with {sentence:?}");
        }
    }
}

mod blindness {
    use super::*;

    #[test]
    fn a_decision_that_is_not_listed_is_found() {
        let listed = "- 2026-11-24 [First](first.md)\n";
        let texts = [("README.md", listed), ("first.md", "# First"), ("second.md", "# Second")];
        let texts = texts.map(|(name, text)| (format!("docs/decisions/{name}"), text.to_owned()));
        let (root, files) = (std::path::PathBuf::new(), Vec::new());
        let tree = Tree { root, files, texts: texts.to_vec() };
        assert_eq!(
            manifests::decisions(&tree),
            [
                "docs/decisions/second.md: is not in docs/decisions/README.md; add \"[…](second.md)\""
            ]
        );
    }

    #[test]
    fn what_a_user_can_name_is_listed_and_nothing_else() {
        let file = |name: &str, text: &str| File::new(&format!("framework/src/{name}"), text);
        let files = [
            file("lib.rs", "pub mod retry; mod hidden; pub use hidden::Seen;"),
            file(
                "hidden.rs",
                "pub struct Seen(u8); pub struct Unseen; impl Seen { pub fn a(&self) {} fn b() {} }",
            ),
            file(
                "retry/mod.rs",
                "mod config; pub use config::Config; pub(crate) fn inner() {} pub const MAX: u32 = 1;",
            ),
            file(
                "retry/config.rs",
                "pub enum Config { /// Docs.\n One, Two { it: u8 } } #[doc(hidden)] pub fn x() {}",
            ),
        ];
        let list = public_api::list(&files.iter().collect::<Vec<_>>());
        let wanted = [
            "Seen: fn a (& self)",
            "Seen: struct",
            "retry::Config: enum",
            "retry::Config: variant One",
            "retry::Config: variant Two{ it : u8 }",
            "retry::MAX: const u32",
        ];
        assert_eq!(list.iter().map(String::as_str).collect::<Vec<_>>(), wanted);
    }

    #[test]
    fn a_circle_of_three_files_is_seen_and_one_of_two_is_not() {
        let file = |name: &str, text: &str| File::new(&format!("framework/src/{name}"), text);
        let around = [
            file("retry/mod.rs", "pub use a::A; mod a; mod b;"),
            file("retry/a.rs", "use super::b::B;"),
            file("retry/b.rs", "fn f(it: crate::retry::c::C) {}"),
            file("retry/c.rs", "use super::a::A;"),
        ];
        assert_eq!(circles::check(&around.iter().collect::<Vec<_>>()).len(), 1);
        assert_eq!(circles::check(&around.iter().take(3).collect::<Vec<_>>()).len(), 0);
        let two = [file("retry/a.rs", "use super::b::B;"), file("retry/b.rs", "use super::a::A;")];
        assert_eq!(circles::check(&two.iter().collect::<Vec<_>>()).len(), 0);
    }

    fn found(path: &str, text: &str) -> usize {
        let exports =
            rows::exports(Some(&File::new("framework/src/lib.rs", "pub use policy::Policy;")));
        rows::check(&File::new(path, text), &exports, &mut Vec::new()).len()
    }

    #[test]
    fn imports_upward_and_sideways_are_seen_however_they_are_written() {
        let retry = "framework/src/retry/budget.rs";
        for bad in [
            "use crate::breaker::State;",
            "use crate::{clock::Moment, call::Time};",
            "fn f() { crate::policy::load(); }",
            "fn f(x: crate::runtime::Seawall) {}",
            "fn f() { format!(\"{}\", crate::call::x()); }",
            "use super::super::breaker::State;",
            "use seawall::bulkhead::Config;",
            "use crate::Policy;",
            "use crate::*;",
            "use crate::prelude::Time;",
            "mod inner { use super::super::super::limit::Quota; }",
            "pub(in crate::call) struct X;",
        ] {
            assert_eq!(found(retry, bad), 1, "{bad}");
        }
        for good in [
            "use crate::clock::Moment;",
            "use super::jitter::Jitter;",
            "pub(in crate::retry) struct X;",
            "#[cfg(test)] mod tests { use crate::breaker::State; }",
            "/// See [`State`](crate::breaker::State).\nfn f() {}",
            "mod inner { use super::Budget; }",
        ] {
            assert_eq!(found(retry, good), 0, "{good}");
        }
        assert_eq!(
            found("framework/src/runtime/x.rs", "use crate::Policy; use crate::actor::A;"),
            0
        );
        assert_eq!(found("framework/src/layer/x.rs", "use crate::telemetry::Names;"), 1);
        assert_eq!(found("framework/src/attic/x.rs", ""), 1, "a module without a row");
    }

    #[test]
    fn a_circle_in_the_ground_is_seen() {
        let edges = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect()
        };
        assert_eq!(rows::cycle(&edges(&[("event", "clock"), ("error", "event")])).len(), 0);
        assert_ne!(rows::cycle(&edges(&[("event", "clock"), ("clock", "event")])).len(), 0);
    }

    #[test]
    fn forbidden_names_are_seen() {
        let at = |path, text| File::new(path, text);
        let policy = "framework/src/retry/budget.rs";
        assert_eq!(words::actix(&at(policy, "use actix::Actor;")).len(), 1);
        assert_eq!(words::actix(&at(policy, "#[actix::main] fn f() {}")).len(), 1);
        assert_eq!(words::actix(&at("framework/src/actor/x.rs", "use actix::Actor;")).len(), 0);
        let by_way_of_actor = "use crate::actor::{X, actix}; fn f<A: actix::Actor>() {}";
        assert_eq!(words::actix(&at("framework/src/runtime/x.rs", by_way_of_actor)).len(), 0);
        for bad in [
            "use std::time::Instant;",
            "fn f() { std::time::SystemTime::now(); }",
            "use std::time::{Duration, SystemTime};",
            "fn f() { fastrand::u64(..); }",
            "async fn f() { tokio::time::sleep(d).await; }",
            "use std::thread; fn f() { thread::sleep(d); }",
            "fn f() { vec![quanta::Instant::now()]; }",
        ] {
            assert_ne!(words::time_and_chance(&at(policy, bad)).len(), 0, "{bad}");
            assert_eq!(words::time_and_chance(&at("framework/src/clock.rs", bad)).len(), 0);
        }
        assert_eq!(words::time_and_chance(&at(policy, "use std::time::Duration;")).len(), 0);
        assert_eq!(
            rows::super_super(&at(policy, ""), &Names::of(&at(policy, "use super::super::x;")))
                .len(),
            1
        );
        assert_eq!(words::later("a.md", concat!("TO", "DO: x\nfine\nFIX", "ME")).len(), 2);
    }

    #[test]
    fn what_is_too_long_is_seen() {
        let lines = |n: usize| "// line\n".repeat(n);
        let file = |text: &str| File::new("framework/src/x.rs", text);
        assert_eq!(lengths::check(&file(&lines(400))).len(), 0);
        assert_eq!(lengths::check(&file(&lines(401))).len(), 1);
        let tests = format!("{}#[cfg(test)]\nmod tests {{\n{}}}\n", lengths_of(300), lines(200));
        assert_eq!(lengths::check(&file(&tests)).len(), 0);
        let function = |n| format!("impl X {{\n/// Doc.\nfn f() {{\n{}}}\n}}", lines(n));
        assert_eq!(lengths::check(&file(&function(68))).len(), 0);
        assert_eq!(lengths::check(&file(&function(69))).len(), 1);
    }

    #[test]
    fn a_parameter_too_many_is_seen() {
        let mistakes = |text: &str| lengths::check(&File::new("framework/src/x.rs", text)).len();
        let own = |more: &str| {
            mistakes(&format!("trait X {{ fn f(&self, a: A, b: B, c: C, d: D{more}); }}"))
        };
        assert_eq!((own(""), own(", e: E")), (0, 1), "`self` is one");
        let free = |more: &str| mistakes(&format!("fn f(a: A, b: B, c: C, d: D, e: E{more}) {{}}"));
        assert_eq!((free(""), free(", f: F")), (0, 1));
    }

    fn lengths_of(lines: usize) -> String {
        "const _: () = ();\n".repeat(lines)
    }

    #[test]
    fn a_dependency_without_a_reason_is_seen() {
        let check = |text: &str| manifests::check("x/Cargo.toml", text).len();
        assert_eq!(check("[dependencies]\nserde = \"1\"\n"), 1);
        assert_eq!(check("[dependencies]\n# Data.\nserde = \"1\"\nserde_json = \"1\"\n"), 0);
        assert_eq!(check("[dependencies]\n# Data.\nserde = \"1\"\n\nsyn = \"3\" # Parses.\n"), 0);
        assert_eq!(check("[dev-dependencies]\n# Data.\nserde = \"1\"\n\nsyn = \"3\"\n"), 1);
        assert_eq!(check("[target.'cfg(x)'.dependencies]\nloom = \"1\"\n"), 1);
        assert_eq!(check("[dependencies]\nseawall.workspace = true\n[features]\nx = []\n"), 0);
        assert_eq!(check("[dependencies.serde]\nversion = \"1\"\n"), 1);
    }
}
