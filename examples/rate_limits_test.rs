//! Runs the contest as a user does, and holds it to what its page says.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::LazyLock;

use serde_json::Value;

const ALGORITHMS: [&str; 5] =
    ["fixed_window", "sliding_log", "sliding_window", "token_bucket", "leaky_bucket"];

fn run(args: &[&str]) -> Output {
    let test = std::env::current_exe().expect("this test's own path");
    let profile = test.parent().and_then(|deps| deps.parent()).expect("target/PROFILE/deps/TEST");
    let name = format!("rate_limits{}", std::env::consts::EXE_SUFFIX);
    let path: PathBuf = profile.join("examples").join(name);
    Command::new(&path).args(args).output().unwrap_or_else(|error| panic!("{path:?}: {error}"))
}

static RESULT: LazyLock<Value> = LazyLock::new(|| {
    let output = run(&["--json"]);
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("nothing but JSON")
});

fn boundary_burst(algorithm: &str) -> f64 {
    RESULT["boundary_burst"][algorithm].as_f64().expect("a ratio")
}

fn admitted(algorithm: &str, trace: &str) -> u64 {
    RESULT["admitted"][algorithm][trace].as_u64().expect("a count")
}

#[test]
fn everybody_has_a_figure_for_every_trace() {
    for algorithm in ALGORITHMS {
        for trace in ["steady", "bursty", "boundary", "flood", "poisson"] {
            let arrived = RESULT["arrived"][trace].as_u64().expect("a count");
            let admitted = admitted(algorithm, trace);
            assert!(admitted > 0 && admitted <= arrived, "{algorithm}, {trace}: {admitted}");
        }
        assert_eq!(
            admitted(algorithm, "steady"),
            1_080,
            "{algorithm}: below the limit nothing is refused"
        );
    }
}

#[test]
fn a_fixed_window_lets_twice_its_limit_through_around_a_boundary() {
    assert_eq!(boundary_burst("fixed_window"), 2.0);
    assert_eq!(boundary_burst("sliding_log"), 1.0);
    assert!(boundary_burst("sliding_window") < 1.2, "{}", boundary_burst("sliding_window"));
    assert!(boundary_burst("leaky_bucket") <= 1.0, "{}", boundary_burst("leaky_bucket"));
}

#[test]
fn a_flood_is_held_to_the_sustained_rate_and_a_burst() {
    // 120 seconds at 10 a second, and at most a limit of 100 on top.
    for algorithm in ALGORITHMS {
        let flood = admitted(algorithm, "flood");
        assert!((1_100..=1_300).contains(&flood), "{algorithm}: {flood}");
    }
}

#[test]
fn the_log_makes_no_mistake_and_the_sliding_window_few() {
    let wrong = |algorithm: &str| RESULT["wrong_percent"][algorithm]["poisson"].as_f64().unwrap();
    assert_eq!(wrong("sliding_log"), 0.0);
    assert!(wrong("sliding_window") < 20.0, "{}", wrong("sliding_window"));
    let curve = RESULT["sliding_window_error"].as_array().expect("a list");
    assert_eq!(curve.len(), 33, "three shapes at eleven loads");
    for point in curve {
        let worst = point["worst_window"].as_f64().unwrap();
        assert!(worst < 2.0, "{point}");
        if point["load"].as_f64().unwrap() < 0.8 && point["shape"] == "poisson" {
            assert!(point["wrong_percent"].as_f64().unwrap() < 1.0, "far below the limit: {point}");
        }
    }
}

#[test]
fn a_leaky_bucket_holds_back_and_no_longer_than_it_says() {
    let wait = RESULT["longest_wait_s"]["leaky_bucket"]["bursty"].as_f64().unwrap();
    assert!((5.0..=10.0).contains(&wait), "{wait}");
    assert_eq!(RESULT["longest_wait_s"]["token_bucket"]["bursty"], 0.0);
}

#[test]
fn the_page_and_the_picture_are_there() {
    let folder = std::env::temp_dir().join(format!("rate_limits_{}", std::process::id()));
    let path = folder.join("picture.svg");
    let output = run(&["--svg", path.to_str().expect("plain")]);
    let page = String::from_utf8(output.stdout).expect("text");
    let picture = std::fs::read_to_string(&path).expect("drawn");
    std::fs::remove_dir_all(&folder).expect("ours");
    assert!(output.status.success());
    let mut lines = page.lines().filter(|line| !line.contains("picture.svg"));
    assert!(lines.all(|line| line.chars().count() <= 80), "{page}");
    assert!(page.contains("Token bucket or leaky bucket?"));
    assert!(picture.trim_end().ends_with("</svg>") && picture.contains("leaky_bucket_meter"));
    assert!(picture.contains("pace (red)"), "what the red line is");
    every_point_is_drawn_where_its_value_is(&picture);
}

/// The points of the worst windows are in the right half, shape by shape. What is off the axis would be drawn at its end.
fn every_point_is_drawn_where_its_value_is(picture: &str) {
    let attribute = |circle: &str, name: &str| -> f64 {
        let value = circle.split(&format!(" {name}=\"")).nth(1).expect("it has one");
        value.split('"').next().expect("quoted").parse().expect("a number")
    };
    let circles = picture.split("<circle").skip(1);
    let drawn: Vec<f64> = circles
        .filter(|circle| attribute(circle, "cx") > 550.0)
        .map(|circle| attribute(circle, "cy"))
        .collect();
    let curve = RESULT["sliding_window_error"].as_array().expect("a list");
    let value = |point: &Value| point["worst_window"].as_f64().expect("a number");
    let mut values = Vec::new();
    for shape in ["poisson", "drifting bursts", "late bursts"] {
        values.extend(curve.iter().filter(|point| point["shape"] == shape).map(value));
    }
    assert_eq!(drawn.len(), values.len());
    let order = |a: &usize, b: &usize| values[*a].total_cmp(&values[*b]);
    let (low, high) =
        ((0..33).min_by(order).expect("33 points"), (0..33).max_by(order).expect("33 points"));
    let pixels = (drawn[high] - drawn[low]) / (values[high] - values[low]);
    for (y, value) in drawn.iter().zip(&values) {
        let expected = drawn[low] + (value - values[low]) * pixels;
        assert!((y - expected).abs() < 2.0, "{value} is drawn at {y}, not {expected}");
    }
}
