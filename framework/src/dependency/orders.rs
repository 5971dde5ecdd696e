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
        self.by_hand.store((command != Command::Reset).then(|| Arc::new(order)));
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

#[cfg(all(test, not(seawall_loom)))]
#[allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]
mod tests {
    use std::sync::mpsc;
    use std::task::{Context, Waker};

    use super::*;
    use crate::entropy::Entropy;
    use crate::event::{Observer, State};
    use crate::policy::Policy;
    use crate::time::Time;

    struct Tell(mpsc::Sender<(State, State)>);

    impl Observer for Tell {
        fn on_event(&self, event: &Event) {
            if let Event::Transition { transition, .. } = event {
                self.0.send((transition.from, transition.to)).unwrap();
            }
        }
    }

    fn dependency(policy: Policy) -> (Dependency, mpsc::Receiver<(State, State)>) {
        let (tell, told) = mpsc::channel();
        let (time, seed) = (Time::from(Time::manual()), Entropy::seeded(0));
        (Dependency::new("bank".into(), policy, time, seed, Arc::new(Tell(tell))), told)
    }

    fn is_called(dependency: &Dependency) -> bool {
        dependency.signals().poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn what_other_instances_do_to_the_breaker_is_told() {
        let (dependency, told) = dependency(Policy::default());
        dependency.open_elsewhere((2, 2), Duration::from_secs(5));
        assert_eq!(told.try_recv(), Ok((State::Closed, State::Open)));
        dependency.close_elsewhere();
        assert_eq!(told.try_recv(), Ok((State::Open, State::Closed)));
    }

    #[test]
    fn an_order_that_moves_nothing_and_a_reload_have_the_actor_look() {
        let (dependency, told) = dependency(Policy::default());
        assert!(!is_called(&dependency));
        dependency.execute(Command::Reset, None);
        assert!(is_called(&dependency) && told.try_recv().is_err());
        let policy = Policy::builder().timeout(Duration::from_secs(1)).build().unwrap();
        assert!(dependency.reload(policy));
        assert!(is_called(&dependency) && !is_called(&dependency));
    }
}
