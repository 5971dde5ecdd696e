//! The figures of all cases as a table, and what is over.

use std::fmt::Write;

/// What one call takes.
#[derive(Debug)]
pub(crate) struct Figures {
    pub(crate) case: String,
    /// `None` without valgrind.
    pub(crate) instructions: Option<u64>,
    /// `None` without objdump.
    pub(crate) locked: Option<u64>,
    pub(crate) allocations: u64,
    pub(crate) future_bytes: u64,
}

const COLUMNS: [&str; 4] = ["instructions", "locked", "allocations", "future bytes"];
/// A figure may be so much over the committed one, in percent.
const TOLERANCE: u64 = 5;
/// So many locked instructions of a call that waits depend on which thread is faster, it or the one that wakes it.
const WOKEN: u64 = 4;

impl Figures {
    /// The lesser of both, figure by figure.
    pub(crate) fn keep_least(&mut self, again: &Self) {
        self.instructions = self.instructions.min(again.instructions);
        self.locked = self.locked.min(again.locked);
        self.allocations = self.allocations.min(again.allocations);
    }

    fn columns(&self) -> [Option<u64>; COLUMNS.len()] {
        [self.instructions, self.locked, Some(self.allocations), Some(self.future_bytes)]
    }
}

/// As it is committed.
pub(crate) fn table(compiler: &str, all: &[Figures]) -> String {
    let mut text = format!("{compiler}\n\n| a call that is | {} |\n", COLUMNS.join(" | "));
    text.push_str("| --- | --- | --- | --- | --- |\n");
    for figures in all {
        let columns = figures.columns().map(|figure| match figure {
            Some(figure) => figure.to_string(),
            None => String::from("not counted"),
        });
        let _ = writeln!(text, "| {} | {} |", figures.case, columns.join(" | "));
    }
    text
}

/// Whether nothing is more than 5 % over what is committed.
///
/// # Errors
/// Everything that is, a line each.
pub(crate) fn compare(committed: &str, compiler: &str, all: &[Figures]) -> Result<(), String> {
    let is_same_compiler = committed.lines().next() == Some(compiler);
    if !is_same_compiler {
        println!("not held: instructions; they were committed for another compiler");
    }
    let mut over = String::new();
    for figures in all {
        let row = committed.lines().find_map(|line| {
            let mut cells = line.trim_matches('|').split('|').map(str::trim);
            (cells.next()? == figures.case).then(|| cells.collect::<Vec<_>>())
        });
        let Some(row) = row else {
            let _ =
                writeln!(over, "{}: not in instructions.txt; add it with --write", figures.case);
            continue;
        };
        for (at, (name, found)) in COLUMNS.iter().zip(figures.columns()).enumerate() {
            let depends_on_compiler = at < 2;
            let allowed = row.get(at).and_then(|cell| cell.parse::<u64>().ok());
            let (Some(allowed), Some(found)) = (allowed, found) else { continue };
            let slack =
                if *name == "locked" && figures.case.starts_with("waiting") { WOKEN } else { 0 };
            if found * 100 > (allowed + slack) * (100 + TOLERANCE)
                && (is_same_compiler || !depends_on_compiler)
            {
                let case = &figures.case;
                let _ = writeln!(over, "{case}: {found} {name}, {allowed} are committed");
            }
        }
    }
    if over.is_empty() { Ok(()) } else { Err(over) }
}
