//! Where streams of events begin and end.

use std::sync::Arc;

use crate::telemetry::Events;

/// With it, or with a shutdown before, every stream ends, even if something else can still tell of an event.
#[derive(Debug)]
pub(super) struct Broadcast(pub(super) Arc<Events>);

impl Drop for Broadcast {
    fn drop(&mut self) {
        self.0.end();
    }
}
