//! What happens, in words: the script's turns, the breakers' moves, the first customer who leaves.

use std::collections::VecDeque;
use std::time::Duration;

use crate::faults::Script;
use crate::paint::Hue;
use crate::reading::{NAMES, PAYMENT, Readings, Step};
use crate::shop::{Tally, WORKERS};
use crate::stage::Stage;

/// Something that happened.
#[derive(Clone, Debug)]
pub(crate) struct Happening {
    /// Since the start of the run.
    pub(crate) at: Duration,
    pub(crate) hue: Hue,
    pub(crate) text: String,
}

/// Everything that has happened, in order.
#[derive(Debug)]
pub(crate) struct Story {
    told: Vec<Happening>,
    /// The rest of the script.
    coming: VecDeque<Happening>,
    /// How many of each breaker's moves are told.
    moves: [usize; 3],
    anybody_left: bool,
}

impl Story {
    pub(crate) fn new(script: &Script, stage: &Stage) -> Self {
        let mut coming = Vec::new();
        for (service, name) in NAMES.iter().enumerate() {
            let acts = script.of(service);
            for act in acts {
                let text = format!("{name} {}", act.fault);
                coming.push(Happening { at: stage.at(act.from), hue: Hue::Wary, text });
                if !acts.iter().any(|next| next.from == act.to) {
                    let text = format!("{name} is well again");
                    coming.push(Happening { at: stage.at(act.to), hue: Hue::Good, text });
                }
            }
        }
        coming.sort_by_key(|happening| happening.at);
        Self { told: Vec::new(), coming: coming.into(), moves: [0; 3], anybody_left: false }
    }

    /// Adds what has happened by `now`.
    pub(crate) fn go_on(&mut self, now: Duration, readings: &Readings, tally: &Tally) {
        let already = self.told.len();
        let due = self.coming.iter().take_while(|next| next.at <= now).count();
        self.told.extend(self.coming.drain(..due));
        for (service, reading) in readings.0.iter().enumerate() {
            let new = reading.transitions.iter().skip(self.moves[service]);
            self.told.extend(new.map(|step| moved(service, step)));
            self.moves[service] = reading.transitions.len();
        }
        if tally.left > 0 && !self.anybody_left {
            self.anybody_left = true;
            let text = format!("customers leave: all {WORKERS} workers are busy");
            self.told.push(Happening { at: now, hue: Hue::Bad, text });
        }
        self.told[already..].sort_by_key(|happening| happening.at);
    }

    /// Everything so far.
    pub(crate) fn told(&self) -> &[Happening] {
        &self.told
    }
}

fn moved(service: usize, step: &Step) -> Happening {
    let (hue, what) = match (step.from, step.to) {
        ("half_open", "open") => (Hue::Bad, "OPENS again: the probes failed"),
        (_, "open") if service == PAYMENT => (Hue::Bad, "OPENS: from now on orders are paid later"),
        (_, "open") => (Hue::Bad, "OPENS: its calls are refused at once"),
        (_, "half_open") => (Hue::Wary, "is HALF-OPEN: a few probes find out how things are"),
        _ => (Hue::Good, "CLOSES: the probes succeeded"),
    };
    Happening { at: step.at, hue, text: format!("{}'s breaker {what}", NAMES[service]) }
}
