//! An argument that is not `Clone`, and one that borrows.
use std::io;

struct Handle;

#[seawall::resilient]
trait Files: Send + Sync {
    #[call(blocking)]
    fn write(&self, to: &Handle) -> io::Result<usize>;
}

#[seawall::resilient]
trait Names: Send + Sync {
    #[call(blocking)]
    fn name(&self, of: Option<&str>) -> io::Result<usize>;
}

fn main() {}
