//! The page as a scraper sees it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use proptest::prelude::*;

use crate::breaker;
use crate::dependency::Dependency;
use crate::event::{Cause, Command, State};
use crate::outcome::{CallOutcome, Outcome};
use crate::policy::Policy;

use super::parser::{Page, parse};
use super::{Driven, method};
use crate::telemetry::families::FAMILIES;
use crate::telemetry::names::{self, Kind};
use crate::telemetry::prometheus::Exporter;
use crate::telemetry::publish::Publisher;

const MS: Duration = Duration::from_millis(1);

/// The recorder puts one between families.
fn without_blank_lines(text: &str) -> String {
    text.replace("\n\n", "\n")
}

fn page_of(exporter: &Exporter, driven: &[&Driven]) -> Page {
    parse(&exporter.render(driven.iter().map(|driven| driven.dependency())))
}

#[test]
fn nothing_to_tell_is_an_empty_page() {
    assert_eq!(Exporter::new().render::<Arc<Dependency>>([]), "");
}

#[test]
fn every_metric_shows_from_the_start_with_its_kind_help_and_labels() {
    let payments = Driven::adaptive("payments");
    let exporter = Exporter::new();
    let page = page_of(&exporter, &[&payments]);
    let shown: BTreeSet<_> = page.families.keys().map(String::as_str).collect();
    let is_shown = |metric: &&names::Metric| {
        let is_later = metric.name == names::FALLBACKS.name || metric.kind == Kind::Histogram;
        !is_later && !metric.name.starts_with("seawall_breaker_keys")
    };
    let expected = names::ALL.iter().filter(is_shown).map(|metric| metric.name);
    assert_eq!(
        shown,
        expected.collect(),
        "latency is shown of methods that were called, keys of those that have them, fallbacks when there was one"
    );
    let _key = payments.dependency().key(&"EU");
    assert!(page.rising().all(|(_, value)| value == 0.0));
    payments.call(0, MS, Ok(1));
    payments.retried(1);
    payments.fell_back(0);
    let page = page_of(&exporter, &[&payments]);
    for metric in &names::ALL {
        let family = &page.families[metric.name];
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        assert_eq!((&*family.kind, &*family.help), (kind, metric.help));
        for (_, labels, _) in &family.series {
            let labels: BTreeSet<_> =
                labels.keys().map(String::as_str).filter(|label| *label != "le").collect();
            assert_eq!(labels, metric.labels.iter().copied().collect(), "{}", metric.name);
        }
    }
    assert_eq!(page.families["seawall_breaker_transitions_total"].series.len(), 5);
    assert_eq!(page.families["seawall_calls_total"].series.len(), 2 * CallOutcome::ALL.len());
    assert_eq!(page.families["seawall_breaker_openings_total"].series.len(), Cause::OPENING.len());
    assert_eq!(page.value("seawall_bulkhead_limit", &[("dependency", "payments")]), Some(25.0));
    assert_eq!(page.value("seawall_breaker_threshold", &[("dependency", "payments")]), Some(0.6));
    assert_eq!(page.value("seawall_breaker_baseline", &[("dependency", "payments")]), Some(0.05));
    assert_eq!(page.value("seawall_breaker_ramp", &[("dependency", "payments")]), Some(1.0));
}

#[test]
fn a_closed_breaker_that_refuses_says_that_it_lets_only_a_share_through() {
    let breaker = breaker::Config::builder().failures(1).open_for(Duration::from_secs(5));
    let breaker = breaker.success_threshold(1).ramp(0.1, Duration::from_secs(10));
    let policy = Policy::builder().breaker(breaker).build().unwrap();
    let (exporter, simple) = (Exporter::new(), Driven::new("simple"));
    let ramped = Driven::under(policy, "ramped", vec![method("charge")]);
    let share = || {
        let page = page_of(&exporter, &[&simple, &ramped]);
        assert_eq!(page.families["seawall_breaker_ramp"].series.len(), 1, "simple has none");
        page.value("seawall_breaker_ramp", &[("dependency", "ramped")])
    };
    assert_eq!(share(), Some(1.0));
    ramped.call(0, Duration::ZERO, Err(()));
    ramped.time.advance(Duration::from_secs(5));
    ramped.call(0, Duration::ZERO, Ok(1));
    let breaker = ramped.dependency().snapshot().breaker;
    assert_eq!((breaker.state, breaker.ramping, share()), (State::Closed, true, Some(0.1)));
    ramped.time.advance(Duration::from_secs(5));
    assert_eq!(share(), Some(0.55));
    ramped.time.advance(Duration::from_secs(5));
    assert_eq!(share(), Some(1.0));
}

#[test]
fn only_an_adaptive_breaker_has_a_threshold_to_show() {
    let (exporter, simple, other) =
        (Exporter::new(), Driven::new("simple"), Driven::adaptive("adaptive"));
    let page = page_of(&exporter, &[&simple, &other]);
    for name in ["seawall_breaker_threshold", "seawall_breaker_baseline"] {
        assert_eq!(page.families[name].series.len(), 1, "{name}");
    }
    // A reload can make one of the other.
    simple.dependency().reload((*other.dependency().policy()).clone());
    other.dependency().reload(Policy::default());
    let page = page_of(&exporter, &[&simple, &other]);
    let threshold = |name| page.value("seawall_breaker_threshold", &[("dependency", name)]);
    assert_eq!((threshold("simple"), threshold("adaptive")), (Some(0.6), None));
}

#[test]
fn the_page_says_what_happened() {
    let payments = Driven::new("payments");
    payments.call(0, 3 * MS, Ok(1));
    payments.call(1, 30 * MS, Ok(1));
    payments.retried(1);
    payments.break_it();
    payments.call(0, MS, Ok(1));
    payments.dependency().note_restart();
    payments.dependency().note_unattended();
    let exporter = Exporter::new();
    let page = page_of(&exporter, &[&payments]);
    let value = |name: &str, labels: &[(&str, &str)]| {
        let mut all = vec![("dependency", "payments")];
        all.extend(labels);
        page.value(name, &all).unwrap_or_else(|| panic!("no {name} {labels:?}"))
    };
    let ended =
        |method, outcome| value("seawall_calls_total", &[("method", method), ("outcome", outcome)]);
    assert_eq!(ended("charge", "success"), 1.0);
    assert_eq!(ended("charge", "failure"), 5.0);
    assert_eq!(ended("charge", "rejected"), 1.0);
    assert_eq!(ended("balance", "success"), 2.0);
    let attempts = |outcome, kind| {
        let labels = [("method", "balance"), ("outcome", outcome), ("kind", kind)];
        value("seawall_attempts_total", &labels)
    };
    assert_eq!((attempts("failure", "original"), attempts("success", "original")), (1.0, 1.0));
    assert_eq!((attempts("failure", "retry"), attempts("success", "retry")), (0.0, 1.0));
    assert_eq!(value("seawall_retry_delay_seconds_count", &[]), 1.0);
    assert_eq!(value("seawall_retries_total", &[]), 1.0);
    assert_eq!(value("seawall_rejections_total", &[("by", "breaker")]), 1.0);
    assert_eq!(value("seawall_breaker_state", &[("state", "open")]), 1.0);
    let opened = [("from", "closed"), ("to", "open")];
    assert_eq!(value("seawall_breaker_transitions_total", &opened), 1.0);
    assert_eq!(value("seawall_actor_restarts_total", &[]), 1.0);
    assert_eq!(value("seawall_actor_unattended", &[]), 1.0);
    assert_eq!(value("seawall_call_duration_seconds_count", &[("method", "charge")]), 6.0);
    assert_eq!(value("seawall_call_duration_seconds_sum", &[("method", "charge")]), 0.003);
    let bucket =
        |le| value("seawall_call_duration_seconds_bucket", &[("method", "charge"), ("le", le)]);
    assert_eq!((bucket("0.002"), bucket("0.005"), bucket("30")), (5.0, 6.0, 6.0));
}

#[test]
fn a_breaker_is_in_exactly_one_state_all_the_way_round() {
    let payments = Driven::new("payments");
    let exporter = Exporter::new();
    let mut seen = Vec::new();
    let mut look = || {
        let page = page_of(&exporter, &[&payments]);
        page.assert_one_state_each();
        let is_in = |state: &State| {
            let labels = [("dependency", "payments"), ("state", state.as_str())];
            page.value("seawall_breaker_state", &labels) == Some(1.0)
        };
        seen.extend(State::EVERY.into_iter().filter(is_in));
    };
    look();
    payments.break_it();
    look();
    payments.time.advance(Duration::from_secs(31));
    payments.dependency().tick();
    look();
    payments.call(0, MS, Ok(1));
    payments.call(0, MS, Ok(1));
    look();
    assert_eq!(seen, [State::Closed, State::Open, State::HalfOpen, State::Closed]);
}

#[test]
fn no_counter_falls_and_states_add_up_while_threads_call_and_scrape() {
    let driven: Vec<_> = ["payments", "inventory"].iter().map(|name| Driven::new(name)).collect();
    let exporter = Exporter::new();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for thread in 0..3u32 {
            let (driven, over) = (&driven, &over);
            scope.spawn(move || {
                let mut round = thread;
                while !over.load(Ordering::Relaxed) {
                    round = round.wrapping_add(1);
                    let one = &driven[round as usize % 2];
                    one.call(round as usize % 2, MS, if round % 3 == 0 { Err(()) } else { Ok(1) });
                    match round % 97 {
                        0 => one.dependency().execute(Command::ForceOpen, None),
                        1 => one.dependency().execute(Command::Reset, None),
                        2 => one.dependency().execute(Command::ForceClosed, None),
                        _ => {}
                    }
                }
            });
        }
        let scrapers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut last = BTreeMap::new();
                    for _ in 0..150 {
                        let page = parse(&exporter.render(driven.iter().map(Driven::dependency)));
                        page.assert_one_state_each();
                        for (key, value) in page.rising() {
                            let before = last.insert(key.clone(), value).unwrap_or(0.0);
                            assert!(before <= value, "{key:?} fell from {before} to {value}");
                        }
                    }
                    last.values().sum::<f64>()
                })
            })
            .collect();
        let sums: Vec<_> = scrapers.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        over.store(true, Ordering::Relaxed);
        assert!(sums.into_iter().all(|sum| sum.expect("a scraper that lived") > 0.0));
    });
}

fn names_survive(hostile: &[&str]) {
    let driven: Vec<_> = hostile.iter().map(|name| Driven::new(name)).collect();
    for called in &driven {
        called.call(0, Duration::ZERO, Ok(1));
    }
    let page = page_of(&Exporter::new(), &driven.iter().collect::<Vec<_>>());
    page.assert_one_state_each();
    assert_eq!(page.label_values("dependency"), hostile.iter().copied().collect());
    assert_eq!(page.families["seawall_retries_total"].series.len(), hostile.len());
    assert_eq!(
        page.families["seawall_call_duration_seconds"].series.len(),
        hostile.len() * 18,
        "of methods that were called"
    );
}

#[test]
fn hostile_names_stay_apart_and_the_page_well_formed() {
    names_survive(&[
        "",
        " ",
        "a\\b",
        "a\\\\b",
        "a\\\\\\b",
        "a\"b",
        "a\\\"b",
        "a\nb",
        "a\\nb",
        "a\\\nb",
        "a\r\n\n\nb",
        "\\",
        "\"} 1\nseawall_calls_total{dependency=\"forged\"} 1\n# TYPE x counter",
        "# HELP",
        "{}",
        "naïve 🦀 \u{202e}\0",
    ]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_names_survive(names in prop::collection::btree_set("[\\\\\"\nn,={} a🦀]{0,6}", 1..4)) {
        names_survive(&names.iter().map(String::as_str).collect::<Vec<_>>());
    }

    #[test]
    fn buckets_hold_exactly_the_calls_that_took_no_longer(
        took in prop::collection::vec((0u64..200_000_000_000, 0u32..28), 1..60),
    ) {
        let payments = Driven::new("payments");
        // On a bound as often as not.
        let took: Vec<u64> = took.into_iter().map(|(nanos, shift)| match shift {
            0..9 => 100_000 * 10u64.pow(shift % 7),
            shift => nanos >> shift,
        }).collect();
        for nanos in &took {
            payments.call(0, Duration::from_nanos(*nanos), Err(()));
            payments.dependency().execute(Command::Reset, None);
        }
        let page = page_of(&Exporter::new(), &[&payments]);
        for (name, labels, value) in &page.families["seawall_call_duration_seconds"].series {
            if labels["method"] == "charge" && name.ends_with("_bucket") {
                let le: f64 = labels["le"].parse().expect("a bound");
                let naive = took.iter().filter(|nanos| **nanos as f64 / 1e9 <= le).count();
                prop_assert_eq!(*value, naive as f64, "le {}", le);
            }
        }
        let sum = took.iter().sum::<u64>() as f64 / 1e9;
        let labels = [("dependency", "payments"), ("method", "charge")];
        prop_assert_eq!(page.value("seawall_call_duration_seconds_sum", &labels), Some(sum));
    }
}

#[test]
fn a_dependency_that_is_gone_takes_its_series_with_it() {
    let exporter = Exporter::new();
    let (payments, inventory) = (Driven::new("payments"), Driven::new("inventory"));
    payments.call(0, MS, Ok(1));
    inventory.call(0, MS, Ok(1));
    page_of(&exporter, &[&payments, &inventory]);
    let page = page_of(&exporter, &[&inventory]);
    assert_eq!(page.label_values("dependency"), BTreeSet::from(["inventory"]));
    let labels = [("dependency", "inventory"), ("method", "charge"), ("outcome", "success")];
    assert_eq!(
        page.value("seawall_calls_total", &labels),
        Some(1.0),
        "the other one's counts stay"
    );
}

#[test]
fn a_namesake_begins_at_zero_even_if_nobody_scraped_in_between() {
    let exporter = Exporter::new();
    let former = Driven::new("payments");
    former.break_it();
    page_of(&exporter, &[&former]);
    drop(former);
    let page = page_of(&exporter, &[&Driven::new("payments")]);
    assert!(page.rising().all(|(_, value)| value == 0.0));
    page.assert_one_state_each();
}

#[test]
fn two_of_one_name_do_not_break_the_page() {
    let (one, other) = (Driven::new("payments"), Driven::new("payments"));
    one.call(0, MS, Ok(1));
    let exporter = Exporter::new();
    for _ in 0..2 {
        let page = page_of(&exporter, &[&one, &other, &one]);
        let labels = [("dependency", "payments"), ("method", "charge"), ("outcome", "success")];
        assert_eq!(page.value("seawall_calls_total", &labels), Some(1.0));
    }
}

#[test]
fn ten_thousand_spawned_scraped_and_dropped_leave_nothing() {
    let exporter = Exporter::new();
    for batch in 0..50 {
        let names = (0..200).map(|n| format!("dependency-{batch}-{n}"));
        let driven: Vec<_> = names.map(|name| Driven::with_methods(&name, Vec::new())).collect();
        let text = exporter.render(driven.iter().map(Driven::dependency));
        let breakers = text.lines().filter(|line| line.starts_with("seawall_breaker_state{"));
        assert_eq!(breakers.count(), 3 * 200, "only those of this batch");
    }
    assert_eq!(exporter.render::<Arc<Dependency>>([]), "");
}

#[test]
fn the_table_of_families_has_every_metric_by_name() {
    let listed: Vec<_> = FAMILIES.iter().map(|family| *family.metric).collect();
    assert!(listed.is_sorted_by_key(|metric| metric.name));
    let mut all = names::ALL.to_vec();
    all.sort_unstable_by_key(|metric| metric.name);
    assert_eq!(listed, all);
}

#[test]
fn of_very_many_methods_those_without_a_call_show_what_an_alert_divides() {
    let names: Vec<&'static str> =
        (0..501).map(|n| &*Box::leak(format!("m{n}").into_boxed_str())).collect();
    let methods: Vec<_> = names.iter().map(|name| method(name)).collect();
    let one = Driven::with_methods("one", methods.clone());
    let other = Driven::with_methods("other", methods[..500].to_vec());
    let exporter = Exporter::new();
    let outcomes_of_m7 = || -> BTreeSet<String> {
        let page = page_of(&exporter, &[&one, &other]);
        let of_m7 = page.families["seawall_calls_total"]
            .series
            .iter()
            .filter(|(_, labels, _)| labels["dependency"] == "one" && labels["method"] == "m7");
        of_m7.map(|(_, labels, _)| labels["outcome"].clone()).collect()
    };
    assert_eq!(
        outcomes_of_m7(),
        BTreeSet::from(["success".into(), "failure".into()]),
        "1,001 idle"
    );
    let at = methods.iter().position(|method| method.name == "m7").unwrap();
    one.call(at, MS, Ok(1));
    assert_eq!(outcomes_of_m7().len(), CallOutcome::ALL.len());
    // And then only 1,000 are left without a call, which are shown whole.
    let page = page_of(&exporter, &[&one, &other]);
    let lines = page.families["seawall_calls_total"].series.len();
    assert_eq!(lines, 1_001 * CallOutcome::ALL.len());
    assert_eq!(page.families["seawall_attempts_total"].series.len(), 1_001 * Outcome::ALL.len());
}

#[test]
fn the_page_agrees_with_what_a_recorder_is_told() {
    let (payments, inventory) = (Driven::adaptive("payments"), Driven::new("inventory"));
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let (handle, mut publisher) = (recorder.handle(), Publisher::new(recorder));
    let exporter = Exporter::new();
    let mut agree = || {
        let all = [&payments, &inventory];
        publisher.publish(all.iter().map(|driven| driven.dependency()));
        let told = parse(&without_blank_lines(&handle.render())).values;
        let mut shown = page_of(&exporter, &all).values;
        let is_latency = |name: &str| {
            [names::CALL_DURATION, names::RETRY_DELAY].iter().any(|it| name.starts_with(it.name))
        };
        shown.retain(|(name, _), _| !is_latency(name));
        assert_eq!(shown, told);
    };
    agree();
    payments.call(0, MS, Ok(1));
    payments.retried(1);
    inventory.break_it();
    inventory.call(0, MS, Ok(1));
    let _key = inventory.dependency().key(&"EU");
    agree();
}

#[test]
fn methods_of_a_second_client_join() {
    let payments = Driven::new("payments");
    let exporter = Exporter::new();
    page_of(&exporter, &[&payments]);
    let more = vec![super::method("a_first"), super::method("charge"), super::method("zz_last")];
    let _second =
        crate::dependency::MethodTable::new(Arc::clone(payments.dependency()), more, Arc::new(()));
    payments.call(0, MS, Ok(1));
    let page = page_of(&exporter, &[&payments]);
    let methods = BTreeSet::from(["a_first", "balance", "charge", "zz_last"]);
    assert_eq!(page.label_values("method"), methods);
    for method in methods {
        let labels = [("dependency", "payments"), ("method", method), ("outcome", "success")];
        let expected = if method == "charge" { 1.0 } else { 0.0 };
        assert_eq!(page.value("seawall_calls_total", &labels), Some(expected), "{method}");
    }
}
