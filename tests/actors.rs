//! Supervision from the outside.
