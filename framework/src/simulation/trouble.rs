//! What befalls a server, and when.

use std::ops::Range;
use std::time::Duration;

use crate::clock::{Moment, nanos};

/// Something that can be wrong with a server for a while.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Trouble {
    /// It stands still: requests are taken and queued, and no work goes on. Afterwards it goes on where it was.
    Freezes,
    /// It works at this share of its speed; above 0, and above 1 it is faster than usual.
    Speed(f64),
    /// It answers this share of requests with an error, after the usual work; 0 to 1.
    Fails(f64),
    /// It refuses every request at once, and what it had queued is lost: the process is gone.
    Down,
}

/// All that befalls one server.
#[derive(Clone, Debug, Default)]
pub(super) struct Course(Vec<(Range<Moment>, Trouble)>);

impl Course {
    pub(super) fn new(troubles: &[(Range<Duration>, Trouble)]) -> Self {
        let moment = |at: Duration| Moment::ZERO + at;
        let course = troubles
            .iter()
            .map(|(during, trouble)| (moment(during.start)..moment(during.end), *trouble));
        Self(course.collect())
    }

    fn at(&self, now: Moment) -> impl Iterator<Item = Trouble> {
        self.0.iter().filter(move |(during, _)| during.contains(&now)).map(|(_, trouble)| *trouble)
    }

    pub(super) fn is_down(&self, now: Moment) -> bool {
        self.at(now).any(|trouble| trouble == Trouble::Down)
    }

    /// When it goes down the next time, `now` included.
    pub(super) fn next_fall(&self, now: Moment) -> Option<Moment> {
        let falls =
            self.0.iter().filter(|(during, trouble)| *trouble == Trouble::Down && during.end > now);
        falls.map(|(during, _)| during.start.max(now)).min()
    }

    /// The share of requests that fail.
    pub(super) fn failing(&self, now: Moment) -> f64 {
        let well = self.at(now).map(|trouble| match trouble {
            Trouble::Fails(share) => 1.0 - share,
            _ => 1.0,
        });
        1.0 - well.product::<f64>()
    }

    fn speed(&self, now: Moment) -> f64 {
        let speeds = self.at(now).map(|trouble| match trouble {
            Trouble::Freezes => 0.0,
            Trouble::Speed(share) => share,
            Trouble::Fails(_) | Trouble::Down => 1.0,
        });
        speeds.product()
    }

    /// When something begins or ends next.
    pub(super) fn next_change(&self, now: Moment) -> Option<Moment> {
        let changes = self.0.iter().flat_map(|(during, _)| [during.start, during.end]);
        changes.filter(|change| *change > now).min()
    }

    /// When work of this length is done that begins now.
    pub(super) fn finish(&self, mut now: Moment, work: Duration) -> Moment {
        let mut left = nanos(work) as f64;
        loop {
            let speed = self.speed(now);
            let change = self.next_change(now);
            let until_change =
                change.map_or(f64::INFINITY, |change| change.nanos_since(now) as f64);
            if left <= until_change * speed {
                return now.plus_nanos((left / speed).ceil() as u64);
            }
            let Some(change) = change else { return Moment::MAX };
            left -= until_change * speed;
            now = change;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Moment {
        Moment::ZERO + Duration::from_secs_f64(seconds)
    }

    fn course(troubles: &[(Range<u64>, Trouble)]) -> Course {
        let seconds = Duration::from_secs;
        let troubles: Vec<_> = troubles
            .iter()
            .map(|(during, trouble)| (seconds(during.start)..seconds(during.end), *trouble))
            .collect();
        Course::new(&troubles)
    }

    #[test]
    fn work_stands_still_in_a_freeze_and_goes_on_afterwards() {
        let course = course(&[(10..20, Trouble::Freezes)]);
        let second = Duration::from_secs(1);
        assert_eq!(course.finish(at(3.0), second), at(4.0));
        assert_eq!(course.finish(at(9.0), second), at(10.0), "just done");
        assert_eq!(course.finish(at(9.75), second), at(20.75));
        assert_eq!(course.finish(at(12.0), second), at(21.0));
        assert_eq!(course.finish(at(25.0), Duration::ZERO), at(25.0));
    }

    #[test]
    fn speeds_multiply_where_they_overlap() {
        let course = course(&[(0..10, Trouble::Speed(0.5)), (5..10, Trouble::Speed(0.5))]);
        assert_eq!(course.finish(at(0.0), Duration::from_secs(1)), at(2.0));
        assert_eq!(course.finish(at(5.0), Duration::from_secs(1)), at(9.0));
        // 2.5 s of work until 5 s, 1.25 s until 10 s, and the rest at full speed.
        assert_eq!(course.finish(at(0.0), Duration::from_secs(4)), at(10.25));
    }

    #[test]
    fn a_freeze_for_ever_is_never_over() {
        let course = Course::new(&[(Duration::ZERO..Duration::MAX, Trouble::Freezes)]);
        assert_eq!(course.finish(at(1.0), Duration::from_secs(1)), Moment::MAX);
    }

    #[test]
    fn failures_add_up_as_chances_do_and_a_fall_is_foreseen() {
        let course = course(&[
            (0..10, Trouble::Fails(0.5)),
            (5..10, Trouble::Fails(0.5)),
            (7..9, Trouble::Down),
        ]);
        assert_eq!(course.failing(at(1.0)), 0.5);
        assert_eq!(course.failing(at(6.0)), 0.75);
        assert_eq!(course.failing(at(10.0)), 0.0);
        assert_eq!(course.next_fall(at(1.0)), Some(at(7.0)));
        assert_eq!(course.next_fall(at(8.0)), Some(at(8.0)));
        assert_eq!(course.next_fall(at(9.0)), None);
        assert!(course.is_down(at(8.9)) && !course.is_down(at(9.0)));
    }
}
