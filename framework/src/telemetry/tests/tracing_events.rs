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

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() != "message" {
            write!(self.0, " {}={value:?}", field.name()).unwrap();
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
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
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
        payments.dependency().execute(Command::Reset);
        payments.dependency().note_restart();
        payments.dependency().note_unattended();
        payments.call(1, Duration::from_secs(11), Ok(1));
    });
    assert_eq!(
        *log.0.lock().unwrap(),
        [
            r#"WARN dependency="payments" from="closed" to="open""#,
            r#"DEBUG dependency="payments" by="breaker" retry_after_seconds=1.0 unreported=0"#,
            r#"INFO dependency="payments" from="open" to="half_open""#,
            r#"INFO dependency="payments" command="reset""#,
            r#"INFO dependency="payments" from="half_open" to="closed""#,
            r#"WARN dependency="payments" restarts=1"#,
            r#"ERROR dependency="payments""#,
            r#"DEBUG dependency="payments" method="balance" outcome="success" took_seconds=11.0 unreported=0"#,
        ]
    );
}
