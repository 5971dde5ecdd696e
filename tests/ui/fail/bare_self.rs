use std::io;

#[seawall::resilient]
trait Payments {
    async fn compare(&self, with: &Self) -> io::Result<()>;
    async fn copy(&self) -> io::Result<Vec<Self>>
    where
        Self: Sized;
    async fn bounded(&self) -> io::Result<()>
    where
        Self: Clone;
    fn new() -> Self
    where
        Self: Sized;
}

fn main() {}
