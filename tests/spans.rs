//! Spans of calls and attempts, as a subscriber sees them. A test binary of its own: spans are switched on for the process.
#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use seawall::prelude::*;
use seawall_tests::{Api, Step, Task, Trouble, World, ready};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// One span: its name, its parent and its fields.
#[derive(Clone, Debug, Default)]
struct Seen {
    name: &'static str,
    parent: Option<u64>,
    fields: BTreeMap<&'static str, String>,
    entered: u32,
    exited: u32,
    closed: bool,
}

struct Fields<'a>(&'a mut BTreeMap<&'static str, String>);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
}

#[derive(Clone, Debug, Default)]
struct Spans(Arc<Mutex<Vec<Seen>>>);

impl Spans {
    fn with<R>(&self, id: &Id, change: impl FnOnce(&mut Seen) -> R) -> R {
        let at = usize::try_from(id.into_u64()).unwrap() - 1;
        change(&mut self.0.lock().unwrap()[at])
    }

    fn of(&self, name: &str) -> Vec<Seen> {
        self.0.lock().unwrap().iter().filter(|seen| seen.name == name).cloned().collect()
    }
}

impl Subscriber for Spans {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_span() && metadata.target() == "seawall"
    }
    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut seen = Seen {
            name: span.metadata().name(),
            parent: span.parent().map(Id::into_u64),
            ..Seen::default()
        };
        span.record(&mut Fields(&mut seen.fields));
        let mut all = self.0.lock().unwrap();
        all.push(seen);
        Id::from_u64(all.len() as u64)
    }
    fn record(&self, id: &Id, values: &Record<'_>) {
        self.with(id, |seen| values.record(&mut Fields(&mut seen.fields)));
    }
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &Event<'_>) {}
    fn enter(&self, id: &Id) {
        self.with(id, |seen| seen.entered += 1);
    }
    fn exit(&self, id: &Id) {
        self.with(id, |seen| seen.exited += 1);
    }
    fn try_close(&self, id: Id) -> bool {
        self.with(&id, |seen| seen.closed = true);
        true
    }
}

fn world(steps: impl IntoIterator<Item = Step>) -> World {
    let breaker = seawall::breaker::Config::builder().failures(5);
    let retry = seawall::retry::Config::builder()
        .max_attempts(3)
        .base_delay(Duration::from_millis(100))
        .jitter(seawall::retry::Jitter::None);
    let policy = Policy::builder().timeout(Duration::from_secs(1)).breaker(breaker).retry(retry);
    World::with(policy.build().unwrap(), steps, |builder| builder.spans(true))
}

/// What a subscriber sees while `run` runs.
fn seen(run: impl FnOnce()) -> Spans {
    let spans = Spans::default();
    tracing::subscriber::with_default(spans.clone(), run);
    spans
}

fn fields<'a>(seen: &'a Seen, names: &[&'static str]) -> Vec<Option<&'a str>> {
    names.iter().map(|name| seen.fields.get(name).map(String::as_str)).collect()
}

#[test]
fn a_call_is_a_span_and_each_attempt_one_below_it() {
    let world = world([Step::Answer(Err(Trouble::Broken)), Step::Answer(Ok(1))]);
    let spans = seen(|| {
        let mut call = Task::pending(world.client.read(""));
        world.time.advance(Duration::from_millis(100));
        assert!(call.poll().is_ready());
    });
    let [call] = &spans.of("call")[..] else { panic!("one call") };
    let names = ["otel.name", "dependency", "method", "outcome", "attempts", "error.type"];
    let expected = ["api read", "api", "read", "success", "2"].map(Some);
    assert_eq!(fields(call, &names)[..5], expected);
    assert_eq!(fields(call, &names)[5], None, "absent on success");
    let attempts = spans.of("attempt");
    assert_eq!(attempts.len(), 2);
    let names = ["attempt", "outcome", "error.type", "http.request.resend_count", "waited_seconds"];
    let first = [Some("1"), Some("failure"), Some("failure"), None, Some("0.0")];
    assert_eq!(fields(&attempts[0], &names), first);
    assert_eq!(fields(&attempts[0], &["otel.status_code"]), [Some("ERROR")]);
    let second = [Some("2"), Some("success"), None, Some("1"), Some("0.1")];
    assert_eq!(fields(&attempts[1], &names), second);
    for attempt in &attempts {
        assert_eq!((attempt.parent, attempt.fields["otel.kind"].as_str()), (Some(1), "client"));
        assert_eq!(attempt.fields["breaker_state"], "closed");
        assert!(attempt.closed && attempt.entered == 1 && attempt.exited == 1, "{attempt:?}");
    }
    assert!(call.closed);
}

#[test]
fn a_refused_call_has_no_attempt_and_a_dropped_one_was_cancelled() {
    let world = world([Step::Hang, Step::Hang]);
    let spans = seen(|| {
        drop(Task::pending(world.client.write("")));
        let mut late = Task::pending(world.client.write(""));
        world.time.advance(Duration::from_secs(1));
        assert!(late.poll().is_ready());
        ready(world.handle.force_open()).unwrap();
        ready(world.client.write("")).unwrap_err();
    });
    let outcomes: Vec<_> = spans
        .of("call")
        .iter()
        .map(|call| fields(call, &["outcome", "error.type"])[0].map(str::to_owned))
        .collect();
    let expected = ["cancelled", "timed_out", "rejected"].map(|outcome| Some(outcome.to_owned()));
    assert_eq!(outcomes, expected);
    let attempts = spans.of("attempt");
    let ended: Vec<_> = attempts.iter().map(|it| it.fields["outcome"].as_str()).collect();
    assert_eq!(ended, ["cancelled", "timed_out"]);
    assert!(attempts.iter().all(|it| it.closed && it.entered == it.exited), "{attempts:?}");
}

#[test]
fn without_a_subscriber_that_wants_them_there_are_none() {
    let world = world([Step::Answer(Ok(1))]);
    assert_eq!(ready(world.client.write("")), Ok(1));
}

#[test]
fn a_service_that_panics_leaves_its_span() {
    let world = world([Step::PanicAt(0)]);
    let spans = seen(|| {
        let call = std::panic::AssertUnwindSafe(|| ready(world.client.write("")));
        assert!(std::panic::catch_unwind(call).is_err());
    });
    let [attempt] = &spans.of("attempt")[..] else { panic!("one attempt") };
    assert_eq!((attempt.entered, attempt.exited), (1, 1));
    assert_eq!(attempt.fields["outcome"], "panicked");
}

/// A call without an answer after 50 ms gets another attempt.
fn racing(steps: impl IntoIterator<Item = Step>) -> World {
    let hedge = seawall::retry::HedgeConfig::builder().after(Duration::from_millis(50));
    let retry = seawall::retry::Config::builder().hedge(hedge.build().unwrap());
    let policy = Policy::builder().retry(retry).build().unwrap();
    World::with(policy, steps, |builder| builder.spans(true))
}

#[test]
fn each_attempt_of_a_race_is_a_span_of_its_own() {
    let world = racing([Step::Hang, Step::Answer(Ok(1))]);
    let spans = seen(|| {
        let mut call = Task::pending(world.client.read(""));
        world.time.advance(Duration::from_millis(50));
        assert!(call.poll().is_ready());
    });
    let [call] = &spans.of("call")[..] else { panic!("one call") };
    assert_eq!(fields(call, &["outcome", "attempts"]), [Some("success"), Some("2")]);
    let attempts = spans.of("attempt");
    let told: Vec<_> = attempts.iter().map(|it| fields(it, &["attempt", "outcome"])).collect();
    assert_eq!(told, [[Some("1"), Some("cancelled")], [Some("2"), Some("success")]]);
    assert!(attempts.iter().all(|it| it.closed && it.entered == it.exited), "{attempts:?}");
}

#[test]
fn an_attempt_that_panics_beside_another_says_so() {
    let world = racing([Step::Hang, Step::PanicAt(0)]);
    let spans = seen(|| {
        let mut call = Task::pending(world.client.read(""));
        world.time.advance(Duration::from_millis(50));
        let poll = std::panic::AssertUnwindSafe(|| call.poll());
        std::panic::catch_unwind(poll).unwrap_err();
    });
    let outcomes: Vec<_> =
        spans.of("attempt").iter().map(|it| it.fields["outcome"].clone()).collect();
    assert_eq!(outcomes, ["cancelled", "panicked"]);
    assert!(spans.of("attempt").iter().all(|it| it.entered == it.exited), "{spans:?}");
}

#[test]
fn a_good_call_that_nothing_else_watches_has_a_good_attempt() {
    let retry = seawall::retry::Config::builder().budget(None);
    let policy = Policy::builder().retry(retry).build().unwrap();
    let world = World::with(policy, [], |builder| builder.spans(true));
    let spans = seen(|| assert_eq!(ready(world.client.write("")), Ok(7)));
    for span in ["call", "attempt"] {
        let [seen] = &spans.of(span)[..] else { panic!("one {span}") };
        assert_eq!(fields(seen, &["outcome", "otel.status_code"]), [Some("success"), None]);
    }
}

#[test]
fn a_call_that_a_fallback_answers_or_nobody_does_says_so() {
    let world = world(vec![Step::Answer(Err(Trouble::Broken)); 2]);
    let spans = seen(|| {
        assert_eq!(ready(world.client.cached("ready")), Ok(seawall_tests::SPARE));
        assert_eq!(ready(world.client.write("")), Err(Trouble::Broken));
    });
    let told: Vec<_> = spans
        .of("call")
        .iter()
        .map(|it| ["outcome", "error.type"].map(|name| it.fields.get(name).cloned()))
        .collect();
    assert_eq!(told[0][0].as_deref(), Some("fallback"));
    assert_eq!(told[1], [Some("failure".to_owned()), Some("failure".to_owned())]);
}
