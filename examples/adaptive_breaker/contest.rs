//! The breakers, and what each did.
//!
//! All have `min_calls = 10`, are open for 60 s, and have the library's defaults for the rest. They differ in the
//! threshold and in what it is held against: a fixed one against the share of failures in 30 s, for in a shorter window
//! chance alone reaches it (at 5 s a threshold of 0.05 has four times as many false trips); the adaptive one, which asks
//! how probable that is before it opens, against that in 5 s. `--window 5` gives all of them the same: then some are
//! earlier, at thousands of false trips.

use std::error::Error;
use std::num::NonZero;
use std::time::Duration;

use seawall::breaker::adaptive::{self, PERIOD};
use seawall::breaker::{CircuitBreaker, Config, Window};
use seawall::clock::Moment;
use seawall::event::State;
use seawall::outcome::Outcome;

use crate::story::{BEGINS, Call, INCIDENTS, Incident, LENGTH, Story, WEEK};

pub(crate) const MIN_CALLS: u32 = 10;
pub(crate) const OPEN_FOR: Duration = Duration::from_secs(60);

/// What thresholds are held against.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Windows {
    pub(crate) fixed: Duration,
    pub(crate) adaptive: Duration,
}

/// A breaker's threshold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Threshold {
    Fixed(f64),
    Adaptive,
}

impl Threshold {
    fn breaker(self, windows: Windows) -> Result<CircuitBreaker, Box<dyn Error>> {
        // A contest of thresholds: nothing else opens a breaker, and every opening lasts as long.
        let config =
            Config::builder().without_failures().first_open_for(OPEN_FOR).open_for(OPEN_FOR);
        let config = match self {
            Self::Fixed(share) => {
                config.failure_rate(share).min_calls(MIN_CALLS).window(Window::Time(windows.fixed))
            }
            Self::Adaptive => config.adaptive(
                adaptive::Config::builder()
                    .min_calls(MIN_CALLS)
                    .window(windows.adaptive)
                    .build()?,
            ),
        };
        Ok(CircuitBreaker::new(config.build()?, Moment::ZERO))
    }
}

/// What came of one breaker.
#[derive(Clone, Debug)]
pub(crate) struct Score {
    pub(crate) threshold: Threshold,
    /// Moves from closed to open outside the incidents.
    pub(crate) false_trips: u64,
    /// Calls that were refused outside them.
    pub(crate) refused: u64,
    /// From the start of each incident to the first move to open within it.
    pub(crate) delays: [Option<Duration>; INCIDENTS.len()],
}

impl Score {
    /// The mean over all incidents; `None` if one was missed.
    pub(crate) fn delay_s(&self) -> Option<f64> {
        let delays: Option<Vec<f64>> =
            self.delays.iter().map(|delay| Some((*delay)?.as_secs_f64())).collect();
        delays.map(|delays| delays.iter().sum::<f64>() / delays.len() as f64)
    }

    /// Whether it had as few false trips as the other, and its true ones as early.
    pub(crate) fn is_as_good_as(&self, other: &Self) -> bool {
        let later = |score: &Self| score.delay_s().unwrap_or(f64::INFINITY);
        self.false_trips <= other.false_trips && later(self) <= later(other)
    }
}

/// A breaker in the story.
struct Player {
    breaker: CircuitBreaker,
    score: Score,
    tended: u64,
    /// For how long after an incident what failed in it may still be in a window, in seconds.
    echo_s: u64,
    week: Week,
}

impl Player {
    fn new(threshold: Threshold, windows: Windows) -> Result<Self, Box<dyn Error>> {
        let score =
            Score { threshold, false_trips: 0, refused: 0, delays: [None; INCIDENTS.len()] };
        let breaker = threshold.breaker(windows)?;
        let echo_s = windows.fixed.max(windows.adaptive).as_secs();
        Ok(Self { breaker, score, tended: 0, echo_s, week: Week::default() })
    }

    fn hear(&mut self, second: u64, calls: &[Call]) {
        // In an application the dependency's actor does this.
        if second >= self.tended {
            let time = Duration::from_secs(second);
            self.breaker.tend(Moment::ZERO + time, BEGINS + time);
            self.tended = second + PERIOD.as_secs();
        }
        if calls.is_empty() && self.score.threshold != Threshold::Adaptive {
            return;
        }
        // What failed in an incident is in the window for a while after it.
        let of = |incident: &Incident| incident.from_s..incident.until_s + self.echo_s;
        let incident = INCIDENTS.iter().position(|incident| of(incident).contains(&second));
        for call in calls {
            self.call(*call, incident);
        }
        if second >= LENGTH - WEEK && self.score.threshold == Threshold::Adaptive {
            self.week.watch(second, calls, &self.breaker);
        }
    }

    fn call(&mut self, call: Call, incident: Option<usize>) {
        let now = Moment::ZERO + call.at;
        let Ok(admission) = self.breaker.admit(now).0 else {
            self.score.refused += u64::from(incident.is_none());
            return;
        };
        let outcome = if call.fails { Outcome::Failure } else { Outcome::Success };
        let Some(moved) = self.breaker.record(admission, outcome, now) else { return };
        match incident {
            Some(at) if moved.to == State::Open => {
                let began = Duration::from_secs(INCIDENTS[at].from_s);
                self.score.delays[at].get_or_insert(call.at - began);
            }
            None if (moved.from, moved.to) == (State::Closed, State::Open) => {
                self.score.false_trips += 1;
            }
            _ => {}
        }
    }
}

/// What came of all.
#[derive(Clone, Debug)]
pub(crate) struct Contest {
    pub(crate) calls: u64,
    pub(crate) fixed: Vec<Score>,
    pub(crate) adaptive: Score,
    pub(crate) week: Week,
}

impl Contest {
    /// Plays the story to every breaker, on as many threads as there are cores.
    pub(crate) fn hold(
        story: &Story,
        fixed: &[f64],
        windows: Windows,
    ) -> Result<Self, Box<dyn Error>> {
        let mut adaptive = Player::new(Threshold::Adaptive, windows)?;
        let mut fixed = fixed
            .iter()
            .map(|share| Player::new(Threshold::Fixed(*share), windows))
            .collect::<Result<Vec<_>, _>>()?;
        let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
        let mut players: Vec<&mut Player> =
            std::iter::once(&mut adaptive).chain(fixed.iter_mut()).collect();
        let each = players.len().div_ceil(threads);
        let mut calls = 0;
        std::thread::scope(|scope| {
            let mut groups = players.chunks_mut(each);
            let here = groups.next();
            for group in groups {
                scope.spawn(|| play(story, group));
            }
            calls = here.map_or(0, |group| play(story, group));
        });
        let fixed = fixed.into_iter().map(|player| player.score).collect();
        Ok(Self { calls, fixed, adaptive: adaptive.score, week: adaptive.week })
    }

    /// The fixed thresholds that were as good as the adaptive one, in both ways.
    pub(crate) fn rivals(&self) -> impl Iterator<Item = &Score> {
        self.fixed.iter().filter(|score| score.is_as_good_as(&self.adaptive))
    }

    /// The fixed thresholds whose true trips were earlier, at whatever price.
    pub(crate) fn earlier(&self) -> impl Iterator<Item = &Score> {
        let ours = self.adaptive.delay_s().unwrap_or(f64::INFINITY);
        self.fixed.iter().filter(move |score| score.delay_s().is_some_and(|theirs| theirs < ours))
    }

    /// The fixed threshold with the fewest false trips of those that missed no incident.
    pub(crate) fn calmest(&self) -> Option<&Score> {
        let saw_all = self.fixed.iter().filter(|score| score.delay_s().is_some());
        saw_all.min_by_key(|score| score.false_trips)
    }
}

fn play(story: &Story, players: &mut [&mut Player]) -> u64 {
    let mut count = 0;
    story.tell(0..LENGTH, |second, calls| {
        count += calls.len() as u64;
        for player in players.iter_mut() {
            player.hear(second, calls);
        }
    });
    count
}

/// The fourth week as the adaptive breaker saw it, five minutes at a time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Week {
    pub(crate) glimpses: Vec<Glimpse>,
    seen: usize,
    failed: usize,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Glimpse {
    /// Hours since Monday.
    pub(crate) hour: f64,
    /// What really failed; nothing to speak of, if there were few calls.
    pub(crate) share: Option<f64>,
    pub(crate) baseline: f64,
    pub(crate) threshold: f64,
}

impl Week {
    fn watch(&mut self, second: u64, calls: &[Call], breaker: &CircuitBreaker) {
        self.seen += calls.len();
        self.failed += calls.iter().filter(|call| call.fails).count();
        if !(second + 1).is_multiple_of(PERIOD.as_secs()) {
            return;
        }
        let now = Moment::ZERO + Duration::from_secs(second);
        if let Some(reading) = breaker.reading(now) {
            self.glimpses.push(Glimpse {
                hour: (second - (LENGTH - WEEK)) as f64 / 3600.0,
                share: (self.seen >= 30).then(|| self.failed as f64 / self.seen as f64),
                baseline: reading.baseline,
                threshold: reading.threshold,
            });
        }
        (self.seen, self.failed) = (0, 0);
    }
}
