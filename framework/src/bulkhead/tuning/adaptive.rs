//! By what comes of it: useful answers a second, and what they take when nobody queues.

use std::collections::VecDeque;

use super::sample::{Range, Sample};

/// Ours. Little's law says how many calls a dependency has at once when it is busy and nobody queues: its rate times the latency
/// then. The limit is that, a quarter more, and its square root (as BBR sends: N. Cardwell et al., "BBR: Congestion-Based Congestion
/// Control", ACM Queue 14 (5), 2016). The rate is that of **good** answers: fast refusals look like throughput.
///
/// Algorithms that go by latency alone have a hole: where every attempt ends at the same timeout nothing is slower than usual,
/// and the limit grows. So this one has absolute brakes. It halves when half of the attempts end without an answer, falls by a
/// fifth when one in twenty does or when answers take more than half of the timeout, and takes back a step up that brought no
/// more good answers.
#[derive(Debug)]
pub(super) struct Adaptive {
    range: Range,
    limit: f64,
    /// Good answers a second, of the last windows.
    rates: VecDeque<f64>,
    /// How long good answers take when nobody queues, in seconds; `None` before the first.
    unqueued: Option<f64>,
    /// Windows until the queue is drained again.
    until_drain: u32,
    /// Drains find lesser and lesser latencies.
    is_searching: bool,
    /// So many windows, this one included, drain the queue, so that the latency without one is seen in the last of them.
    draining: u32,
    /// A step up or down that is not judged yet.
    step: Option<Step>,
    /// For so many windows more there is no step up.
    hold: u32,
}

/// A step from one limit to another.
#[derive(Clone, Copy, Debug)]
struct Step {
    /// The limit and the rate before it, and what answers took, in seconds.
    limit: f64,
    rate: f64,
    mean: f64,
    /// How long it has been in force, in seconds.
    age: f64,
    /// What there was since all that had begun before it has ended: windows, their seconds, and good answers.
    windows: u32,
    seconds: f64,
    good: u64,
}

/// What is to become of a step.
enum Verdict {
    Right,
    Wrong,
    /// Nobody can tell yet.
    Open,
}

/// The highest rate of so many windows counts.
const RATES: usize = 10;
/// After so many windows the queue is drained, to see how long answers take without one.
const STRETCH: u32 = 30;
/// For so many windows. In the first, calls end that have queued.
const DRAINS: u32 = 2;
/// After a drain that has found a lesser latency there is more to be found.
const SHORT: u32 = 3;
/// In a window that drains, the limit is this share of what the dependency seems to have at once.
const DRAINED: f64 = 0.8;
/// The same while drains find lesser and lesser latencies: there is a long queue.
const DRAINED_MORE: f64 = 0.5;
const GAIN: f64 = 1.25;
/// So many more than the gain and the square root allow: a dependency that does one at a time is to have the next at hand.
const ALLOWANCE: f64 = 1.5;
/// A step up has to bring this share of its own size in good answers.
const WORTH: f64 = 0.2;
/// In so many windows. Calls that have begun together end together, and one window has them all while the next has none.
const TRIAL: u32 = 4;
/// After one that did not, so many windows pass before the next.
const HOLD: u32 = 10;
/// A step down may cost this share of its own size in good answers.
const LOSS: f64 = 0.5;

impl Adaptive {
    pub(super) fn new(initial: u32, range: Range) -> Self {
        Self {
            range,
            limit: range.clamp(initial).into(),
            rates: VecDeque::new(),
            unqueued: None,
            until_drain: SHORT,
            is_searching: true,
            draining: 0,
            step: None,
            hold: 0,
        }
    }

    pub(super) fn update(&mut self, sample: &Sample) -> u32 {
        let next = self.next(sample);
        self.limit = next.clamp(self.range.min.into(), self.range.max.into());
        let shown = if self.draining > 0 { self.drained() } else { self.limit };
        // Rounded, and kept as it is: small steps add up.
        self.range.clamp(shown.round() as u32)
    }

    fn next(&mut self, sample: &Sample) -> f64 {
        let was_draining = self.draining;
        self.draining = was_draining.saturating_sub(1);
        let ended = sample.good + sample.dropped;
        if ended == 0 {
            return self.limit;
        }
        if sample.dropped * 2 >= ended {
            // What was known is not so any more.
            self.rates.clear();
            self.step = None;
            return self.limit / 2.0;
        }
        // More than half of them, so at least one.
        let rate = sample.good as f64 / sample.length.as_secs_f64();
        self.note(sample, rate, was_draining);
        if sample.dropped * 20 >= ended || sample.mean.as_secs_f64() > self.too_slow(sample) {
            self.step = None;
            return self.limit * 0.8;
        }
        if was_draining > 0 {
            return self.limit;
        }
        if let Some(mut step) = self.step.take() {
            // What has begun before the step still ends in this window.
            if step.age < sample.mean.as_secs_f64() {
                step.age += sample.length.as_secs_f64();
                self.step = Some(step);
                return self.limit;
            }
            match self.judge(&mut step, rate, sample) {
                Verdict::Right => {}
                Verdict::Wrong => return step.limit,
                Verdict::Open => {
                    self.step = Some(step);
                    return self.limit;
                }
            }
        }
        if !self.is_used(sample) {
            return self.limit;
        }
        self.towards_target(rate, sample)
    }

    /// What answers may take, in seconds, before there are to be fewer of them: half of the timeout. For a dependency that takes more than a quarter
    /// of that when nobody queues, which fewer do not make quicker, it is a third of what is left.
    fn too_slow(&self, sample: &Sample) -> f64 {
        let timeout = sample.timeout.as_secs_f64();
        // While drains find less and less, what has been seen is a queue's.
        match self.unqueued.filter(|_| !self.is_searching) {
            Some(unqueued) => (timeout / 2.0).max(unqueued + (timeout - unqueued) / 3.0),
            None => timeout / 2.0,
        }
    }

    /// Whether the last step was one in the wrong direction: up, and there are no more good answers; or down, and there are fewer.
    /// The latter means that the latency is no queue's: the dependency is slower.
    fn judge(&mut self, step: &mut Step, rate: f64, sample: &Sample) -> Verdict {
        let (grew, mean) = (self.limit / step.limit - 1.0, sample.mean.as_secs_f64());
        if grew >= 0.0 {
            (step.windows, step.good) = (step.windows + 1, step.good + sample.good);
            step.seconds += sample.length.as_secs_f64();
            let needed = step.rate * (1.0 + WORTH * grew);
            if rate.max(step.good as f64 / step.seconds) >= needed {
                return Verdict::Right;
            }
            // If answers take longer by a tenth of what there is more, that is a queue's, and says enough.
            if step.windows < TRIAL && mean <= step.mean * (1.0 + grew / 10.0) {
                return Verdict::Open;
            }
            self.hold = HOLD;
            return Verdict::Wrong;
        }
        if rate < step.rate * (1.0 + LOSS * grew) {
            self.unqueued = Some(mean);
            self.rates = VecDeque::from([rate]);
            return Verdict::Wrong;
        }
        Verdict::Right
    }

    /// A step from the limit as it is.
    fn step(&self, rate: f64, sample: &Sample) -> Step {
        let mean = sample.mean.as_secs_f64();
        Step { limit: self.limit, rate, mean, age: 0.0, windows: 0, seconds: 0.0, good: 0 }
    }

    fn towards_target(&mut self, rate: f64, sample: &Sample) -> f64 {
        let Some(unqueued) = self.unqueued else { return self.limit };
        let busy = self.rates.iter().copied().fold(rate, f64::max) * unqueued;
        let target = busy * GAIN + busy.sqrt() + ALLOWANCE;
        if target <= self.limit {
            let down = self.step(rate, sample);
            self.step = (target < self.limit).then_some(down);
            return target.max(self.limit * 0.8);
        }
        if self.hold > 0 {
            self.hold -= 1;
            return self.limit;
        }
        // If what is more has to queue, answers take as much longer. Not so long that there would be fewer again.
        let mean = sample.mean.as_secs_f64().max(1e-9);
        let longest = self.too_slow(sample) / mean;
        if longest <= 1.0 {
            return self.limit;
        }
        // One more at least, or a small limit would never show what a step brings.
        let target = target.min((self.limit * longest).max(self.limit + 1.0));
        // By Little's law no dependency answers more for long. One window may have what began in two.
        self.step = Some(self.step(rate.min(self.limit / mean), sample));
        target.min(self.limit * 1.5 + 1.0)
    }

    /// Whether the limit is what bounds the load. By what does not use it, it neither grows nor falls.
    fn is_used(&self, sample: &Sample) -> bool {
        f64::from(sample.inflight) >= 0.9 * self.limit.floor()
    }

    /// Takes note of what a window tells, and whether the next is to drain.
    fn note(&mut self, sample: &Sample, rate: f64, was_draining: u32) {
        if was_draining != DRAINS {
            self.note_latency(sample.mean.as_secs_f64(), was_draining > 0);
        }
        if was_draining > 0 {
            return;
        }
        if self.rates.len() == RATES {
            self.rates.pop_front();
        }
        self.rates.push_back(rate);
        self.until_drain = self.until_drain.saturating_sub(1);
        // A queue that nobody makes need not be drained.
        if self.until_drain == 0 && self.is_used(sample) {
            self.draining = DRAINS;
        }
    }

    /// Takes note of how long answers have taken; without a queue, if that was drained.
    fn note_latency(&mut self, mean: f64, is_drained: bool) {
        let before = *self.unqueued.get_or_insert(mean);
        if is_drained {
            self.is_searching = mean < before * 0.8;
            self.until_drain = if self.is_searching { SHORT } else { STRETCH };
            // A mean has its own spread: after the search it is followed slowly.
            let weight = if self.is_searching { 1.0 } else { 0.3 };
            self.unqueued = Some(before + weight * (mean - before));
        } else if mean < before {
            self.unqueued = Some(before + 0.1 * (mean - before));
        }
    }

    /// The limit in a window that drains the queue: less than the dependency has at once when nobody queues.
    fn drained(&self) -> f64 {
        let rate = self.rates.iter().copied().fold(0.0, f64::max);
        let busy = rate * self.unqueued.unwrap_or_default();
        let share = if self.is_searching { DRAINED_MORE } else { DRAINED };
        (busy * share).min(self.limit)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const RANGE: Range = Range { min: 1, max: 1000 };
    const TIMEOUT: Duration = Duration::from_secs(1);

    /// A dependency that does so many a second, each taking `base` when nobody queues, in windows of a second.
    fn served(limit: u32, capacity: f64, base: f64) -> Sample {
        let wanted = f64::from(limit) / base;
        let rate = wanted.min(capacity);
        // By Little's law.
        let took = Duration::from_secs_f64(f64::from(limit) / rate);
        Sample {
            length: Duration::from_secs(1),
            good: rate.round() as u64,
            mean: took,
            dropped: if took > TIMEOUT { rate as u64 } else { 0 },
            inflight: limit,
            timeout: TIMEOUT,
        }
        .without_answers_that_come_too_late()
    }

    impl Sample {
        fn without_answers_that_come_too_late(self) -> Self {
            if self.dropped > 0 { Self { good: 0, ..self } } else { self }
        }
    }

    /// The limits of so many windows.
    fn follow(
        adaptive: &mut Adaptive,
        from: u32,
        windows: usize,
        capacity: f64,
        base: f64,
    ) -> Vec<u32> {
        let mut limit = from;
        (0..windows)
            .map(|_| {
                limit = adaptive.update(&served(limit, capacity, base));
                limit
            })
            .collect()
    }

    #[test]
    fn it_finds_what_the_dependency_has_at_once_from_below_and_from_above() {
        for initial in [1, 10, 80] {
            let mut adaptive = Adaptive::new(initial, RANGE);
            // 500/s of 20 ms: 10 at once.
            let limits = follow(&mut adaptive, initial, 60, 500.0, 0.020);
            let settled = &limits[30..];
            assert!(settled.iter().all(|limit| (4..=19).contains(limit)), "{initial}: {limits:?}");
        }
    }

    #[test]
    fn it_follows_a_step_of_the_capacity_up_and_down() {
        let mut adaptive = Adaptive::new(10, RANGE);
        let before = *follow(&mut adaptive, 10, 40, 500.0, 0.020).last().unwrap();
        let up = follow(&mut adaptive, before, 30, 2_000.0, 0.020);
        assert!(up.iter().any(|&limit| limit >= 40), "{up:?}");
        let down = follow(&mut adaptive, *up.last().unwrap(), 30, 250.0, 0.020);
        assert!(down.last().is_some_and(|&limit| limit <= 14), "{down:?}");
    }

    #[test]
    fn when_every_attempt_ends_at_the_timeout_it_is_at_the_floor_within_ten_windows() {
        let mut adaptive = Adaptive::new(1000, RANGE);
        let lost = Sample {
            length: TIMEOUT,
            good: 0,
            mean: Duration::ZERO,
            dropped: 1000,
            inflight: 1000,
            timeout: TIMEOUT,
        };
        let limits: Vec<u32> = (0..10).map(|_| adaptive.update(&lost)).collect();
        assert_eq!(limits.last(), Some(&1), "{limits:?}");
    }

    #[test]
    fn it_does_not_grow_while_it_is_not_used_or_while_good_answers_do_not() {
        let mut adaptive = Adaptive::new(10, RANGE);
        let idle = Sample { inflight: 3, ..served(3, 500.0, 0.020) };
        assert!((0..100).all(|_| adaptive.update(&idle) == 10));
        // Slower and slower, and never more a second: fast failures would look like throughput.
        let mut adaptive = Adaptive::new(10, RANGE);
        let mut highest = 0;
        for window in 0..200_u64 {
            let took = Duration::from_millis(20 + window);
            let flat = Sample { mean: took, good: 50, inflight: 1000, ..served(10, 500.0, 0.02) };
            highest = highest.max(adaptive.update(&flat));
        }
        assert!(highest <= 16, "one step at most, and it is taken back: {highest}");
    }

    #[test]
    fn a_dependency_that_takes_more_than_half_of_the_timeout_by_itself_keeps_its_calls() {
        // 600 ms each of a timeout of 1 s, however many there are.
        let mut adaptive = Adaptive::new(5, RANGE);
        let limits = follow(&mut adaptive, 5, 100, f64::INFINITY, 0.600);
        assert!(limits[60..].iter().all(|limit| *limit >= 20), "{limits:?}");
        // Forty a second are its capacity: more only queue.
        let mut adaptive = Adaptive::new(5, RANGE);
        let limits = follow(&mut adaptive, 5, 200, 40.0, 0.600);
        assert!(limits[100..].iter().all(|limit| (15..=34).contains(limit)), "{limits:?}");
    }

    /// The limits for a dependency of any capacity whose calls begin and end together, half a second each: windows end with their thirtieth
    /// answer or after a second, wherever that falls.
    fn in_step(windows: usize) -> Vec<u32> {
        let mut adaptive = Adaptive::new(5, RANGE);
        // Those that ended with the window before, behind its last.
        let (mut limit, mut left) = (5, 0);
        let mut window = || {
            let enough = 30_u32.saturating_sub(left).max(1);
            let (halves, ended) =
                if enough <= limit { (1, left + enough) } else { (2, left + limit + 1) };
            left = left + halves * limit - ended;
            let length = Duration::from_millis(500) * halves;
            let answers = served(limit, f64::INFINITY, 0.5);
            limit = adaptive.update(&Sample { length, good: ended.into(), ..answers });
            limit
        };
        (0..windows).map(|_| window()).collect()
    }

    #[test]
    fn calls_that_begin_and_end_together_do_not_hide_what_a_step_brings() {
        let limits = in_step(60);
        assert!(limits.iter().any(|limit| *limit >= 60), "{limits:?}");
    }

    #[test]
    fn a_step_up_that_brings_nothing_is_taken_back_at_once_if_it_queues_and_soon_if_not() {
        for (took, windows) in [(30, 1), (20, TRIAL as usize)] {
            // No drain meanwhile.
            let mut adaptive = Adaptive { until_drain: 100, ..Adaptive::new(10, RANGE) };
            let same = served(10, 500.0, 0.020);
            let first = adaptive.update(&same);
            assert!(first > 10, "{first}");
            // In the first window of a step, calls still end that had begun before.
            assert_eq!(adaptive.update(&Sample { inflight: first, ..same }), first);
            let flat = Sample { mean: Duration::from_millis(took), inflight: first, ..same };
            let limits: Vec<u32> = (0..windows).map(|_| adaptive.update(&flat)).collect();
            let (last, before) = limits.split_last().unwrap();
            assert!(*last == 10 && before.iter().all(|limit| *limit == first), "{limits:?}");
        }
    }

    #[test]
    fn answers_that_take_more_than_half_of_the_timeout_are_a_brake() {
        let mut adaptive = Adaptive::new(100, RANGE);
        let slow = Sample { mean: Duration::from_millis(600), ..served(100, 500.0, 0.020) };
        assert_eq!(adaptive.update(&slow), 80);
        let some_lost = Sample { dropped: 30, ..served(80, 500.0, 0.020) };
        assert_eq!(adaptive.update(&some_lost), 64);
    }

    /// Before a step: limit, rate and mean. Since: its age, and the windows that tell of it.
    struct Before {
        limit: f64,
        rate: f64,
        mean: f64,
        age: f64,
        told: Vec<(u64, f64)>,
    }

    /// The same rules as one list of questions, over everything that was ever told.
    struct Model {
        limit: f64,
        rates: Vec<f64>,
        unqueued: Option<f64>,
        is_searching: bool,
        /// Windows that counted since the last drain.
        since_drain: u32,
        /// 2 in the first window of a drain, 1 in its last.
        drains: u32,
        step: Option<Before>,
        hold: u32,
    }

    impl Model {
        fn new(limit: u32) -> Self {
            Self {
                limit: limit.into(),
                rates: Vec::new(),
                unqueued: None,
                is_searching: true,
                since_drain: 0,
                drains: 0,
                step: None,
                hold: 0,
            }
        }

        fn best_rate(&self) -> f64 {
            self.rates.iter().rev().take(10).copied().fold(0.0, f64::max)
        }

        fn update(&mut self, sample: &Sample, range: Range) -> u32 {
            let next = self.next(sample);
            self.limit = next.max(range.min.into()).min(range.max.into());
            let share = if self.is_searching { 0.5 } else { 0.8 };
            let drained = self.best_rate() * self.unqueued.unwrap_or(0.0) * share;
            let shown = if self.drains > 0 { drained.min(self.limit) } else { self.limit };
            (shown.round() as u32).max(range.min).min(range.max)
        }

        fn next(&mut self, sample: &Sample) -> f64 {
            let (limit, drains) = (self.limit, self.drains);
            self.drains -= u32::from(drains > 0);
            let ended = (sample.good + sample.dropped) as f64;
            if ended == 0.0 {
                return limit;
            }
            let lost = sample.dropped as f64 / ended;
            if lost >= 0.5 {
                (self.rates, self.step) = (Vec::new(), None);
                return limit / 2.0;
            }
            let seconds = sample.length.as_secs_f64();
            let (mean, timeout) = (sample.mean.as_secs_f64(), sample.timeout.as_secs_f64());
            let rate = sample.good as f64 / seconds;
            let is_used = f64::from(sample.inflight) >= 0.9 * limit.floor();
            // The first window of a drain has calls that queued.
            let before = *self.unqueued.get_or_insert(mean);
            if drains == 1 {
                self.is_searching = mean < before * 0.8;
                self.since_drain = 0;
                let weight = if self.is_searching { 1.0 } else { 0.3 };
                self.unqueued = Some(before + weight * (mean - before));
            } else if drains == 0 && mean < before {
                self.unqueued = Some(before + 0.1 * (mean - before));
            }
            if drains == 0 {
                self.rates.push(rate);
                self.since_drain += 1;
                let stretch = if self.is_searching { 3 } else { 30 };
                if self.since_drain >= stretch && is_used {
                    self.drains = 2;
                }
            }
            let too_slow = match self.unqueued {
                Some(unqueued) if !self.is_searching => {
                    (timeout / 2.0).max(unqueued + (timeout - unqueued) / 3.0)
                }
                _ => timeout / 2.0,
            };
            if lost >= 0.05 || mean > too_slow {
                self.step = None;
                return limit * 0.8;
            }
            if drains > 0 {
                return limit;
            }
            if let Some(mut before) = self.step.take() {
                if before.age < mean {
                    before.age += seconds;
                    self.step = Some(before);
                    return limit;
                }
                let grew = limit / before.limit - 1.0;
                let needed = before.rate * (1.0 + if grew >= 0.0 { 0.2 } else { 0.5 } * grew);
                before.told.push((sample.good, seconds));
                let good: u64 = before.told.iter().map(|told| told.0).sum();
                let in_all = good as f64 / before.told.iter().map(|told| told.1).sum::<f64>();
                if grew < 0.0 && rate < needed {
                    (self.unqueued, self.rates) = (Some(mean), vec![rate]);
                    return before.limit;
                }
                if grew >= 0.0 && rate < needed && in_all < needed {
                    if before.told.len() < 4 && mean <= before.mean * (1.0 + grew / 10.0) {
                        self.step = Some(before);
                        return limit;
                    }
                    self.hold = 10;
                    return before.limit;
                }
            }
            if !is_used {
                return limit;
            }
            let busy = self.best_rate() * self.unqueued.unwrap_or(0.0);
            let target = busy * 1.25 + busy.sqrt() + 1.5;
            let step = |rate| Some(Before { limit, rate, mean, age: 0.0, told: Vec::new() });
            if target < limit {
                self.step = step(rate);
                return target.max(limit * 0.8);
            }
            if target > limit && self.hold > 0 {
                self.hold -= 1;
                return limit;
            }
            let longest = too_slow / mean.max(1e-9);
            if target <= limit || longest <= 1.0 {
                return limit;
            }
            let target = target.min((limit * longest).max(limit + 1.0));
            self.step = step(rate.min(limit / mean.max(1e-9)));
            target.min(limit * 1.5 + 1.0)
        }
    }

    /// Windows around every edge: few answers, so that shares are whole; latencies at a half of the timeout.
    fn window() -> impl Strategy<Value = (u64, u64, u64, u64, u8)> {
        let good =
            prop_oneof![4 => 1_u64..40, 2 => Just(19_u64), 1 => Just(0_u64), 4 => Just(30_u64)];
        let dropped = prop_oneof![12 => Just(0_u64), 2 => Just(1_u64), 1 => 0_u64..40];
        let mean_ms = prop_oneof![
            8 => Just(100_u64), 3 => Just(80_u64), 3 => 1_u64..200, 1 => Just(500_u64), 1 => Just(501_u64), 1 => Just(1_000_u64),
        ];
        let length_ms = prop_oneof![4 => Just(1_000_u64), 1 => Just(100_u64)];
        (good, dropped, mean_ms, length_ms, 0_u8..8)
    }

    proptest! {
        #[test]
        fn it_goes_by_its_rules(
            windows in prop::collection::vec(window(), 1..150),
            initial in 1_u32..60,
            max in prop_oneof![Just(1_000_u32), 1_u32..60],
            repeat in 1_usize..6,
        ) {
            let range = Range { min: 1, max };
            let mut adaptive = Adaptive::new(initial, range);
            let mut model = Model::new(range.clamp(initial));
            // Each some times, so that steps are judged and limits settle.
            for (good, dropped, mean_ms, length_ms, inflight) in
                windows.into_iter().flat_map(|window| std::iter::repeat_n(window, repeat))
            {
                let nearly = (0.9 * model.limit.floor()).round() as u32;
                let sample = Sample {
                    good,
                    dropped,
                    mean: Duration::from_millis(if good == 0 { 0 } else { mean_ms }),
                    length: Duration::from_millis(length_ms),
                    inflight: match inflight { 0 => nearly, 1 => nearly.saturating_sub(1), _ => 1_000 },
                    timeout: TIMEOUT,
                };
                let told = adaptive.update(&sample);
                prop_assert_eq!(told, model.update(&sample, range));
                prop_assert!((adaptive.limit - model.limit).abs() < 1e-9);
            }
        }
    }
}
