//! An answer that somebody would have to wait for, and a merge of another type.
use std::io;

#[seawall::resilient]
trait Log {
    #[call(oneway)]
    async fn write(&self, line: &str) -> io::Result<usize>;
    #[call(oneway(merge = add))]
    async fn count(&self, by: u64) -> Result<(), io::Error>;
    #[call(oneway)]
    async fn answer(&self) -> u8;
}

fn add(sum: &mut u32, by: u32) -> Result<(), u32> {
    *sum += by;
    Ok(())
}

fn main() {}
