//! Instructions and locked instructions of a call, under callgrind, against the committed figures of `instructions.txt`: these
//! do not depend on the machine's speed, so a continuous integration can hold them. Allocations and the size of the future
//! are counted too.
//!
//! ```text
//! cargo bench -p seawall-benches --bench instructions               # fails where a figure is more than 5 % over
//! cargo bench -p seawall-benches --bench instructions -- --write    # after a change that is meant
//! ```
//!
//! Needs `valgrind`, and `objdump` for the locked ones; without them it says so and holds only the others. Figures depend on
//! the compiler: of another version than the committed ones they are printed, not held.

#![allow(clippy::print_stdout, reason = "a bench prints its figures")]

#[path = "instructions/cases.rs"]
mod cases;
#[path = "instructions/figures.rs"]
mod figures;
#[path = "instructions/machine_code.rs"]
mod machine_code;

use std::path::Path;
use std::process::{Command, ExitCode};

use cases::{CASES, Case};
use figures::Figures;
use machine_code::Program;

/// Calls in a run under callgrind, after as many to warm up.
const CALLS: u32 = 500;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--run") {
        let case = arguments.get(at + 1).and_then(|name| CASES.iter().find(|it| it.name == name));
        let Some(case) = case else { return ExitCode::FAILURE };
        let run = (case.prepare)();
        run(CALLS);
        measured(&*run);
        return ExitCode::SUCCESS;
    }
    let program = Program::this();
    let count = || CASES.iter().map(|case| figures_of(case, program.as_ref())).collect::<Vec<_>>();
    let mut found: Vec<Figures> = count();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("instructions.txt");
    let compiler = compiler();
    if arguments.iter().any(|argument| argument == "--write") {
        let text = figures::table(&compiler, &found);
        return match std::fs::write(&file, text) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => complain(&format!("{}: {error}", file.display())),
        };
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    // What other threads do to the one that is measured on a busy machine adds to a figure, and never takes from it.
    let mut held = figures::compare(&committed, &compiler, &found);
    for _ in 0..2 {
        if held.is_err() {
            found.iter_mut().zip(count()).for_each(|(found, again)| found.keep_least(&again));
            held = figures::compare(&committed, &compiler, &found);
        }
    }
    print!("{}", figures::table(&compiler, &found));
    match held {
        Ok(()) => ExitCode::SUCCESS,
        Err(over) => complain(&over),
    }
}

fn complain(what: &str) -> ExitCode {
    println!("{what}");
    ExitCode::FAILURE
}

/// What callgrind collects: only while this runs.
#[inline(never)]
fn measured(run: &dyn Fn(u32)) {
    std::hint::black_box(run)(CALLS);
}

fn figures_of(case: &Case, program: Option<&Program>) -> Figures {
    let run = (case.prepare)();
    run(CALLS);
    let allocated = allocation_counter::measure(|| run(CALLS)).count_total;
    let code = program.and_then(|program| program.count(case.name));
    // Rounded, because what a task or a timer does now and then is in it; and up from three quarters on only, because one of
    // two calls waits, and a wait allocates three times.
    let a_call = |total: u64| (total + u64::from(CALLS) / 4) / u64::from(CALLS);
    Figures {
        case: case.name.into(),
        instructions: code.map(|code| code.instructions / u64::from(CALLS)),
        locked: code.and_then(|code| code.locked).map(a_call),
        allocations: a_call(allocated),
        future_bytes: (case.future_bytes)(),
    }
}

fn compiler() -> String {
    let version = Command::new("rustc").arg("--version").output();
    version.map_or_else(
        |_| String::from("unknown"),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}
