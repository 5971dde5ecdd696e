use std::io;

#[seawall::resilient]
trait Payments {
    #[call(timeout = "0s")]
    async fn zero(&self) -> io::Result<()>;
    #[call(timeout = "300")]
    async fn no_unit(&self) -> io::Result<()>;
    #[call(timeout = "soon")]
    async fn no_number(&self) -> io::Result<()>;
    #[call(timeout = "99999999999999999999y")]
    async fn too_long(&self) -> io::Result<()>;
    #[call(timeout = 300)]
    async fn no_string(&self) -> io::Result<()>;
    #[call(timeout)]
    async fn nothing(&self) -> io::Result<()>;
}

fn main() {}
