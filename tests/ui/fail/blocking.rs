//! What cannot be sent to a thread.
use std::io;

#[seawall::resilient]
trait Files {
    #[call(blocking)]
    fn fill(&self, buffer: &mut [u8]) -> io::Result<usize>;
    #[call(blocking)]
    fn write(&self, what: impl AsRef<[u8]>) -> io::Result<usize>;
    #[call(blocking)]
    fn take(&mut self) -> io::Result<usize>;
    #[call(blocking)]
    fn lines(&self) -> futures::stream::BoxStream<'_, io::Result<String>>;
    #[call(blocking, skip)]
    fn both(&self) -> io::Result<usize>;
}

#[seawall::resilient(exclusive)]
trait Serial {
    #[call(blocking)]
    fn read(&self) -> io::Result<usize>;
}

fn main() {}
