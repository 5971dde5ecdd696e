//! The tests: built once with every change in them, run one by one to learn which changes each reaches, and run again
//! for a change until one of them fails.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, io, thread};

/// A test, in the binary that has it.
#[derive(Clone, Debug)]
pub(crate) struct Test {
    pub(crate) binary: PathBuf,
    folder: PathBuf,
    pub(crate) name: String,
    /// What it took with no change switched on.
    pub(crate) took: Duration,
}

/// A file, and the first and the last line.
pub(crate) type Lines = (String, usize, usize);

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Passed,
    Failed,
    /// It went on for far longer than it took before.
    Hung,
}

/// Some of the tests.
pub(crate) struct Suite {
    /// What cargo is told.
    pub(crate) arguments: &'static [&'static str],
    pub(crate) flags: &'static str,
    /// Where it is built, beside the tree.
    pub(crate) folder: &'static str,
    /// What the names of its tests contain.
    pub(crate) named: &'static str,
}

impl Suite {
    /// Builds it in `tree`, and lists its tests; or the lines that the compiler refused.
    pub(crate) fn build(&self, tree: &Path) -> io::Result<Result<Vec<Test>, Vec<Lines>>> {
        let binaries = match build(tree, self)? {
            Ok(binaries) => binaries,
            Err(refused) => return Ok(Err(refused)),
        };
        let mut tests = Vec::new();
        for binary in &binaries {
            tests.extend(list(tree, binary)?);
        }
        tests.retain(|test| test.name.contains(self.named));
        Ok(Ok(tests))
    }
}

/// The binaries of a suite, or the lines that the compiler refused.
fn build(tree: &Path, suite: &Suite) -> io::Result<Result<Vec<PathBuf>, Vec<Lines>>> {
    let output = Command::new("cargo")
        .args(["test", "--no-run", "--message-format=json"])
        .args(suite.arguments)
        .current_dir(tree)
        .env("CARGO_TARGET_DIR", tree.with_file_name(suite.folder))
        .env("CARGO_PROFILE_DEV_OPT_LEVEL", "1")
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .env("RUSTFLAGS", suite.flags)
        .stderr(Stdio::inherit())
        .output()?;
    let (mut binaries, mut refused) = (Vec::new(), Vec::new());
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let Ok(message) = serde_json::from_str::<serde_json::Value>(line) else { continue };
        if message["profile"]["test"] == true
            && let Some(binary) = message["executable"].as_str()
        {
            binaries.push(PathBuf::from(binary));
        }
        if message["message"]["level"] == "error" {
            for span in message["message"]["spans"].as_array().into_iter().flatten() {
                let line = |key: &str| span[key].as_u64().unwrap_or(0) as usize;
                let file = span["file_name"].as_str().unwrap_or_default().to_owned();
                refused.push((file, line("line_start"), line("line_end")));
            }
        }
    }
    Ok(if output.status.success() { Ok(binaries) } else { Err(refused) })
}

/// The tests of a binary, those left out that are ignored.
fn list(tree: &Path, binary: &Path) -> io::Result<Vec<Test>> {
    let listed = Command::new(binary).args(["--list", "--format", "terse"]).output()?;
    let of_framework =
        binary.file_name().is_some_and(|name| name.to_string_lossy().starts_with("seawall-"));
    let folder = tree.join(if of_framework { "framework" } else { "tests" });
    let names = String::from_utf8_lossy(&listed.stdout).into_owned();
    let tests = names.lines().filter_map(|line| line.strip_suffix(": test")).map(|name| Test {
        binary: binary.to_owned(),
        folder: folder.clone(),
        name: name.to_owned(),
        took: Duration::ZERO,
    });
    Ok(tests.collect())
}

/// Runs each test alone. Gives back those that passed, and which of them reach a change.
pub(crate) fn reached(
    mut tests: Vec<Test>,
    jobs: usize,
) -> (Vec<Test>, HashMap<usize, Vec<usize>>) {
    let part = tests.len().div_ceil(jobs).max(1);
    let told = std::env::temp_dir();
    let seen: Vec<Option<Vec<usize>>> = thread::scope(|scope| {
        let parts: Vec<_> = tests
            .chunks_mut(part)
            .enumerate()
            .map(|(job, tests)| {
                let file = told.join(format!("seawall-mutants-{}-{job}", std::process::id()));
                scope.spawn(move || {
                    tests.iter_mut().map(|test| alone(test, &file)).collect::<Vec<_>>()
                })
            })
            .collect();
        parts.into_iter().flat_map(|part| part.join().expect("no panic in it")).collect()
    });
    let mut by_mutant: HashMap<usize, Vec<usize>> = HashMap::new();
    let mut passed = Vec::new();
    for (test, seen) in tests.into_iter().zip(seen) {
        let Some(seen) = seen else {
            println!("left out, since it fails with no change: {}", test.name);
            continue;
        };
        for mutant in seen {
            by_mutant.entry(mutant).or_default().push(passed.len());
        }
        passed.push(test);
    }
    for of in by_mutant.values_mut() {
        of.sort_by_key(|test| passed[*test].took);
    }
    (passed, by_mutant)
}

/// What the test reaches, if it passes.
fn alone(test: &mut Test, file: &Path) -> Option<Vec<usize>> {
    let _ = fs::remove_file(file);
    let began = Instant::now();
    let mut command = command(std::slice::from_ref(test));
    command.env("SEAWALL_MUTANTS_REACHED", file);
    let end = wait(command.spawn().ok()?, Duration::from_secs(300));
    test.took = began.elapsed();
    let lines = fs::read_to_string(file).unwrap_or_default();
    let _ = fs::remove_file(file);
    (end == End::Passed).then(|| lines.lines().filter_map(|line| line.parse().ok()).collect())
}

/// Runs these tests of one binary with a change switched on.
pub(crate) fn run(tests: &[Test], mutant: usize) -> End {
    let usual: Duration = tests.iter().map(|test| test.took).sum();
    let mut command = command(tests);
    command.env("SEAWALL_MUTANT", mutant.to_string());
    match command.spawn() {
        Ok(child) => wait(child, usual * 8 + Duration::from_secs(10)),
        Err(_) => End::Failed,
    }
}

/// Tests that follow each other and have one binary, so many at most.
pub(crate) fn together(tests: &[Test], most: usize) -> impl Iterator<Item = &[Test]> {
    tests.chunk_by(|one, other| one.binary == other.binary).flat_map(move |of| of.chunks(most))
}

fn command(tests: &[Test]) -> Command {
    let mut command = Command::new(&tests[0].binary);
    command
        .args(tests.iter().map(|test| &test.name))
        .args(["--exact", "--test-threads=1"])
        .current_dir(&tests[0].folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .env_remove("SEAWALL_MUTANT");
    command
}

/// Waits for it, in steps that grow: there is no wait with a limit in std.
fn wait(mut child: Child, limit: Duration) -> End {
    let began = Instant::now();
    let mut step = Duration::from_micros(500);
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return if status.success() { End::Passed } else { End::Failed },
            Ok(None) if began.elapsed() < limit => thread::sleep(step),
            Ok(None) | Err(_) => {
                let _ = child.kill();
                let _ = child.wait();
                return End::Hung;
            }
        }
        step = (step * 2).min(Duration::from_millis(10));
    }
}
