//! stub
#![allow(missing_docs)]
use crate::clock::Moment;
#[derive(Debug)]
pub struct TokenBucket;
#[derive(Debug, Clone)]
pub struct Config;
#[derive(Debug)]
pub struct Refusal {
    pub retry_after: Option<std::time::Duration>,
}
impl TokenBucket {
    pub fn new(_: &Config, _: Moment) -> Self {
        Self
    }
    pub fn try_take(&self, _: Moment, _: u64) -> Result<(), Refusal> {
        Ok(())
    }
    pub fn refund(&self, _: u64) {}
}
