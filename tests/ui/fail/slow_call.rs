use std::io;

#[seawall::resilient]
trait Payments {
    #[call(slow_call = "0s")]
    async fn zero(&self) -> io::Result<()>;
    #[call(slow_call = "200")]
    async fn no_unit(&self) -> io::Result<()>;
    #[call(slow_call = 200)]
    async fn no_string(&self) -> io::Result<()>;
    #[call(timeout = "300ms", slow_call = "301ms")]
    async fn never(&self) -> io::Result<()>;
    #[call(timeout = "300ms", slow_call = "300ms")]
    async fn at_the_timeout(&self) -> io::Result<()>;
}

fn main() {}
