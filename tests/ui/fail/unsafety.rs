use std::io;

#[seawall::resilient]
unsafe trait Payments {
    async unsafe fn charge(&self) -> io::Result<()>;
    unsafe fn name(&self) -> u64;
}

fn main() {}
