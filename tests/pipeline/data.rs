//! A snapshot as data, as one sees it with `jq`.

use seawall_tests::{Api, Step, Trouble, World, ready};
use serde_json::{Value, json};

use super::build::*;

#[test]
fn a_snapshot_names_its_counts_and_gives_quantiles() {
    let broken = || Step::Answer(Err(Trouble::Broken));
    let world = World::new(base().build().unwrap(), [broken(), broken(), broken()]);
    for _ in 0..3 {
        ready(world.client.write("")).unwrap_err();
    }
    ready(world.client.write("")).unwrap_err();
    let data: Value = serde_json::to_value(world.snapshot()).unwrap();
    assert_eq!(data["dependency"], "api");
    assert_eq!(data["breaker"]["state"], "open");
    assert_eq!(data["breaker"]["transition_counts"]["closed"]["open"], 1);
    assert_eq!(data["rejections"]["breaker"], 1);
    assert_eq!(data["rejections"]["rate_limit"], 0);
    let write = data["methods"].as_array().unwrap().iter().find(|it| it["name"] == "write");
    let write = write.unwrap();
    assert_eq!(write["calls"]["failure"], 3);
    assert_eq!(write["calls"]["rejected"], 1);
    assert_eq!(write["attempts"]["failure"], 3);
    assert_eq!(write["rejected"]["breaker"], 1);
    let latency = write["latency"].as_object().unwrap();
    let names: Vec<_> = latency.keys().map(String::as_str).collect();
    assert_eq!(names, ["count", "p50", "p90", "p99", "p999", "sum"]);
    assert_eq!((&latency["count"], &latency["sum"]), (&json!(3), &json!(0.0)));
    assert!(latency["p999"].as_f64().unwrap() <= 1e-6);
    let read = data["methods"].as_array().unwrap().iter().find(|it| it["name"] == "read").unwrap();
    assert_eq!(read["latency"]["p50"], Value::Null, "no calls, no quantiles");
    let arrays_of_numbers =
        |value: &Value| value.as_array().is_some_and(|it| it.iter().any(Value::is_number));
    let mut left = vec![&data];
    while let Some(value) = left.pop() {
        assert!(!arrays_of_numbers(value), "numbers without names: {value}");
        left.extend(value.as_object().into_iter().flat_map(|object| object.values()));
        left.extend(value.as_array().into_iter().flatten());
    }
}
