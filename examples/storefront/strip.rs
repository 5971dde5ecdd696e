//! A run as a strip of cells, one for each stretch of time.

use crate::faults::{Act, playing};
use crate::paint::{Hue, Out};
use crate::reading::{Counts, Reading};

/// How many cells a run has.
pub(crate) const CELLS: usize = 60;
/// A cell's height is the share of calls that its dependency answered.
const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// One dependency's run: how many of its calls it answered, and in which state its breaker was.
#[derive(Clone, Debug, Default)]
pub(crate) struct Strip {
    cells: Vec<Cell>,
    /// The counts when the last cell began.
    before: Counts,
    latest: Counts,
}

#[derive(Clone, Debug, Default)]
struct Cell {
    counts: Counts,
    state: Option<&'static str>,
    looks: u32,
    /// At how many of them calls were under way.
    waiting: u32,
}

impl Strip {
    /// Adds what is known at `progress`, a share of the run; what comes after its end is left out.
    pub(crate) fn record(&mut self, progress: f64, reading: &Reading) {
        let wanted = (progress * CELLS as f64) as usize + 1;
        if wanted > CELLS {
            return;
        }
        if self.cells.len() < wanted {
            self.before = self.latest.clone();
            self.cells.resize_with(wanted, Cell::default);
        }
        self.latest = reading.counts.clone();
        if let Some(cell) = self.cells.last_mut() {
            cell.counts = self.latest.since(&self.before);
            cell.looks += 1;
            cell.waiting += u32::from(reading.active > 0);
            // A probe takes no longer than a blink: the most telling state of the stretch is shown.
            let state = reading.guards.map(|guards| guards.state);
            if cell.state.map(weight) < state.map(weight) {
                cell.state = state;
            }
        }
    }

    /// Each cell so far: the share of calls answered, and the breaker's state if there is one.
    pub(crate) fn bars(&self) -> impl Iterator<Item = (f64, Option<&'static str>)> + '_ {
        self.cells.iter().map(|cell| (cell.share(), cell.state))
    }

    /// The strip, its height the share of calls answered, its colour the breaker's state.
    pub(crate) fn draw(&self, out: &Out) -> String {
        let mut text: String = self.cells.iter().map(|cell| cell.draw(out)).collect();
        text += &out.paint(Hue::Quiet, &"·".repeat(CELLS - self.cells.len()));
        text
    }
}

/// What goes under a strip: what the script had in store for the service, and what it has.
pub(crate) fn under(acts: &[Act], progress: f64, out: &Out) -> String {
    let cell = |share: f64| (share * CELLS as f64).round() as usize;
    let (mut text, mut drawn) = (String::new(), 0);
    for act in acts {
        let (from, to) = (cell(act.from), cell(act.to));
        text += &" ".repeat(from.saturating_sub(drawn));
        let width = to.saturating_sub(from);
        let now = playing(acts, progress).is_some_and(|playing| playing.from == act.from);
        let hue = if now { Hue::Wary } else { Hue::Quiet };
        text += &out.paint(hue, &format!("{:╌^width$}", act.fault.label()));
        drawn = to;
    }
    text
}

/// A scale to go with strips.
pub(crate) fn scale(seconds: u64) -> String {
    let quarter = |i: u64| format!("{} s", (seconds * i) as f64 / 4.0);
    let width = CELLS / 4;
    let marks: String = (0..4).map(|i| format!("{:<width$}", quarter(i))).collect();
    marks + &quarter(4)
}

impl Cell {
    /// The share of calls answered.
    fn share(&self) -> f64 {
        // Callers who wait all the while, and none is answered: as bad as it gets.
        let stuck = self.counts.calls() == 0 && self.looks > 1 && self.waiting == self.looks;
        if stuck { 0.0 } else { self.counts.success_ratio() }
    }

    fn draw(&self, out: &Out) -> String {
        let ratio = self.share();
        let height = ((ratio * HEIGHTS.len() as f64).ceil() as usize).clamp(1, HEIGHTS.len()) - 1;
        let hue = match self.state {
            Some("closed") => Hue::Good,
            Some("half_open") => Hue::Wary,
            Some(_) => Hue::Bad,
            // Without a breaker the answers speak for themselves.
            None if ratio >= 0.99 => Hue::Good,
            None if ratio >= 0.9 => Hue::Wary,
            None => Hue::Bad,
        };
        out.paint(hue, &HEIGHTS[height].to_string())
    }
}

fn weight(state: &str) -> u8 {
    match state {
        "closed" => 0,
        "half_open" => 2,
        _ => 1,
    }
}
