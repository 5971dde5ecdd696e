//! A pool's settings, and its threads' start.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::error::PoolBuildError;
use super::workers::{Size, Workers};
use super::{BlockingPool, Handle};
use crate::backpressure;
use crate::bulkhead::{self, MAX_THREADS};
use crate::constraint::{Constraints, InvalidSettings};
use crate::time::Time;

/// How much of a thread's name Linux shows, in bytes.
const NAME_BYTES: usize = 15;

/// How to start a thread: a function, so that a test can have it fail.
pub(super) type Start = fn(String, Box<dyn FnOnce() + Send>) -> io::Result<()>;

/// Builds a [`BlockingPool`], checking every setting. Made by [`BlockingPool::builder`].
#[derive(Clone)]
#[must_use = "a builder does nothing until it builds"]
pub struct PoolBuilder {
    name: String,
    threads: u32,
    queue: u32,
    max_wait: Duration,
    time: Option<Time>,
    start: Start,
}

impl PoolBuilder {
    pub(super) fn new(name: &str) -> Self {
        let bulkhead = bulkhead::Config::default();
        Self {
            name: name.to_owned(),
            threads: bulkhead.max_concurrent(),
            queue: backpressure::Config::default().capacity(),
            max_wait: bulkhead.max_wait(),
            time: None,
            start: start_thread,
        }
    }

    /// How many threads: how many works can run at once; 1 to 4,096. Default 25.
    pub fn threads(mut self, threads: u32) -> Self {
        self.threads = threads;
        self
    }

    /// How many works may wait for a thread; up to 1,000,000, and zero refuses at once. Default 100.
    pub fn queue(mut self, capacity: u32) -> Self {
        self.queue = capacity;
        self
    }

    /// How long a work may wait for a thread; zero refuses at once. Default 30 s.
    pub fn max_wait(mut self, max_wait: Duration) -> Self {
        self.max_wait = max_wait;
        self
    }

    /// A bulkhead's settings: `max_concurrent` becomes the number of threads, `max_wait` stays itself.
    pub fn bulkhead(self, config: &bulkhead::Config) -> Self {
        self.threads(config.max_concurrent()).max_wait(config.max_wait())
    }

    /// What `max_wait` and a shutdown's limit are measured by. Default [`Time::system`].
    pub fn time(mut self, time: impl Into<Time>) -> Self {
        self.time = Some(time.into());
        self
    }

    #[cfg(test)]
    pub(super) fn start(mut self, start: Start) -> Self {
        self.start = start;
        self
    }

    /// Starts the threads.
    ///
    /// # Errors
    /// Every setting that is out of range; or the thread that the system would not start, and then those
    /// that had been started end.
    pub fn build(self) -> Result<BlockingPool, PoolBuildError> {
        if let Err(source) = self.check() {
            return Err(PoolBuildError::Invalid { dependency: self.name, source });
        }
        let time = self.time.unwrap_or_else(Time::system);
        let size = Size { threads: self.threads, queue: self.queue, max_wait: self.max_wait };
        let (workers, channel) = Workers::new(self.name.as_str().into(), size, time);
        // From here on its drop ends the threads that have started.
        let handle = Handle(workers);
        for index in 0..self.threads {
            let (workers, channel) = (Arc::clone(&handle.0), channel.clone());
            let guard = workers.register();
            let life = Box::new(move || workers.serve(&channel, guard));
            if let Err(source) = (self.start)(thread_name(&self.name, index), life) {
                let (started, wanted) = (index, self.threads);
                return Err(PoolBuildError::Thread {
                    dependency: self.name,
                    started,
                    wanted,
                    source,
                });
            }
        }
        Ok(BlockingPool(Arc::new(handle)))
    }

    fn check(&self) -> Result<(), InvalidSettings> {
        let mut check = Constraints::default();
        check.require(!self.name.is_empty(), "name", &self.name, "not empty");
        check.require(
            (1..=MAX_THREADS).contains(&self.threads),
            "threads",
            self.threads,
            format!("from 1 to {MAX_THREADS}"),
        );
        check.require(
            self.queue <= backpressure::MAX_CAPACITY,
            "queue",
            self.queue,
            format!("from 0 to {}", backpressure::MAX_CAPACITY),
        );
        check.finish(())
    }
}

impl fmt::Debug for PoolBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolBuilder")
            .field("name", &self.name)
            .field("threads", &self.threads)
            .field("queue", &self.queue)
            .field("max_wait", &self.max_wait)
            .field("time", &self.time)
            .finish_non_exhaustive()
    }
}

fn start_thread(name: String, life: Box<dyn FnOnce() + Send>) -> io::Result<()> {
    // Not joined: a thread that hangs in somebody's blocking call must not take anybody with it.
    thread::Builder::new().name(name).spawn(life).map(drop)
}

/// `bulkhead-<name>-<index>`; if that is too long to be shown whole, `bh-<name>-<index>` with as much
/// of the name as there is room for. Control characters, of which NUL cannot be, become `_`.
pub(super) fn thread_name(name: &str, index: u32) -> String {
    let name: String = name.chars().map(|c| if c.is_control() { '_' } else { c }).collect();
    let whole = format!("bulkhead-{name}-{index}");
    if whole.len() <= NAME_BYTES {
        return whole;
    }
    let tail = format!("-{index}");
    let room = NAME_BYTES.saturating_sub("bh-".len() + tail.len());
    let ends = name.char_indices().map(|(at, c)| at + c.len_utf8());
    let end = ends.take_while(|end| *end <= room).last().unwrap_or(0);
    format!("bh-{}{tail}", &name[..end])
}
