//! Who may probe a half-open breaker, and when a probe that never answers loses its place.
//!
//! The list of live probes and their count in the breaker's word are changed together, with the transitions
//! locked.

use std::time::Duration;

use crate::clock::Moment;
use crate::sync::Ordering;

use super::admission::Leave;
use super::half_open;
use super::history::History;
use super::state::CircuitBreaker;
use super::word::{Probes, Tag, Word};

impl CircuitBreaker {
    /// Takes a probe's place.
    ///
    /// With the moves locked: between the look at the places, the end of lives that are over and the new
    /// probe nobody may come in, or one more than allowed would be out.
    ///
    /// # Errors
    /// What the breaker was like, if it has no place or is not half-open.
    pub(super) fn take_place(&self, now: Moment) -> Result<Leave, Word> {
        let mut moves = self.transitions.lock();
        let word = self.load();
        if word.tag() != Tag::HalfOpen {
            return Err(word);
        }
        self.end_lives(&mut moves, now);
        let word = self.load();
        if !self.has_place(word.probes()) {
            return Err(word);
        }
        let ticket = moves.out.let_out(now);
        self.publish_probes(&moves, word.probes());
        Ok(Leave::probe(word, ticket))
    }

    /// Whether to try for a place: there is one, or somebody's life is over. No lock: if not, and the word is still
    /// the same afterwards, there was none.
    pub(super) fn may_have_place(&self, word: Word, now: Moment) -> bool {
        self.has_place(word.probes()) || self.is_life_over(now)
    }

    /// Whether there would be one. Takes the lock only if that depends on lives that are over.
    pub(super) fn would_have_place(&self, word: Word, now: Moment) -> bool {
        if self.has_place(word.probes()) || !self.is_life_over(now) {
            return self.has_place(word.probes());
        }
        let moves = self.transitions.lock();
        let word = self.load();
        let live = moves.out.living(self.probe_life(), now);
        // If it has moved meanwhile, the caller that is let through to try will be told.
        word.tag() != Tag::HalfOpen || self.has_place(Probes { live, ..word.probes() })
    }

    /// Takes back places of lives that are over, and says when to look again.
    pub(super) fn look_after_probes(&self, now: Moment) -> Option<Moment> {
        if self.is_life_over(now) {
            let mut moves = self.transitions.lock();
            if self.load().tag() == Tag::HalfOpen {
                self.end_lives(&mut moves, now);
            }
        }
        let oldest = self.oldest_probe.load(Ordering::Acquire);
        (oldest != u64::MAX).then(|| Moment::from_nanos(oldest) + self.probe_life())
    }

    /// Takes back places of lives that are over. The breaker is half-open.
    fn end_lives(&self, moves: &mut History, now: Moment) {
        if self.is_life_over(now) {
            moves.out.take_back_expired(self.probe_life(), now);
            self.publish_probes(moves, self.load().probes());
        }
    }

    /// Makes these the answers of a half-open breaker's probes, and as many live as are out. No move: the
    /// generation stays. `moves` is the lock, with which nobody else writes the word of a half-open breaker.
    pub(super) fn publish_probes(&self, moves: &History, answers: Probes) {
        let word = self.load();
        let next = Word::half_open(word.generation(), Probes { live: moves.out.len(), ..answers });
        self.word.store(next.0, Ordering::Release);
        self.note_oldest(moves);
    }

    pub(super) fn note_oldest(&self, moves: &History) {
        let oldest = moves.out.oldest().map_or(u64::MAX, Moment::as_nanos);
        self.oldest_probe.store(oldest, Ordering::Release);
    }

    fn has_place(&self, probes: Probes) -> bool {
        self.settings.with(|settings| half_open::has_place(&settings.config, probes))
    }

    /// Whether the oldest probe has outlived its life.
    fn is_life_over(&self, now: Moment) -> bool {
        let oldest = Moment::from_nanos(self.oldest_probe.load(Ordering::Acquire));
        now.since(oldest) >= self.probe_life()
    }

    fn probe_life(&self) -> Duration {
        self.settings.with(|settings| settings.config.probe_life())
    }
}
