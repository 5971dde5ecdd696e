//! A window without its breaker, for tests.

use std::sync::Arc;

use super::calls::{Bad, Calls, Counts, Numbers, Ring};
use super::{LateUsual, Mark, RunWord, Start, Suspicion, Tally, Window, Words};
use crate::breaker::adaptive::Memory;
use crate::breaker::config::Trip;
use crate::clock::Moment;
use crate::event::Cause;

/// A window, and the words that its breaker would keep for it.
#[derive(Debug)]
pub(in crate::breaker) struct Alone {
    pub(in crate::breaker) window: Window,
    memory: Option<Arc<Memory>>,
    words: Arc<(RunWord, LateUsual, Bad, Numbers)>,
}

impl Alone {
    pub(in crate::breaker) fn new(trip: &Trip, now: Moment) -> Self {
        Self::remembering(trip, None, now)
    }
    pub(in crate::breaker) fn remembering(
        trip: &Trip,
        memory: Option<Arc<Memory>>,
        now: Moment,
    ) -> Self {
        let window = Window::new(trip, true, memory.as_ref(), now);
        let size = trip.calls().map_or(0, u64::from);
        let (run, usual) = (RunWord::default(), LateUsual::default());
        let words = (run, usual, Bad::new(), Numbers::new(size));
        Self { window, memory, words: Arc::new(words) }
    }
    /// The one that takes its place in generation 0, by these settings.
    pub(in crate::breaker) fn reloaded(&self, ring: Option<Arc<Ring>>, trip: &Trip) -> Self {
        let start = Start { words: self.words(), generation: 0, now: Moment::ZERO };
        let memory = self.memory.clone();
        let window = self.window.for_trip(ring, trip, memory.as_ref(), start);
        Self { window, memory, words: Arc::clone(&self.words) }
    }
    fn words(&self) -> Words<'_> {
        let (run, usual, bad, numbers) = &*self.words;
        Words { run, usual, counts: Counts { bad, numbers } }
    }
    pub(in crate::breaker) fn calls(&self) -> Option<Calls<'_>> {
        self.window.calls(self.words())
    }
    pub(in crate::breaker) fn record(
        &self,
        generation: u32,
        mark: Mark,
        now: Moment,
    ) -> Option<Suspicion> {
        self.window.record(self.words(), generation, mark, now)
    }
    pub(in crate::breaker) fn confirm(&self, suspicion: Suspicion, now: Moment) -> Option<Cause> {
        self.window.confirm(self.words(), suspicion, now)
    }
    pub(in crate::breaker) fn start(&self, generation: u32, now: Moment) {
        self.window.start(Start { words: self.words(), generation, now });
    }
    pub(in crate::breaker) fn tally(&self, now: Moment) -> Tally {
        self.window.tally(self.words(), now)
    }
    pub(in crate::breaker) fn run(&self, now: Moment) -> u64 {
        self.window.run(self.words(), now)
    }
}
