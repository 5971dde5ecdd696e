//! Runs the lab as a user does, and holds it to what its pages and the guides say.

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

fn run(args: &[&str]) -> Output {
    let test = std::env::current_exe().expect("this test's own path");
    let profile = test.parent().and_then(|deps| deps.parent()).expect("target/PROFILE/deps/TEST");
    let path: PathBuf =
        profile.join("examples").join(format!("lab{}", std::env::consts::EXE_SUFFIX));
    Command::new(&path).args(args).output().unwrap_or_else(|error| panic!("{path:?}: {error}"))
}

fn found(args: &[&str]) -> Value {
    let output = run(args);
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("text");
    assert_eq!(text.lines().count(), 1, "nothing but one line of JSON");
    serde_json::from_str(&text).expect("JSON")
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("no number: {value}"))
}

#[test]
fn scenarios_are_listed_one_a_line_and_an_unknown_one_is_named() {
    let listed = run(&["--list"]);
    let text = String::from_utf8(listed.stdout).unwrap();
    let names: Vec<&str> = text.lines().filter_map(|line| line.split_whitespace().next()).collect();
    let known = "jitter amplification herd metastable overload isolation fleet priority fanout stability day";
    assert_eq!(names.join(" "), known);
    let unknown = run(&["jiter"]);
    assert!(!unknown.status.success());
    let said = String::from_utf8(unknown.stderr).unwrap();
    assert!(said.starts_with("lab: there is no scenario `jiter`; allowed: jitter, "), "{said}");
}

#[test]
fn jitter_makes_fewer_calls_than_none_and_full_the_fewest_but_one() {
    let folder = std::env::temp_dir().join(format!("seawall-lab-{}", std::process::id()));
    let csv = folder.join("jitter.csv");
    let jitter = found(&["jitter", "--quick", "--json", "--csv", csv.to_str().unwrap()]);
    let rows = std::fs::read_to_string(&csv).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(
        rows.lines().next(),
        Some("algorithm,clients,calls_mean,calls_sd,time_mean,time_sd")
    );
    assert_eq!(rows.lines().count(), 1 + 5 * 8);
    let calls = |algorithm: &str, at: usize| number(&jitter["jitter"][algorithm][at]["calls"]);
    for algorithm in ["none", "exponential", "full", "equal", "decorrelated"] {
        assert_eq!((calls(algorithm, 0), calls(algorithm, 1)), (1.0, 3.0), "{algorithm}");
        assert!(algorithm == "none" || calls(algorithm, 7) < 0.7 * calls("none", 7), "{algorithm}");
    }
    assert!(calls("full", 6) < calls("decorrelated", 6));
    let time = |algorithm: &str| number(&jitter["jitter"][algorithm][7]["time_ms"]);
    assert!(time("exponential") > 10.0 * time("full"), "without jitter they meet again and again");
}

#[test]
fn retries_add_what_the_formula_says_and_a_budget_bounds_it() {
    let found = found(&["amplification", "--quick", "--json"]);
    // Of 20,000 calls; the whole run has ten times as many, and 1 %.
    assert!(number(&found["worst_difference"]) < 0.02, "{found}");
    assert_eq!(number(&found["layers"]["one_call"]), 27.0);
    assert!(number(&found["layers"]["budget"]) < 3.0, "{found}");
    // 20 %, and 10 a second, which weighs more the shorter the run is.
    assert!(number(&found["most_with_budget"]) <= 1.25, "{found}");
    assert_eq!(number(&found["retries_over_budget"]), 0.0);
    // 500 tokens, 5 a retry, and nothing comes back.
    assert_eq!(number(&found["retries_by_tokens"]), 100.0 * number(&found["clients_with_tokens"]));
}

#[test]
fn a_database_that_comes_back_is_not_run_over() {
    let herd = &found(&["herd", "--json"])["herd"];
    let of = |stack: &str, key: &str| number(&herd[stack][key]);
    assert!(
        herd["naive"]["recovery_s"].is_null() && herd["jitter"]["recovery_s"].is_null(),
        "{herd}"
    );
    // It is cold for 10 s.
    assert!(of("seawall", "recovery_s") < 15.0, "{herd}");
    assert!(
        of("seawall", "requests_while_away") < 0.2 * of("naive", "requests_while_away"),
        "{herd}"
    );
    assert!(of("seawall", "peak_per_second") < 0.2 * of("naive", "peak_per_second"), "{herd}");
    assert!(of("seawall", "longest_queue") < 200.0, "{herd}");
}

#[test]
fn overload_ends_with_its_cause() {
    let found = found(&["metastable", "--json"]);
    let recovery = |stack: &str, freeze: &str| found["recovery_s"][stack][freeze].as_f64();
    assert_eq!((recovery("naive", "2"), recovery("naive", "10")), (None, None));
    assert_eq!(recovery("queue_of_600", "2"), None, "longer than its clients wait");
    let budget = recovery("budget", "10").expect("it recovers");
    assert!((60.0..180.0).contains(&budget), "about two minutes: {budget}");
    assert!(recovery("budget_and_skip", "10").is_some_and(|seconds| seconds <= 2.0), "{found}");
    for freeze in ["2", "10"] {
        assert!(recovery("seawall", freeze).is_some_and(|seconds| seconds <= 8.0), "{found}");
    }
    let spike = found["spike_recovery_s"]["seawall"].as_f64().expect("it recovers");
    assert!(spike <= 1.0, "{spike}");
    let study = &found["study"];
    assert_eq!(study["naive"]["recovered"], 0);
    assert_eq!(study["seawall"]["recovered"], 40);
    assert!(number(&study["seawall"]["median_s"]) <= 5.0);
}

#[test]
fn there_is_a_way_back_from_every_state() {
    let map = &found(&["metastable", "--map", "--json"])["map"];
    assert_eq!(number(&map["seawall"]["share"]), 1.0);
    assert!((0.1..0.3).contains(&number(&map["naive"]["share"])), "{map}");
    assert_eq!(map["naive"]["cells"].as_array().map(Vec::len), Some(6));
}

#[test]
fn a_limit_that_finds_itself_keeps_the_capacity() {
    let found = found(&["overload", "--json"]);
    for (retries, loads) in
        [("goodput", &found["goodput"]), ("with_retries", &found["with_retries"])]
    {
        let goodput = |stack: &str, load: &str| number(&loads[stack][load]);
        for load in ["1.2", "1.5", "2", "3"] {
            assert!(goodput("seawall", load) >= 0.97, "{retries} {load}: {found}");
            assert!(goodput("nothing", load) < 0.05 && goodput("fixed_high", load) < 0.1);
        }
        for load in ["0.5", "0.8"] {
            let arrived = number(&found["arrived"][load]);
            assert!(goodput("seawall", load) >= 0.98 * arrived, "{retries} {load}: {found}");
        }
    }
}

#[test]
fn overload_costs_no_memory_and_other_servers_are_shown() {
    let found = found(&["overload", "--json"]);
    let bytes = |load: &str| number(&found["details"]["seawall"][load]["peak_bytes"]);
    assert!(bytes("3") <= 2.0 * bytes("0.8"), "{found}");
    let skips = |stack: &str| number(&found["others"]["skips"][stack]["3"]);
    assert!(skips("seawall") > 0.9 && skips("nothing") < 0.2, "{found}");
    assert!(number(&found["others"]["exponential"]["seawall"]["1"]) > 0.6, "{found}");
}

#[test]
fn nine_dependencies_keep_their_calls_when_the_tenth_hangs() {
    let kept = &found(&["isolation", "--json"])["kept"];
    let others = |stack: &str| number(&kept[stack]["others"]);
    assert!(others("nothing") < 0.2 && others("timeout") < 0.9, "{kept}");
    assert!(others("bulkhead") > 0.999 && others("seawall") > 0.999, "{kept}");
}

#[test]
fn a_fleet_serves_what_fixed_pools_refuse_and_isolates_as_they_do() {
    let fleet = &found(&["fleet", "--json"])["fleet"];
    let of = |stack: &str, what: &str| number(&fleet[stack][what]);
    assert!(of("fixed", "hot") < 0.3 && of("fleet", "hot") > 0.95, "{fleet}");
    assert!(
        of("fleet", "others") > 0.99 && of("fleet", "others_while_one_hangs") > 0.99,
        "{fleet}"
    );
    assert!(number(&fleet["more"]) > 1.5, "{fleet}");
}

#[test]
fn a_spike_of_what_can_wait_leaves_the_rest_alone() {
    for seed in ["1", "2"] {
        let found = found(&["priority", "--json", "--seed", seed]);
        assert!(number(&found["success"]["critical"]) >= 0.994, "{found}");
        assert!(number(&found["success"]["normal"]) >= 0.99, "{found}");
        assert!(number(&found["success"]["sheddable"]) > 0.1, "what is left is theirs: {found}");
        assert!(number(&found["without"]["critical"]) < 0.3, "{found}");
    }
}

#[test]
fn a_task_of_four_calls_succeeds_nearly_as_often_as_one_of_one() {
    for seed in ["7", "1"] {
        let found = found(&["fanout", "--json", "--seed", seed]);
        let four = |stack: &str| number(&found["relative_success"][stack]["4"]);
        assert!(four("seawall") >= 0.9 && four("random") < 0.5, "{found}");
    }
}

#[test]
fn no_swing_grows() {
    let stability = &found(&["stability", "--json"])["stability"];
    for stack in ["share", "accept_ratio", "found_permits"] {
        assert!(number(&stability[stack]["growth"]) < 1.3, "{stability}");
    }
    assert!(number(&stability["found_permits"]["answered"]) > 0.85, "{stability}");
}

#[test]
fn a_seed_gives_the_same_line_and_another_does_not() {
    let line = |seed: &str| run(&["stability", "--json", "--seed", seed]).stdout;
    assert_eq!(line("1"), line("1"));
    assert_ne!(line("1"), line("2"));
}

#[test]
fn nothing_wears_out_in_a_day() {
    let day = &found(&["day", "--quick", "--json"])["day"];
    assert_eq!(day["calls"], day["ended"], "every call has ended");
    for part in ["kept_first_half", "kept_second_half"] {
        assert!(number(&day[part]) > 0.97, "{day}");
    }
    assert!(number(&day["kept_worst_hour"]) > 0.95, "{day}");
}
