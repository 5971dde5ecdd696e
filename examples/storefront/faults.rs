//! The script: which service misbehaves when, as shares of the run.

use std::fmt;
use std::time::Duration;

use crate::reading::{INVENTORY, NOTIFICATION, PAYMENT};
use crate::stage::Stage;

/// Payment stops answering here …
const HANG_FROM: f64 = 0.15;
/// … is restarted into a state in which it refuses here …
const REFUSE_FROM: f64 = 0.38;
/// … and is well again here.
const OUTAGE_TO: f64 = 0.46;
/// How many confirmations the marketing blast asks for at once. With the bulkhead's 50 permits that
/// leaves 100 waiting, half of what the mailbox holds.
const BLAST_SIZE: u64 = 150;
/// How far apart its bursts are at least.
const BLAST_EVERY: Duration = Duration::from_millis(250);

/// What a service can be made to do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fault {
    /// Accepts requests and answers none until the fault is over.
    Hang,
    /// Answers every request with a 503.
    Refuse,
    /// Answers, but takes this many times as long.
    Slow(u32),
    /// Is sent bursts of extra requests, and takes this many times as long to answer.
    Flood(u32),
}

impl Fault {
    /// In a word that fits under the stretch of a run that it lasts.
    pub(crate) fn label(self) -> String {
        match self {
            Self::Hang => "hangs".to_owned(),
            Self::Refuse => "503".to_owned(),
            Self::Slow(times) => format!("slow ×{times}"),
            Self::Flood(_) => "flood".to_owned(),
        }
    }
}

/// What a service is going through, in words that follow its name.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hang => f.write_str("hangs: it takes requests and answers none"),
            Self::Refuse => f.write_str("answers 503 to everything"),
            Self::Slow(times) => write!(f, "is slow: it takes {times} times as long"),
            Self::Flood(times) => {
                write!(f, "is flooded with newsletters, and {times} times as slow")
            }
        }
    }
}

/// A fault between two shares of the run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Act {
    pub(crate) from: f64,
    pub(crate) to: f64,
    pub(crate) fault: Fault,
}

/// The faults of all three services, in the order of [`crate::reading::NAMES`].
#[derive(Clone, Debug)]
pub(crate) struct Script([Vec<Act>; 3]);

/// The marketing department sends its newsletter through the shop's notification client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Blast {
    pub(crate) from: Duration,
    pub(crate) to: Duration,
    pub(crate) every: Duration,
    pub(crate) size: u64,
}

impl Script {
    /// The whole script, or, without the outage, all of it but payment's part.
    pub(crate) fn new(outage: bool) -> Self {
        let mut acts = [const { Vec::new() }; 3];
        if outage {
            acts[PAYMENT] = vec![
                Act { from: HANG_FROM, to: REFUSE_FROM, fault: Fault::Hang },
                Act { from: REFUSE_FROM, to: OUTAGE_TO, fault: Fault::Refuse },
            ];
        }
        acts[INVENTORY] = vec![Act { from: 0.60, to: 0.75, fault: Fault::Slow(5) }];
        acts[NOTIFICATION] = vec![Act { from: 0.80, to: 0.92, fault: Fault::Flood(4) }];
        Self(acts)
    }

    /// Everything one service is made to do.
    pub(crate) fn of(&self, service: usize) -> &[Act] {
        &self.0[service]
    }

    /// When payment is down; in a control run, when it would have been.
    pub(crate) fn outage(&self, stage: &Stage) -> (Duration, Duration) {
        (stage.at(HANG_FROM), stage.at(OUTAGE_TO))
    }

    /// The extra load behind notification's flood.
    pub(crate) fn blast(&self, stage: &Stage) -> Option<Blast> {
        self.0[NOTIFICATION].iter().find(|act| matches!(act.fault, Fault::Flood(_))).map(|act| {
            Blast {
                from: stage.at(act.from),
                to: stage.at(act.to),
                every: BLAST_EVERY,
                size: BLAST_SIZE,
            }
        })
    }
}

/// What is played at this share of the run, if anything.
pub(crate) fn playing(acts: &[Act], progress: f64) -> Option<Act> {
    acts.iter().find(|act| (act.from..act.to).contains(&progress)).copied()
}
