//! What the processor executes in a case, counted by callgrind.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Of all calls of a run.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Count {
    pub(crate) instructions: u64,
    pub(crate) locked: Option<u64>,
}

/// This program.
#[derive(Debug)]
pub(crate) struct Program {
    path: PathBuf,
    /// The addresses of its locked instructions. `None`: there is no objdump.
    locked: Option<HashSet<u64>>,
}

impl Program {
    /// `None`: the system does not say where it is.
    pub(crate) fn this() -> Option<Self> {
        let path = std::env::current_exe().ok()?;
        let locked = locked_addresses(&path);
        Some(Self { path, locked })
    }

    /// Runs it again, for this case only, under callgrind. `None`: there is none.
    pub(crate) fn count(&self, case: &str) -> Option<Count> {
        let out = std::env::temp_dir().join(format!("seawall-callgrind-{}", std::process::id()));
        let ran = Command::new("valgrind")
            .args([
                "--tool=callgrind",
                "--dump-instr=yes",
                "--compress-pos=no",
                "--compress-strings=no",
            ])
            .arg("--toggle-collect=*instructions*measured*")
            .arg(format!("--callgrind-out-file={}", out.display()))
            .arg(&self.path)
            .args(["--run", case])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        let is_done = ran.is_ok_and(|status| status.success());
        let profile = is_done.then(|| std::fs::read_to_string(&out));
        let _ = std::fs::remove_file(&out);
        let Some(Ok(profile)) = profile else {
            println!("not counted: instructions of {case}; valgrind is not there, or did not run");
            return None;
        };
        Some(sum(&profile, self.path.file_name()?.to_str()?, self.locked.as_ref()))
    }
}

/// The addresses of the program's locked instructions. `None`: there is no objdump.
fn locked_addresses(program: &Path) -> Option<HashSet<u64>> {
    let output =
        Command::new("objdump").args(["-d", "--no-show-raw-insn"]).arg(program).output().ok()?;
    let code = String::from_utf8_lossy(&output.stdout);
    let locked = code.lines().filter_map(|line| {
        let (address, instruction) = line.split_once(":\t")?;
        // An exchange with memory is locked without saying so.
        let is_locked = instruction.starts_with("lock ")
            || (instruction.starts_with("xchg ") && instruction.contains('('));
        is_locked.then(|| u64::from_str_radix(address.trim(), 16).ok())?
    });
    Some(locked.collect())
}

/// Reads callgrind's format (valgrind manual, "Callgrind Format Specification").
fn sum(profile: &str, program: &str, locked: Option<&HashSet<u64>>) -> Count {
    let mut count = Count { instructions: 0, locked: locked.map(|_| 0) };
    let (mut is_ours, mut is_of_a_callee) = (false, false);
    for line in profile.lines() {
        if let Some(object) = line.strip_prefix("ob=") {
            is_ours = object.ends_with(program);
        } else if line.starts_with("calls=") {
            // The next line is what the callee took, which is counted where it stands.
            is_of_a_callee = true;
        } else if let Some((address, rest)) =
            line.strip_prefix("0x").and_then(|it| it.split_once(' '))
        {
            let cost = rest.split(' ').next_back().and_then(|cost| cost.parse::<u64>().ok());
            let address = u64::from_str_radix(address, 16).ok();
            if let (Some(cost), Some(address), false) = (cost, address, is_of_a_callee) {
                count.instructions += cost;
                let is_locked = is_ours && locked.is_some_and(|locked| locked.contains(&address));
                if let (true, Some(locked)) = (is_locked, &mut count.locked) {
                    *locked += cost;
                }
            }
            is_of_a_callee = false;
        }
    }
    count
}
