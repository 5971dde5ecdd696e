//! (to be written)
pub mod timer;
