//! The queue of a waiting room before anybody has waited in it.

use crate::backpressure::{Config, Counts};

use super::lines::{Lines, Waits};

/// Lines that are made by the first who waits: most dependencies never have one.
#[derive(Debug)]
pub(super) struct LateLines<T> {
    config: Config,
    made: Option<Box<Lines<T>>>,
}

impl<T: Waits> LateLines<T> {
    pub(super) fn new(config: &Config) -> Self {
        Self { config: config.clone(), made: None }
    }

    /// The lines, to change them.
    pub(super) fn get(&mut self) -> &mut Lines<T> {
        self.made.get_or_insert_with(|| Box::new(Lines::new(&self.config)))
    }

    /// The lines, if anybody has ever waited.
    pub(super) fn made(&mut self) -> Option<&mut Lines<T>> {
        self.made.as_deref_mut()
    }

    /// See [`Lines::reconfigure`].
    pub(super) fn reconfigure(&mut self, config: &Config) {
        self.config = config.clone();
        self.made.iter_mut().for_each(|made| made.reconfigure(config));
    }

    pub(super) fn counts(&self) -> Counts {
        self.made.as_ref().map_or_else(Counts::default, |made| made.counts())
    }

    pub(super) fn fill_ratio(&self) -> f64 {
        self.made.as_ref().map_or(0.0, |made| made.fill_ratio())
    }

    /// See [`Lines::shed_share`].
    pub(super) fn shed_share(&self) -> Option<f64> {
        match &self.made {
            Some(made) => made.shed_share(),
            None => self.config.priorities().then_some(0.0),
        }
    }

    pub(super) fn capacity(&self) -> u32 {
        self.config.capacity()
    }
}

#[cfg(all(test, not(seawall_loom)))]
mod tests {
    use super::*;
    use crate::dependency::waiter::Waiter;

    #[test]
    fn lines_that_nobody_has_stood_in_look_as_if_they_were_there() {
        let config = |capacity, priorities| {
            let config = Config::builder().capacity(capacity).priorities(priorities);
            config.build().unwrap_or_default()
        };
        for priorities in [false, true] {
            let mut lines = LateLines::<Waiter>::new(&config(7, !priorities));
            lines.reconfigure(&config(5, priorities));
            assert!(lines.made().is_none());
            let seen = |lines: &LateLines<Waiter>| {
                (lines.counts(), lines.fill_ratio(), lines.shed_share(), lines.capacity())
            };
            let before = seen(&lines);
            lines.get();
            assert_eq!(before, seen(&lines));
            assert_eq!((before.2, before.3), (priorities.then_some(0.0), 5));
            lines.reconfigure(&config(3, priorities));
            assert_eq!(lines.get().all().map(|line| line.queue.capacity()).max(), Some(3));
        }
    }
}
