//! The order that a breaker stands under.

use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::clock::Moment;
use crate::event::Command;

/// An order that somebody has given a breaker by hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ByHand {
    /// The order.
    pub command: Command,
    /// Who gave it, if it was given in somebody's name.
    #[serde(serialize_with = "as_text")]
    pub author: Option<Arc<str>>,
    /// When, on the clock that the breaker is driven by.
    #[serde(serialize_with = "crate::event::seconds")]
    pub since: Moment,
}

fn as_text<S: Serializer>(author: &Option<Arc<str>>, to: S) -> Result<S::Ok, S::Error> {
    author.as_deref().serialize(to)
}
