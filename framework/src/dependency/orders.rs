//! Orders by hand.

use std::sync::Arc;

use crate::event::{Command, Event};

use super::by_hand::ByHand;
use super::shared::Dependency;
use super::signals::Signal;

impl Dependency {
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
        let dependency = Arc::clone(self.name());
        self.tell(&Event::CommandExecuted { at, dependency, command, author });
        moved.into_iter().for_each(|transition| self.moved(transition));
        // Even without a transition: there may be another moment to look at.
        self.signals().raise(Signal::Moved);
    }
}
