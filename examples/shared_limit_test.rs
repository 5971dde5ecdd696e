//! Runs `shared_limit` and `limits_admin` as a user does.

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

#[path = "shared_limit/server.rs"]
mod server;

/// The example, which plain `cargo test` has built.
fn example(name: &str) -> Command {
    let mut path: PathBuf = std::env::current_exe().expect("a path");
    path.pop();
    path.pop();
    Command::new(path.join("examples").join(name))
}

fn output(command: &mut Command) -> Output {
    command.output().expect("the example has been built: cargo build --examples")
}

fn run(mode: &str) -> Value {
    let mut command = example("shared_limit");
    command.args(["--processes", "4", "--seconds", "4", "--rate", "200", "--burst", "40"]);
    let output = output(command.args(["--mode", mode, "--json"]));
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(output.status.success(), "{mode}: {text}");
    serde_json::from_str(text.lines().last().expect("a line")).expect("JSON")
}

#[test]
fn four_processes_keep_to_one_limit_in_each_mode() {
    // The share of the limit that is used: those who come later wait for a sign of life.
    for (mode, least) in [("exact", 0.97), ("leased", 0.9), ("local_share", 0.7)] {
        let said = run(mode);
        let number = |key: &str| said[key].as_f64().expect("a number");
        assert!(number("admitted") <= number("bound"), "{said}");
        assert!(number("admitted") >= number("limit") * least, "{said}");
        assert_eq!((number("instances"), &said["mode"]), (4.0, &Value::from(mode)));
        assert!(number("refused") > number("admitted"), "{said}");
    }
}

#[test]
fn limits_can_be_looked_at_and_set_back() {
    let server = server::Server::start().expect("redis-server is installed");
    let admin = |arguments: &[&str]| {
        let mut command = example("limits_admin");
        let output = output(command.args(arguments).args(["--redis", &server.url()]));
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).expect("text")
    };
    assert!(admin(&["top", "user"]).starts_with("nobody has spent"));
    assert!(
        admin(&["check", "user:42", "--part", "/orders"]).starts_with("allowed by endpoint: 9")
    );
    assert!(admin(&["check", "user:42", "--part", "/carts"]).starts_with("allowed by endpoint: 9"));
    assert!(admin(&["check", "user:7"]).starts_with("allowed by endpoint: 9"));
    let shown = admin(&["show", "user:42", "--part", "/orders"]);
    let lines: Vec<Vec<&str>> =
        shown.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[1][..3], ["user", "user:42", "18"], "{shown}");
    assert_eq!(lines[2][..4], ["endpoint", "user:42", "/orders", "9"], "{shown}");
    let top = admin(&["top", "user", "--most", "1"]);
    assert!(top.contains("user:42") && !top.contains("user:7"), "{top}");
    assert_eq!(admin(&["reset", "user:42", "--part", "/orders"]), "2 set back\n");
    assert!(admin(&["top", "user"]).contains("user:7"));
    assert!(!admin(&["top", "user"]).contains("user:42"));
}

#[test]
fn what_cannot_be_done_is_said() {
    let mut command = example("limits_admin");
    let said = output(command.args(["top", "nobody", "--redis", "redis://127.0.0.1:1"]));
    assert!(
        String::from_utf8_lossy(&said.stderr).contains("no limit \"nobody\"; there are all, user")
    );
    let mut command = example("limits_admin");
    let said = output(command.args(["show", "a", "--redis", "redis://127.0.0.1:1"]));
    assert!(!said.status.success());
    assert!(String::from_utf8_lossy(&said.stderr).contains("cannot be reached"), "{said:?}");
}
