//! Counts as data: by name, and latency by its quantiles.

use serde::ser::{SerializeMap, SerializeStruct};
use serde::{Serialize, Serializer};

use crate::error::RejectedBy;
use crate::outcome::{AttemptKind, CallOutcome, Outcome};

use super::latency::Latency;

/// Writes `counts` under the names that metrics use.
fn named<S: Serializer>(
    names: impl Iterator<Item = &'static str>,
    counts: &[u64],
    to: S,
) -> Result<S::Ok, S::Error> {
    let mut map = to.serialize_map(Some(counts.len()))?;
    for (name, count) in names.zip(counts) {
        map.serialize_entry(name, count)?;
    }
    map.end()
}

pub(super) fn by_guard<S: Serializer>(counts: &[u64], to: S) -> Result<S::Ok, S::Error> {
    named(RejectedBy::ALL.iter().map(|by| by.as_str()), counts, to)
}

pub(super) fn by_call_outcome<S: Serializer>(counts: &[u64], to: S) -> Result<S::Ok, S::Error> {
    named(CallOutcome::ALL.iter().map(|outcome| outcome.as_str()), counts, to)
}

pub(super) fn by_outcome<S: Serializer>(counts: &[u64], to: S) -> Result<S::Ok, S::Error> {
    named(Outcome::ALL.iter().map(|outcome| outcome.as_str()), counts, to)
}

/// Why fallbacks answer, in the order in which they are counted.
pub(super) fn reasons() -> impl Iterator<Item = &'static str> {
    let ends = CallOutcome::ALL.iter().map(|outcome| outcome.as_str());
    ends.chain(RejectedBy::ALL.iter().map(|by| by.as_str()))
}

/// Those that there were none for are left out.
pub(super) fn by_reason<S: Serializer>(counts: &[u64], to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(reasons().zip(counts).filter(|(_, count)| **count > 0))
}

/// Attempts that were not the first of their call, by kind and by how they ended.
pub(super) fn by_kind<S: Serializer, const N: usize>(
    counts: &[[u64; N]],
    to: S,
) -> Result<S::Ok, S::Error> {
    struct ByOutcome<'a>(&'a [u64]);
    impl Serialize for ByOutcome<'_> {
        fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            by_outcome(self.0, to)
        }
    }
    let mut map = to.serialize_map(Some(counts.len()))?;
    for (kind, counts) in AttemptKind::ALL.iter().skip(1).zip(counts) {
        map.serialize_entry(kind.as_str(), &ByOutcome(counts))?;
    }
    map.end()
}

impl Serialize for Latency {
    /// How many calls, and in seconds their sum and quantiles; those are null without calls.
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let quantile = |q| self.quantile(q).map(|latency| latency.as_secs_f64());
        let mut latency = to.serialize_struct("Latency", 6)?;
        latency.serialize_field("count", &self.count())?;
        latency.serialize_field("sum", &(self.sum_nanos as f64 / 1e9))?;
        latency.serialize_field("p50", &quantile(0.5))?;
        latency.serialize_field("p90", &quantile(0.9))?;
        latency.serialize_field("p99", &quantile(0.99))?;
        latency.serialize_field("p999", &quantile(0.999))?;
        latency.end()
    }
}

#[cfg(all(test, not(seawall_loom)))]
#[allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]
mod tests {
    use serde_json::json;
    use serde_json::value::Serializer;

    use super::*;

    #[test]
    fn reasons_that_there_were_none_for_are_left_out() {
        let counts: Vec<u64> = (0..reasons().count() as u64).map(|at| u64::from(at == 1)).collect();
        let (name, _) = reasons().zip(0..).nth(1).unwrap();
        assert_eq!(by_reason(&counts, Serializer).unwrap(), json!({ name: 1 }));
    }

    #[test]
    fn every_kind_but_the_first_is_named_with_how_it_ended() {
        let counts = [[1; Outcome::ALL.len()], [2; Outcome::ALL.len()]];
        let written = by_kind(&counts, Serializer).unwrap();
        assert_eq!(
            (&written["retry"]["success"], &written["hedge"]["failure"]),
            (&json!(1), &json!(2))
        );
        assert_eq!(written.as_object().unwrap().len(), 2);
    }

    #[test]
    fn a_sum_is_in_seconds() {
        let latency = Latency { sum_nanos: 1_500_000_000, ..Latency::default() };
        assert_eq!(serde_json::to_value(&latency).unwrap()["sum"], json!(1.5));
    }
}
