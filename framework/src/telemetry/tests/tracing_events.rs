//! What is logged.

use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use super::Driven;
use crate::event::Command;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

struct Line {
    fields: String,
    message: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        } else {
            write!(self.fields, " {}={value:?}", field.name()).unwrap();
        }
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "seawall"
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let fields = event.metadata().level().to_string();
        let mut line = Line { fields, message: String::new() };
        event.record(&mut line);
        self.0.lock().unwrap().push(format!("{}: {}", line.fields, line.message));
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[test]
fn moves_restarts_and_neglect_are_logged_with_their_fields() {
    let log = Log::default();
    tracing::subscriber::with_default(log.clone(), || {
        let payments = Driven::new("payments");
        payments.break_it();
        payments.call(0, Duration::ZERO, Ok(1));
        payments.time.advance(Duration::from_secs(31));
        payments.dependency().tick();
        payments.dependency().execute(Command::Reset, Some("alice".into()));
        payments.dependency().note_restart();
        payments.dependency().note_unattended();
        payments.call(1, Duration::from_secs(11), Ok(1));
    });
    assert_eq!(
        *log.0.lock().unwrap(),
        [
            r#"DEBUG dependency="payments" method="charge" outcome="failure" took_seconds=0.0 unreported=0: an attempt failed"#,
            r#"WARN dependency="payments" from="closed" to="open" cause="failures" last_failure="failure" open_for_seconds=1.0: circuit breaker opened: 5 failures in a row, it opens at 5; calls are refused for 1s, then probes are let through"#,
            r#"DEBUG dependency="payments" by="breaker" retry_after_seconds=1.0 unreported=0: a call was refused by the circuit breaker (open)"#,
            r#"INFO dependency="payments" from="open" to="half_open" cause="open_time_over": circuit breaker half-open: its open time is over; the next calls are probes"#,
            r#"INFO dependency="payments" command="reset" author="alice": an operator command was executed"#,
            r#"INFO dependency="payments" from="half_open" to="closed" cause="by_hand": circuit breaker closed: told by hand: reset; calls pass"#,
            r#"WARN dependency="payments" restarts=1: actor failed and was rebuilt"#,
            r#"ERROR dependency="payments": actor keeps failing and is left alone; calls go on under the last policy"#,
            r#"DEBUG dependency="payments" method="balance" outcome="success" took_seconds=11.0 unreported=0: a call was slow"#,
        ]
    );
}
