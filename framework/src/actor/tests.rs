//! Supervision, from the inside.
