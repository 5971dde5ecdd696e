use std::io;

use seawall::CallError;

#[seawall::resilient]
trait Payments {
    #[call(fallback = answers_otherwise)]
    async fn otherwise(&self) -> io::Result<u64>;
    #[call(fallback = not_async)]
    async fn at_once(&self) -> io::Result<u64>;
    #[call(fallback = for_one_service)]
    async fn one(&self) -> io::Result<u64>;
    #[call(fallback = takes_less)]
    async fn more(&self, cents: u64) -> io::Result<u64>;
}

struct Http;

async fn answers_otherwise(_: &impl Payments, _: &CallError<io::Error>) -> io::Result<String> {
    Ok(String::new())
}
fn not_async(_: &impl Payments, _: &CallError<io::Error>) -> io::Result<u64> {
    Ok(1)
}
async fn for_one_service(_: &Http, _: &CallError<io::Error>) -> io::Result<u64> {
    Ok(1)
}
async fn takes_less(_: &impl Payments, _: &CallError<io::Error>) -> io::Result<u64> {
    Ok(1)
}

fn main() {}
