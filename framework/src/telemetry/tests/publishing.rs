//! Into somebody else's recorder.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use metrics::{
    Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};

use super::Driven;
use crate::policy::Policy;
use crate::telemetry::names;
use crate::telemetry::publish::{GlobalRecorder, Publisher};

const MS: Duration = Duration::from_millis(1);

/// Remembers everything, and how often it was asked for each series.
#[derive(Debug, Default)]
struct Notebook {
    counters: Mutex<BTreeMap<String, (usize, Arc<AtomicU64>)>>,
    gauges: Mutex<BTreeMap<String, (usize, Arc<AtomicU64>)>>,
    samples: Arc<Samples>,
    described: AtomicU64,
}

#[derive(Debug, Default)]
struct Samples(Mutex<Vec<(f64, usize)>>);

impl HistogramFn for Samples {
    fn record(&self, value: f64) {
        self.record_many(value, 1);
    }
    fn record_many(&self, value: f64, count: usize) {
        self.0.lock().unwrap().push((value, count));
    }
}

fn written(key: &Key) -> String {
    let labels: Vec<_> = key.labels().map(|l| format!("{}={}", l.key(), l.value())).collect();
    format!("{} {}", key.name(), labels.join(" "))
}

impl Notebook {
    fn counter(&self, key: &str) -> u64 {
        self.counters.lock().unwrap()[key].1.load(Ordering::Relaxed)
    }
    fn gauge(&self, key: &str) -> f64 {
        f64::from_bits(self.gauges.lock().unwrap()[key].1.load(Ordering::Relaxed))
    }
}

impl Recorder for Notebook {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {
        self.described.fetch_add(1, Ordering::Relaxed);
    }
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {
        self.described.fetch_add(1, Ordering::Relaxed);
    }
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {
        self.described.fetch_add(1, Ordering::Relaxed);
    }
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let mut counters = self.counters.lock().unwrap();
        let entry = counters.entry(written(key)).or_default();
        entry.0 += 1;
        Counter::from_arc(Arc::clone(&entry.1))
    }
    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        let mut gauges = self.gauges.lock().unwrap();
        let entry = gauges.entry(written(key)).or_default();
        entry.0 += 1;
        Gauge::from_arc(Arc::clone(&entry.1))
    }
    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(Arc::clone(&self.samples))
    }
}

const CHARGED: &str = "seawall_calls_total dependency=payments method=charge outcome=success";
const CLOSED: &str = "seawall_breaker_state dependency=payments state=closed";

#[test]
fn each_series_is_registered_once_however_often_it_is_published() {
    let notebook = Arc::new(Notebook::default());
    let mut publisher = Publisher::new(Arc::clone(&notebook));
    assert_eq!(
        notebook.described.load(Ordering::Relaxed),
        (names::ALL.len() + names::OF_LIMITS.len() + names::OF_QUEUES.len() + names::OF_POOLS.len())
            as u64
    );
    let payments = Driven::new("payments");
    for round in 1..=10 {
        payments.call(0, MS, Ok(1));
        publisher.publish([payments.dependency()]);
        assert_eq!(notebook.counter(CHARGED), round);
    }
    let all = [&notebook.counters, &notebook.gauges];
    assert!(all.iter().all(|all| all.lock().unwrap().values().all(|(asked, _)| *asked == 1)));
    assert!(notebook.samples.0.lock().unwrap().is_empty(), "latency was not asked for");
    assert_eq!(notebook.gauge(CLOSED), 1.0);
}

#[test]
fn a_namesake_counts_on_where_the_former_stopped() {
    let notebook = Arc::new(Notebook::default());
    let mut publisher = Publisher::new(Arc::clone(&notebook));
    for lives in 1..=3 {
        let payments = Driven::new("payments");
        (0..5).for_each(|_| payments.call(0, MS, Ok(1)));
        publisher.publish([payments.dependency()]);
        assert_eq!(notebook.counter(CHARGED), 5 * lives);
    }
}

#[test]
fn two_seawalls_in_one_recorder_add_up() {
    let notebook = Arc::new(Notebook::default());
    for _ in 0..2 {
        let payments = Driven::new("payments");
        payments.call(0, MS, Ok(1));
        Publisher::new(Arc::clone(&notebook)).publish([payments.dependency()]);
    }
    assert_eq!(notebook.counter(CHARGED), 2);
}

#[test]
fn one_that_is_gone_has_its_gauges_at_zero_and_is_not_counted_twice_if_it_comes_back() {
    let notebook = Arc::new(Notebook::default());
    let mut publisher = Publisher::new(Arc::clone(&notebook));
    let payments = Driven::new("payments");
    payments.call(0, MS, Ok(1));
    publisher.publish([payments.dependency()]);
    let none: [&Arc<_>; 0] = [];
    publisher.publish(none);
    assert_eq!(notebook.gauge(CLOSED), 0.0);
    publisher.publish([payments.dependency()]);
    assert_eq!((notebook.gauge(CLOSED), notebook.counter(CHARGED)), (1.0, 1));
    drop(payments);
    publisher.publish(none);
    assert!(format!("{publisher:?}").contains("dependencies: 0"), "{publisher:?}");
}

#[test]
fn latency_is_forwarded_when_asked_for_each_call_once() {
    let notebook = Arc::new(Notebook::default());
    let mut publisher = Publisher::new(Arc::clone(&notebook)).forward_latency(true);
    let payments = Driven::new("payments");
    (0..3).for_each(|_| payments.call(0, 3 * MS, Ok(1)));
    payments.call(0, Duration::from_secs(101), Ok(1));
    publisher.publish([payments.dependency()]);
    payments.call(0, 2 * MS + Duration::from_nanos(1), Ok(1));
    publisher.publish([payments.dependency()]);
    publisher.publish([payments.dependency()]);
    assert_eq!(*notebook.samples.0.lock().unwrap(), [(0.003, 3), (150.0, 1), (0.003, 1)]);
}

#[test]
fn the_global_recorder_is_the_one_that_is_installed() {
    let notebook = Notebook::default();
    let payments = Driven::new("payments");
    payments.call(0, MS, Ok(1));
    metrics::with_local_recorder(&notebook, || {
        Publisher::new(GlobalRecorder).forward_latency(true).publish([payments.dependency()]);
    });
    assert_eq!(notebook.counter(CHARGED), 1);
    assert_eq!(
        notebook.described.load(Ordering::Relaxed),
        (names::ALL.len() + names::OF_LIMITS.len() + names::OF_QUEUES.len() + names::OF_POOLS.len())
            as u64
    );
    assert_eq!(notebook.samples.0.lock().unwrap().len(), 1);
}

#[test]
fn a_recorder_that_cannot_forget_is_told_what_a_breaker_no_longer_has() {
    let notebook = Arc::new(Notebook::default());
    let mut publisher = Publisher::new(Arc::clone(&notebook));
    let payments = Driven::adaptive("payments");
    publisher.publish([payments.dependency()]);
    let gauges = || {
        ["threshold", "baseline", "ramp"]
            .map(|name| notebook.gauge(&format!("seawall_breaker_{name} dependency=payments")))
    };
    assert_eq!(gauges(), [0.6, 0.05, 1.0]);
    payments.dependency().reload(Policy::default());
    publisher.publish([payments.dependency()]);
    assert_eq!(gauges(), [0.0, 0.0, 1.0], "without a slow start all calls are let through");
    let adaptive = Driven::adaptive("other").dependency().policy();
    payments.dependency().reload((*adaptive).clone());
    publisher.publish([payments.dependency()]);
    assert_eq!(gauges(), [0.6, 0.05, 1.0]);
    let asked = notebook.gauges.lock().unwrap().values().map(|(asked, _)| *asked).max();
    assert_eq!(asked, Some(1), "its handles were kept");
}

#[test]
fn methods_that_come_later_get_series_of_their_own() {
    let notebook = Arc::new(Notebook::default());
    let mut publisher = Publisher::new(Arc::clone(&notebook));
    let payments = Driven::new("payments");
    payments.call(1, MS, Ok(1));
    publisher.publish([payments.dependency()]);
    let more = vec![super::method("a_first"), super::method("bb"), super::method("zz_last")];
    let second =
        crate::dependency::MethodTable::new(Arc::clone(payments.dependency()), more, Arc::new(()));
    let calls = |method: &str| {
        notebook.counter(&format!(
            "seawall_calls_total dependency=payments method={method} outcome=success"
        ))
    };
    payments.call(0, MS, Ok(1));
    drop(second);
    publisher.publish([payments.dependency()]);
    let all = ["a_first", "balance", "bb", "charge", "zz_last"];
    assert_eq!(all.map(calls), [0, 1, 0, 1, 0]);
    payments.call(1, MS, Ok(1));
    publisher.publish([payments.dependency()]);
    assert_eq!(all.map(calls), [0, 2, 0, 1, 0]);
}
