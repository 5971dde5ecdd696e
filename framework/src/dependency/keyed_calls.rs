//! The keys of a dependency's calls: found or made, told of when their breakers move, forgotten when idle.

use std::fmt::{self, Write};
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::breaker::{Held, Keyed};
use crate::clock::Moment;
use crate::entropy::Entropy;
use crate::event::{Event, State, Transition};

use super::keys::{HeldKey, MAX_KEY_BYTES, settings};
use super::shared::Dependency;

/// While a key is not closed, the breakers are looked over this often.
const SWEEP: Duration = Duration::from_secs(1);
/// Else as often as idle keys make it worth while, at most.
const LONGEST_SWEEP: Duration = Duration::from_secs(60);
/// Warned of at the first key, if the windows of all keys can take more.
const WARN_BYTES: u64 = 256 << 20;
/// Each look is at some hundred keys; no more looks than this at a time.
const LOOKS_MAX: usize = 16;

/// A key as text, without an allocation.
struct Text {
    bytes: [u8; MAX_KEY_BYTES],
    len: usize,
}

impl Write for Text {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        let end = self.len + more.len();
        self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?.copy_from_slice(more.as_bytes());
        self.len = end;
        Ok(())
    }
}

impl Dependency {
    /// The key that a call goes by, found or made; `None` if its policy has no breakers by key.
    ///
    /// # Panics
    /// If the key's `Display` does.
    pub(crate) fn key(&self, key: &dyn fmt::Display) -> Option<HeldKey> {
        let keys = self.gate().keys();
        if keys.is_off.load(Ordering::Relaxed) {
            return None;
        }
        let breakers = keys.breakers.get().unwrap_or_else(|| self.first_key());
        let mut text = Text { bytes: [0; MAX_KEY_BYTES], len: 0 };
        let fits = write!(text, "{key}").is_ok();
        let text = std::str::from_utf8(&text.bytes[..text.len]).ok().filter(|_| fits);
        let Some(text) = text else { return Some(HeldKey(Held::overflow())) };
        let mut is_new = false;
        let held = breakers.hold(text, self.now(), &mut is_new);
        if is_new && !keys.is_monitored.swap(true, Ordering::AcqRel) {
            self.signals().raise();
        }
        Some(HeldKey(held))
    }

    #[cold]
    fn first_key(&self) -> &Keyed<String> {
        let policy = self.policy();
        let max_keys = policy.keyed().unwrap_or_default().max_keys();
        let bytes = policy.keyed_bytes();
        if bytes > WARN_BYTES {
            tracing::warn!(
                target: "seawall", dependency = &**self.name(), max_keys, bytes,
                "the breakers of all keys can take this much memory: set a smaller breaker.window or breaker.keyed.max_keys"
            );
        }
        // No reload comes between reading the policy and its being heeded.
        self.with_policy(|policy, entropy: &Entropy| {
            self.gate().keys().breakers.get_or_init(|| {
                Box::new(Keyed::new(settings(policy), self.now()).with_entropy(entropy.fork(1)))
            })
        })
    }

    /// A key's breaker moved.
    #[cold]
    pub(crate) fn key_moved(&self, key: &HeldKey, transition: Transition) {
        self.tell_of_key(key.0.key(), transition);
        self.signals().raise();
    }

    fn tell_of_key(&self, key: Option<&String>, transition: Transition) {
        let Some(unreported) = self.gate().keys().moves().count(transition.at) else { return };
        let (dependency, key) = (self.name().clone(), key.map(|key| key.as_str().into()));
        self.tell(&Event::KeyMoved { dependency, key, transition, unreported });
    }

    /// Transitions keys onward with nobody calling, and forgets the idle ones; returns when to do it again.
    pub(super) fn tend_keys(&self, now: Moment) -> Option<Moment> {
        let keys = self.gate().keys();
        let breakers = keys.breakers.get()?;
        // First: a caller that makes a key from here on finds the mark gone, or is found.
        keys.is_monitored.store(false, Ordering::Release);
        for _ in 0..(breakers.len() / 512 + 1).min(LOOKS_MAX) {
            for moved in breakers.poll(now).moved {
                self.tell_of_key(moved.key.as_ref(), moved.transition);
            }
        }
        if breakers.is_at_rest() {
            return None;
        }
        keys.is_monitored.store(true, Ordering::Release);
        let any_is_open =
            breakers.census().tripped > 0 || breakers.overflow_state() != State::Closed;
        let idle = (breakers.config().idle_after() / 4).clamp(SWEEP, LONGEST_SWEEP);
        Some(now + if any_is_open { SWEEP } else { idle })
    }
}
