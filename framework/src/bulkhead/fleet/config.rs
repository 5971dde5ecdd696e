//! What a fleet is made of.

use serde::Serialize;

use crate::bulkhead::MAX_CONCURRENT;
use crate::constraint::{Constraints, InvalidSettings};

/// One total of permits for several dependencies. Built by [`FleetConfig::builder`].
///
/// Each member has its minimum, whatever the others do. What is left of the total is lent to those that need it, by weight where
/// more is needed than there is, and taken back when another needs it. A member never has more than its policy's
/// `max_concurrent`, or what its limit has found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FleetConfig {
    total: u32,
    members: Vec<Member>,
}

/// A dependency in a fleet.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) min: u32,
    pub(crate) weight: f64,
}

impl FleetConfig {
    /// Starts with no member, and so many permits for all that will be; 1 to 1,000,000.
    pub fn builder(total: u32) -> FleetBuilder {
        FleetBuilder(Self { total, members: Vec::new() })
    }

    /// The permits of all together.
    #[must_use]
    pub fn total(&self) -> u32 {
        self.total
    }

    /// The names of its members, in the order in which they were added.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.members.iter().map(|member| &*member.name)
    }

    pub(crate) fn members(&self) -> &[Member] {
        &self.members
    }
}

/// Builds a [`FleetConfig`], checking every setting.
#[derive(Clone, Debug)]
#[must_use]
pub struct FleetBuilder(FleetConfig);

impl FleetBuilder {
    /// The dependency of this name. `min`: the permits that it has in any case, at least 1. `weight`: its part of what is
    /// lent, beside the weights of the others that need more than there is; above 0.
    pub fn member(mut self, name: impl Into<String>, min: u32, weight: f64) -> Self {
        self.0.members.push(Member { name: name.into(), min, weight });
        self
    }

    /// The checked settings.
    ///
    /// # Errors
    /// Every setting that is out of range: a total, a minimum or a weight; no member; one that is there twice; minimums that are
    /// more than the total.
    pub fn build(self) -> Result<FleetConfig, InvalidSettings> {
        let FleetConfig { total, members } = &self.0;
        let mut check = Constraints::default();
        let allowed = format!("from 1 to {MAX_CONCURRENT}");
        check.require((1..=MAX_CONCURRENT).contains(total), "total", total, allowed);
        check.require(!members.is_empty(), "members", "none", "at least one");
        for (at, Member { name, min, weight }) in members.iter().enumerate() {
            let is_new = members[..at].iter().all(|other| other.name != *name);
            check.require(is_new, "member", name, "in the fleet once");
            check.require(*min >= 1, "member.min", min, "1 or more");
            let is_weight = weight.is_finite() && *weight > 0.0;
            check.require(is_weight, "member.weight", weight, "a number above 0");
        }
        let minimums: u64 = members.iter().map(|member| u64::from(member.min)).sum();
        check.require(
            minimums <= u64::from(*total),
            "member.min",
            minimums,
            format!("together at most the total, {total}"),
        );
        check.finish(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::constraint::wrong_keys;

    fn mistakes(builder: FleetBuilder) -> Vec<&'static str> {
        wrong_keys(builder.build())
    }

    #[test]
    fn every_mistake_is_named() {
        let fleet = FleetConfig::builder;
        let none: [&str; 0] = [];
        assert_eq!(mistakes(fleet(1).member("a", 1, 0.001)), none);
        assert_eq!(mistakes(fleet(MAX_CONCURRENT).member("a", MAX_CONCURRENT, 1.0)), none);
        assert_eq!(mistakes(fleet(MAX_CONCURRENT + 1).member("a", 1, 1.0)), ["total"]);
        assert_eq!(mistakes(fleet(0).member("a", 1, 1.0)), ["total", "member.min"]);
        assert_eq!(mistakes(fleet(1)), ["members"]);
        assert_eq!(mistakes(fleet(5).member("a", 1, 1.0).member("a", 1, 1.0)), ["member"]);
        assert_eq!(mistakes(fleet(5).member("a", 0, 1.0)), ["member.min"]);
        for weight in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(mistakes(fleet(5).member("a", 1, weight)), ["member.weight"]);
        }
        let two = |min| fleet(5).member("a", 2, 1.0).member("b", min, 1.0);
        assert_eq!(mistakes(two(3)), none);
        assert_eq!(mistakes(two(4)), ["member.min"]);
    }
}
