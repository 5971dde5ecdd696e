//! Changes the library in a thousand small ways, and names the changes that no test sees.
//!
//! ```text
//! cargo run --release -p seawall-tests --example mutants -- breaker bulkhead dependency call time
//! ```
//!
//! The arguments are folders of `framework/src/`; `--one-in=5` takes every fifth change, `--again=FILE` only those that the output of
//! an earlier run, kept in that file, names as not seen. All changes are built at once,
//! each behind a switch (`mutate.rs`). Then every test is run alone, to learn which changes it reaches. Then each change
//! is switched on, and the tests that reach it are run, the quickest first, until one fails. It takes about an hour
//! for the five folders above on two cores, and leaves everything in `target/mutants/`.
//!
//! A change that survives is either one that nobody could notice, and then `unnoticed.txt` has it with the reason; or a test
//! is missing, it is printed, and the run fails.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a command line tool, not the library"
)]
#![allow(clippy::unwrap_used)]

mod mutate;
#[path = "../tidy/reached.rs"]
#[allow(dead_code)]
mod reached;
mod tests_of;
#[path = "../tidy/tree.rs"]
#[allow(dead_code)]
mod tree;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{fs, io, process, thread};

use mutate::Mutant;
use tests_of::{End, Lines, Suite, Test};
use tree::{File, Tree};

/// The switch, put beside the library.
const SWITCH: &str = r#"//! Which change is on.
use std::io::Write;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::LazyLock;

static ON: LazyLock<usize> = LazyLock::new(|| {
    std::env::var("SEAWALL_MUTANT").ok().and_then(|id| id.parse().ok()).unwrap_or(usize::MAX)
});
static REACHED: LazyLock<Option<std::fs::File>> = LazyLock::new(|| {
    let path = std::env::var_os("SEAWALL_MUTANTS_REACHED")?;
    std::fs::File::options().create(true).append(true).open(path).ok()
});
static SEEN: [AtomicU8; 65_536] = [const { AtomicU8::new(0) }; 65_536];

pub(crate) fn on(id: usize) -> bool {
    if let Some(file) = &*REACHED {
        if SEEN[id].load(Ordering::Relaxed) == 0 && SEEN[id].swap(1, Ordering::Relaxed) == 0 {
            let mut text = [b'0'; 6];
            let mut rest = id;
            for digit in text[..5].iter_mut().rev() {
                *digit = b'0' + (rest % 10) as u8;
                rest /= 10;
            }
            text[5] = b'\n';
            let _ = (&*file).write_all(&text);
        }
    }
    *ON == id
}
"#;

/// The library's own tests, those that use it from outside, and the models, which see what needs two threads.
const SUITES: [Suite; 3] = [
    Suite {
        arguments: &["-p", "seawall", "--lib", "--all-features"],
        flags: "--cap-lints=allow",
        folder: "build",
        named: "",
    },
    Suite {
        arguments: &[
            "-p",
            "seawall-tests",
            "--test",
            "pipeline",
            "--test",
            "actors",
            "--test",
            "policies",
            "--test",
            "shapes",
            "--test",
            "spans",
            "--test",
            "edges",
        ],
        flags: "--cap-lints=allow",
        folder: "build",
        named: "",
    },
    Suite {
        arguments: &["-p", "seawall", "--lib"],
        flags: "--cap-lints=allow --cfg seawall_loom",
        folder: "models",
        named: "loom",
    },
];
/// Tests of one change are run one by one at first, then many at a time.
const ALONE: usize = 6;
const TOGETHER: usize = 40;

fn main() -> io::Result<()> {
    let Arguments { folders, one_in, again } = Arguments::read()?;
    let tree = Tree::read();
    let copy = tree.root.join("target/mutants/tree");
    let files = files(&tree, &folders);
    if files.is_empty() {
        usage();
    }
    let mut mutants: Vec<Mutant> = files
        .iter()
        .flat_map(|file| mutate::find(&file.path, &file.text, file.syntax()))
        .enumerate()
        .filter(|(index, _)| index % one_in == 0)
        .map(|(_, mutant)| mutant)
        .filter(|mutant| again.as_ref().is_none_or(|again| again.contains(&mutant.id())))
        .collect();
    println!("{} changes in {} files", mutants.len(), files.len());
    lay_out(&tree, &copy)?;
    let tests = loop {
        write(&copy, &files, &mutants)?;
        let refused = match all_tests(&copy)? {
            Ok(tests) => break tests,
            Err(refused) => refused,
        };
        let before = mutants.len();
        mutants.retain(|mutant| !is_in(mutant, &refused));
        if before == mutants.len() {
            // The change is between the lines that the compiler names: what is borrowed, and where.
            let around: Vec<_> =
                refused.chunk_by(|one, other| one.0 == other.0).map(whole).collect();
            mutants.retain(|mutant| !is_in(mutant, &around));
        }
        println!("{} changes do not compile", before - mutants.len());
        if before == mutants.len() {
            println!("the build fails, and not for a change: see target/mutants/tree");
            process::exit(1);
        }
    };
    println!("{} tests, each alone, to see which changes it reaches", tests.len());
    let (tests, by_mutant) = tests_of::reached(tests, cores());
    let is_whole = one_in == 1 && again.is_none();
    let judge = Judge {
        mutants: &mutants,
        tests: &tests,
        by_mutant: &by_mutant,
        excused: &excused(&folders),
        next: AtomicUsize::new(0),
        hung: AtomicUsize::new(0),
        survived: AtomicUsize::new(0),
        unnoticed: Mutex::default(),
    };
    judge.all();
    if !judge.conclude(is_whole) {
        process::exit(1);
    }
    Ok(())
}

/// Of every suite; or the lines that the compiler refused.
fn all_tests(copy: &Path) -> io::Result<Result<Vec<Test>, Vec<Lines>>> {
    let mut tests = Vec::new();
    for suite in &SUITES {
        match suite.build(copy)? {
            Ok(more) => tests.extend(more),
            Err(refused) => return Ok(Err(refused)),
        }
    }
    Ok(Ok(tests))
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

struct Arguments {
    folders: Vec<String>,
    one_in: usize,
    /// What an earlier run has named.
    again: Option<HashSet<String>>,
}

impl Arguments {
    fn read() -> io::Result<Self> {
        let (options, folders): (Vec<_>, Vec<_>) =
            std::env::args().skip(1).partition(|argument| argument.starts_with("--"));
        let mut arguments = Self { folders, one_in: 1, again: None };
        let mut is_known = !arguments.folders.is_empty();
        for option in options {
            match option.split_once('=') {
                Some(("--one-in", count)) if count.parse().is_ok_and(|count: usize| count > 0) => {
                    arguments.one_in = count.parse().unwrap_or(1);
                }
                Some(("--again", file)) => {
                    arguments.again = Some(named(&fs::read_to_string(file)?))
                }
                _ => is_known = false,
            }
        }
        if !is_known {
            usage();
        }
        Ok(arguments)
    }
}

fn usage() -> ! {
    println!("usage: mutants FOLDER... [--one-in=N] [--again=FILE]   (folders of framework/src/)");
    process::exit(2);
}

/// The changes that the output of a run names: where the file ends, a line number follows, and what was done.
fn named(output: &str) -> HashSet<String> {
    let of_line = |line: &str| {
        let (file, rest) = line.split_once(".rs:")?;
        let (_, what) = rest.split_once(": ")?;
        let (what, _) = what.rsplit_once("  (")?;
        Some(format!("{file}.rs: {what}"))
    };
    output.lines().filter_map(of_line).collect()
}

/// The changes that nobody could notice, of these folders. A line is a file and what is done; a reason stands above each group.
fn excused(folders: &[String]) -> HashSet<String> {
    let is_of = |line: &&str| folders.iter().any(|folder| line.starts_with(&format!("{folder}/")));
    let lines = include_str!("unnoticed.txt").lines().filter(is_of);
    lines.map(|line| format!("framework/src/{line}")).collect()
}

/// What ships of these folders.
fn files<'a>(tree: &'a Tree, folders: &[String]) -> Vec<&'a File> {
    let ships = reached::Crate::read(tree, "framework");
    let wanted = |path: &str| {
        folders.iter().any(|folder| path.starts_with(&format!("framework/src/{folder}/")))
    };
    tree.files.iter().filter(|file| wanted(&file.path) && ships.ships(&file.path)).collect()
}

/// A copy of the repository, written only where it differs, so that little is built again.
fn lay_out(tree: &Tree, copy: &Path) -> io::Result<()> {
    for (path, text) in &tree.texts {
        write_if_new(&copy.join(path), text)?;
    }
    for path in ["Cargo.lock", ".clippy.toml", "tests/public_api.txt"] {
        if let Ok(text) = fs::read_to_string(tree.root.join(path)) {
            write_if_new(&copy.join(path), &text)?;
        }
    }
    write_if_new(&copy.join("framework/src/mutants.rs"), SWITCH)?;
    let library = tree.text("framework/src/lib.rs").unwrap_or_default();
    write_if_new(&copy.join("framework/src/lib.rs"), &format!("{library}\nmod mutants;\n"))
}

fn write(copy: &Path, files: &[&File], mutants: &[Mutant]) -> io::Result<()> {
    for file in files {
        let of: Vec<_> = mutants.iter().enumerate().filter(|(_, m)| m.file == file.path).collect();
        write_if_new(&copy.join(&file.path), &mutate::write(&file.text, &of))?;
    }
    Ok(())
}

fn write_if_new(path: &PathBuf, text: &str) -> io::Result<()> {
    if fs::read_to_string(path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    fs::create_dir_all(path.parent().expect("a file is in a folder"))?;
    fs::write(path, text)
}

fn is_in(mutant: &Mutant, refused: &[Lines]) -> bool {
    let (first, last) = mutant.lines;
    let same = |file: &str| file == mutant.file;
    refused.iter().any(|(file, from, to)| same(file) && *from <= last && first <= *to)
}

/// From the first to the last of these lines of one file.
fn whole(lines: &[Lines]) -> Lines {
    let first = lines.iter().map(|(_, from, _)| *from).min().unwrap_or(0);
    let last = lines.iter().map(|(_, _, to)| *to).max().unwrap_or(0);
    (lines[0].0.clone(), first, last)
}

/// Switches each change on, and says which ones no test saw.
struct Judge<'a> {
    mutants: &'a [Mutant],
    tests: &'a [Test],
    by_mutant: &'a HashMap<usize, Vec<usize>>,
    /// Changes that nobody could notice.
    excused: &'a HashSet<String>,
    next: AtomicUsize,
    hung: AtomicUsize,
    survived: AtomicUsize,
    /// The names of the excused that no test saw, one for each change.
    unnoticed: Mutex<Vec<String>>,
}

impl Judge<'_> {
    fn all(&self) {
        thread::scope(|scope| {
            for _ in 0..cores() {
                scope.spawn(|| {
                    loop {
                        let id = self.next.fetch_add(1, Ordering::Relaxed);
                        let Some(mutant) = self.mutants.get(id) else { break };
                        self.one(id, mutant);
                    }
                });
            }
        });
    }

    fn one(&self, id: usize, mutant: &Mutant) {
        let of = self.by_mutant.get(&id).map_or(&[][..], Vec::as_slice);
        let of: Vec<Test> = of.iter().map(|test| self.tests[*test].clone()).collect();
        match seen(&of, id) {
            End::Failed => {}
            End::Hung => _ = self.hung.fetch_add(1, Ordering::Relaxed),
            End::Passed if self.excused.contains(&mutant.id()) => {
                self.unnoticed.lock().unwrap().push(mutant.id());
            }
            End::Passed => {
                self.survived.fetch_add(1, Ordering::Relaxed);
                let Mutant { file, lines, what, .. } = mutant;
                println!("{file}:{}: {what}  ({} tests)", lines.0, of.len());
            }
        }
        if id.is_multiple_of(200) {
            println!("-- {id} of {}", self.mutants.len());
        }
    }

    /// The figure. Whether every change that could be noticed was seen.
    fn conclude(self, is_whole: bool) -> bool {
        let unnoticed = self.unnoticed.into_inner().unwrap();
        let survived = self.survived.into_inner();
        println!(
            "{} changes: {} seen ({} by a test that hung), {} that nobody could notice, {survived} not seen",
            self.mutants.len(),
            self.mutants.len() - survived - unnoticed.len(),
            self.hung.into_inner(),
            unnoticed.len(),
        );
        if is_whole {
            let unnoticed = unnoticed.into_iter().collect();
            let mut stale: Vec<_> = self.excused.difference(&unnoticed).collect();
            stale.sort();
            stale.iter().for_each(|id| println!("seen, or gone, and still excused: {id}"));
        }
        survived == 0
    }
}

/// Whether one of these tests, which are sorted by what they take, sees the change.
fn seen(tests: &[Test], mutant: usize) -> End {
    let (first, rest) = tests.split_at(tests.len().min(ALONE));
    let mut rest = rest.to_vec();
    rest.sort_by(|one, other| one.binary.cmp(&other.binary)); // stable: the quickest stay first
    let one_by_one = first.iter().map(std::slice::from_ref);
    for tests in one_by_one.chain(tests_of::together(&rest, TOGETHER)) {
        match tests_of::run(tests, mutant) {
            End::Passed => {}
            end => return end,
        }
    }
    End::Passed
}
