//! How many permits an attempt cannot need.
use std::io;

#[seawall::resilient]
trait Reports {
    #[call(weight = 0)]
    async fn none(&self) -> io::Result<()>;
    #[call(weight = 1001)]
    async fn many(&self) -> io::Result<()>;
    #[call(weight = "2")]
    async fn text(&self) -> io::Result<()>;
    #[call(weight)]
    async fn bare(&self) -> io::Result<()>;
}

fn main() {}
