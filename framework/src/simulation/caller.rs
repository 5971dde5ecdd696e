//! Who makes the calls of one client.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::backpressure::Priority;
use crate::clock::Moment;
use crate::deadline::{self, Deadline, Origin};
use crate::entropy::Entropy;

use super::client::Client;
use super::report::{CallEnd, ClientReport};
use super::scenario::Clients;
use super::server::Running;
use super::world::TaskContext;

/// What comes at once: so many calls, one after the other, up to the first that fails.
#[derive(Clone, Copy, Debug)]
pub(super) struct Task {
    pub(super) calls: u32,
    /// They have one lot, as the calls of one root request have.
    pub(super) has_lot: bool,
}

/// Calls under way and to come. A run ends when there are none.
#[derive(Debug, Default)]
pub(super) struct Left(Cell<u64>);

impl Left {
    pub(super) fn one_more(&self) {
        self.0.set(self.0.get() + 1);
    }

    fn one_less(&self) {
        self.0.set(self.0.get() - 1);
    }

    pub(super) fn any(&self) -> bool {
        self.0.get() > 0
    }
}

#[derive(Clone)]
pub(super) struct Caller {
    pub(super) client: Rc<Client>,
    pub(super) server: Rc<Running>,
    pub(super) report: Rc<RefCell<ClientReport>>,
    pub(super) left: Rc<Left>,
}

impl Caller {
    pub(super) async fn send(self, clients: Clients, end: Moment, context: TaskContext) {
        let entropy = context.next_entropy();
        for _ in 0..clients.load.begins_with() {
            self.begin(&clients, &entropy, &context);
        }
        while let Some(next) = clients.load.next(context.now(), end, &entropy) {
            context.sleep_until(next).await;
            self.begin(&clients, &entropy, &context);
        }
        self.left.one_less();
    }

    fn begin(&self, clients: &Clients, entropy: &Entropy, context: &TaskContext) {
        let caller = self.clone();
        let (clock, began) = (context.clone(), context.elapsed());
        self.report.borrow_mut().begun(began);
        self.left.one_more();
        let (task, priority) = (clients.task, clients.priority);
        // A call by itself of which nothing is said needs no scope to be what it is.
        let lots = (task.calls > 1 || priority != Priority::NORMAL)
            .then(|| entropy.fork(began.as_nanos() as u64));
        let idempotent = clients.idempotent;
        context.spawn(async move {
            let mut end = CallEnd::Answered;
            let mut lot = lots.as_ref().map(Entropy::unit);
            for _ in 0..task.calls {
                end = caller.call(idempotent, priority, lot).await;
                if end != CallEnd::Answered {
                    break;
                }
                if !task.has_lot {
                    lot = lots.as_ref().map(Entropy::unit);
                }
            }
            let took = clock.elapsed().saturating_sub(began);
            caller.report.borrow_mut().ended(began, took, end);
            caller.left.one_less();
        });
    }

    async fn call(&self, idempotent: bool, priority: Priority, lot: Option<f64>) -> CallEnd {
        let server = &self.server;
        let call = async {
            let answer = if idempotent {
                self.client.call_idempotent(|| server.request()).await
            } else {
                self.client.call(|| server.request()).await
            };
            CallEnd::of(&answer)
        };
        let Some(lot) = lot else { return call.await };
        let origin = Origin::default().with_priority(priority).with_lot(lot);
        deadline::scope(Deadline::never().from_origin(origin), call).await
    }
}
