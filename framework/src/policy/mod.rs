//! stub
#![allow(missing_docs)]
use std::time::Duration;
#[derive(Debug, Clone, Default)]
pub struct Policy {
    pub breaker: crate::breaker::Config,
    pub retry: crate::retry::Config,
    pub bulkhead: crate::bulkhead::Config,
    pub mailbox: crate::backpressure::Config,
}
#[derive(Debug, Clone, Default)]
pub struct MethodPolicy {
    pub timeout: Option<Duration>,
    pub deadline: Option<Duration>,
    pub max_attempts: Option<u32>,
}
impl Policy {
    pub fn breaker(&self) -> &crate::breaker::Config {
        &self.breaker
    }
    pub fn retry(&self) -> &crate::retry::Config {
        &self.retry
    }
    pub fn bulkhead(&self) -> &crate::bulkhead::Config {
        &self.bulkhead
    }
    pub fn mailbox(&self) -> &crate::backpressure::Config {
        &self.mailbox
    }
    pub fn rate_limit(&self) -> Option<&crate::limit::Config> {
        None
    }
    pub fn deadline(&self) -> Duration {
        Duration::from_secs(30)
    }
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(10)
    }
    pub fn fallback_timeout(&self) -> Duration {
        Duration::from_millis(100)
    }
    pub fn method(&self, _: &str) -> Option<&MethodPolicy> {
        None
    }
}
#[derive(Debug,Clone,Default)] pub struct PolicyFile;
#[derive(Debug, thiserror::Error)] #[error("x")] pub struct PolicyFileError;
impl PolicyFile { pub fn load(_: std::path::PathBuf) -> Result<Self, PolicyFileError> { Ok(Self) } pub fn parse(_: &str, _: &str) -> Result<Self, PolicyFileError> { Ok(Self) } pub fn policy(&self, _: &str) -> Policy { Policy::default() } }
