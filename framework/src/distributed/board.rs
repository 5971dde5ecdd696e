//! How one breaker is in all instances of a process: what `lua/board.lua` does in a server.

use std::collections::HashMap;
use std::sync::Arc;

use crate::clock::Moment;

use super::store::{BoardReport, BoardStanding, BoardWord, Prober};

#[derive(Debug, Default)]
pub(super) struct Board {
    /// Until when it is open in which instance.
    open: HashMap<Arc<str>, Moment>,
    prober: Option<(Arc<str>, Moment)>,
    closed_at: Option<Moment>,
}

impl Board {
    pub(super) fn hear(&mut self, report: &BoardReport, now: Moment) -> BoardStanding {
        let me = &report.instance;
        self.open.retain(|_, until| *until >= now);
        self.prober = self.prober.take().filter(|(_, until)| *until > now);
        let is_prober = |prober: &Option<(Arc<str>, Moment)>| {
            prober.as_ref().is_some_and(|(instance, _)| instance == me)
        };
        match report.word {
            BoardWord::Open => drop(self.open.insert(Arc::clone(me), now + report.holds)),
            BoardWord::Closed if self.prober.is_none() || is_prober(&self.prober) => {
                *self = Self { closed_at: Some(now), ..Self::default() };
            }
            BoardWord::Closed => drop(self.open.remove(me)),
            BoardWord::Look => {}
        }
        if self.prober.is_none() || is_prober(&self.prober) {
            let place = || (Arc::clone(me), now + report.probes_for);
            self.prober = (!report.probes_for.is_zero()).then(place);
        }
        let others = || self.open.iter().filter(|(instance, _)| *instance != me);
        let longest = others().map(|(_, until)| until.since(now)).max();
        BoardStanding {
            open: others().count() as u64,
            holds: longest.unwrap_or_default(),
            prober: match &self.prober {
                None => Prober::Nobody,
                Some((instance, _)) if instance == me => Prober::This,
                Some(_) => Prober::Another,
            },
            closed_ago: self.closed_at.map(|at| now.since(at)),
        }
    }
}
