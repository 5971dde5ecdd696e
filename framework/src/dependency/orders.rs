//! Orders by hand.

use std::sync::Arc;
use std::time::Duration;

use crate::event::{Command, Event};

use super::by_hand::ByHand;
use super::shared::Dependency;

impl Dependency {
    /// Opens its breaker for so long, because it is open in other instances: in so many, of so many that are needed.
    pub(crate) fn open_elsewhere(&self, counts: (u32, u32), open_for: Duration) {
        let moved = self.gate().open_elsewhere(counts, self.now(), open_for);
        moved.into_iter().for_each(|transition| self.moved(transition));
    }

    /// Closes its breaker, because another instance has probed for all.
    pub(crate) fn close_elsewhere(&self) {
        let moved = self.gate().breaker().close_elsewhere(self.now());
        moved.into_iter().for_each(|transition| self.moved(transition));
    }

    /// Executes an operator command on the breaker, at once, in the name of `author`. The actor hears of it afterwards.
    pub fn execute(&self, command: Command, author: Option<Arc<str>>) {
        let at = self.now();
        let order = ByHand { command, author: author.clone(), since: at };
        *self.by_hand.lock() = (command != Command::Reset).then_some(order);
        let breaker = self.gate().breaker();
        let moved = match command {
            Command::ForceOpen => self.gate().force_open(at),
            Command::ForceClosed => breaker.force_closed(at),
            Command::Disable => breaker.disable(at),
            Command::Observe => breaker.observe(at),
            Command::Reset => breaker.reset(at),
        };
        let dependency = self.name().clone();
        self.tell(&Event::CommandExecuted { at, dependency, command, author });
        moved.into_iter().for_each(|transition| self.moved(transition));
        // Even without a transition: there may be another moment to look at.
        self.signals().raise();
    }
}
