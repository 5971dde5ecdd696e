//! Dependencies that share one total of permits.
//!
//! Calls know nothing of it: they take the permits of their own dependency, one atomic word. What is lent is that word's limit, which moves
//! when a call finds no permit, in that call's task, and when the actor looks, while calls wait.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::bulkhead::{FleetConfig, Member, Permits, Seat, Step, step};
use crate::clock::Moment;
use crate::sync::{AtomicU64, Mutex, Ordering};

/// For so long a member that asked in vain goes before those that have their share.
const HUNGRY_FOR: Duration = Duration::from_millis(100);
/// A member asks again after this at the earliest, however many calls find no permit.
const ASKS_AGAIN: Duration = Duration::from_millis(1);
/// How often the actor asks for calls that wait.
pub(super) const LOOKS: Duration = Duration::from_millis(10);

/// What can be a member.
pub(crate) trait FleetMember: Send + Sync {
    fn name(&self) -> &str;
    fn permits(&self) -> &Permits;
    /// Takes its permits from here, from now on. False: it takes them from another fleet.
    fn sit(&self, seat: FleetSeat) -> bool;
}

/// One total of permits.
#[derive(Debug)]
pub(crate) struct Fleet {
    total: u32,
    /// Every limit of a member is changed with this locked.
    places: Mutex<Vec<MemberState>>,
}

struct MemberState {
    member: Member,
    cap: u32,
    dependency: Option<Weak<dyn FleetMember>>,
    hungry_until: Moment,
}

/// A dependency's place in its fleet.
#[derive(Debug)]
pub(crate) struct FleetSeat {
    fleet: Arc<Fleet>,
    at: usize,
    /// In nanoseconds.
    asks_again: AtomicU64,
}

impl Fleet {
    pub(crate) fn new(config: &FleetConfig) -> Arc<Self> {
        let place = |member: &Member| MemberState {
            member: member.clone(),
            cap: 0,
            dependency: None,
            hungry_until: Moment::ZERO,
        };
        let places = config.members().iter().map(place).collect();
        Arc::new(Self { total: config.total(), places: Mutex::new(places) })
    }

    /// Gives a dependency its seat, if one has its name: from now on it has its minimum, and what it is lent.
    pub(crate) fn seat<D: FleetMember + 'static>(self: &Arc<Self>, dependency: &Arc<D>) {
        let mut places = self.places.lock();
        let Some(at) = places.iter().position(|place| place.member.name == dependency.name())
        else {
            return;
        };
        let seat = FleetSeat { fleet: Arc::clone(self), at, asks_again: AtomicU64::new(0) };
        if dependency.sit(seat) {
            let permits = dependency.permits();
            let place = &mut places[at];
            place.cap = permits.limit();
            place.dependency = Some(Arc::downgrade(dependency) as Weak<dyn FleetMember>);
            // It is new: nobody waits.
            let _ = permits.set_limit(place.cap.min(place.member.min));
        }
    }

    /// Asks for more permits for a member. Whether it has more.
    fn ask(&self, asks: usize, now: Moment) -> bool {
        // Dropped after the lock is open: a dependency that has gone away meanwhile ends here.
        let members: Vec<Option<Arc<dyn FleetMember>>>;
        let mut places = self.places.lock();
        members = places.iter().map(|place| place.dependency.as_ref()?.upgrade()).collect();
        let permits = |at: usize| members[at].as_ref().map(|it| it.permits());
        loop {
            let seats: Vec<Seat> =
                places.iter().enumerate().map(|(at, place)| place.seat(permits(at), now)).collect();
            match step(self.total, &seats, asks) {
                Step::Grant(limit) => {
                    places[asks].hungry_until = Moment::ZERO;
                    // The caller calls the waiters up, once nothing is locked.
                    return permits(asks).map(|own| own.set_limit(limit)).is_some();
                }
                Step::Reclaim { from, to } => _ = permits(from).map(|other| other.lower_limit(to)),
                Step::TakeBack { from, to } => {
                    _ = permits(from).map(|other| other.set_limit(to));
                    break;
                }
                Step::Nothing => break,
            }
        }
        places[asks].hungry_until = now + HUNGRY_FOR;
        false
    }
}

impl fmt::Debug for MemberState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemberState")
            .field("member", &self.member)
            .field("cap", &self.cap)
            .finish_non_exhaustive()
    }
}

impl MemberState {
    fn seat(&self, permits: Option<&Permits>, now: Moment) -> Seat {
        Seat {
            min: self.member.min,
            weight: self.member.weight,
            cap: self.cap,
            limit: permits.map_or(0, Permits::limit),
            active: permits.map_or(0, Permits::active),
            is_hungry: permits.is_some() && now < self.hungry_until,
        }
    }
}

impl FleetSeat {
    /// Asks for more permits, if it is time to. Whether there are more.
    pub(super) fn ask(&self, now: Moment) -> bool {
        if now.as_nanos() < self.asks_again.load(Ordering::Relaxed) {
            return false;
        }
        let has_more = self.fleet.ask(self.at, now);
        if !has_more {
            self.asks_again.store((now + ASKS_AGAIN).as_nanos(), Ordering::Relaxed);
        }
        has_more
    }

    /// It can have so many at most, from now on. The caller calls the waiters up.
    pub(super) fn set_cap(&self, cap: u32, permits: &Permits) {
        let mut places = self.fleet.places.lock();
        places[self.at].cap = cap;
        let limit = permits.limit().min(cap).max(places[self.at].member.min.min(cap));
        // It is raised to the minimum at most, which nobody else has.
        let _ = permits.set_limit(limit);
    }
}

#[cfg(all(test, not(seawall_loom)))]
#[allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]
mod tests {
    use std::task::{Context, Waker};

    use super::*;
    use crate::dependency::Dependency;
    use crate::dependency::claim::Claim;
    use crate::dependency::start_by::StartBy;
    use crate::dependency::waiter::{Join, Position};
    use crate::entropy::Entropy;
    use crate::event::Silent;
    use crate::policy::{Policy, PolicyFile};
    use crate::time::Time;

    fn policy(max_concurrent: u32) -> Policy {
        let text = format!("[it]\nbulkhead.max_concurrent = {max_concurrent}");
        PolicyFile::parse(&text, "test.toml").unwrap().policy("it")
    }

    fn dependency(name: &str, fleet: &Arc<Fleet>) -> Arc<Dependency> {
        let (time, entropy) = (Time::from(Time::manual()), Entropy::seeded(0));
        let it = Dependency::new(name.into(), policy(100), time, entropy, Arc::new(Silent));
        let it = Arc::new(it);
        fleet.seat(&it);
        it
    }

    fn fleet() -> Arc<Fleet> {
        Fleet::new(
            &FleetConfig::builder(10).member("a", 2, 1.0).member("b", 3, 1.0).build().unwrap(),
        )
    }

    /// As a call does, at this many milliseconds.
    fn enter(dependency: &Dependency, millis: u64) -> bool {
        let (gate, now) = (dependency.gate(), Moment::from_nanos(millis * 1_000_000));
        gate.waiting_room().try_enter(1)
            || (gate.ask_fleet(now) && gate.waiting_room().try_enter(1))
    }

    fn leave(dependency: &Dependency) {
        dependency.gate().waiting_room().leave(1, || Moment::ZERO);
    }

    /// A member without a permit to spare, with a call that waits, and another member that has just done its work.
    fn in_need(fleet: &Arc<Fleet>) -> ([Arc<Dependency>; 2], Position) {
        let (a, b) = (dependency("a", fleet), dependency("b", fleet));
        assert_eq!((0..20).filter(|_| enter(&b, 0)).count(), 8);
        assert_eq!((0..20).filter(|_| enter(&a, 0)).count(), 2);
        let joined = a.gate().join(Claim::normal(Moment::ZERO), StartBy::NEVER, || false);
        let Join::Waiting(position) = joined else { panic!("{joined:?}") };
        (0..8).for_each(|_| leave(&b));
        ([a, b], position)
    }

    fn is_granted(dependency: &Dependency, position: &Position) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        dependency.gate().waiting_room().poll(position, &mut cx).is_ready()
    }

    #[test]
    fn what_a_member_does_without_goes_to_calls_that_wait_at_the_next_look() {
        let fleet = fleet();
        let ([a, _b], waiting) = in_need(&fleet);
        assert!(!is_granted(&a, &waiting));
        let now = Moment::ZERO + Duration::from_secs(1);
        assert_eq!(a.gate().tick(now).1, Some(now + LOOKS), "as long as calls wait");
        assert!(is_granted(&a, &waiting));
        assert_eq!(a.gate().tick(now).1, None, "none does");
    }

    #[test]
    fn what_a_newcomer_is_granted_goes_to_those_who_wait_before_it() {
        let fleet = fleet();
        let ([a, _b], waiting) = in_need(&fleet);
        assert!(a.gate().ask_fleet(Moment::ZERO + Duration::from_secs(1)));
        assert!(is_granted(&a, &waiting));
    }

    #[test]
    fn one_that_was_granted_what_it_asked_for_is_in_need_no_more() {
        let fleet = fleet();
        let (a, b) = (dependency("a", &fleet), dependency("b", &fleet));
        assert_eq!((0..20).filter(|_| enter(&b, 0)).count(), 8);
        assert_eq!((0..20).filter(|_| enter(&a, 0)).count(), 2);
        assert!(!enter(&a, 1), "it has asked in vain");
        (0..2).for_each(|_| leave(&b));
        assert!(enter(&a, 2), "and in need");
        assert!(enter(&b, 3), "as much as it has");
        leave(&a);
        assert!(enter(&b, 4), "what the other one does without");
    }

    #[test]
    fn one_has_all_but_the_minimum_of_the_other_and_gives_back_what_is_needed() {
        let fleet = fleet();
        let (a, b) = (dependency("a", &fleet), dependency("b", &fleet));
        assert_eq!((0..20).filter(|_| enter(&a, 0)).count(), 7);
        assert_eq!((0..20).filter(|n| enter(&b, *n)).count(), 3, "its minimum, which nobody had");
        // It has asked in vain, and its share is more than it has: what comes back is its own.
        leave(&a);
        assert!(!enter(&a, 30), "the other one is in need");
        assert!(enter(&b, 30));
        assert_eq!(
            (
                a.gate().waiting_room().permits().active(),
                b.gate().waiting_room().permits().active()
            ),
            (6, 4)
        );
    }

    #[test]
    fn who_has_gone_away_holds_nothing_but_its_minimum() {
        let fleet = fleet();
        let (a, b) = (dependency("a", &fleet), dependency("b", &fleet));
        assert_eq!((0..20).filter(|n| enter(&b, *n)).count(), 8);
        drop(b);
        assert_eq!((0..20).filter(|n| enter(&a, 100 + n)).count(), 7);
    }

    #[test]
    fn a_policy_bounds_what_a_member_has_and_a_reload_moves_that() {
        let fleet = fleet();
        let a = dependency("a", &fleet);
        a.reload(policy(4));
        assert_eq!((0..20).filter(|n| enter(&a, *n)).count(), 4);
        a.reload(policy(1));
        assert_eq!(
            a.gate().waiting_room().permits().limit(),
            1,
            "below its minimum, if its policy says so"
        );
        a.reload(policy(50));
        assert_eq!((0..20).filter(|n| enter(&a, 50 + n)).count(), 3, "seven in all");
    }

    #[test]
    fn who_is_no_member_keeps_what_it_has() {
        let other = dependency("c", &fleet());
        assert_eq!((0..200).filter(|_| enter(&other, 0)).count(), 100);
    }

    /// Threads that take and give back: never more than the total, and never less than a minimum.
    #[test]
    fn threads_share_a_total() {
        let fleet = fleet();
        let members = [dependency("a", &fleet), dependency("b", &fleet)];
        let out = std::sync::atomic::AtomicU32::new(0);
        std::thread::scope(|scope| {
            for member in members.iter().cycle().take(4) {
                let out = &out;
                scope.spawn(move || {
                    let mut held = 0;
                    for n in 0..20_000_u64 {
                        if n % 3 != 0 && enter(member, n) {
                            held += 1;
                            assert!(out.fetch_add(1, Ordering::SeqCst) < 10, "one too many");
                        } else if held > 0 {
                            held -= 1;
                            out.fetch_sub(1, Ordering::SeqCst);
                            leave(member);
                        }
                    }
                    for _ in 0..held {
                        out.fetch_sub(1, Ordering::SeqCst);
                        leave(member);
                    }
                });
            }
        });
        assert!(members.iter().all(|it| it.gate().waiting_room().permits().active() == 0));
        assert!(
            members
                .iter()
                .zip([2, 3])
                .all(|(it, min)| it.gate().waiting_room().permits().limit() >= min)
        );
    }
}
