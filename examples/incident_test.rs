//! Runs the incidents, the outages in part, and holds them to what the guides say.

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

fn run(args: &[&str]) -> Output {
    let test = std::env::current_exe().expect("this test's own path");
    let profile = test.parent().and_then(|deps| deps.parent()).expect("target/PROFILE/deps/TEST");
    let name = format!("incident{}", std::env::consts::EXE_SUFFIX);
    let path: PathBuf = profile.join("examples").join(name);
    Command::new(&path).args(args).output().unwrap_or_else(|error| panic!("{path:?}: {error}"))
}

fn json(args: &[&str]) -> Value {
    let output = run(args);
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("one line, and nothing but JSON")
}

/// Every figure of `answered` beside that of `possible`, with the openings.
fn figures(result: &Value) -> Vec<(f64, f64, u64)> {
    let mut figures = Vec::new();
    for (service, rates) in result["answered"].as_object().expect("by service") {
        for (rate, answered) in rates.as_object().expect("by rate") {
            let of = |figure: &str| &result[figure][service][rate];
            figures.push((
                answered.as_f64().expect("a share"),
                of("possible").as_f64().expect("a share"),
                of("openings").as_u64().expect("a count"),
            ));
        }
    }
    figures
}

#[test]
fn under_overload_as_many_are_answered_as_can_be_and_no_breaker_opens() {
    let result = json(&["--overload", "--minutes", "3", "--json"]);
    let mut all = figures(&result);
    assert_eq!(all.len(), 8);
    for (policy, result) in result["by_policy"].as_object().expect("other policies") {
        let of_policy = figures(result);
        assert!(!of_policy.is_empty(), "{policy}");
        all.extend(of_policy);
    }
    for (answered, possible, openings) in all {
        assert!(answered >= possible - 0.01, "{answered} of {possible}");
        assert_eq!(openings, 0);
    }
}

#[test]
fn an_opening_refuses_at_most_three_good_calls_for_each_bad_one() {
    let result = json(&["--openings", "--json"]);
    let policies = result.as_object().expect("by policy");
    assert_eq!(policies.len(), 2);
    for (policy, bursts) in policies {
        for burst in ["1", "5", "15", "30"] {
            let of = |figure: &str| bursts[burst][figure].as_f64().expect("calls");
            let (ill, well) = (of("refused_while_ill"), of("refused_while_well"));
            assert!(ill > 0.0 && well <= 3.0 * ill, "{policy}, {burst} s: {ill}, {well}");
        }
    }
}

#[test]
fn errors_that_are_usual_open_nothing_and_an_outage_does_within_a_second() {
    let result = json(&["--false-alarms", "--json"]);
    let no_policy = &result["no policy"];
    assert_eq!(no_policy["openings_a_day"]["0.1"], 0);
    assert!(no_policy["openings_a_day"]["0.2"].as_u64().expect("a count") <= 1);
    for before in ["of_health", "of_errors"] {
        assert!(no_policy["opens_after_s"][before].as_f64().expect("seconds") <= 1.0, "{before}");
    }
    assert!(result["failures = 5"]["openings_a_day"]["0.1"].as_u64() > Some(1), "five means five");
}

#[test]
fn an_outage_opens_the_breaker_within_two_seconds_and_slow_answers_do_not() {
    let result = json(&["--outage", "--quick", "--json"]);
    for policy in ["none", "readme"] {
        for illness in ["hangs", "refuses", "answers_503", "fails_one_in_two"] {
            let after = |figure: &str| result[figure][illness][policy]["1"].as_f64();
            let opened = after("opened_after_s");
            // A call that hangs says nothing before its caller gives up, after a second.
            assert!(opened.is_some_and(|opened| opened <= 2.0), "{policy}, {illness}: {opened:?}");
            let recovered = after("recovered_after_s");
            assert!(
                recovered.is_some_and(|recovered| recovered <= 30.0),
                "{illness}: {recovered:?}"
            );
        }
        assert!(result["opened_after_s"]["answers_slowly"][policy]["1"].is_null(), "{policy}");
    }
    assert_eq!(result["false_trips"], 0);
}

#[test]
fn an_incident_that_there_is_not_is_told_with_those_that_there_are() {
    let output = run(&["--outrage"]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && error.contains("--outage"), "{error}");
}
