//! Who is lent a permit, and who gives one back: pure.

/// A member as it stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Seat {
    pub(crate) min: u32,
    pub(crate) weight: f64,
    /// The most that it can have.
    pub(crate) cap: u32,
    /// What it has.
    pub(crate) limit: u32,
    /// What of that is out; more than the limit, where that was lowered.
    pub(crate) active: u32,
    /// It asked in vain.
    pub(crate) is_hungry: bool,
}

impl Seat {
    /// What nobody else can have.
    fn held(&self) -> u32 {
        self.limit.max(self.active).max(self.min)
    }

    /// What it could do without at once.
    fn idle(&self) -> u32 {
        self.limit.saturating_sub(self.active.max(self.min))
    }
}

/// What is to be done for a member that needs a permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Its limit is this from now on.
    Grant(u32),
    /// The limit of another one is lowered, but not below what it has out; then ask again.
    Reclaim { from: usize, to: u32 },
    /// The limit of another one is lowered, though all of it is out: its next permits that come back are not its own.
    TakeBack { from: usize, to: u32 },
    /// There is nothing for it now.
    Nothing,
}

/// Of a member's minimum nothing is ever lent: its limit is never below that.
pub(crate) fn step(total: u32, seats: &[Seat], asks: usize) -> Step {
    let own = seats[asks];
    if own.limit >= own.cap {
        return Step::Nothing;
    }
    let held: u32 = seats.iter().map(Seat::held).sum();
    let spare = total.saturating_sub(held);
    let share_of = |at: usize| share(total, seats, at, asks);
    let share = share_of(asks);
    let in_need = |(at, seat): (usize, &Seat)| {
        at != asks && seat.is_hungry && seat.limit < seat.cap.min(share_of(at))
    };
    let is_others = own.limit >= share && seats.iter().enumerate().any(in_need);
    if spare > 0 && !is_others {
        // A part of it: another one may need some in a moment.
        let lent = spare.div_ceil(4).min(own.cap - own.limit);
        return Step::Grant(own.limit + lent);
    }
    let others = || seats.iter().enumerate().filter(|(at, _)| *at != asks);
    if spare == 0
        && let Some((from, seat)) = others().max_by_key(|(_, seat)| seat.idle())
        && seat.idle() > 0
    {
        return Step::Reclaim { from, to: seat.limit - seat.idle().div_ceil(2) };
    }
    let over = |(at, seat): &(usize, &Seat)| seat.limit.saturating_sub(share_of(*at).max(seat.min));
    if own.limit < share
        && let Some(most) = others().max_by_key(over)
        && over(&most) > 0
    {
        return Step::TakeBack { from: most.0, to: most.1.limit - 1 };
    }
    Step::Nothing
}

/// What a member has where all that are in need get their part: its minimum, and of what is not of anybody's minimum its part
/// by weight among those that use more than their minimum, or want to.
fn share(total: u32, seats: &[Seat], of: usize, asks: usize) -> u32 {
    let minimums: u32 = seats.iter().map(|seat| seat.min).sum();
    let weights: f64 = seats
        .iter()
        .enumerate()
        .filter(|(at, seat)| [of, asks].contains(at) || seat.is_hungry || seat.held() > seat.min)
        .map(|(_, seat)| seat.weight)
        .sum();
    let lent = f64::from(total - minimums) * seats[of].weight / weights;
    // At most the total.
    seats[of].min + lent as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn seat(min: u32, limit: u32, active: u32) -> Seat {
        Seat { min, weight: 1.0, cap: 1_000, limit, active, is_hungry: false }
    }

    #[test]
    fn what_nobody_uses_is_lent_and_no_minimum_is() {
        let mut seats = [seat(5, 5, 5), seat(5, 5, 0)];
        assert_eq!(step(20, &seats, 0), Step::Grant(8), "a part of ten");
        seats[0] = seat(5, 15, 15);
        assert_eq!(step(20, &seats, 0), Step::Nothing, "the rest is the other's minimum");
    }

    #[test]
    fn what_is_idle_is_taken_first_and_then_what_is_above_its_share() {
        let seats = [seat(5, 5, 5), seat(5, 15, 7)];
        assert_eq!(step(20, &seats, 0), Step::Reclaim { from: 1, to: 11 });
        let seats = [seat(5, 5, 5), seat(5, 15, 15)];
        assert_eq!(step(20, &seats, 0), Step::TakeBack { from: 1, to: 14 });
        let mut seats = [seat(5, 5, 5), seat(5, 14, 14)];
        seats[0].is_hungry = true;
        assert_eq!(step(20, &seats, 1), Step::Nothing, "it is the other's, who is in need");
        assert_eq!(step(20, &seats, 0), Step::Grant(6));
    }

    #[test]
    fn weights_say_how_what_is_short_is_divided() {
        let heavy = Seat { weight: 3.0, is_hungry: true, ..seat(5, 11, 11) };
        let seats = [heavy, seat(5, 9, 9)];
        assert_eq!(step(20, &seats, 0), Step::TakeBack { from: 1, to: 8 }, "12 and 7 of 20");
        let seats = [Seat { limit: 13, active: 13, ..heavy }, seat(5, 7, 7)];
        assert_eq!(step(20, &seats, 0), Step::Nothing);
    }

    #[test]
    fn what_one_of_them_could_not_take_anyway_is_not_kept_for_it() {
        let full = Seat { cap: 8, is_hungry: true, ..seat(5, 8, 8) };
        assert_eq!(step(30, &[seat(5, 15, 15), full], 0), Step::Grant(17));
    }

    #[test]
    fn with_its_share_it_leaves_the_rest_to_one_in_need_and_takes_nothing_back() {
        let in_need = Seat { is_hungry: true, ..seat(5, 10, 10) };
        assert_eq!(step(30, &[seat(5, 15, 15), in_need], 0), Step::Nothing);
        assert_eq!(step(31, &[seat(5, 15, 15), seat(5, 16, 16)], 0), Step::Nothing);
    }

    #[test]
    fn one_that_needs_no_more_than_its_minimum_has_no_part_in_what_is_lent() {
        let seats = [seat(5, 10, 10), seat(5, 13, 13), seat(5, 5, 5)];
        assert_eq!(step(28, &seats, 0), Step::TakeBack { from: 1, to: 12 }, "11 each of two");
    }

    #[test]
    fn nobody_has_more_than_its_cap() {
        let capped = Seat { cap: 6, ..seat(5, 5, 5) };
        assert_eq!(step(100, &[capped], 0), Step::Grant(6));
        assert_eq!(step(100, &[Seat { limit: 6, ..capped }], 0), Step::Nothing);
    }

    /// Applies what is decided, as the owner of the permits does.
    fn ask(total: u32, seats: &mut [Seat], at: usize) -> bool {
        loop {
            match step(total, seats, at) {
                Step::Grant(limit) => {
                    assert!(limit > seats[at].limit);
                    (seats[at].limit, seats[at].is_hungry) = (limit, false);
                    return true;
                }
                Step::Reclaim { from, to } => {
                    assert!(to < seats[from].limit && to >= seats[from].active);
                    seats[from].limit = to;
                }
                Step::TakeBack { from, to } => {
                    seats[from].limit = to;
                    seats[at].is_hungry = true;
                    return false;
                }
                Step::Nothing => {
                    seats[at].is_hungry = true;
                    return false;
                }
            }
        }
    }

    proptest! {
        /// Members that take, give back and ask, in any order.
        #[test]
        fn no_minimum_is_ever_lent_and_no_more_than_the_total_is_out(
            members in prop::collection::vec((1u32..5, 1u32..4, 1u32..30), 1..6),
            more in 0u32..20,
            steps in prop::collection::vec((0usize..6, 0u8..3), 0..400),
        ) {
            let total = members.iter().map(|member| member.0).sum::<u32>() + more;
            let mut seats: Vec<Seat> = members.iter().map(|&(min, weight, cap)| Seat {
                min, weight: f64::from(weight), cap: cap.max(min), limit: min, active: 0, is_hungry: false,
            }).collect();
            for (at, what) in steps {
                let at = at % seats.len();
                match what {
                    0 if seats[at].active > 0 => seats[at].active -= 1,
                    1 => {
                        let below_min = seats[at].active < seats[at].min;
                        let has_one = seats[at].active < seats[at].limit || ask(total, &mut seats, at);
                        prop_assert!(has_one || !below_min, "its own minimum: {seats:?}");
                        seats[at].active += u32::from(has_one);
                    }
                    2 => drop(ask(total, &mut seats, at)),
                    _ => {}
                }
                prop_assert!(seats.iter().map(Seat::held).sum::<u32>() <= total, "{seats:?}");
                prop_assert!(seats.iter().all(|seat| seat.limit >= seat.min && seat.limit <= seat.cap));
            }
            // When all others are done, one can have all that there is.
            seats.iter_mut().for_each(|seat| seat.active = 0);
            seats.iter_mut().skip(1).for_each(|seat| seat.is_hungry = false);
            for _ in 0..1_000 {
                seats[0].active = seats[0].limit;
                ask(total, &mut seats, 0);
            }
            let minimums: u32 = seats.iter().skip(1).map(|seat| seat.min).sum();
            prop_assert_eq!(seats[0].limit, seats[0].cap.min(total - minimums));
        }
    }
}
