//! How much is shed, and from which priority down.

use std::time::Duration;

use crate::clock::Moment;

use super::priority::Rank;

/// How often the share is set anew.
const INTERVAL: Duration = Duration::from_millis(500);
/// The most that the share moves in an interval: 10 points a second.
const STEP: f64 = 0.05;
/// The controller's two gains, for the error and for its integral over seconds. Small ones: the share is a number that many
/// callers are told by, and what it must follow quickly, calls that wait in vain, it hears of directly.
const KP: f64 = 0.05;
const KI: f64 = 0.01;
/// So many times as many as may wait is far too many.
const FAR: f64 = 4.0;
/// However great the overload, some of what comes is let in, so that its end is noticed.
const MOST: f64 = 0.99;
/// The priorities of so many newcomers are remembered.
const REMEMBERED: usize = 1_000;

/// What a newcomer finds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// Attempts that have a permit, and calls that wait for one.
    pub(crate) present: u32,
    /// Permits.
    pub(crate) limit: u32,
    /// How many calls of a class may wait.
    pub(crate) capacity: u32,
}

impl Load {
    /// How many may be present before anything is shed: as many wait as have a permit, which is about one service time. Not more than half of what may wait,
    /// and a few in any case, because permits must not stand idle between two arrivals.
    fn wanted(self) -> f64 {
        let waiting = self.limit.max(4).min(self.capacity.div_ceil(2));
        f64::from(self.limit) + f64::from(waiting)
    }
}

/// Sheds the least important share of what comes: a dimmer, and no switch. The share follows how many more wait than about one service
/// time's worth, and how many wait in vain, by a proportional and integral controller; and the least important share of the last 1,000
/// newcomers says below which priority work is shed.
///
/// Source: J. Schiller et al., "Cinnamon: Using Century Old Tech to Build a Mean Load Shedder", Uber 2023. Ours begins after half
/// a second instead of ten, because the step of 10 points a second bounds what a burst can do; and some may wait, where theirs aims at
/// none, because then a tenth of the permits stand idle. Their integral is halved where nobody waits; ours falls as it grew,
/// which sheds more steadily.
#[derive(Debug)]
pub(crate) struct Dimmer {
    recent: Vec<Rank>,
    /// Where the next newcomer goes, once all places are taken.
    at: usize,
    share: f64,
    integral: f64,
    /// What is of this rank or greater is shed.
    threshold: Option<Rank>,
    /// Of this interval.
    began: Moment,
    present: f64,
    newcomers: u32,
    in_vain: u32,
}

impl Dimmer {
    pub(crate) fn new(now: Moment) -> Self {
        Self {
            recent: Vec::new(),
            at: 0,
            share: 0.0,
            integral: 0.0,
            threshold: None,
            began: now,
            present: 0.0,
            newcomers: 0,
            in_vain: 0,
        }
    }

    /// The share of newcomers that it sheds.
    pub(crate) fn share(&self) -> f64 {
        self.share
    }

    /// What it was told in this interval: how many were present for each newcomer, added up, and how many waited in vain.
    #[cfg(test)]
    pub(crate) fn told(&self) -> (f64, u32) {
        (self.present, self.in_vain)
    }

    /// Whether a newcomer that finds no permit is to be shed. O(1), but once in half a second, when the last newcomers
    /// are looked through.
    pub(crate) fn sheds(&mut self, rank: Rank, load: Load, now: Moment) -> bool {
        if now.since(self.began) >= INTERVAL {
            self.turn(load, now);
        }
        self.present += f64::from(load.present);
        self.newcomers += 1;
        match self.recent.get_mut(self.at) {
            Some(place) => *place = rank,
            None => self.recent.push(rank),
        }
        self.at = (self.at + 1) % REMEMBERED;
        self.threshold.is_some_and(|threshold| rank >= threshold)
    }

    /// A call that was let in found no room to wait in, or has waited for as long as it may.
    pub(crate) fn waited_in_vain(&mut self) {
        self.in_vain = self.in_vain.saturating_add(1);
    }

    /// Ends the interval, and those after it in which nobody came.
    fn turn(&mut self, load: Load, now: Moment) {
        let elapsed = now.since(self.began).as_secs_f64() / INTERVAL.as_secs_f64();
        let newcomers = f64::from(self.newcomers.max(1));
        let mean = self.present / newcomers;
        let too_many = (mean - load.wanted()) / f64::from(load.limit.max(1));
        let in_vain = f64::from(self.in_vain) / newcomers;
        let error = if in_vain > 0.0 { too_many.max(in_vain) } else { too_many };
        // A queue that is far too long moves the share by up to a whole step.
        let far = if error > FAR { error } else { error.clamp(-1.0, 1.0) };
        self.integral += (KI * far * INTERVAL.as_secs_f64()).min(STEP);
        let error = error.clamp(-1.0, 1.0);
        if in_vain > 0.0 {
            // It is known how many too many were let in.
            self.integral = self.integral.max(self.share + in_vain.min(STEP) - KP * error);
        }
        let wanted = KP * error + self.integral;
        self.share = wanted.clamp(self.share - STEP, self.share + STEP).clamp(0.0, MOST);
        self.integral = self.integral.clamp(0.0, MOST);
        // Whole intervals in which all found a permit.
        let quiet = (elapsed as i32 - 1).clamp(0, 1_000);
        self.share = (self.share - f64::from(quiet) * STEP).max(0.0);
        self.integral *= 0.5_f64.powi(quiet);
        (self.began, self.present, self.newcomers, self.in_vain) = (now, 0.0, 0, 0);
        self.threshold = self.quantile();
    }

    /// The rank from which on the share is.
    fn quantile(&self) -> Option<Rank> {
        let shed = (self.share * self.recent.len() as f64).round() as usize;
        let first = self.recent.len().checked_sub(shed).filter(|_| shed > 0)?;
        let mut ranks = self.recent.clone();
        let (_, rank, _) = ranks.select_nth_unstable(first);
        Some(*rank)
    }
}

#[cfg(all(test, not(seawall_loom)))]
mod tests {
    use super::*;
    use crate::backpressure::Priority;
    use crate::entropy::Entropy;

    const fn at(millis: u64) -> Moment {
        Moment::from_nanos(millis * 1_000_000)
    }

    /// So many newcomers over half a second, each of which finds so many present; how many of them are shed.
    fn half_a_second(dimmer: &mut Dimmer, from: u64, newcomers: u32, present: u32) -> u32 {
        let load = Load { present, limit: 10, capacity: 100 };
        let shed = |n: u32| {
            let rank = Rank::new(Priority::NORMAL, f64::from(n * 37 % 100) / 100.0);
            let at = at(from + u64::from(n) * 500 / u64::from(newcomers));
            let shed = dimmer.sheds(rank, load, at);
            if !shed && present >= load.limit + load.capacity {
                dimmer.waited_in_vain();
            }
            shed
        };
        (0..newcomers).map(shed).map(u32::from).sum()
    }

    #[test]
    fn the_share_grows_by_ten_points_a_second_at_most_and_falls_as_slowly() {
        let mut dimmer = Dimmer::new(at(0));
        let shed: Vec<u32> =
            (0..6).map(|n| half_a_second(&mut dimmer, n * 500, 100, 110)).collect();
        assert_eq!(shed[0], 0, "nothing is known yet");
        assert!(shed.windows(2).all(|two| two[1] > two[0] && two[1] <= two[0] + 8), "{shed:?}");
        let peak = dimmer.share();
        assert!((0.24..=0.2501).contains(&peak), "{peak}");
        (6..10).for_each(|n| _ = half_a_second(&mut dimmer, n * 500, 100, 1));
        assert!((0.15..peak).contains(&dimmer.share()), "{}", dimmer.share());
    }

    #[test]
    fn it_forgets_in_time_what_nobody_has_waited_for() {
        let mut dimmer = Dimmer::new(at(0));
        (0..10).for_each(|n| _ = half_a_second(&mut dimmer, n * 500, 100, 110));
        assert!(dimmer.share() > 0.4);
        assert_eq!(half_a_second(&mut dimmer, 60_000, 10, 10), 0, "a minute later");
        assert!(dimmer.share() < 1e-9);
    }

    #[test]
    fn it_never_sheds_all() {
        let mut dimmer = Dimmer::new(at(0));
        (0..100).for_each(|n| _ = half_a_second(&mut dimmer, n * 500, 100, 10_000));
        assert!(dimmer.share() <= MOST && dimmer.share() > 0.98);
    }

    /// Ten permits of 10 ms, twice as many Poisson arrivals: what is served, and how steadily it sheds, once it has settled.
    #[test]
    fn at_twice_the_capacity_it_sheds_about_half_steadily_and_the_least_important() {
        let (entropy, mut dimmer) = (Entropy::seeded(3), Dimmer::new(at(0)));
        let (mut now, mut free_at, mut waiting) = (0.0_f64, [0.0_f64; 10], 0_u32);
        let (mut shares, mut shed, mut came, mut served) = (Vec::new(), 0, 0, 0);
        let mut of_critical = 0;
        let mut next_report = 500.0;
        while now < 60_000.0 {
            now -= 0.5 * (1.0 - entropy.unit()).ln();
            // The earliest permits go to those who wait.
            while waiting > 0 {
                let Some(at) =
                    free_at.iter_mut().min_by(|a, b| a.total_cmp(b)).filter(|at| **at <= now)
                else {
                    break;
                };
                *at += 10.0;
                (waiting, served) = (waiting - 1, served + 1);
            }
            let active = free_at.iter().filter(|at| **at > now).count() as u32;
            came += 1;
            if active < 10 {
                if let Some(at) = free_at.iter_mut().find(|at| **at <= now) {
                    *at = now + 10.0;
                }
                served += 1;
            } else {
                let critical = entropy.unit() < 0.2;
                let priority = if critical { Priority::CRITICAL } else { Priority::SHEDDABLE };
                let load = Load { present: active + waiting, limit: 10, capacity: 100 };
                let rank = Rank::new(priority, entropy.unit());
                if dimmer.sheds(rank, load, Moment::from_nanos((now * 1e6) as u64)) {
                    shed += 1;
                    of_critical += u32::from(critical);
                } else if waiting < 100 {
                    waiting += 1;
                } else {
                    dimmer.waited_in_vain();
                }
            }
            if now >= next_report {
                shares.push(f64::from(shed) / f64::from(came));
                (shed, came, next_report) = (0, 0, next_report + 500.0);
            }
        }
        let settled = &shares[40..];
        let mean = settled.iter().sum::<f64>() / settled.len() as f64;
        let off = settled.iter().filter(|share| (*share - mean).abs() > 0.05).count();
        let off = off as f64 / settled.len() as f64;
        assert!((0.45..0.55).contains(&mean), "{mean}");
        assert!(
            off < 0.15,
            "{off} of the half seconds are off by more than 5 points: {settled:.2?}"
        );
        assert!(f64::from(served) > 0.97 * 60_000.0, "{served} of what can be");
        assert_eq!(of_critical, 0);
    }
}
