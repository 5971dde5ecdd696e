//! What came of a scenario.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use serde::Serialize;

use crate::error::{CallError, Fault, RejectedBy};
use crate::event::State;

use super::server::ServerError;

/// What came of a scenario, in all and over time. The same scenario and seed give the same report, bit for bit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// What it was run with.
    pub seed: u64,
    /// How long its loads lasted.
    #[serde(serialize_with = "as_seconds", rename = "lasts_s")]
    pub lasts: Duration,
    /// How long each part of its lines over time is.
    #[serde(serialize_with = "as_seconds", rename = "bin_s")]
    pub bin: Duration,
    /// By name.
    pub clients: BTreeMap<String, ClientReport>,
    /// By name.
    pub servers: BTreeMap<String, ServerReport>,
}

impl Report {
    /// What came of the calls of these clients.
    #[must_use]
    pub fn clients(&self, name: &str) -> Option<&ClientReport> {
        self.clients.get(name)
    }

    /// What the server of this name has seen.
    #[must_use]
    pub fn server(&self, name: &str) -> Option<&ServerReport> {
        self.servers.get(name)
    }

    /// The report as one line of JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Numbers, lists and names: nothing in it can fail to be JSON.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// How a simulated call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CallEnd {
    /// With a good answer.
    Answered,
    /// With the server's error.
    Failed,
    /// The last attempt ran into its timeout.
    TimedOut,
    /// The deadline passed.
    DeadlineExceeded,
    /// The client's breaker refused it.
    RefusedByBreaker,
    /// The client shed it, because there was more important work.
    Shed,
    /// Another guard of the client refused it.
    RefusedByOther,
}

impl CallEnd {
    pub(super) fn of(answer: &Result<(), CallError<ServerError>>) -> Self {
        match answer {
            Ok(()) => Self::Answered,
            Err(CallError::Inner(_)) => Self::Failed,
            Err(CallError::Fault(Fault::TimedOut { .. })) => Self::TimedOut,
            Err(CallError::Fault(Fault::DeadlineExceeded { .. })) => Self::DeadlineExceeded,
            Err(CallError::Fault(Fault::Rejected { by: RejectedBy::Breaker, .. })) => {
                Self::RefusedByBreaker
            }
            Err(CallError::Fault(Fault::Rejected { by: RejectedBy::Shed, .. })) => Self::Shed,
            Err(CallError::Fault(_)) => Self::RefusedByOther,
        }
    }
}

/// What came of the calls of a group of clients. Lines over time have one number for each part of the run, and count a call
/// where it began.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClientReport {
    #[serde(skip)]
    bin: Duration,
    /// Calls begun.
    pub calls: u64,
    /// How they ended.
    pub ends: BTreeMap<CallEnd, u64>,
    /// Retries made.
    pub retries: u64,
    /// The most calls that were under way at once.
    pub most_at_once: u64,
    /// Calls begun, over time.
    pub begun: Vec<u32>,
    /// Of these, those that ended with a good answer.
    pub answered: Vec<u32>,
    /// The moves of breakers: at how many seconds, and to what.
    pub moves: Vec<(f64, State)>,
    /// How long good answers took, in microseconds, in the order of their ends.
    #[serde(skip)]
    pub(super) latencies: Vec<u32>,
}

impl ClientReport {
    pub(super) fn new(bin: Duration) -> Self {
        Self {
            bin,
            calls: 0,
            ends: BTreeMap::new(),
            retries: 0,
            most_at_once: 0,
            begun: Vec::new(),
            answered: Vec::new(),
            moves: Vec::new(),
            latencies: Vec::new(),
        }
    }

    pub(super) fn begun(&mut self, at: Duration) {
        self.calls += 1;
        let under_way = self.calls - self.ends.values().sum::<u64>();
        self.most_at_once = self.most_at_once.max(under_way);
        *bin_of(&mut self.begun, self.bin, at) += 1;
        // As long as the other.
        *bin_of(&mut self.answered, self.bin, at) += 0;
    }

    pub(super) fn ended(&mut self, began: Duration, took: Duration, end: CallEnd) {
        *self.ends.entry(end).or_default() += 1;
        if end == CallEnd::Answered {
            *bin_of(&mut self.answered, self.bin, began) += 1;
            self.latencies.push(u32::try_from(took.as_micros()).unwrap_or(u32::MAX));
        }
    }

    /// How many calls ended so.
    #[must_use]
    pub fn ended_by(&self, end: CallEnd) -> u64 {
        self.ends.get(&end).copied().unwrap_or_default()
    }

    /// The share of the calls begun in this part of the run that had a good answer; 1 if there were none. Parts are rounded to
    /// the bins that they touch.
    #[must_use]
    pub fn answered_share(&self, during: Range<Duration>) -> f64 {
        let begun = sum(&self.begun, self.bin, &during);
        if begun == 0 { 1.0 } else { sum(&self.answered, self.bin, &during) as f64 / begun as f64 }
    }

    /// How long after the end of a trouble all was well again: until the first moment from which on this share of the calls
    /// has a good answer, over the next `window`, and over all that is left of the run as well. `None`: never.
    #[must_use]
    pub fn recovery(&self, end: Duration, window: Duration, share: f64) -> Option<Duration> {
        let first = usize::try_from(end.as_nanos() / self.bin.as_nanos()).unwrap_or(usize::MAX);
        let lasts = self.bin * u32::try_from(self.begun.len()).unwrap_or(u32::MAX);
        (first..self.begun.len()).find_map(|bin| {
            let from = self.bin * u32::try_from(bin).unwrap_or(u32::MAX);
            let window_end = from + window;
            let is_whole = window_end <= lasts;
            let is_well = is_whole
                && self.answered_share(from..window_end) >= share
                && self.answered_share(from..lasts) >= share;
            is_well.then(|| from.saturating_sub(end))
        })
    }

    /// The latency that this share of the good answers did not exceed; 0 to 1. `None` if there were none.
    #[must_use]
    pub fn latency(&self, share: f64) -> Option<Duration> {
        let mut latencies = self.latencies.clone();
        let last = latencies.len().checked_sub(1)?;
        let at = (share.clamp(0.0, 1.0) * last as f64).round() as usize;
        let (_, micros, _) = latencies.select_nth_unstable(at.min(last));
        Some(Duration::from_micros(u64::from(*micros)))
    }
}

/// What a server has seen.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ServerReport {
    #[serde(skip)]
    bin: Duration,
    /// Requests that came, retries among them.
    pub requests: u64,
    /// Requests that it refused at once: its queue was full, or it was down.
    pub refused: u64,
    /// Requests that it answered well while somebody waited for the answer.
    pub useful: u64,
    /// Requests that it worked on for nobody: the client had given up.
    pub wasted: u64,
    /// Requests that it answered with an error after work.
    pub failed: u64,
    /// Requests that it dropped without work, because the client had given up.
    pub skipped: u64,
    /// Requests that came, over time.
    pub arrivals: Vec<u32>,
    /// The longest that the queue was, over time.
    pub queue: Vec<u32>,
}

impl ServerReport {
    pub(super) fn new(bin: Duration) -> Self {
        Self {
            bin,
            requests: 0,
            refused: 0,
            useful: 0,
            wasted: 0,
            failed: 0,
            skipped: 0,
            arrivals: Vec::new(),
            queue: Vec::new(),
        }
    }

    pub(super) fn arrived(&mut self, at: Duration, is_refused: bool) {
        self.requests += 1;
        self.refused += u64::from(is_refused);
        *bin_of(&mut self.arrivals, self.bin, at) += 1;
    }

    pub(super) fn waited(&mut self, at: Duration, waiting: usize) {
        let longest = bin_of(&mut self.queue, self.bin, at);
        *longest = (*longest).max(u32::try_from(waiting).unwrap_or(u32::MAX));
    }

    pub(super) fn served(&mut self, answer: Result<(), ServerError>, abandoned: bool) {
        match answer {
            _ if abandoned => self.wasted += 1,
            Ok(()) => self.useful += 1,
            Err(_) => self.failed += 1,
        }
    }

    /// The most requests a second that came in this part of the run, over any one bin.
    #[must_use]
    pub fn peak_per_second(&self, during: Range<Duration>) -> f64 {
        let most = slice(&self.arrivals, self.bin, &during).iter().max();
        f64::from(most.copied().unwrap_or_default()) / self.bin.as_secs_f64()
    }

    /// How many requests came in this part of the run.
    #[must_use]
    pub fn requests_within(&self, during: Range<Duration>) -> u64 {
        sum(&self.arrivals, self.bin, &during)
    }
}

/// The number for this moment; lines grow as they are needed.
fn bin_of(line: &mut Vec<u32>, bin: Duration, at: Duration) -> &mut u32 {
    let index = usize::try_from(at.as_nanos() / bin.as_nanos()).unwrap_or(usize::MAX);
    if line.len() <= index {
        line.resize(index + 1, 0);
    }
    &mut line[index]
}

fn slice<'a>(line: &'a [u32], bin: Duration, during: &Range<Duration>) -> &'a [u32] {
    let index = |nanos: u128| usize::try_from(nanos).unwrap_or(usize::MAX).min(line.len());
    let first = index(during.start.as_nanos() / bin.as_nanos());
    let end = index(during.end.as_nanos().div_ceil(bin.as_nanos()));
    &line[first..end.max(first)]
}

fn sum(line: &[u32], bin: Duration, during: &Range<Duration>) -> u64 {
    slice(line, bin, during).iter().map(|&count| u64::from(count)).sum()
}

fn as_seconds<S: serde::Serializer>(length: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(length.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BIN: Duration = Duration::from_millis(100);

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    /// Ten calls in each bin, of which so many are answered.
    fn report(answered: &[u32]) -> ClientReport {
        let mut report = ClientReport::new(BIN);
        for (bin, &answered) in answered.iter().enumerate() {
            for call in 0..10 {
                let began = BIN * bin as u32 + ms(call);
                report.begun(began);
                let end =
                    if call < u64::from(answered) { CallEnd::Answered } else { CallEnd::Failed };
                report.ended(began, ms(10 * (call + 1)), end);
            }
        }
        report
    }

    #[test]
    fn shares_are_of_the_calls_begun_in_a_part() {
        let report = report(&[10, 5, 0, 10]);
        assert_eq!(report.answered_share(ms(0)..ms(200)), 0.75);
        assert_eq!(report.answered_share(ms(200)..ms(300)), 0.0);
        assert_eq!(report.answered_share(ms(9000)..ms(9100)), 1.0, "there were none");
        assert_eq!((report.calls, report.ended_by(CallEnd::Failed)), (40, 15));
    }

    #[test]
    fn recovery_is_the_first_moment_from_which_all_is_well_to_the_end() {
        let well = |answered: &[u32], window| report(answered).recovery(ms(200), window, 0.9);
        assert_eq!(well(&[10, 0, 10, 10, 10], BIN), Some(ms(0)));
        assert_eq!(well(&[10, 0, 3, 8, 10, 10, 10], BIN), Some(ms(200)));
        assert_eq!(
            well(&[10, 0, 10, 0, 0, 10, 9], BIN),
            Some(ms(300)),
            "a good moment is not enough"
        );
        assert_eq!(well(&[10, 0, 0, 0, 0], BIN), None);
        assert_eq!(well(&[10, 0, 0, 10], ms(200)), None, "the run ends before the window does");
    }

    #[test]
    fn latencies_are_those_of_good_answers() {
        let report = report(&[4]);
        assert_eq!(report.latency(0.0), Some(ms(10)));
        assert_eq!(report.latency(1.0), Some(ms(40)));
        assert_eq!(super::ClientReport::new(BIN).latency(0.5), None);
    }

    #[test]
    fn a_servers_peak_is_over_one_bin() {
        let mut report = ServerReport::new(BIN);
        for at in [10, 20, 30, 150, 250] {
            report.arrived(ms(at), at == 20);
        }
        assert_eq!((report.requests, report.refused), (5, 1));
        assert_eq!(report.peak_per_second(ms(0)..ms(300)), 30.0);
        assert_eq!(report.peak_per_second(ms(100)..ms(300)), 10.0);
        assert_eq!(report.requests_within(ms(100)..ms(300)), 2);
    }
}
