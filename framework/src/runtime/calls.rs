//! Guarded calls without a trait: a closure each.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use crate::call::{Call, Rules};
use crate::dependency::{MethodSpec, MethodTable, Specs};
use crate::error::{CallError, Fallible};

use super::error::SpawnError;
use super::seawall::Seawall;

/// The method of names that were not declared.
pub const OTHER: &str = "other";

/// A dependency that is called by closures, where there is no trait to annotate. Made by [`Seawall::calls`]. Cheap to clone; the
/// dependency lives as long as any clone.
///
/// ```
/// use std::io;
/// use seawall::prelude::*;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// async fn fetch(account: u64) -> io::Result<u64> {
///     Ok(account * 100)
/// }
///
/// let seawall = Seawall::builder().start()?;
/// let bank = seawall.calls("bank", &["balance", "transfer"]).await?;
/// let balance = bank.call_idempotent("balance", || fetch(7)).await?;
/// assert_eq!(balance, 700);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Calls {
    methods: Arc<MethodTable>,
}

impl Seawall {
    /// A dependency that is called by closures: `bank.call("balance", || async { … })`. The methods are declared here, so that
    /// the labels of metrics stay bounded; calls under any other name count as [`OTHER`](super::OTHER). A policy has settings
    /// for them under `[name.methods.balance]`.
    ///
    /// # Errors
    /// As [`Seawall::spawn`].
    pub async fn calls(&self, name: &str, methods: &[&'static str]) -> Result<Calls, SpawnError> {
        // Whether a call may be repeated is said where it is made.
        let spec = |name| MethodSpec { name, idempotent: true, ..MethodSpec::NONE };
        let specs: Vec<MethodSpec> = methods.iter().copied().chain([OTHER]).map(spec).collect();
        Ok(Calls { methods: self.declare(name, specs).await? })
    }

    /// Makes a dependency with these methods, which no trait has. The last one is for all others.
    pub(super) async fn declare(
        &self,
        name: &str,
        specs: impl Into<Specs>,
    ) -> Result<Arc<MethodTable>, SpawnError> {
        let tenancy = self.settle(name).await?;
        let dependency = Arc::clone(tenancy.dependency());
        let table = MethodTable::new(Arc::clone(&dependency), specs, tenancy);
        self.tell_unused(&dependency);
        Ok(Arc::new(table))
    }
}

impl Calls {
    /// Makes one call, of one attempt. It runs in the caller's task; a dropped future gives everything back.
    ///
    /// # Errors
    /// The closure's own error, or Seawall's fault.
    pub async fn call<R, Fut>(
        &self,
        method: &str,
        make: impl FnOnce() -> Fut,
    ) -> Result<R::Ok, CallError<R::Err>>
    where
        R: Fallible,
        Fut: Future<Output = R>,
    {
        let mut call = Call::begin(&self.methods, self.methods.index_or_last(method));
        let answer = call.once(make, &Rules::USUAL).await;
        call.finish_wrapped(answer)
    }

    /// The same for what does no harm when it is done twice: attempted again as the policy says.
    ///
    /// # Errors
    /// The closure's own error, or Seawall's fault, of the last attempt.
    pub async fn call_idempotent<R, Fut>(
        &self,
        method: &str,
        make: impl FnMut() -> Fut,
    ) -> Result<R::Ok, CallError<R::Err>>
    where
        R: Fallible,
        Fut: Future<Output = R>,
    {
        let mut call = Call::begin(&self.methods, self.methods.index_or_last(method));
        let answer = call.repeat(make, &Rules::USUAL).await;
        call.finish_wrapped(answer)
    }
}

impl fmt::Debug for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Calls").field("methods", &self.methods).finish_non_exhaustive()
    }
}
