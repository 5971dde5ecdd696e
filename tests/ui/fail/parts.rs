use std::io;

#[seawall::resilient(part, client = Post, markers(Sealed))]
trait Letters {
    async fn send(&self) -> io::Result<()>;
}

#[seawall::resilient(part)]
trait Parcels<T> {
    async fn send(&self, of: T) -> io::Result<()>;
}

#[seawall::resilient(with(Parcels<u8>), markers)]
trait Post {
    async fn connect(&self) -> io::Result<()>;
}

fn main() {}
