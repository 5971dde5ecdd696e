//! The breaker against naive models.
