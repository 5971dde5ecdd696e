//! The guarded client of a simulated dependency.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::Poll;

use crate::bulkhead::FleetConfig;
use crate::call::{Call, Rules};
use crate::dependency::{self, Dependency, MethodSpec, MethodTable, Snapshot};
use crate::error::{CallError, Fallible};
use crate::event::{Observer, Silent};
use crate::policy::Policy;
use crate::time::Sleep;

use super::world::TaskContext;

/// Calls of a dependency by closures, through the same pipeline, breaker, limiters, permits and budget as in production, in a
/// [`World`](super::World)'s time and by its chance.
///
/// What the dependency's actor does in production, a task of the world does here.
///
/// ```
/// use std::io;
/// use std::time::Duration;
/// use seawall::policy::Policy;
/// use seawall::simulation::{Client, World};
///
/// let world = World::new(7);
/// let context = world.context();
/// let bank = Client::new(&context, "bank", Policy::default());
/// world.spawn(async move {
///     let balance = bank.call_idempotent(async || {
///         context.sleep(Duration::from_millis(20)).await;
///         Ok::<_, io::Error>(700)
///     });
///     assert_eq!(balance.await.unwrap(), 700);
/// });
/// world.run();
/// ```
pub struct Client {
    methods: Arc<MethodTable>,
}

/// The one method that a simulated client has.
const METHOD: MethodSpec = MethodSpec { name: "call", idempotent: true, ..MethodSpec::NONE };

impl Client {
    /// A client of a dependency of its own, with everything closed, free and at zero.
    #[must_use]
    pub fn new(context: &TaskContext, name: &str, policy: Policy) -> Self {
        Self::observed(context, name, policy, Arc::new(Silent))
    }

    /// The same, whose events are told to the observer.
    #[must_use]
    pub fn observed(
        context: &TaskContext,
        name: &str,
        policy: Policy,
        observer: Arc<dyn Observer>,
    ) -> Self {
        let (time, entropy) = (context.time(), context.next_entropy());
        let dependency = Arc::new(Dependency::new(name.into(), policy, time, entropy, observer));
        context.spawn(look_after(Arc::downgrade(&dependency)));
        Self { methods: Arc::new(MethodTable::new(dependency, &[METHOD], Arc::new(()))) }
    }

    /// Makes one call, of one attempt.
    ///
    /// # Errors
    /// The closure's own error, or Seawall's fault.
    pub async fn call<R, Fut>(&self, make: impl FnOnce() -> Fut) -> Result<R::Ok, CallError<R::Err>>
    where
        R: Fallible,
        Fut: Future<Output = R>,
    {
        let mut call = Call::begin(&self.methods, 0);
        let answer = call.once(make, &Rules::USUAL).await;
        call.finish_wrapped(answer)
    }

    /// The same for what may be repeated: attempted again as the policy says.
    ///
    /// # Errors
    /// The closure's own error, or Seawall's fault, of the last attempt.
    pub async fn call_idempotent<R, Fut>(
        &self,
        make: impl FnMut() -> Fut,
    ) -> Result<R::Ok, CallError<R::Err>>
    where
        R: Fallible,
        Fut: Future<Output = R>,
    {
        let mut call = Call::begin(&self.methods, 0);
        let answer = call.repeat(make, &Rules::USUAL).await;
        call.finish_wrapped(answer)
    }

    /// Everything about its dependency at one instant.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.methods.dependency().snapshot()
    }

    /// What its policy's retry budget has seen, if it has one.
    #[must_use]
    pub fn budget_use(&self) -> Option<crate::retry::BudgetUse> {
        self.methods.dependency().budget_use()
    }
}

/// Clients that share one total of permits, as [`Builder::fleet`](crate::runtime::Builder::fleet) has it.
#[derive(Clone, Debug)]
pub struct Fleet(Arc<dependency::Fleet>);

impl Fleet {
    /// Whose members are not there yet.
    #[must_use]
    pub fn new(config: &FleetConfig) -> Self {
        Self(dependency::Fleet::new(config))
    }

    /// Puts a client into its seat, which is that of its name. One that has none there keeps its own permits.
    pub fn seat(&self, client: &Client) {
        self.0.seat(client.methods.dependency());
    }
}

/// Moves an open breaker on when nobody calls, and has an adaptive one learn, until the last client is gone.
async fn look_after(dependency: Weak<Dependency>) {
    let mut look: Option<Sleep> = None;
    let mut is_new = true;
    poll_fn(|cx| {
        let Some(dependency) = dependency.upgrade() else { return Poll::Ready(()) };
        // Each round takes the signals first. A round that finds nothing ends the loop.
        loop {
            let called = dependency.signals().poll(cx).is_ready();
            let due = look.as_mut().is_some_and(|look| Pin::new(look).poll(cx).is_ready());
            if !called && !due && !is_new {
                return Poll::Pending;
            }
            is_new = false;
            look = dependency.tick().map(|next| dependency.time().sleep_until(next));
        }
    })
    .await;
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("dependency", self.methods.dependency())
            .finish_non_exhaustive()
    }
}
