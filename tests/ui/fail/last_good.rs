//! What can be wrong with a last good answer.

use seawall::resilient;

pub struct Unkeyed;
pub struct Answer;

#[resilient]
pub trait Rates {
    #[call(fallback = last_good(max_age = "0s"))]
    async fn no_age(&self) -> std::io::Result<u32>;
    #[call(fallback = last_good(max_entries = 0))]
    async fn nothing(&self) -> std::io::Result<u32>;
    #[call(fallback = last_good(max_aeg = "5m"))]
    async fn misspelt(&self) -> std::io::Result<u32>;
    #[call(fallback = last_good(), fallback = last_good())]
    async fn twice(&self) -> std::io::Result<u32>;
}

#[resilient]
pub trait Others {
    #[call(fallback = last_good())]
    async fn unkeyed(&self, what: Unkeyed) -> std::io::Result<u32>;
    #[call(fallback = last_good())]
    async fn not_kept(&self) -> std::io::Result<Answer>;
}

fn main() {}
