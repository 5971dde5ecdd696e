//! Runs the contest as a user does, with fewer calls than by default, and holds it to what the guide says.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::LazyLock;

use serde_json::Value;

/// Few enough calls and breakers for an unoptimised build, and the window that so few calls need.
const QUICK: [&str; 4] = ["--noon", "2", "--adaptive-window", "30"];
const FIXED: &str = "0.01,0.05,0.1,0.2,0.5,0.9";

fn run(args: &[&str]) -> Output {
    let test = std::env::current_exe().expect("this test's own path");
    let profile = test.parent().and_then(|deps| deps.parent()).expect("target/PROFILE/deps/TEST");
    let name = format!("adaptive_breaker{}", std::env::consts::EXE_SUFFIX);
    let path: PathBuf = profile.join("examples").join(name);
    Command::new(&path).args(args).output().unwrap_or_else(|error| panic!("{path:?}: {error}"))
}

static RESULT: LazyLock<Value> = LazyLock::new(|| {
    let output = run(&[&QUICK[..], &["--json", "--fixed", FIXED]].concat());
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("nothing but JSON")
});

fn false_trips(score: &Value) -> u64 {
    score["false_trips"].as_u64().expect("a count")
}

/// `None`: an incident was missed.
fn delay_s(score: &Value) -> Option<f64> {
    assert!(score["delay_s"].is_null() || score["delay_s"].is_f64(), "{score}");
    score["delay_s"].as_f64()
}

fn fixed() -> impl Iterator<Item = (f64, &'static Value)> {
    let all = RESULT["fixed"].as_object().expect("one for each threshold");
    all.iter().map(|(threshold, score)| (threshold.parse().expect("a share"), score))
}

#[test]
fn no_fixed_threshold_has_both_as_few_false_trips_and_as_early_a_true_one() {
    let adaptive = &RESULT["adaptive"];
    let delay = delay_s(adaptive).expect("it misses none");
    for (threshold, score) in fixed() {
        let fewer = false_trips(adaptive) < false_trips(score);
        let earlier = delay_s(score).is_none_or(|theirs| delay < theirs);
        assert!(fewer || earlier, "{threshold}: {score}, adaptive {adaptive}");
    }
    assert!(false_trips(adaptive) <= 3, "{adaptive}");
    assert!(delay < 120.0, "{adaptive}");
}

#[test]
fn a_breaker_that_sees_both_incidents_has_more_false_trips_than_the_adaptive_one() {
    let calmest = fixed().filter(|(_, score)| delay_s(score).is_some());
    let calmest = calmest.map(|(_, score)| false_trips(score)).min().expect("0.05 does");
    assert!(false_trips(&RESULT["adaptive"]) * 100 < calmest, "{}", *RESULT);
}

#[test]
fn the_contest_is_one_that_fixed_thresholds_can_lose_in_both_ways() {
    let of = |wanted: f64| fixed().find(|(threshold, _)| *threshold == wanted).expect("it plays").1;
    assert_eq!(fixed().count(), 6);
    assert!(false_trips(of(0.1)) > 100, "the nightly batch opens it: {}", of(0.1));
    assert_eq!(delay_s(of(0.5)), None, "no incident is that bad");
    assert_eq!(delay_s(of(0.9)), None);
}

#[test]
fn the_shape_of_the_json_is_exactly_what_is_promised() {
    let keys = |value: &Value| -> Vec<String> {
        value.as_object().expect("an object").keys().cloned().collect()
    };
    assert_eq!(keys(&RESULT), ["adaptive", "fixed"]);
    for (_, score) in fixed() {
        assert_eq!(keys(score), ["delay_s", "false_trips"]);
    }
    assert_eq!(keys(&RESULT["adaptive"]), ["delay_s", "false_trips"]);
}

#[test]
fn a_table_and_a_chart_come_of_a_run_for_people() {
    let path = std::env::temp_dir().join(format!("seawall-chart-{}.svg", std::process::id()));
    let output = run(&[
        &QUICK[..],
        &["--fixed", "0.05,0.9", "--svg", path.to_str().expect("text")],
    ]
    .concat());
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("text");
    let result = ["fixed thresholds that saw both incidents, the one with the fewest (0.05) has "];
    for needed in ["false trips", "Wednesday noon", "adaptive", "Chart: "].into_iter().chain(result)
    {
        assert!(text.contains(needed), "no `{needed}` in {text}");
    }
    let chart = std::fs::read_to_string(&path).expect("it was drawn");
    let _ = std::fs::remove_file(&path);
    assert!(chart.starts_with("<svg") && chart.trim_end().ends_with("</svg>"));
}

#[test]
fn a_chart_that_cannot_be_drawn_is_said_and_not_shrugged_off() {
    let output = run(&["--svg", "/dev/null/chart.svg"]);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("adaptive_breaker: "));
    let help = String::from_utf8(run(&["--help"]).stdout).expect("text");
    assert!(help.contains("a false trip is"), "{help}");
    let refused = String::from_utf8(run(&["--fixed", "1.5"]).stderr).expect("text");
    assert!(refused.contains("above 0 and at most 1"), "{refused}");
}
