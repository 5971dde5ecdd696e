//! Calls that came and that were answered, in each second, of two kinds: of one dependency among many, and of the others.

use std::ops::Range;

/// The index of the one that is special, and of the others.
pub(crate) const ONE: usize = 0;
pub(crate) const OTHERS: usize = 1;

#[derive(Default)]
pub(crate) struct Seen {
    came: [Vec<f64>; 2],
    answered: [Vec<f64>; 2],
}

impl Seen {
    /// One has come in this second.
    pub(crate) fn came(&mut self, kind: usize, second: u64) {
        count(&mut self.came[kind], second);
    }

    /// One that came in this second is answered.
    pub(crate) fn answered(&mut self, kind: usize, second: u64) {
        count(&mut self.answered[kind], second);
    }

    /// How many of those that came in these seconds were answered.
    pub(crate) fn answers(&self, kind: usize, seconds: Range<u64>) -> f64 {
        sum(&self.answered[kind], seconds)
    }

    /// The share that was answered of what came in these seconds.
    pub(crate) fn share(&self, kind: usize, seconds: Range<u64>) -> f64 {
        self.answers(kind, seconds.clone()) / sum(&self.came[kind], seconds).max(1.0)
    }
}

fn count(line: &mut Vec<f64>, second: u64) {
    let second = second as usize;
    line.resize(line.len().max(second + 1), 0.0);
    line[second] += 1.0;
}

fn sum(line: &[f64], seconds: Range<u64>) -> f64 {
    seconds.map(|second| line.get(second as usize).copied().unwrap_or_default()).sum()
}
