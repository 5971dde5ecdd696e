//! The parts of a refusal: what a process does most when a dependency is in trouble.

use crate::deadline;
use crate::dependency::{MethodTable, Refused};
use crate::error::{Fallible, Fault, RejectedBy};

use super::attempt::Readiness;
use super::call::{Call, NoAnswer};
use super::lease::Lease;

/// The fault of a call that the dependency's breaker refuses, if nobody else has a say in it. It is counted, and the call is not to be
/// begun. `None`: it is; whatever refuses it will be found again.
#[cold]
fn refuse_at_once(table: &MethodTable, method: usize) -> Option<Fault> {
    let (dependency, method) = (table.dependency(), table.method(method));
    // With deadlines from outside, spans, or retries of refusals there is more to do than this. And whether it serves comes first.
    if deadline::is_used() | method.plan.retries_rejections() | !dependency.is_serving() {
        return None;
    }
    let now = dependency.now();
    let refused = dependency.gate().breaker().check(now).err()?.into();
    dependency.call_begins(now);
    dependency.count_refusal(method, refused, now);
    Some(dependency.rejected(method, refused, None, true))
}

impl<'a> Call<'a> {
    /// The fault of a call of the method of this index that an open breaker refuses, before it is begun: a process does nothing more often
    /// when a dependency is in trouble. For methods without a key or a fallback. `None`: it is to be begun.
    #[must_use]
    #[inline(always)]
    pub fn refused_at_once(table: &MethodTable, method: usize) -> Option<Fault> {
        let is_closed = table.dependency().gate().breaker().is_closed();
        if is_closed { None } else { refuse_at_once(table, method) }
    }

    /// The answer with a fault, of which `fault_with` makes an error.
    #[inline(always)]
    pub fn refused<R: Fallible>(fault: Fault, fault_with: impl FnOnce(Fault) -> R::Err) -> R {
        R::from_result(Err(fault_with(fault)))
    }

    /// Whether the dependency's breaker, the key's and the retry budget would let it through. If not, it is refused.
    #[cold]
    pub(super) fn passes_breakers(&mut self) -> bool {
        let refused = match self.dependency.gate().check_first(self.key, self.now) {
            Ok(()) if self.budget_admits() => return true,
            Ok(()) => Refused { by: RejectedBy::Throttle, retry_after: None },
            Err(refused) => refused,
        };
        self.note_refusal(refused);
        false
    }

    /// There is no answer, because a guard refused.
    #[cold]
    pub(super) fn refuse(&mut self, refused: Refused) {
        self.note_refusal(refused);
    }

    #[inline]
    pub(super) fn note_refusal(&mut self, refused: Refused) {
        self.refused_by = refused.by;
        self.retry_after = refused.retry_after;
        self.no_answer = NoAnswer::Rejected;
        self.dependency.count_refusal(self.method, refused, self.now);
    }

    /// No permit is free: waits for one, unless it is known already that it may not.
    #[cold]
    pub(super) fn no_permit(&mut self, lease: &mut Lease<'a>) -> Readiness {
        let gate = self.dependency.gate();
        let may_be_free = self.dependency.end_graces(self.now) | gate.ask_fleet(self.now);
        if may_be_free && gate.waiting_room().try_enter(self.method.weight()) {
            lease.hold_permit();
            return Readiness::Free;
        }
        match self.dependency.gate().refuses_to_wait() {
            None => Readiness::NoPermit,
            Some(by) => {
                self.note_refusal(Refused { by, retry_after: None });
                Readiness::Refused
            }
        }
    }

    /// No permit is free, and no token has been asked for. Where the token would have been there, and the call may not wait for a
    /// permit, it is refused without taking the one and giving it back.
    #[cold]
    pub(super) fn enter_full(&mut self, lease: &mut Lease<'a>) -> Readiness {
        let gate = self.dependency.gate();
        if !gate.may_wait()
            && gate.has_token(self.now)
            && !(self.dependency.end_graces(self.now) | gate.ask_fleet(self.now))
            && let Some(by) = gate.refuses_to_wait()
        {
            self.note_refusal(Refused { by, retry_after: None });
            return Readiness::Refused;
        }
        match self.take_token(lease) {
            Some(entry) => entry,
            None if gate.waiting_room().try_enter(self.method.weight()) => {
                lease.hold_permit();
                Readiness::Free
            }
            None => self.no_permit(lease),
        }
    }
}
